"""Records a table: `python -m benchmarks.data.tables record NAME`; one that was stopped goes on.

Groups of configurations are trained one after another; each leaves a part file under `.tables/NAME`. When all
are there, `pack` writes `benchmarks/data/tables/NAME.npz`.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.tables.recipes import Curves, Recipe, recipe

HERE: Final = Path(__file__).parent
PARTS: Final = Path(__file__).resolve().parents[3] / ".tables"


def configurations(made: Recipe) -> list[dict[str, Any]]:
    """The full grid, the last axis running fastest."""
    values = product(*(axis.values for axis in made.axes.values()))
    return [dict(zip(made.axes, one, strict=True)) for one in values]


def groups(made: Recipe, count: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """What is trained together: (seed, numbers of configurations); the other seeds take every tenth."""
    for seed in made.seeds:
        numbers = np.arange(count) if seed == made.seeds[0] else np.arange(0, count, 10)
        for start in range(0, len(numbers), made.group):
            yield seed, numbers[start : start + made.group]


def record(name: str) -> Path:
    """Train what is missing, then pack; prints what remains.

    Raises:
        ValueError: the parts that are there are of another recipe.
    """
    made = recipe(name)
    grid = configurations(made)
    todo = list(groups(made, len(grid)))
    (PARTS / name).mkdir(parents=True, exist_ok=True)
    _same_recipe(PARTS / name / "recipe.json", made)
    began, done = time.perf_counter(), 0
    for number, (seed, members) in enumerate(todo):
        path = _part(name, seed, members)
        if path.exists():
            continue
        curves = made.train([grid[i] for i in members], seed)
        half = path.with_suffix(".half.npz")  # a part is there whole or not at all
        np.savez(half, **curves._asdict())
        os.replace(half, path)
        done += 1
        left = (time.perf_counter() - began) / done * (len(todo) - number - 1)
        print(f"{name}: group {number + 1} of {len(todo)}, about {left / 60:.0f} minutes left", flush=True)
    return pack(name)


def pack(name: str) -> Path:
    """Put the parts together as one file that opens at once; `benchmarks.data.tables` says what it holds."""
    made = recipe(name)
    count = len(configurations(made))
    tenth = len(range(0, count, 10))
    first = np.full((len(Curves._fields), count, len(made.steps)), np.nan, np.float32)
    repeats = np.full((len(made.seeds) - 1, tenth, len(made.steps)), np.nan, np.float32)
    spent = 0.0
    for seed, members in groups(made, count):
        with np.load(_part(name, seed, members)) as part:
            spent += float(np.nansum(part["seconds"]))
            if seed == made.seeds[0]:
                first[:, members] = [part[field] for field in Curves._fields]
            else:
                repeats[made.seeds.index(seed) - 1, members // 10] = part["losses"]
    about = {
        "axes": {key: {"values": axis.values, "kind": axis.kind} for key, axis in made.axes.items()},
        "resource": made.resource,
        "steps": made.steps,
        "what": made.what,
        "continues": made.continues,
        "hours": round(spent / 3600, 2),
        "python": platform.python_version(),
    }
    first[~np.isfinite(first)] = repeats[~np.isfinite(repeats)] = np.nan
    path = HERE / f"{name}.npz"
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(path, about=text, first=first, repeats=repeats)
    return path


def _same_recipe(path: Path, made: Recipe) -> None:
    """Parts of a recipe that has been changed must not be mixed with new ones."""
    text = json.dumps([made.axes, made.steps, made.seeds, made.group, made.what])
    if path.exists() and path.read_text() != text:
        raise ValueError(f"the recipe has changed since {path.parent} was recorded: delete that folder")
    path.write_text(text)


def _part(name: str, seed: int, members: NDArray[np.int64]) -> Path:
    return PARTS / name / f"{seed}-{members[0]:05d}-{len(members)}.npz"
