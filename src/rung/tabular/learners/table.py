"""The table of learners, and the one conditional space that they and their preprocessing make.

A third party adds one with an entry point in the group `rung.learners` that names a `Learner`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, NamedTuple

from rung.errors import DataError
from rung.space.domains import Categorical, Choice
from rung.tabular.learners.base import Learner
from rung.tabular.learners.bayes import BAYES, DISCRIMINANT, QUADRATIC
from rung.tabular.learners.catboost import CATBOOST
from rung.tabular.learners.forests import EXTRA_TREES, FOREST
from rung.tabular.learners.foundation import TABICL, TABPFN
from rung.tabular.learners.gaussian_process import GAUSSIAN_PROCESS
from rung.tabular.learners.hist_boosting import HIST_BOOSTING
from rung.tabular.learners.kernel import KERNEL
from rung.tabular.learners.lightgbm import LIGHTGBM
from rung.tabular.learners.linear import LINEAR
from rung.tabular.learners.mlp import MLP
from rung.tabular.learners.neighbors import NEIGHBORS
from rung.tabular.learners.real_mlp import REAL_MLP
from rung.tabular.learners.svm import SVM
from rung.tabular.learners.xgboost import XGBOOST
from rung.tabular.names import did_you_mean, listed

GROUP = "rung.learners"
WAYS = ("categories", "scale", "impute", "expand", "reduce", "balance", "target")
"""Choices of preprocessing, beside each learner's own hyperparameters."""

BUILT_IN: tuple[Learner, ...] = (
    LINEAR,
    LIGHTGBM,
    CATBOOST,
    EXTRA_TREES,
    XGBOOST,
    HIST_BOOSTING,
    REAL_MLP,
    MLP,
    FOREST,
    SVM,
    KERNEL,
    GAUSSIAN_PROCESS,
    NEIGHBORS,
    DISCRIMINANT,
    QUADRATIC,
    BAYES,
    TABPFN,
    TABICL,
)


@lru_cache(maxsize=1)
def learners() -> dict[str, Learner]:
    """All learners by name: rung's own, then the plug-ins'. A plug-in that cannot be used warns."""
    table = {learner.name: learner for learner in BUILT_IN}
    for point in entry_points(group=GROUP):
        learner = _load(point)
        if learner is not None:
            table.setdefault(learner.name, learner)
    return table


def _load(point: EntryPoint) -> Learner | None:
    try:
        learner = point.load()
    except Exception as error:  # noqa: BLE001  # whatever a plug-in raises on import, the rest goes on
        warnings.warn(f"the learner {point.name!r} of {point.value!r} is left out: {error!r}", stacklevel=3)
        return None
    if isinstance(learner, Learner):
        return learner
    warnings.warn(f"the learner {point.name!r} is left out: {point.value!r} is no Learner", stacklevel=3)
    return None


