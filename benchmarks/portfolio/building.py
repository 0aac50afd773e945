"""The memory that is shipped, made of the cells; the same cells give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

import rung.tabular.meta as shipped_with
from benchmarks.cash.tables import TABLES
from benchmarks.entries import Unavailable
from benchmarks.portfolio import configurations, recording
from benchmarks.portfolio.recording import FOLDS, LIMIT, Cell
from rung.tabular.meta import Features, Memory, meta_features
from rung.tabular.meta.memory import FILE, regrets, to_json

PLACE: Final = Path(shipped_with.__file__).with_name(FILE)
WHOLE: Final = 0.9  # of a table's usual cells must be there for it to count


def build(leave_out: Sequence[str] = ()) -> Memory:
    """The memory of all tables whose cells are there, but those left out.

    Raises:
        Unavailable: a table's file is not there (its meta-features are computed anew), or no table is whole.
    """
    cells = recording.read()
    configs = configurations.read()
    tables = [name for name in _whole(cells, configs) if name not in leave_out]
    if not tables:
        raise Unavailable("no table has its cells yet: python -m benchmarks.portfolio record")
    names = [name for name in configs if any((table, name) in cells for table in tables)]
    losses, seconds = _matrices(cells, tables, names)
    told = [_features(name) for name in tables]
    return Memory(
        tables=tuple(tables),
        kinds=tuple(TABLES[name].task for name in tables),
        features=np.array([one.vector for one in told]),
        sizes=np.array([[one.rows, one.width, one.classes] for one in told], dtype=np.float64),
        names=tuple(names),
        configurations=tuple(configs[name] for name in names),
        regret=regrets(losses),
        seconds=seconds,
        recipe=_recipe(
            tables,
            names,
            leave_out,
            int(np.isfinite(losses).sum()),
            sum(cell.cut for cell in cells.values() if cell.table in tables),
        ),
    )


def write(memory: Memory, place: Path = PLACE) -> Path:
    """Write it where the package reads it."""
    place.write_text(to_json(memory), encoding="utf-8", newline="\n")
    return place


def _whole(cells: Mapping[tuple[str, str], Cell], configs: Mapping[str, Any]) -> list[str]:
    """Tables of which nearly all cells are there that tables with their kind of task can have."""
    counts = Counter(table for table, name in cells if name in configs)
    found = []
    for table, count in counts.items():
        alike = [n for other, n in counts.items() if TABLES[other].task == TABLES[table].task]
        if count >= WHOLE * max(alike):
            found.append(table)
    return sorted(found)


def _matrices(
    cells: Mapping[tuple[str, str], Cell], tables: Sequence[str], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    losses = np.full((len(tables), len(names)), np.nan)
    seconds = np.full((len(tables), len(names)), np.nan)
    for i, table in enumerate(tables):
        for j, name in enumerate(names):
            cell = cells.get((table, name))
            if cell is not None and cell.score is not None:
                losses[i, j] = 1 - cell.score if cell.metric == "auc" else cell.score
                seconds[i, j] = cell.seconds
    return losses, seconds


def _features(name: str) -> Features:
    """With time enough for all parts, so that a slow machine gives the same."""
    data = recording.dataset_of(TABLES[name])
    return meta_features(data.table, data.y, data.classes, data.sizes, seconds=1e6)


def _recipe(
    tables: Sequence[str], names: Sequence[str], leave_out: Sequence[str], scores: int, cut: int
) -> dict[str, Any]:
    return {
        "made by": "python -m benchmarks.portfolio build"
        + (f" --leave-out {','.join(leave_out)}" if leave_out else ""),
        "cells": f"{scores} scores of {len(names)} configurations on {len(tables)} tables (some do not do "
        f"some tasks, or came later): cross-validation in {FOLDS} folds of at most 50,000 rows, one "
        f"thread, ended after at most {LIMIT:g} s on the clock, as {cut} of them were",
        "regret": "(loss - best) / (median - best) of the table's configurations, cut at 1; "
        "loss: 1 - AUC, log loss, RMSE",
        "seconds": "of processor time, all folds",
    }
