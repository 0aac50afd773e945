"""What a learner is: an entry that says what it is called, what it can be set to, and how it is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.preparation import Needs

CLASSIFICATION = frozenset({"binary", "multiclass"})
ALL_TASKS = CLASSIFICATION | {"regression"}
WITH_QUANTILES = ALL_TASKS | {"quantile"}
FRAMES = ("pandas", "pyarrow", "polars")
ASIDE = 0.12  # of the training rows is set aside for a look within the fold


class Setting(NamedTuple):
    """What a fit is told beside its configuration and its rows.

    Attributes:
        classes: how many; 0 for regression, where y has mean 0 and variance 1.
        seed: below 2**31.
        deadline: come back by then, with what there is (fewer trees, fewer epochs).
        categorical: columns of X that hold codes of categories (NaN where missing).
        known: what the first fold taught the later ones, such as the number of rounds.
        folds: how many fits of this configuration are averaged in the end (one may be smaller for it).
        weight: (n,) of the rows, with mean 1; None if they count the same.
        aside: (n,) rows to set aside for a look within the fold, where not any will do.
        quantile: the one to predict; None for the mean.
    """

    classes: int
    seed: int = 0
    deadline: Deadline = Deadline()
    categorical: tuple[int, ...] = ()
    known: Mapping[str, float] = {}
    folds: int = 1
    weight: NDArray[np.float64] | None = None
    aside: NDArray[np.bool_] | None = None
    quantile: float | None = None


class Estimator(Protocol):
    """Fitted, a plain object: `predict_proba` for classes, (n, k), `predict` for values, (n,)."""

    def predict(self, X: Any) -> Any: ...


class Trained(NamedTuple):
    """A fitted estimator, what it teaches the later folds, and whether the deadline cut it short."""

    estimator: Any
    known: Mapping[str, float] = {}
    cut: bool = False


class Fold(NamedTuple):
    """What one of several fits of the same configuration is given: (n, d), (n,), and its setting."""

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    setting: Setting


Fit = Callable[[Mapping[str, Any], NDArray[np.float64], NDArray[np.float64], Setting], Trained]
FitMany = Callable[[Mapping[str, Any], Sequence[Fold]], list[Trained]]


class Cost(NamedTuple):
    """Roughly how long a fit of the defaults takes on one ordinary core, in seconds.

    Attributes:
        fixed: whatever the size.
        rows, cells: for ten thousand rows, for a million cells of the matrix.
        columns: for a hundred columns of the matrix, however many rows it has.
        by_class: share of all three that each further class costs, beyond two; 1 where each has a model.
        power: of the rows, 1 where linear.
        most: rows beyond which more of them cost nothing.
    """

    fixed: float
    rows: float = 0.0
    cells: float = 0.0
    columns: float = 0.0
    by_class: float = 0.0
    power: float = 1.0
    most: int | None = None

    def seconds(self, rows: int, width: int, classes: int) -> float:
        """For a matrix of this size."""
        tall = min(max(rows, 1), self.most or rows) / 1e4
        work = self.rows * tall + self.cells * tall * width / 100 * tall ** (self.power - 1)
        work += self.columns * width / 100
        further = self.by_class * (classes - 1) if classes > 2 else 0.0
        return float(self.fixed + work * (1 + further))


@dataclass(frozen=True)
class Learner:
    """One entry of the table of learners.

    Attributes:
        tasks: kinds of task that it can do.
        space: its hyperparameters, a mapping of rung's domains.
        defaults: configurations that are good on many tables, the best first; each gives every parameter
            of `space`, preprocessing aside.
        needs: what its matrix must be.
        fit: fits one configuration; must look at its deadline if it can take long.
        fit_many: fits all folds of one configuration at once, by the deadline of the first, where that takes
            less time than one after the other; None where it does not.
        encodings: ways to encode categories that are worth searching, the default first.
        scales: ways to scale that are worth searching, the default first.
        expands: ways to generate columns that are worth searching, "none" first.
        reduces: ways to have fewer columns that are worth searching, "none" first.
        most_rows: more are not given to it, but a random sample of as many.
        most_classes: of tasks with more it is kept away.
        up_to: of tables with more rows it is kept away.
        requires: packages without which it is not there.
        without: packages that its libraries load where they are there, and that it can do without, since it
            gives them arrays alone: a worker process starts sooner and holds less by it.
        copies: how often it holds the matrix, its own model included, beside the copies that preparing makes.
        there: whether what else it needs is there, such as weights in a folder.
        weights: it takes the rows' weights; one that does not is left out where there are any.
        merit: how likely it is to be among the best: defaults run in the order of the square root of their
            predicted time divided by it.
        anytime: it comes back at its deadline with what it has, so that it may be begun at any time.
        whole: the share of an ensemble member's weight that a model of all rows takes, the mean of the folds'
            models having the rest: 1 where a fit depends little on chance, 0 where it does.
        trusted: full names of types that its model file holds, beside the libraries' that are trusted anyway.
    """

    name: str
    line: str
    tasks: frozenset[str]
    space: Mapping[str, Any]
    defaults: tuple[Mapping[str, Any], ...]
    needs: Needs
    fit: Fit
    cost: Cost
    fit_many: FitMany | None = None
    encodings: tuple[str, ...] = ("onehot", "target")
    scales: tuple[str, ...] = ("standard", "quantile")
    expands: tuple[str, ...] = ("none",)
    reduces: tuple[str, ...] = ("none",)
    most_rows: int | None = None
    most_classes: int | None = None
    up_to: int | None = None
    requires: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    copies: float = 1.0
    there: Callable[[], bool] | None = None
    weights: bool = True
    merit: float = 1.0
    anytime: bool = False
    whole: float = 0.0
    trusted: tuple[str, ...] = field(default=())
