"""`python -m benchmarks.experiments list|run|report [NAME ...] [--quick] [--systems NAME ...] [--jobs N]`.

A run that was stopped goes on from the rows that are there (`benchmarks/data/experiments`). Quick forms start
anew each time, in `benchmarks/out`, and print their claims.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.entries import Unavailable
from benchmarks.experiments import Experiment, experiment, experiments
from benchmarks.experiments.rows import ROWS, read
from benchmarks.experiments.running import run
from benchmarks.problems import problem
from benchmarks.systems import system

QUICK = Path(__file__).resolve().parents[1] / "out" / "quick"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("list", "run", "report"))
    parser.add_argument("names", nargs="*", help="experiments; all of them if none is named")
    parser.add_argument("--quick", action="store_true", help="the short forms, four minutes together")
    parser.add_argument("--systems", nargs="+", help="of the full forms' searches, only those of these")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="of the full forms' searches, only those of the first N seeds"
    )
    parser.add_argument("--problems", nargs="+", help="of the full forms' searches, only those on these")
    parser.add_argument("--workers", nargs="+", type=int, help="of the full forms' searches, only these")
    parser.add_argument("--jobs", type=int, default=2, help="searches at the same time (default 2)")
    arguments = parser.parse_args()
    try:
        chosen = {name: _only(experiment(name), arguments) for name in arguments.names or experiments()}
    except ValueError as error:
        parser.error(str(error))
    if arguments.what == "list":
        for name, one in chosen.items():
            print(f"{name:24} {one.minutes:4.0f} min  {one.what}")
    elif arguments.what == "run":
        try:
            for name, one in chosen.items():
                _run(name, one, arguments.quick, arguments.jobs)
        except KeyboardInterrupt:
            print("stopped; the rows that were written stay, the same command goes on", file=sys.stderr)
            return 130
    else:
        from benchmarks.reports.document import write

        for path in write():
            print(f"{path} is written")
    return 0


def _only(one: Experiment, arguments: argparse.Namespace) -> Experiment:
    """The full form with these systems, problems, workers and so many seeds only, where any are named."""
    names, on = arguments.systems, arguments.problems
    seeds, workers = arguments.seeds, arguments.workers
    for name in names or ():
        system(name)  # a name that is wrong is an error
    for name in on or ():
        with suppress(Unavailable):  # it is skipped with its reason
            problem(name)
    kept = (
        plan._replace(
            systems=tuple(name for name in plan.systems if names is None or name in names),
            problems=tuple(name for name in plan.problems if on is None or name in on),
            settings=tuple(one for one in plan.settings if workers is None or one.workers in workers),
            seeds=plan.seeds if seeds is None else min(seeds, plan.seeds),
        )
        for plan in one.full
    )
    return one._replace(full=tuple(kept))


def _run(name: str, one: Experiment, quick: bool, jobs: int) -> None:
    began = time.perf_counter()
    path = (QUICK if quick else ROWS) / f"{name}.jsonl"
    if quick:
        path.unlink(missing_ok=True)
    print(f"== {name}: {one.what}", flush=True)
    done = run(one.quick if quick else one.full, path, jobs, lambda line: print(line, flush=True))
    for reason, count in done.skipped.items():
        print(f"skipped {count} searches: {reason}", file=sys.stderr)
    for claim in one.claims(read(path)):
        print(f"  {claim.verdict:8} {claim.claim} ({claim.source}): {claim.measured} [{claim.test}]")
    took = time.perf_counter() - began
    print(f"   {done.written} rows written, {done.there} were there; {took:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
