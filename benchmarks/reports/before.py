"""A system before and after a change: `python -m benchmarks.reports.before EXPERIMENT REVISION [SYSTEM]`.

Rows of the revision are read from git, and paired with those of now by problem, setting and seed. Printed are
the difference of the logarithms (base 10) of the regret, on the way and in the end, below 0 where the system
became better, with its standard error over the seeds, and the processor seconds to decide.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.experiments.rows import ROWS, Row, read
from benchmarks.reports.ranks import curves, differences

_BEFORE: Final = "before"


def rows_of(experiment: str, revision: str) -> list[Row]:
    """The rows of an experiment that a revision has.

    Raises:
        ValueError: it has none, or there is no such revision; with what git says.
    """
    path = f"{revision}:{ROWS.relative_to(ROWS.parents[2])}/{experiment}.jsonl"
    done = subprocess.run(["git", "show", path], cwd=ROWS, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode().strip())
    with tempfile.NamedTemporaryFile() as file:
        file.write(done.stdout)
        file.flush()
        return read(Path(file.name))


def table(before: Sequence[Row], after: Sequence[Row], system: str) -> str:
    """A line for each problem and number of workers with seeds on both sides, then the means over these."""
    ours = [row for row in after if row.system == system]
    theirs = [row._replace(system=_BEFORE) for row in before if row.system == system]
    lines = ["| problem | workers | seeds | on the way | in the end | s before | s after |"]
    lines.append("| --- " + "| ---: " * 6 + "|")
    for workers in sorted({row.workers for row in ours}):
        here = [row for row in (*theirs, *ours) if row.workers == workers]
        means = []
        for problem, found in curves(here).items():
            if not found.keys() >= {system, _BEFORE}:
                continue
            logs = differences(found[system], found[_BEFORE]) / log(10)  # (seeds, points)
            if not len(logs):
                continue
            times = [_seconds(here, problem, name) for name in (_BEFORE, system)]
            means.append([logs.mean(), logs[:, -1].mean(), *times])
            way, end = _told(logs.mean(axis=1)), _told(logs[:, -1])
            lines.append(
                f"| {problem} | {workers} | {len(logs)} | {way} | {end} | {times[0]:.2g} | {times[1]:.2g} |"
            )
        if means:
            way, end, old, new = np.mean(means, axis=0)
            lines.append(
                f"| *mean of {len(means)}* | {workers} | | {way:+.2f} | {end:+.2f} | {old:.2g} | {new:.2g} |"
            )
    return "\n".join(lines)


def _seconds(rows: Sequence[Row], problem: str, system: str) -> float:
    return float(np.mean([row.decided for row in rows if (row.problem, row.system) == (problem, system)]))


def _told(values: np.ndarray) -> str:
    error = f" ± {values.std(ddof=1) / len(values) ** 0.5:.2f}" if len(values) > 1 else ""
    return f"{values.mean():+.2f}{error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("revision")
    parser.add_argument("system", nargs="?", default="rung")
    arguments = parser.parse_args()
    try:
        before = rows_of(arguments.experiment, arguments.revision)
    except ValueError as error:
        parser.error(str(error))
    print(table(before, read(ROWS / f"{arguments.experiment}.jsonl"), arguments.system))


if __name__ == "__main__":
    main()
