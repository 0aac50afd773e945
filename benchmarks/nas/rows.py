"""Rows of the experiments: JSON lines, one a search or a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "data" / "nas"

Row = dict[str, Any]
Key = tuple[str, int]


def path_of(experiment: str) -> Path:
    """The file of an experiment's rows."""
    return FOLDER / f"{experiment}.jsonl"


def read(path: Path) -> list[Row]:
    """All rows; the last of a key counts."""
    if not path.exists():
        return []
    rows: dict[Key, Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows[row["what"], row["seed"]] = row
    return list(rows.values())


def append(path: Path, row: Row) -> None:
    """One more row; several processes may append at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")
