"""`python -m benchmarks.nas run` and `report`: see the package's docstring."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.entries import Unavailable
from benchmarks.nas import remedies
from benchmarks.nas.pictures import FULL, QUICK, cifar_jobs, current, transfer_jobs
from benchmarks.nas.remedies import s2_jobs
from benchmarks.nas.rows import Row, append, path_of, read

Jobs = Iterator[tuple[str, int, Callable[[], Row]]]
EXPERIMENTS: Final = ("cifar", "transfer", "text", "s2")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 2 for what it cannot understand."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nas", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="run what has no row yet")
    running.add_argument("experiments", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; all by default")
    running.add_argument("--seeds", default="0,1,2", help="numbers")
    running.add_argument("--only", default="", help="names of rows, comma between; all by default")
    running.add_argument("--again", action="store_true", help="make rows anew that are there")
    running.add_argument("--quick", action="store_true", help="short forms; their rows are not kept")
    running.add_argument("--threads", type=int, default=0, help="of torch; its own choice by default")
    reporting = commands.add_parser("report", help="write docs/search_experiments.md from the rows")
    reporting.add_argument("--out", type=Path, default=None, help="another page")
    asked = parser.parse_args(arguments)
    if asked.command == "report":
        from benchmarks.nas.report import write

        print(write(asked.out))
        return 0
    unknown = set(asked.experiments) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"no experiment is called {sorted(unknown)[0]!r}: there are {', '.join(EXPERIMENTS)}")
    if asked.threads:
        import torch

        torch.set_num_threads(asked.threads)
    seeds = [int(word) for word in asked.seeds.split(",")]
    for name in asked.experiments or EXPERIMENTS:
        try:
            only = [word for word in asked.only.split(",") if word]
            _run(name, seeds, only, quick=asked.quick, again=asked.again)
        except Unavailable as why:
            print(f"{name}: skipped, {why}")
    return 0


def _jobs(name: str, seeds: list[int], quick: bool) -> Jobs:
    scale = QUICK if quick else FULL
    if name == "cifar":
        return cifar_jobs(scale, seeds)
    if name == "transfer":
        return transfer_jobs(scale, seeds)
    if name == "s2":
        return s2_jobs(remedies.QUICK if quick else remedies.LONG, seeds)
    from benchmarks.nas.text import text_jobs

    return text_jobs(seeds, quick)


def _run(name: str, seeds: list[int], only: list[str], *, quick: bool, again: bool) -> None:
    path = path_of(name)
    for what, seed, call in _jobs(name, seeds[:1] if quick else seeds, quick):
        rows = read(path)  # another process may have written
        if name == "transfer":
            rows = current(rows, read(path_of("cifar")))
        known = {(row["what"], row["seed"]) for row in rows}
        if (only and what not in only) or (not quick and not again and (what, seed) in known):
            continue
        began = time.perf_counter()
        row = call()
        if not quick:
            append(path, row)
        print(f"{name}: {what}, seed {seed}: {_figure(row)}, {time.perf_counter() - began:.0f} s", flush=True)


def _figure(row: Row) -> str:
    return f"error {row['error']:.4f}" if "error" in row else f"perplexity {row['perplexity']:.1f}"


if __name__ == "__main__":
    sys.exit(main())
