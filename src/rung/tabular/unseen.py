"""What a model's members predicted by before their last fit: for each validation row the pipelines that had
not seen it; and new rows by as few.

The model itself has mostly learned from these rows, too: by the other folds' pipelines, and by those of all
rows. What a column is worth to it on rows that it remembers says little of new ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.evaluate import load_pipelines, models_path
from rung.tabular.frames import with_columns
from rung.tabular.metrics import Metric
from rung.tabular.model import Member, Model

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.columns import Column
    from rung.tabular.frames import Frame

_FOLD: Final = -1  # the column beside a table's own, whose names are texts
_Loaded = Sequence[tuple[Mapping[str, Any], Sequence[Any]]]


@dataclass(frozen=True)
class Folds:
    """Where the folds' pipelines lie of the trials that a model is made of.

    Attributes:
        folder: of the study.
        fold: (n,) the one in which each validation row was held out.
        trials: their configurations and numbers.
    """

    folder: Path
    fold: NDArray[np.intp]
    trials: Sequence[tuple[Mapping[str, Any], int]]

    def size(self) -> int:
        """Bytes that are to be loaded.

        Raises:
            OSError: they are not there any more.
        """
        return sum(os.path.getsize(models_path(self.folder, trial)) for _, trial in self.trials)

    def load(self, model: Model) -> Unseen:
        """The model as it was before its last fit.

        Raises:
            OSError: the pipelines are not there any more.
        """
        loaded = [(config, load_pipelines(self.folder, trial)[0]) for config, trial in self.trials]
        return Unseen(
            [
                replace(model, members=[_of_fold(member, fold, loaded) for member in model.members])
                for fold in range(int(self.fold.max()) + 1)
            ]
        )

    def beside(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The validation rows as `Unseen` takes them, with the fold of each."""
        return with_columns(rows, {_FOLD: self.fold})


def _of_fold(member: Member, fold: int, loaded: _Loaded) -> Member:
    """The member with the pipeline that had not seen the fold; a stack on such members."""
    first = member.pipelines[0]
    if hasattr(first, "bases"):
        bases = [_of_fold(base, fold, loaded) for base in first.bases]
        return replace(member, pipelines=[replace(first, bases=bases)])
    pipelines = next((some for config, some in loaded if config == member.config), member.pipelines)
    return replace(member, pipelines=[pipelines[min(fold, len(pipelines) - 1)]])


def predict_as_unseen(model: Model, frame: Frame) -> NDArray[np.float64]:
    """Probabilities (n, k), or values (n,), of new rows, from as few models as predicted those out of fold.

    The mean of many models varies less from row to row than what one of them says. So each row is predicted
    by the models of one fold, drawn by its place; where several cross-validations predicted the rows out of
    fold, by as many models of each member.

    Raises:
        DataError: a column that the model reads is missing.
    """
    table = model.encoder.transform(frame)
    folds = max(int(model.notes.get("folds", 0) or 0), 1)
    if not len(table):
        return model.raw_of(table)
    drawn = np.random.default_rng(0).permutation(len(table)) % folds
    parts = [np.flatnonzero(drawn == fold) for fold in range(min(folds, len(table)))]
    times = _times(model, folds)
    found = [
        replace(model, members=_as_in(model, fold, times)).raw_of(table.take(rows))
        for fold, rows in enumerate(parts)
    ]
    return np.concatenate(found)[np.argsort(np.concatenate(parts))]


def _times(model: Model, folds: int) -> int:
    """How many cross-validations predicted a row out of fold; in files of earlier versions, as many as the
    members' models tell.
    """
    if told := model.notes.get("repeats"):
        return int(told)
    if folds == 1 or (model.evidence is not None and model.evidence.fold is not None):
        return 1
    return max(1, *(-(-len(member.pipelines) // folds) for member in model.members))


def _as_in(model: Model, fold: int, times: int) -> list[Member]:
    """One member of each configuration, with the fold's pipelines alone: where there are those of several
    cross-validations, one of each. They stand for a model of all rows that is beside them; one that is alone
    stays.
    """
    found = []
    for member, weight in model.shares():
        same = [one for one in model.members if one.config == member.config]
        pipelines = max((one.pipelines for one in same), key=len)
        count, each = len(pipelines), min(times, len(pipelines))
        chosen = [pipelines[(fold + i * count // each) % count] for i in range(each)]
        found.append(replace(member, weight=weight, pipelines=chosen))
    return found


@dataclass(frozen=True)
class Unseen:
    """Stands for a `Model` where the validation rows are predicted.

    Attributes:
        models: for each fold the one that had not seen it.
    """

    models: Sequence[Model]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the training table."""
        return self.models[0].columns

    def weighed(self, prediction: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
        """What a metric is to look at: of labels, the factors count."""
        return self.models[0].weighed(prediction, metric)

    def raw(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Probabilities (n, k), or values (n,), of rows with their folds (`Folds.beside`)."""
        fold, cells = frame[_FOLD].to_numpy(), frame.drop(columns=[_FOLD])
        parts = [np.flatnonzero(fold == k) for k in range(len(self.models))]
        found = [
            model.raw(cells.iloc[rows]) for model, rows in zip(self.models, parts, strict=True) if len(rows)
        ]
        return np.concatenate(found)[np.argsort(np.concatenate(parts))]
