"""Two tables: column by column, and whether a model can tell their rows apart.

Dates are left out of the latter, for a later table gives itself away by them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.apart import FEWEST, MOST, Apart, apart_findings, tell_apart
from rung.tabular.audit.drift import OTHER, DriftReport, compare_columns, sampled
from rung.tabular.audit.finding import TABLE, Finding, by_severity
from rung.tabular.audit.profile import make_profile
from rung.tabular.columns import Column, Kind, infer_columns
from rung.tabular.encode import Table, encode
from rung.tabular.frames import as_pandas
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.frames import Frame

Tell = Callable[[str], None]


def drift_between(
    frame: Frame, reference: Frame, target: str | None = None, tell: Tell | None = None
) -> DriftReport:
    """How far `frame` is from `reference`.

    Args:
        target: compared as a column where both have it, and left out of the model that tells them apart.
    """
    began = time.monotonic()
    tell = tell or (lambda text: None)
    frame, reference = (_with_text_names(as_pandas(x)) for x in (frame, reference))
    tell("what the columns are")
    columns = infer_columns(reference)
    if target is not None and target not in frame.columns:
        columns = tuple(column for column in columns if column.name != target)
    drifts, found = compare_columns(frame, make_profile(reference, columns), tell, OTHER)
    found += _kinds(frame, columns)
    found += [*_fewer(frame, columns), *_more(frame, reference)]
    tell("whether a model can tell the tables apart")
    shared = tuple(c for c in columns if c.used and c.name in frame.columns and c.kind != Kind.DATE)
    apart = frames_apart(reference, frame, tuple(c for c in shared if c.name != target))
    if apart is not None:
        found += apart_findings(apart)
    return DriftReport(
        rows=len(frame),
        reference=len(reference),
        columns=drifts,
        findings=by_severity(found),
        apart=apart,
        notes=sampled(len(frame), len(reference), OTHER.name),
        seconds=time.monotonic() - began,
        against=OTHER.name,
    )


def _with_text_names(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _kinds(frame: pd.DataFrame, columns: tuple[Column, ...]) -> Iterator[Finding]:
    """Columns whose kind changed, but for what a short table cannot show."""
    now = {column.name: column for column in infer_columns(frame)}
    for column in columns:
        new = now.get(column.name)
        if new is None or new.kind == column.kind or not (column.used and new.used):
            continue
        yield Finding(
            "warning",
            column.name,
            f"made of {_plural(column.kind)} in {OTHER.name} and of {_plural(new.kind)} in the new table",
            "find out which is meant, and correct the other",
            "kind-changed",
        )


def _plural(kind: str) -> str:
    return {"category": "categories"}.get(kind, f"{kind}s")


def _fewer(frame: pd.DataFrame, columns: tuple[Column, ...]) -> Iterator[Finding]:
    gone = [column.name for column in columns if column.name not in frame.columns]
    if gone:
        yield Finding(
            "warning",
            TABLE,
            f"the new table lacks {listed(map(repr, gone), 'and', 6)}, which {OTHER.name} has",
            "name a target by --target, and find out where the others went",
            "missing-columns",
        )


def _more(frame: pd.DataFrame, reference: pd.DataFrame) -> Iterator[Finding]:
    new = [name for name in frame.columns if name not in set(reference.columns)]
    if new:
        yield Finding(
            "note",
            TABLE,
            f"columns that {OTHER.name} does not have: {listed(new, 'and', 6)}",
            "rung does not compare them",
            "new-columns",
        )


def frames_apart(a: pd.DataFrame, b: pd.DataFrame, columns: tuple[Column, ...]) -> Apart | None:
    """How well a model tells rows of `b` from those of `a`; None of too few rows or no column."""
    import pandas as pd

    if not columns or min(len(a), len(b)) < FEWEST:
        return None
    names = [column.name for column in columns]
    parts = [x[names].sample(min(len(x), MOST), random_state=0).astype(object) for x in (a, b)]
    _, table = encode(pd.concat(parts, ignore_index=True), columns)
    x, owners = _matrix(table, columns)
    return tell_apart(x[: len(parts[0])], x[len(parts[0]) :], owners)


def _matrix(table: Table, columns: tuple[Column, ...]) -> tuple[NDArray[np.float64], list[str]]:
    """Numbers, and codes of categories, which are ranks by how frequent a level is; (n, d) and d names."""
    numbers = [column.name for column in columns if column.kind == Kind.NUMBER]
    categories = [column.name for column in columns if column.kind == Kind.CATEGORY]
    texts = [column.name for column in columns if column.kind == Kind.TEXT]
    blocks = [table.numbers, table.codes.astype(np.float64)]
    if table.words is not None:  # how many words: which words they are would be too many columns
        width = table.words.shape[1] // len(texts)
        counts = [table.words[:, i * width : (i + 1) * width].sum(axis=1) for i in range(len(texts))]
        blocks.append(np.asarray(np.hstack(counts), dtype=np.float64).reshape(len(table), -1))
    return np.hstack(blocks), [*numbers, *categories, *texts]
