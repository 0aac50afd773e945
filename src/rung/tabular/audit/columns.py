"""What holds for columns of every kind: empty, constant, nearly so, identifiers, missing cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.cells import Cells
from rung.tabular.audit.finding import TABLE, Finding, in_a_line, rows, share, words_of
from rung.tabular.columns import Kind
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd

_NEAR: Final = 0.99  # of the present cells are one value
_MUCH: Final = 0.5  # missing
_SOME: Final = 0.05
_TOGETHER: Final = 0.9  # correlation of two columns' missing cells
_MOST: Final = 500  # columns that are compared with each other
_EXACT: Final = 2.0**53  # whole numbers from here on are not exact


def column_findings(cells: Cells) -> Iterator[Finding]:
    """All findings about one column that do not depend on its kind's own values."""
    kind = cells.column.kind
    if kind == Kind.EMPTY:
        yield Finding("note", cells.name, "empty", "rung leaves it out", "empty")
    elif kind == Kind.CONSTANT:
        yield Finding(
            "note",
            cells.name,
            f"{in_a_line(cells.values.iloc[0])} in every row",
            "rung leaves it out",
            "constant",
        )
    elif kind == Kind.IDENTIFIER:
        yield Finding(
            "note",
            cells.name,
            f"{cells.column.distinct:,} different values in {rows(cells.present)}: it names the single row",
            "rung leaves it out; if it says more (a date, a place in it), make a column of that",
            "identifier",
        )
    else:
        yield from _key(cells)
        yield from _near_constant(cells)
        yield from _missing(cells)


def _key(cells: Cells) -> Iterator[Finding]:
    """Whole numbers, all different, that rung uses as numbers."""
    if cells.column.kind != Kind.NUMBER or len(cells.finite) < 50:
        return
    values = cells.finite
    whole = bool((values % 1 == 0).all())
    named = words_of(cells.name)[-1:] in (["id"], ["key"], ["nr"], ["no"], ["number"])
    dense = values[-1] - values[0] == len(values) - 1
    if whole and cells.column.distinct == len(values) and (named or dense):
        yield Finding(
            "warning",
            cells.name,
            f"whole numbers{_range(values)}, each once: it may number the rows",
            "rung takes it as a number, and may learn the order of the rows from it; drop it if it is a key",
            "key-like",
        )


def _range(values: NDArray[np.float64]) -> str:
    """From the least to the largest, where these are exact."""
    exact = max(abs(values[0]), abs(values[-1])) < _EXACT
    return f" from {values[0]:.0f} to {values[-1]:.0f}" if exact else ""


def _near_constant(cells: Cells) -> Iterator[Finding]:
    if cells.present < 100:
        return
    word, top = cells.top
    if _NEAR * cells.present <= top and (cells.present > top or cells.column.missing > 0):
        rest = cells.present - top
        what = f"in all but {rows(rest)}" if rest else "wherever it is not missing"
        yield Finding(
            "note",
            cells.name,
            f"{in_a_line(word)} {what}",
            "rung keeps it; little can be learned from it",
            "near-constant",
        )


def _missing(cells: Cells) -> Iterator[Finding]:
    part = cells.column.missing
    if part < _SOME:
        return
    count = len(cells.values) - cells.present
    yield Finding(
        "warning" if part > _MUCH else "note",
        cells.name,
        f"missing in {rows(count)} ({share(part)})",
        "rung fills it in, and marks where, or leaves it to learners that read missing cells"
        + ("; find out why it is missing, and whether it will be so later" if part > _MUCH else ""),
        "missing",
    )


def missing_together(frame: pd.DataFrame) -> Iterator[Finding]:
    """Groups of columns that are missing in the same rows.

    Args:
        frame: a sample of the rows; columns with 1 % to 99 % missing are looked at.
    """
    masks = frame.isna()
    part = masks.mean()
    names = [name for name in frame.columns if 0.01 <= part[name] <= 0.99][:_MOST]
    if len(names) < 2 or len(frame) < 20:
        return
    correlation = np.corrcoef(masks[names].to_numpy(dtype=np.float64), rowvar=False)
    for group in grouped(correlation >= _TOGETHER):
        inside = [str(names[i]) for i in group]
        yield Finding(
            "note",
            TABLE,
            f"{listed(inside, 'and', 6)} are missing in the same rows "
            f"({share(float(part[[names[i] for i in group]].mean()))} of them)",
            "rung treats each by itself; whether they are there may say as much as what they hold",
            "missing-together",
        )


def grouped(linked: NDArray[np.bool_]) -> list[list[int]]:
    """The connected groups of two or more, of (d, d) links."""
    groups, waiting = [], set(range(len(linked)))
    while waiting:
        group, edge = set[int](), {waiting.pop()}
        while edge:
            group |= edge
            edge = set(np.flatnonzero(linked[sorted(edge)].any(axis=0)).tolist()) - group
        waiting -= group
        if len(group) > 1:
            groups.append(sorted(group))
    return groups
