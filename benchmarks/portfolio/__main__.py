"""`python -m benchmarks.portfolio record`, `build` and `evaluate`: see the package's docstring.

nice -n 15 python -m benchmarks.portfolio record        # what has no cell yet; may be interrupted
python -m benchmarks.portfolio build                    # src/rung/tabular/meta/portfolio.json
python -m benchmarks.portfolio evaluate                 # what it is worth: leave one table out
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cash.tables import TABLES, Table
from benchmarks.entries import Unavailable
from benchmarks.portfolio import building, configurations, evaluating, page, recording
from rung.tabular.meta import shipped


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if there is nothing to work on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.portfolio", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recorder = commands.add_parser("record", help="fill the matrix")
    recorder.add_argument(
        "--tables", default="", help="names; those of RUNG_DATA by default, small ones first"
    )
    for name, line in (
        ("build", "make portfolio.json"),
        ("evaluate", "what it is worth, table by table left out"),
    ):
        making = commands.add_parser(name, help=line)
        making.add_argument("--leave-out", default="", help="tables that it must not have seen")
        if name == "build":
            making.add_argument("--out", type=Path, help="another file than the package's")
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "record":
            return _record(_words(asked.tables))
        if asked.command == "build":
            print(building.write(building.build(_words(asked.leave_out)), asked.out or building.PLACE))
            return 0
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return 1
    memory = shipped().without(_words(asked.leave_out))
    found = evaluating.evaluate(memory)
    print(evaluating.said(memory, found))
    if not asked.leave_out:
        print(page.write(memory, found))
    return 0


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _record(names: Sequence[str]) -> int:
    tables = [TABLES[name] for name in names] or [one for one in TABLES.values() if one.source == "given"]
    configs = configurations.extend()
    done = {key for key, cell in recording.read().items() if cell.failed in ("", "too dear")}
    recording.warm_up()
    ready = _smallest_first(tables)
    for table in ready:
        if all((table.name, name) in done for name in configs):
            continue
        dataset = recording.dataset_of(table)
        for name, config in configs.items():
            if (table.name, name) in done:
                continue
            cell = recording.record(table, dataset, name, config)
            if cell is not None:
                recording.append(cell)
        print(f"{table.name}: {len(dataset)} rows", flush=True)
    return int(not ready)


def _smallest_first(tables: Sequence[Table]) -> list[Table]:
    found = []
    for table in tables:
        try:
            frame = table.load()
        except Unavailable as reason:
            print(f"left out: {table.name}: {reason}", file=sys.stderr)
            continue
        found.append((frame.shape[0] * frame.shape[1], table.name, table))
    return [table for _, _, table in sorted(found)]


if __name__ == "__main__":
    sys.exit(main())
