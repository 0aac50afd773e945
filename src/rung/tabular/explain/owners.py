"""Which of the table's columns each column of a member's matrix is made of.

It is asked of the fitted preparation, not of rows: what is found for a row is the same beside any others. The
blocks stand in the order of `Preparation.transform`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Kind
from rung.tabular.encode import DATE_PARTS

if TYPE_CHECKING:
    from rung.tabular.encode import Encoder
    from rung.tabular.expansion import Expansion
    from rung.tabular.preparation import Preparation

Made = NDArray[np.bool_]  # (d, c): whether column d of a matrix is made of column c of the table


def owners(encoder: Encoder, preparation: Preparation) -> NDArray[np.intp] | None:
    """(d,) of each column of the matrix the place of its one among the columns that the model reads; None
    where one is made of several.
    """
    made = sources(encoder, preparation)
    if (made.sum(axis=1) > 1).any():
        return None
    return np.asarray(made.argmax(axis=1), dtype=np.intp)  # one of none is always 0: no tree asks for it


def sources(encoder: Encoder, preparation: Preparation) -> Made:
    """Of which of the columns that the model reads each column of the matrix is made."""
    names = [column.name for column in encoder.columns if column.used]
    identity = np.eye(len(names), dtype=bool)

    def of(kind: Kind, times: int = 1) -> Made:
        return np.repeat(identity[[names.index(name) for name in encoder.names(kind)]], times, axis=0)

    numbers = np.vstack([of(Kind.NUMBER), of(Kind.DATE, len(DATE_PARTS))])
    codes, texts = of(Kind.CATEGORY), of(Kind.TEXT)
    blocks = [
        _of_numbers(preparation, numbers),
        _of_expansion(preparation.parts.get("expand"), numbers, codes),
        _of_codes(preparation, codes, encoder.sizes),
        _of_texts(preparation, texts),
    ]
    return _of_fewer(preparation, np.vstack(blocks))


def _of_numbers(preparation: Preparation, numbers: Made) -> Made:
    """A column whose gaps are told from others' cells is made of these, too."""
    kept = numbers[preparation.kept]
    if preparation.needs.missing:
        return kept
    filled = kept.copy()
    for step in getattr(preparation.parts.get("impute"), "imputation_sequence_", ()):
        filled[step.feat_idx] |= kept[step.neighbor_feat_idx].any(axis=0)
    return np.vstack([filled, numbers[preparation.flagged]])


def _of_expansion(expansion: Expansion | None, numbers: Made, codes: Made) -> Made:
    if expansion is None:
        return numbers[:0]
    crosses = [codes[cross.a] | codes[cross.b] for cross in expansion.crosses]
    found = [numbers[pair.a] | numbers[pair.b] for pair in expansion.pairs]
    found += [codes[group.category] | numbers[group.column] for group in expansion.groups] + crosses
    if expansion.encoder is not None:
        each = len(expansion.encoder.get_feature_names_out()) // len(crosses)
        found += [cross for cross in crosses for _ in range(each)]
    return np.array(found, dtype=bool).reshape(len(found), numbers.shape[1])


def _of_codes(preparation: Preparation, codes: Made, sizes: list[int]) -> Made:
    parts = preparation.parts
    if "tables" in parts:
        return np.repeat(codes, [table.shape[1] for table in parts["tables"]], axis=0)
    if preparation.categories != "hash":
        return codes
    hasher = parts["hash"]
    found = np.zeros((hasher.n_features, codes.shape[1]), dtype=bool)
    for j, size in enumerate(sizes):  # two may share a column
        words = hasher.transform([[f"{j}={code}"] for code in range(-1, size)])
        found[np.unique(words.indices)] |= codes[j]
    return found


def _of_texts(preparation: Preparation, texts: Made) -> Made:
    """All texts are condensed together."""
    if "words" not in preparation.parts:
        return texts[:0]
    width = int(preparation.parts["words"][-1].n_components)
    return np.broadcast_to(texts.any(axis=0), (width, texts.shape[1]))


def _of_fewer(preparation: Preparation, made: Made) -> Made:
    """After products of columns, and of all those that were selected or drawn together."""
    parts = preparation.parts
    if "squares" in parts:
        some = made[parts["squares"].get_support()]
        a, b = np.triu_indices(len(some))
        made = np.vstack([made, some[a] | some[b]])
    fewer: Any = parts.get("reduce")
    if fewer is None:
        return made
    if hasattr(fewer, "get_support"):
        return np.asarray(made[fewer.get_support()])
    return np.broadcast_to(made.any(axis=0), (fewer.n_components_, made.shape[1]))
