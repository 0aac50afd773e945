"""The fitted model: a weighted mean of fitted pipelines, made of plain objects that a model file can hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Column
from rung.tabular.decide import tempered, threshold
from rung.tabular.encode import Encoder, Table
from rung.tabular.metrics import Metric
from rung.tabular.names import listed
from rung.tabular.task import Task

if TYPE_CHECKING:
    from rung.tabular.frames import Frame


Seen = dict[int, NDArray[np.float64]]  # what pipelines, by their identity, predict for the table at hand


@dataclass
class Member:
    """A configuration of the ensemble; its pipelines (one a fold, or one of all rows) count equally.

    Attributes:
        temperature: of the mean of their probabilities, which makes it as sure as it may be.
    """

    weight: float
    name: str
    pipelines: list[Any]
    config: dict[str, Any] = field(default_factory=dict)
    temperature: float = 1.0

    def predict(self, table: Table, seen: Seen | None = None) -> NDArray[np.float64]:
        """Probabilities (n, k), or values (n,); `seen` is looked up and added to."""
        known: Seen = {} if seen is None else seen
        total = _predicted(self.pipelines[0], table, known)
        for pipeline in self.pipelines[1:]:
            total = total + _predicted(pipeline, table, known)
        return tempered(np.asarray(total / len(self.pipelines), dtype=np.float64), self.temperature)


def _predicted(pipeline: Any, table: Table, seen: Seen) -> NDArray[np.float64]:
    """A stack asks for its bases itself, which may be members, too: each predicts once."""
    if hasattr(pipeline, "bases"):
        found: NDArray[np.float64] = pipeline.predict(table, seen)
        return found
    if id(pipeline) not in seen:
        seen[id(pipeline)] = pipeline.predict(table)
    return seen[id(pipeline)]


@dataclass
class Evidence:
    """What the ensemble predicted for rows that its members had not seen, and what was true.

    Attributes:
        rows: (n,) where the rows stood in the training table.
        y: (n,) class codes, or values.
        prediction: (n, k) probabilities, or (n,) values.
        weight: (n,) of the rows, None if they count the same.
        fold: (n,) which of the members' pipelines had not seen the row, counted from 0; None after a holdout
            or a split by time, and where several cross-validations predicted it or it is not known.
    """

    rows: NDArray[np.intp]
    y: NDArray[Any]
    prediction: NDArray[np.float64]
    weight: NDArray[np.float64] | None = None
    fold: NDArray[np.intp] | None = None


@dataclass
class Model:
    """Predicts a target column from a table with the same columns.

    Attributes:
        task: what is predicted; its `classes` are the labels in the order of the probabilities.
        encoder: turns a frame into arrays.
        members: their weights sum to 1.
        target: name of the target column.
        notes: plain facts for the report and the file: metric, seed, rows, folds, how many cross-validations
            the evidence is the mean of ("repeats"), the split if one was asked for, and the column of the
            rows' weights if there was one.
        evidence: predictions out of fold, from which intervals and calibration come; None where no row was
            held out, and in files of earlier versions.
        temperature: of the whole mixture's probabilities.
        intercepts: (k,) of the classes, in the probabilities' logarithms; None for none.
        factors: (k,) of the classes, before the largest is said; None for none.
        shift: is added to values; it moves those of a quantile to where the share of rows lies below them.
        profile: what the training table's columns looked like (`rung.tabular.audit.profile.Profile`), to
            tell drift from; None in files of earlier versions.
    """

    task: Task
    encoder: Encoder
    members: list[Member]
    target: str = "target"
    notes: dict[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None
    temperature: float = 1.0
    factors: NDArray[np.float64] | None = None
    profile: Any = None
    shift: float = 0.0
    intercepts: NDArray[np.float64] | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the training table; those that are used are read, in any order, others are ignored."""
        return self.encoder.columns

    @property
    def weights(self) -> str | None:
        """The column of the training rows' weights, if they had any."""
        return self.notes.get("weights")

    def predict(self, frame: Frame) -> NDArray[Any]:
        """Labels as they stood in the table, or values: (n,).

        Args:
            frame: of pandas or polars, or a pyarrow.Table; other columns than the model's are ignored.

        Raises:
            DataError: a column that the model reads is missing.
        """
        raw = self.raw(frame)
        return self.task.decode(self.codes(raw)) if self.task.is_classification else raw

    def codes(self, probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
        """The class that is said, (n,), where the probabilities are (n, k)."""
        factors = 1.0 if self.factors is None else self.factors
        return np.asarray((probabilities * factors).argmax(axis=1))

    def weighed(self, prediction: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
        """What a metric is to look at: of labels, the factors count."""
        if metric.needs != "labels" or self.factors is None:
            return prediction
        return np.asarray(prediction * self.factors)

    def shares(self) -> list[tuple[Member, float]]:
        """A member of each configuration, the heaviest first, with the configuration's weight.

        Its folds' models and its model of all rows are members of their own.
        """
        found: list[tuple[Member, float]] = []
        for member in self.members:
            if not any(one.config == member.config for one, _ in found):
                same = (one.weight for one in self.members if one.config == member.config)
                found.append((member, sum(same)))
        return sorted(found, key=lambda pair: -pair[1])

    def unlisted(self) -> list[str]:
        """A sentence for each member that is no configuration of the leaderboard: a stack of others, with its
        share and what it is made of, and a constant beside others, which draws predictions to the middle.
        """
        constant = sum(member.weight for member in self.members if member.name == "constant")
        drawn = f"{constant:.0%} of the model is a constant, which keeps predictions from going too far"
        return ([drawn] if 0.005 <= constant < 1 else []) + [
            f"{member.weight:.0%} of the model is stacked: a linear model on "
            + listed([base.name for base in member.pipelines[0].bases], "and")
            for member in self.members
            if member.name == "stack"
        ]

    @property
    def threshold(self) -> float | None:
        """The probability of the second class of two from which it is said, None where it is one half."""
        return threshold(self.factors)

    def predict_proba(self, frame: Frame) -> NDArray[np.float64]:
        """Probabilities of the classes, in the order of `task.classes`: (n, k), rows sum to 1.

        Raises:
            TypeError: the model predicts values.
            DataError: a column that the model reads is missing.
        """
        if not self.task.is_classification:
            raise TypeError("this model predicts values: it has no probabilities")
        return self.raw(frame)

    def raw(self, frame: Frame) -> NDArray[np.float64]:
        """Probabilities (n, k), or values (n,), whichever the task has."""
        return self.raw_of(self.encoder.transform(frame))

    def raw_of(self, table: Table) -> NDArray[np.float64]:
        """The same of what `encoder` made of a frame."""
        if not len(table):  # which scikit-learn's estimators refuse
            return np.empty((0, len(self.task.classes)) if self.task.is_classification else 0)
        seen: Seen = {}
        total = sum(member.weight * member.predict(table, seen) for member in self.members)
        return self.whole(np.asarray(total, dtype=np.float64))

    def whole(self, mixture: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the members say together made what the model says: probabilities (n, k), or values (n,)."""
        if not self.task.is_classification:
            return mixture + self.shift
        return tempered(mixture, self.temperature, self.intercepts)
