"""The rows of the matrix: the learners' defaults, and random configurations of their spaces.

Written down once, so that a cell keeps its meaning when defaults or spaces change: an entry that is there is
never changed, a default that has changed since is a new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).resolve().parents[1] / "data" / "portfolio" / "configurations.jsonl"
RANDOM: Final[Mapping[str, int]] = {
    "lightgbm": 5,
    "catboost": 4,
    "xgboost": 3,
    "extra_trees": 2,
    "mlp": 1,
    "forest": 1,
    "svm": 1,
    "hist_boosting": 1,
}
_SEED: Final = 11  # of the random ones


def read(path: Path = FILE) -> dict[str, dict[str, Any]]:
    """The configurations by name, complete: with a choice for categories, scale and missing numbers."""
    if not path.exists():
        return {}
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {entry["name"]: entry["config"] for entry in entries}


def extend(path: Path = FILE) -> dict[str, dict[str, Any]]:
    """Add what the learners that are there have and the file lacks; all of them."""
    known = read(path)
    held = {json.dumps(config, sort_keys=True) for config in known.values()}
    added: dict[str, dict[str, Any]] = {}
    for name, config in _wanted():
        if json.dumps(config, sort_keys=True) in held or (name in known and "random" in name):
            continue
        number = 0
        while (free := name if not number else f"{name}.{number}") in known | added:
            number += 1
        added[free] = config
    if added:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({"name": k, "config": v}) + "\n" for k, v in added.items())
    return known | added


def _wanted() -> list[tuple[str, dict[str, Any]]]:
    from rung.tabular.learners.table import defaults, learners

    found = []
    for learner in learners().values():
        given = defaults(learner, categories=True, missing=True)
        found += [(f"{learner.name} default {rank}", config) for rank, config in enumerate(given)]
    for name, count in RANDOM.items():
        if name in learners():
            found += [(f"{name} random {i}", _drawn(name, i)) for i in range(count)]
    return found


def _drawn(name: str, number: int) -> dict[str, Any]:
    from rung.space.compiled import compile_space
    from rung.space.domains import Space
    from rung.tabular.learners.table import learners, search_space

    space = compile_space(Space(search_space([learners()[name]], categories=True, missing=True)))
    return dict(space.to_mapping(space.sample(_SEED, number)))
