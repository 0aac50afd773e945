"""What the user asks of a fit beside table, target and budget, checked against the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.columns import ASKABLE
from rung.tabular.names import did_you_mean, listed, no_column

if TYPE_CHECKING:
    import pandas as pd

SPLITS: Final = ("random", "stratified", "group:COLUMN", "time:COLUMN", "folds:COLUMN")
_ANY_TIME = 1e3  # seconds for a row: more than any model takes


@dataclass(frozen=True)
class Request:
    """What was asked for, names of columns and learners as they were given.

    Attributes:
        task, metric: see `fit_table`.
        kinds: kinds of columns that are not to be guessed.
        drop: columns that no model sees.
        weights: the column that holds the rows' weights.
        include, exclude: names of learners.
        positive: the label of the positive class of two.
        split: one of `SPLITS`; random and stratified are the same: shares of classes, or of quantiles.
        predict_time: seconds that predicting one row of a thousand may take.
        refit: whether each member is fitted once more, on all rows, in place of its folds' models.
        warm_start: whether earlier studies of the storage may be used.
        embed: for columns of texts or images the folder of the pretrained model that makes numbers of them.
        drift_sample: whether the model may keep a sample of the training rows to tell drift by.
        trials: configurations after which the search ends, whatever time it takes.
    """

    task: str | None = None
    metric: Any = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    weights: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    positive: Any = None
    split: str | None = None
    predict_time: float | None = None
    warm_start: bool = True
    refit: bool = False
    embed: Mapping[str, str] = field(default_factory=dict)
    drift_sample: bool = True
    trials: int | None = None

    def check(self, frame: pd.DataFrame, target: str | None) -> None:
        """Refuse what does not fit the table.

        Args:
            target: None where nothing is to be predicted.

        Raises:
            DataError: a column, kind or split that is not there, in one sentence.
        """
        check_trials(self.trials)
        names = distinct([str(name) for name in frame.columns])
        for name in (*self.kinds, *self.drop, *self.embed, *self._columns()):
            if name not in names:
                raise DataError(no_column(name, names))
            if name == target:
                raise DataError(
                    f"column {name!r} is what is to be predicted: it cannot be used otherwise too"
                )
        for name, kind in self.kinds.items():
            if kind not in ASKABLE:
                raise DataError(f"column {name!r} cannot be of kind {kind!r}; it is one of {listed(ASKABLE)}")
        for name in sorted(set(self.embed) & self.left_out()):
            raise DataError(f"column {name!r} is to be embedded and to be left out: choose one of both")
        if not set(names) - {target, *self.left_out()}:
            beside = "" if target is None else " besides the target"
            raise DataError(f"every column{beside} is left out; drop fewer")

    def unmeasured(self) -> Request:
        """The same, with nothing that depends on how long something takes."""
        return replace(self, predict_time=self.predict_time or _ANY_TIME)

    def asked_kinds(self) -> dict[str, str]:
        """Kinds that are not guessed; what is embedded is text, if only of paths."""
        return {**self.kinds, **dict.fromkeys(self.embed, "text")}

    def _columns(self) -> list[str]:
        found = [self.weights] if self.weights else []
        column = self.splitting()[1]
        return found + ([column] if column else [])

    def left_out(self) -> set[str]:
        """Columns that no model sees: dropped ones, weights, and what names a row's group or fold."""
        way, column = self.splitting()
        roles = {column} if column and way != "time" else set()
        return {*self.drop, *roles, *([self.weights] if self.weights else [])}

    def splitting(self) -> tuple[str, str | None]:
        """The way to split ("random", "group", "time" or "folds") and its column.

        Raises:
            DataError: there is no such way.
        """
        if self.split is None or self.split in ("random", "stratified"):
            return "random", None
        way, mark, column = self.split.partition(":")
        if way not in ("group", "time", "folds") or not mark or not column:
            raise DataError(f"there is no split {self.split!r}; it is one of {listed(SPLITS)}")
        return way, column

    def row_weights(self, frame: pd.DataFrame) -> NDArray[np.float64] | None:
        """The weights of the rows, with mean 1: (n,).

        Raises:
            DataError: one of them is missing, negative or no number, or all are 0.
        """
        return None if self.weights is None else weights_in(frame, self.weights)


def distinct(names: list[str]) -> list[str]:
    """The names, which must differ.

    Raises:
        DataError: two are the same.
    """
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise DataError(f"{count} columns are named {name!r}: rename all but one")
    return names


def check_trials(trials: Any) -> None:
    """Refuse a number of configurations that is none.

    Raises:
        DataError: it is no whole number from 1 up.
    """
    whole = isinstance(trials, Integral) and not isinstance(trials, bool)
    if trials is not None and (not whole or trials < 1):
        raise DataError(
            f"trials is the number of configurations after which the search ends, and not {trials!r}; "
            "give a whole number from 1 up, or leave it out"
        )


def weights_in(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """The rows' weights that stand in a column, with mean 1: (n,).

    Raises:
        DataError: the column is not there, one of its cells is missing, negative or no number, or all are 0.
    """
    import pandas as pd

    names = [str(name) for name in frame.columns]
    if column not in names:
        raise DataError(f"the table has no column {column!r} of weights; {did_you_mean(column, names)}")
    cells = frame.iloc[:, names.index(column)]
    found = np.array(pd.to_numeric(cells, errors="coerce"), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(found) | (found < 0))
    if len(bad):
        cell = cells.iloc[bad[0]]
        what = "an empty cell" if pd.isna(cell) else f"{cell!s}"
        raise DataError(
            f"column {column!r}, row {bad[0] + 1}: {what} is no weight; weights are numbers from 0 up"
        )
    if not found.any():
        raise DataError(f"column {column!r} gives every row the weight 0; give some row more")
    return np.asarray(found / found.mean())
