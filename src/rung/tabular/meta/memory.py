"""What earlier tables taught, as it is shipped: a matrix of configurations by tables, in `portfolio.json`.

The variable RUNG_PORTFOLIO names another such file: one made of your own tables, or without some of them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.errors import UserError
from rung.tabular.meta.features import NAMES

Array = NDArray[np.float64]

FILE: Final = "portfolio.json"
VARIABLE: Final = "RUNG_PORTFOLIO"
VERSION: Final = 1


@dataclass(frozen=True)
class Memory:
    """The matrix.

    Attributes:
        tables: their names, t of them.
        kinds: of their tasks: "binary", "multiclass" or "regression".
        features: (t, f) meta-features in the order of `NAMES`; NaN where not computed.
        sizes: (t, 3) rows, columns of a typical matrix, classes (0 for regression).
        names: of the configurations, such as "linear default 0".
        configurations: c of them, complete (see `for_table`).
        regret: (t, c) 0 for the best configuration of a table, 1 for one not better than the table's median;
            NaN where it was not run, or failed.
        seconds: (t, c) of processor time in three folds; NaN likewise.
        recipe: how it was made, in words.
    """

    tables: tuple[str, ...]
    kinds: tuple[str, ...]
    features: Array
    sizes: Array
    names: tuple[str, ...]
    configurations: tuple[Mapping[str, Any], ...]
    regret: Array
    seconds: Array
    recipe: Mapping[str, Any]

    def without(self, names: Sequence[str]) -> Memory:
        """The same, as if these tables had never been seen."""
        kept = [i for i, name in enumerate(self.tables) if name not in names]
        return self._taken(kept)

    def _taken(self, kept: Sequence[int]) -> Memory:
        return replace(
            self,
            tables=tuple(self.tables[i] for i in kept),
            kinds=tuple(self.kinds[i] for i in kept),
            features=self.features[kept],
            sizes=self.sizes[kept],
            regret=self.regret[kept],
            seconds=self.seconds[kept],
        )


def regrets(losses: Array) -> Array:
    """Losses (t, c) as regrets: (loss - best) / (median - best) of the table, cut at 1; NaN stays.

    Against the median and not the worst, as the worst is arbitrarily bad and would make all others alike.
    """
    found = np.full(losses.shape, np.nan)
    for row, own in zip(found, losses, strict=True):
        if np.isfinite(own).any():
            best, middle = np.nanmin(own), np.nanmedian(own)
            scaled = (own - best) / (middle - best) if middle > best else np.where(own > best, 1.0, 0.0)
            row[:] = np.where(np.isfinite(own), np.minimum(scaled, 1.0), np.nan)
    return found


def to_json(memory: Memory) -> str:
    """The memory as text: a line for each configuration and each table."""
    head = {"version": VERSION, "recipe": dict(memory.recipe), "features": list(NAMES)}
    tables = [
        {
            "name": name,
            "kind": memory.kinds[i],
            "sizes": [int(x) for x in memory.sizes[i]],
            "features": _rounded(memory.features[i], 4),
            "regret": _rounded(memory.regret[i], 4),
            "seconds": _rounded(memory.seconds[i], 3),
        }
        for i, name in enumerate(memory.tables)
    ]
    lines = [json.dumps(head)[:-1] + ',\n"configurations": [']
    named = zip(memory.names, memory.configurations, strict=True)
    lines.append(",\n".join(json.dumps({"name": name, "config": dict(config)}) for name, config in named))
    lines.append('],\n"tables": [')
    lines.append(",\n".join(json.dumps(table) for table in tables))
    return "\n".join([*lines, "]}"]) + "\n"


def from_json(text: str) -> Memory:
    """The memory that `to_json` wrote; features that have been added since are NaN.

    Raises:
        ValueError: another version wrote it.
    """
    told = json.loads(text)
    if told.get("version") != VERSION:
        raise ValueError(f"it is of version {told.get('version')!r}, and this is {VERSION}: build it again")
    rows = told["tables"]
    places = [told["features"].index(name) if name in told["features"] else None for name in NAMES]
    return Memory(
        tables=tuple(row["name"] for row in rows),
        kinds=tuple(row["kind"] for row in rows),
        features=_array([[None if i is None else row["features"][i] for i in places] for row in rows]),
        sizes=_array([row["sizes"] for row in rows]),
        names=tuple(one["name"] for one in told["configurations"]),
        configurations=tuple(one["config"] for one in told["configurations"]),
        regret=_array([row["regret"] for row in rows]),
        seconds=_array([row["seconds"] for row in rows]),
        recipe=told["recipe"],
    )


@lru_cache(maxsize=1)
def shipped() -> Memory:
    """The memory that comes with the package."""
    return from_json(files("rung.tabular.meta").joinpath(FILE).read_text(encoding="utf-8"))


def current() -> Memory:
    """The memory that is used: that of the file which RUNG_PORTFOLIO names, else the one that is shipped.

    Raises:
        UserError: there is no such file, or it is no portfolio of this version.
    """
    place = os.environ.get(VARIABLE)
    return _of_file(place) if place else shipped()


@lru_cache(maxsize=1)
def _of_file(place: str) -> Memory:
    try:
        return from_json(Path(place).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(
            f"{VARIABLE} names {place}, which cannot be read as a portfolio ({error}); "
            "name a file that benchmarks.portfolio built, or unset the variable"
        ) from error


def _array(rows: Sequence[Sequence[float | None]]) -> Array:
    return np.array([[math.nan if x is None else x for x in row] for row in rows], dtype=np.float64)


def _rounded(values: Array, digits: int) -> list[float | None]:
    return [round(float(x), digits) if math.isfinite(x) else None for x in values]
