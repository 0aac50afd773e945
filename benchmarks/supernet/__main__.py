"""`python -m benchmarks.supernet` measures and keeps the rows; `report` writes docs/supernet.md from them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.supernet.measuring import FULL, QUICK, rows_of
from benchmarks.supernet.report import write as write_page
from benchmarks.supernet.rows import ROWS, Row, read, write


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supernet", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["run", "report"], default="run")
    parser.add_argument("--quick", action="store_true", help="small nets; the rows are not kept")
    parser.add_argument("--only", default="", help="part of a step's name or size")
    parser.add_argument("--rows", type=Path, default=ROWS, help="the file of the rows")
    parser.add_argument("--out", type=Path, default=None, help="another page")
    asked = parser.parse_args(arguments)
    if asked.command == "report":
        print(write_page(read(asked.rows), asked.out))
        return 0
    cases = [c for c in (QUICK if asked.quick else FULL) if asked.only in f"{c.what} {c.size}"]
    found: list[Row] = []
    for row in rows_of(cases):
        found.append(row)
        memory = "" if row.peak is None else f"{row.peak:8.0f} MB"
        first = f"{row.what:26} {row.size:11} {row.threads} threads {row.contender:10}"
        print(f"{first} {row.least:8.3f} s (median {row.median:.3f}, {row.repeats}){memory}", flush=True)
    if not asked.quick:
        write(found, asked.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
