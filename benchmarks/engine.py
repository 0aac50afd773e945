"""The engine's speed: `python -m benchmarks.engine [--json] [--only PART ...]`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable

from benchmarks.rows import Row, show

PARTS = {
    "asktell": "benchmarks.engine_core:ask_tell_rows",
    "kde": "benchmarks.samplers.entries:kde_rows",
    "space": "benchmarks.engine_space:space_rows",
    "storage": "benchmarks.engine_storage:storage_rows",
    "replay": "benchmarks.engine_core:replay_rows",
    "workers": "benchmarks.engine_executors:executor_rows",
    "simulated": "benchmarks.engine_core:simulated_rows",
    "imports": "benchmarks.engine_core:import_rows",
}


def main() -> None:
    """Measure the parts asked for, and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in arguments.only:
        rows.extend(_part(PARTS[name])())
    print(show(rows, as_json=arguments.json))


def _part(path: str) -> Callable[[], list[Row]]:
    module, _, function = path.partition(":")
    part: Callable[[], list[Row]] = getattr(importlib.import_module(module), function)
    return part


if __name__ == "__main__":
    main()