class Wanted(NamedTuple):
    """Which learners the user wants.

    Attributes:
        include: only these; all if empty.
        exclude: not these.
        weighted: the rows have weights.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    weighted: bool = False


EVERY = Wanted()


def fitting(task: str, classes: int, rows: int = 0, wanted: Wanted = EVERY) -> list[Learner]:
    """The learners that can do this task with so many rows, as far as they are installed and wanted.

    Raises:
        DataError: there is no learner of a name that is included or excluded, or none is left.
    """
    table = learners()
    for name in (*wanted.include, *wanted.exclude):
        if name not in table:
            raise DataError(f"there is no learner {name!r}; {did_you_mean(name, list(table))}")
    for name in wanted.include:
        lacking = [package for package in table[name].requires if not _installed(package)]
        if lacking:
            raise DataError(f"the learner {name!r} needs {lacking[0]}: pip install {lacking[0]}")
        there = table[name].there
        if there is not None and not there():
            raise DataError(f"the learner {name!r} is not ready: {table[name].line}")
    asked = [table[name] for name in wanted.include] or list(table.values())
    able = [x.name for x in table.values() if _can(x, task, classes, rows, weighted=wanted.weighted)]
    found = [x for x in asked if x.name in able and x.name not in wanted.exclude]
    if not found:
        raise DataError(
            f"none of the learners asked for can do this task ({task}, {rows:,} rows"
            f"{', weighted' if wanted.weighted else ''}); {_instead(able, wanted)}"
        )
    return found


def _instead(able: list[str], wanted: Wanted) -> str:
    """What to include in their place, or not to exclude."""
    further = [name for name in able if name not in wanted.exclude]
    if further:
        return f"include {listed(further)}"
    return f"exclude fewer of {listed(able)}" if able else "there is none that can"


def _can(learner: Learner, task: str, classes: int, rows: int, *, weighted: bool) -> bool:
    return (
        task in learner.tasks
        and (learner.most_classes is None or classes <= learner.most_classes)
        and (learner.up_to is None or rows <= learner.up_to)
        and (learner.weights or not weighted)
        and _is_there(learner)
    )


def _is_there(learner: Learner) -> bool:
    return all(map(_installed, learner.requires)) and (learner.there is None or learner.there())


def left_out(learner: Learner) -> tuple[str, ...]:
    """The packages that a worker process leaves out for a learner (`Learner.without`).

    None where a learner is there that does not say what it can do without: it may give frames to libraries
    that it shares with others, and these look for pandas only once, when they are loaded.
    """
    return learner.without if all(one.without for one in learners().values() if _is_there(one)) else ()


@lru_cache(maxsize=64)
def _installed(package: str) -> bool:
    return find_spec(package) is not None


class Traits(NamedTuple):
    """What of a table decides on the preprocessing that is worth searching.

    Attributes:
        levels: of the largest category, 0 if there is none.
        numbers: columns of numbers.
        missing: numbers are missing.
        rare: a class has less than a tenth of the rows.
        many: rows enough to do without most of the common classes'.
        skewed: the target is a number with a long tail.
    """

    levels: int = 0
    numbers: int = 1
    missing: bool = False
    rare: bool = False
    many: bool = False
    skewed: bool = False


FEW = 5
MANY_LEVELS = 200  # from which hashing is worth a try


def search_space(
    chosen: Sequence[Learner],
    traits: Traits | None = None,
    *,
    categories: bool = False,
    missing: bool = False,
) -> Mapping[str, Any]:
    """One conditional space: the learner, its hyperparameters, and its preprocessing where there is a choice.

    Args:
        categories, missing: stand for traits that are not given.
    """
    traits = traits or _plain(categories=categories, missing=missing)
    return {"learner": Choice({learner.name: _branch(learner, traits) for learner in chosen})}


def _plain(*, categories: bool, missing: bool) -> Traits:
    return Traits(levels=FEW if categories else 0, missing=missing)


def _branch(learner: Learner, traits: Traits) -> dict[str, Any]:
    encodings = learner.encodings
    if traits.levels >= MANY_LEVELS and "onehot" in encodings:
        encodings = (*encodings, "hash")
    ways: dict[str, tuple[str, ...]] = {
        "categories": encodings if traits.levels else (),
        "scale": learner.scales if learner.needs.scaled else (),
        "impute": ("median", "mean", "iterative") if traits.missing and not learner.needs.missing else (),
        "expand": learner.expands if traits.numbers or traits.levels else (),
        "reduce": learner.reduces,
        "balance": _balances(learner, traits),
        "target": ("plain", "log") if traits.skewed else (),
    }
    return {**learner.space, **{name: Categorical(x) for name, x in ways.items() if len(x) > 1}}


def _balances(learner: Learner, traits: Traits) -> tuple[str, ...]:
    """What may be done for rare classes: weights, or repeated rows for a learner that takes none."""
    if not traits.rare:
        return ()
    return ("none", "balanced" if learner.weights else "over", *(("under",) if traits.many else ()))


def defaults(
    learner: Learner, traits: Traits | None = None, *, categories: bool = False, missing: bool = False
) -> list[dict[str, Any]]:
    """The learner's good configurations, complete: each choice of preprocessing at its first value.

    Of a skewed target the best of them is tried on its logarithm too.
    """
    branch = _branch(learner, traits or _plain(categories=categories, missing=missing))
    extra = {name: branch[name].values[0] for name in WAYS if name in branch}
    found = [{"learner": learner.name, **extra, **given} for given in learner.defaults]
    if "target" in branch:
        found.insert(1, {**found[0], "target": "log"})
    if "expand" in branch and "pairs" in learner.expands and learner.needs.native:
        found.append({**found[0], "expand": "pairs"})
    return found
