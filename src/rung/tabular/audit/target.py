"""What may be wrong with the target: that it cannot be predicted, rare classes, imbalance, skew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.audit.finding import Finding, quoted, rows, share
from rung.tabular.audit.numbers import skewness
from rung.tabular.names import listed
from rung.tabular.task import KINDS, Task, check_classes, check_target, guess_task

if TYPE_CHECKING:
    import pandas as pd

_RARE: Final = 20  # rows: folds of so few say little
_UNEVEN: Final = 0.95
_SKEWED: Final = 2.0


def settle(frame: pd.DataFrame, target: str, asked: str | None) -> tuple[Task | None, list[Finding]]:
    """The task, or the finding that says why there is none.

    Raises:
        DataError: `asked` is no task.
    """
    if asked is not None and asked not in KINDS:
        raise DataError(f"there is no task {asked!r}; it is one of {listed(KINDS)}")
    try:
        kept, _ = check_target(frame, target)
        task = guess_task(kept[target], asked)
        check_classes(kept[target], task)
    except DataError as error:
        sentence, _, cure = str(error).partition("; ")
        return None, [Finding("error", target, sentence, cure or "correct the target", "target")]
    return task, []


def encoded(y: pd.Series, task: Task) -> NDArray[Any]:
    """(n,) class codes, -1 where missing, or values, NaN where missing."""
    if task.is_classification:
        import pandas as pd

        places, labels = pd.factorize(y)
        return np.append(task.encode(pd.Series(labels, name=y.name)), -1)[places]
    there = y.notna().to_numpy()
    values = np.full(len(y), np.nan)
    values[there] = task.encode(y[there])
    return values


def target_findings(y: NDArray[Any], task: Task, name: str) -> Iterator[Finding]:
    """All findings about a target that can be predicted."""
    gone = int((y < 0).sum()) if task.is_classification else int(np.isnan(y).sum())
    if gone:
        yield Finding(
            "warning" if gone > 0.05 * len(y) else "note",
            name,
            f"the target is missing in {rows(gone)} ({share(gone / len(y))})",
            "rung leaves these rows out; if they are missing for a reason, the model does not know such rows",
            "target-missing",
        )
    if len(y) - gone < 50:
        yield Finding(
            "warning",
            name,
            f"only {rows(len(y) - gone)} with a target",
            "rung fits a model all the same; its score is a guess, so add rows",
            "few-rows",
        )
    yield from _classes(y, task, name) if task.is_classification else _values(y[~np.isnan(y)], name)


def _classes(y: NDArray[Any], task: Task, name: str) -> Iterator[Finding]:
    counts = np.bincount(y[y >= 0], minlength=len(task.classes))
    rare = np.flatnonzero(counts < _RARE)
    if len(rare):
        few = ", ".join(f"{task.classes[k]!s} ({counts[k]:,})" for k in rare[:4])
        yield Finding(
            "warning",
            name,
            f"{len(rare)} of {len(counts)} classes {'has' if len(rare) == 1 else 'have'} fewer than {_RARE} "
            f"rows: {few}{', …' * (len(rare) > 4)}",
            "rung spreads them over the folds; add rows of them, or merge them with another class",
            "rare-classes",
        )
    alike: dict[str, list[str]] = {}
    for label in map(str, task.classes):
        alike.setdefault(" ".join(label.casefold().replace("_", " ").split()), []).append(label)
    several = [labels for labels in alike.values() if len(labels) > 1]
    if several:
        yield Finding(
            "warning",
            name,
            f"classes that differ only in case, blanks or underscores: {'; '.join(map(quoted, several[:2]))}",
            "rung learns to tell them apart, as classes of their own; write them alike",
            "spelling",
        )
    part = float(counts.max() / counts.sum())
    if part >= _UNEVEN:
        yield Finding(
            "warning" if part >= 0.99 else "note",
            name,
            f"{task.classes[int(counts.argmax())]!s} is the class of {share(part)} of the rows",
            "accuracy says little here; choose --metric auc or average_precision (two classes), "
            "balanced_accuracy or log_loss",
            "imbalance",
        )


def _values(y: NDArray[np.float64], name: str) -> Iterator[Finding]:
    infinite = int(np.isinf(y).sum())
    if infinite:
        yield Finding(
            "error",
            name,
            f"the target is infinite in {rows(infinite)}",
            "put a finite number there, or remove the rows",
            "target",
        )
    finite = y[np.isfinite(y)]
    skew = skewness(finite)
    if abs(skew) > _SKEWED:
        top = np.sort(np.abs(finite - np.median(finite)))[::-1][: max(1, len(finite) // 100)]
        weight = float((top**2).sum() / max(float(((finite - np.median(finite)) ** 2).sum()), 1e-300))
        logs = " or rmsle" if finite.min() > -1 else ""
        yield Finding(
            "note",
            name,
            f"the target is skewed ({skew:.1f}): 1 % of the rows have {share(weight)} of the squares",
            f"rmse will be about these rows; choose --metric mae{logs} if the others matter as much",
            "skewed-target",
        )
    values, counts = np.unique(finite, return_counts=True)
    spike = float(counts.max() / len(finite)) if len(finite) else 0.0
    if len(values) > 20 and spike > 0.3:
        yield Finding(
            "note",
            name,
            f"the target is {values[counts.argmax()]:g} in {share(spike)} of the rows",
            "a model of whether it is that value, and one of the others, may serve better",
            "target-spike",
        )
