"""`python -m benchmarks.cash run`, `report` and `tables`: see the package's docstring.

    python -m benchmarks.cash run --systems rung,flaml --budgets 10,30 --tables wine,digits --splits 0,1
    python -m benchmarks.cash report

What has a row is not run again (`--again` does); a run that is cut off is done anew the next time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cash import tables as listing
from benchmarks.cash.report import write
from benchmarks.cash.rows import ROWS, Row, append, read
from benchmarks.cash.running import run
from benchmarks.cash.systems import SYSTEMS, System, chosen
from benchmarks.cash.tables import Parts, Table, split
from benchmarks.entries import Unavailable


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 2 for what it cannot understand, 1 if no run could be done for a reason that it says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cash", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="run what has no row yet")
    running.add_argument(
        "--systems", default=",".join(SYSTEMS), help=f"of {', '.join(SYSTEMS)}; all by default"
    )
    running.add_argument("--budgets", default="10,30,60", help="seconds")
    running.add_argument("--tables", default="", help="names, see `tables`; all by default")
    running.add_argument("--splits", default="0,1", help="numbers, which are the seeds")
    running.add_argument("--again", action="store_true", help="run also what has a row; the new one counts")
    running.add_argument("--rows", type=Path, default=ROWS, help="the file of the rows")
    reporting = commands.add_parser("report", help="write docs/benchmark.md from the rows")
    reporting.add_argument("--rows", type=Path, default=ROWS, help="the file of the rows")
    reporting.add_argument("--out", type=Path, default=None, help="another page")
    commands.add_parser("tables", help="list the tables, and which are there")
    asked = parser.parse_args(arguments)
    if asked.command == "report":
        print(write(read(asked.rows).values(), asked.out))
        return 0
    if asked.command == "tables":
        return _list()
    try:
        budgets = [float(word) for word in _words(asked.budgets)]
        splits = [int(word) for word in _words(asked.splits)]
        systems, tables = chosen(_words(asked.systems)), listing.chosen(_words(asked.tables))
    except ValueError as error:
        parser.error(str(error))
    done = set() if asked.again else set(read(asked.rows))
    return _run(_jobs(systems, tables, splits, budgets, done), asked.rows)


Job = tuple[System, Table, int, float]


def _jobs(
    systems: Sequence[System],
    tables: Sequence[Table],
    splits: Sequence[int],
    budgets: Sequence[float],
    done: set[tuple[str, str, int, float]],
) -> list[Job]:
    """What is to be run: a whole comparison of one split at a budget before the next."""
    found: list[Job] = []
    for number in splits:
        for budget in budgets:
            for table in tables:
                for system in systems:
                    job = (system, table, number, budget if system.timed else 0.0)
                    if job not in found and (system.name, table.name, number, job[3]) not in done:
                        found.append(job)
    return found


def _run(jobs: Sequence[Job], path: Path) -> int:
    """Run them one after another; what is not there is said once, and left out."""
    missing: dict[str, str] = {}
    parts: dict[tuple[str, int], Parts] = {}
    ran = 0
    for system, table, number, budget in jobs:
        if system.name in missing or table.name in missing:
            continue
        try:
            system.python()
        except Unavailable as reason:
            missing[system.name] = str(reason)
            continue
        try:
            if (table.name, number) not in parts:
                parts = {(table.name, number): split(table, number)}  # only the last is kept
        except Unavailable as reason:
            missing[table.name] = str(reason)
            continue
        row = run(system, table, number, budget, parts[table.name, number])
        append(row, path)
        ran += 1
        print(_said(row), flush=True)
    for name, why in missing.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    print(f"{ran} runs, {len(jobs) - ran} left out", flush=True)
    return int(bool(jobs) and not ran)


def _said(row: Row) -> str:
    outcome = f"FAILED: {row.failed}" if row.failed else f"{row.metric} {row.score:.5g}"
    return f"{row.table:14} {row.split} {row.budget:4g} s {row.system:15} {outcome:22} {row.wall:6.1f} s"


def _list() -> int:
    for table in listing.TABLES.values():
        try:
            frame = table.load()
            there = f"{len(frame)} rows, {frame.shape[1] - 1} columns"
        except Unavailable as reason:
            there = str(reason)
        print(f"{table.name:14} {table.task:11} {table.source:13} {there}")
    return 0


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


if __name__ == "__main__":
    sys.exit(main())
