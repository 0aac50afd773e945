"""Two tables: column by column, and whether a model can tell their rows apart.

The classifier two-sample test: if the tables are alike, no model can tell which row is of which, and its AUC
is 0.5 (Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017). It sees what no column
shows by itself: combinations. Dates are left out, for a later table gives itself away by them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.drift import DriftReport, compare_columns, sampled
from rung.tabular.audit.finding import TABLE, Finding, by_severity
from rung.tabular.audit.profile import make_profile
from rung.tabular.columns import Column, Kind, infer_columns
from rung.tabular.encode import Table, encode
from rung.tabular.metrics import METRICS
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[str], None]
_ROWS: Final = 10_000  # of each table
_FEWEST: Final = 30
_FOLDS: Final = 3
_ROUNDS: Final = 60
_APART: Final = 0.6  # an AUC that matters
_FAR: Final = 0.75
_DEVIATIONS: Final = 3.3  # p under 0.001


def drift_between(
    frame: pd.DataFrame, reference: pd.DataFrame, target: str | None = None, tell: Tell | None = None
) -> DriftReport:
    """How far `frame` is from `reference`.

    Args:
        target: compared as a column where both have it, and left out of the model that tells them apart.
    """
    began = time.monotonic()
    tell = tell or (lambda text: None)
    frame, reference = (x.set_axis([str(name) for name in x.columns], axis=1) for x in (frame, reference))
    tell("what the columns are")
    columns = infer_columns(reference)
    if target is not None and target not in frame.columns:
        columns = tuple(column for column in columns if column.name != target)
    drifts, found = compare_columns(frame, make_profile(reference, columns), tell)
    found += _kinds(frame, columns)
    found += _more(frame, reference)
    tell("whether a model can tell the tables apart")
    shared = tuple(c for c in columns if c.used and c.name in frame.columns and c.kind != Kind.DATE)
    auc, telling = tell_apart(reference, frame, tuple(c for c in shared if c.name != target))
    if auc is not None:
        found += _apart(auc, telling, min(len(frame), _ROWS), min(len(reference), _ROWS))
    return DriftReport(
        rows=len(frame),
        reference=len(reference),
        columns=drifts,
        findings=by_severity(found),
        auc=auc,
        telling=telling,
        notes=sampled(len(frame), len(reference)),
        seconds=time.monotonic() - began,
    )


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
            f"made of {_plural(column.kind)} in the reference and of {_plural(new.kind)} in the new table",
            "find out which is meant, and correct the other",
            "kind-changed",
        )


def _plural(kind: str) -> str:
    return {"category": "categories"}.get(kind, f"{kind}s")


def _more(frame: pd.DataFrame, reference: pd.DataFrame) -> Iterator[Finding]:
    new = [name for name in frame.columns if name not in set(reference.columns)]
    if new:
        yield Finding(
            "note",
            TABLE,
            f"columns that the reference does not have: {listed(new, 'and', 6)}",
            "rung does not compare them, and a model of the reference does not read them",
            "new-columns",
        )


def _apart(auc: float, telling: tuple[tuple[str, float], ...], n: int, m: int) -> Iterator[Finding]:
    deviation = float(np.sqrt((n + m + 1) / (12 * n * m)))  # of the rank sum, without any difference
    if auc < _APART or (auc - 0.5) < _DEVIATIONS * deviation:
        return
    names = [f"{name} ({part:.0%})" for name, part in telling[:3]]
    yield Finding(
        "warning" if auc >= _FAR else "note",
        TABLE,
        f"a model can tell the rows of the two tables apart (AUC {auc:.3f}, cross-validated; 0.5 is chance), "
        f"mostly by {listed(names, 'and')}",
        "find out what changed in these columns; a model of one table may not serve for the other",
        "told-apart",
    )


def tell_apart(
    a: pd.DataFrame, b: pd.DataFrame, columns: tuple[Column, ...]
) -> tuple[float | None, tuple[tuple[str, float], ...]]:
    """The cross-validated AUC of a small LightGBM that tells rows of `b` from those of `a`, and the share of
    its gain that each column has, the largest first; None of too few rows or no column.
    """
    import pandas as pd

    if not columns or min(len(a), len(b)) < _FEWEST:
        return None, ()
    names = [column.name for column in columns]
    parts = [x[names].sample(min(len(x), _ROWS), random_state=0).astype(object) for x in (a, b)]
    y = np.repeat([0, 1], [len(part) for part in parts])
    _, table = encode(pd.concat(parts, ignore_index=True), columns)
    x, owners = _matrix(table, columns)
    folds = np.random.default_rng(0).permutation(len(y)) % _FOLDS
    prediction, gain = np.empty(len(y)), np.zeros(x.shape[1])
    for fold in range(_FOLDS):
        train = folds != fold
        booster = _boost(x[train], y[train])
        prediction[~train] = booster.predict(x[~train], num_threads=1)
        gain += booster.feature_importance("gain")
    auc = METRICS["auc"].score(y, np.column_stack([1 - prediction, prediction]))
    return auc, _shares(gain, owners)


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


def _boost(x: NDArray[np.float64], y: NDArray[Any]) -> Any:
    import lightgbm

    settings = {"objective": "binary", "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 10}
    more = {"verbosity": -1, "num_threads": 1, "seed": 0, "deterministic": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = lightgbm.Dataset(x, y, params={"verbosity": -1})
        return lightgbm.train({**settings, **more}, data, _ROUNDS)


def _shares(gain: NDArray[np.float64], owners: list[str]) -> tuple[tuple[str, float], ...]:
    total = float(gain.sum()) or 1.0
    pairs = [(name, float(value) / total) for name, value in zip(owners, gain.tolist(), strict=True)]
    return tuple(sorted((pair for pair in pairs if pair[1] > 0), key=lambda pair: -pair[1]))
