"""The training data as workers see it: arrays in files of the study's folder, mapped into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import StorageError
from rung.tabular.encode import Table
from rung.tabular.metrics import Metric, named_metric
from rung.tabular.preparation import TEXT_COMPONENTS, Preparation, made_columns
from rung.tabular.splits import Split

_ARRAYS = ("numbers", "codes", "y", "folds", "order", "groups", "moments", "weight")


@dataclass(frozen=True)
class Dataset:
    """What every evaluation works on.

    Attributes:
        y: (n,) class codes (int64), or values.
        classes: how many; 0 for regression.
        sizes: levels of each category.
        metric: the name of what trials are judged by.
        weight: (n,) of the rows, with mean 1; None if they count the same.
        quantile: which one is to be predicted, None for the mean or classes.
        custom: the metric itself, where it is a function of the user's.
    """

    table: Table
    y: NDArray[Any]
    classes: int
    sizes: list[int]
    split: Split
    metric: str
    seed: int
    weight: NDArray[np.float64] | None = None
    quantile: float | None = None
    custom: Metric | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def judge(self) -> Metric:
        """The metric."""
        return self.custom or named_metric(self.metric)

    def weights(self, rows: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Of these rows: (m,), or None if they count the same."""
        return None if self.weight is None else np.asarray(self.weight[rows])

    @property
    def width(self) -> int:
        """Columns of a typical matrix: categories count several times."""
        words = 0 if self.table.words is None else TEXT_COMPONENTS
        return int(self.table.numbers.shape[1]) + sum(min(x, 10) for x in self.sizes) + words

    def widest(self, preparation: Preparation, rows: int) -> int:
        """Columns of a typical matrix, or of what a preparation makes of so many rows, if that has more."""
        usual = sum(min(x, 10) for x in self.sizes)
        return self.width + max(made_columns(preparation, rows, self.classes) - usual, 0)

    def save(self, folder: Path) -> None:
        """Write it below `folder`; the last file written says that it is whole.

        Raises:
            StorageError: it cannot be written, mostly because the disk is full.
        """
        try:
            self._write(folder)
        except OSError as error:  # NumPy's says how many items were written, and not why no more
            why = error.strerror or "the disk is full"
            raise StorageError(
                f"the table cannot be written to {folder}, where the workers read it ({why}); free space "
                "there, take another --storage, or --workers 1, which needs no file"
            ) from error

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self._arrays().items():
            np.save(folder / f"{name}.npy", array)
        if self.table.words is not None:
            from scipy import sparse

            sparse.save_npz(folder / "words.npz", self.table.words, compressed=False)
        if self.custom is not None:
            import cloudpickle

            (folder / "metric.pkl").write_bytes(cloudpickle.dumps(self.custom))
        told = {
            "classes": self.classes,
            "sizes": self.sizes,
            "metric": self.metric,
            "seed": self.seed,
            "quantile": self.quantile,
            "number": self.split.number,
            "words": self.table.words is not None,
            "custom": self.custom is not None,
        }
        write_atomically(folder / "data.json", json.dumps(told).encode())

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        split = self.split
        values = (
            self.table.numbers,
            self.table.codes,
            self.y,
            split.folds,
            split.order,
            split.groups,
            split.moments,
            self.weight,
        )
        return {name: x for name, x in zip(_ARRAYS, values, strict=True) if x is not None}


_held: dict[str, Dataset] = {}


def hold(folder: Path, dataset: Dataset | None) -> None:
    """Keep (or with None let go) this process's own dataset, so that evaluations in it read no file."""
    _held.pop(str(folder), None)
    if dataset is not None:
        _held[str(folder)] = dataset


def load_dataset(folder: str) -> Dataset:
    """The dataset that was saved in, or is held for, `folder`."""
    return _held[folder] if folder in _held else _read(folder)


@lru_cache(maxsize=1)
def _read(folder: str) -> Dataset:
    path = Path(folder)
    told = json.loads((path / "data.json").read_bytes())
    arrays: dict[str, Any] = {
        name: np.load(path / f"{name}.npy", mmap_mode="r")
        for name in _ARRAYS
        if (path / f"{name}.npy").exists()
    }
    words: Any = None
    if told["words"]:
        from scipy import sparse

        words = sparse.csr_matrix(sparse.load_npz(path / "words.npz"))
    split = Split(
        arrays["folds"], arrays["order"], told["number"], arrays.get("groups"), arrays.get("moments")
    )
    return Dataset(
        Table(arrays["numbers"], arrays["codes"], words),
        arrays["y"],
        told["classes"],
        told["sizes"],
        split,
        told["metric"],
        told["seed"],
        arrays.get("weight"),
        told["quantile"],
        _custom(path) if told["custom"] else None,
    )


def _custom(folder: Path) -> Metric:
    """The user's own metric, which this study wrote for its workers."""
    import pickle

    metric: Metric = pickle.loads((folder / "metric.pkl").read_bytes())  # noqa: S301
    return metric


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that the file is there whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def pickle_atomically(path: Path, thing: Any) -> None:
    """The same for the pickle of `thing`, which is never in memory as a whole: a forest's is large."""
    import pickle

    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        pickle.dump(thing, file, protocol=5)
    partial.replace(path)
