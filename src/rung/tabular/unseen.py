"""What a model's members predicted by before their last fit: for each validation row the pipelines that had
not seen it.

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
