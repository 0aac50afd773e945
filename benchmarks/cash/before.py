"""A system's judged runs before and after a change: `python -m benchmarks.cash.before REVISION [SYSTEM]`.

Rows of the revision are read from git, and paired with those of now by table, split and budget; those that
nobody made again are left out. Printed are each pair's losses (1 - AUC, log loss, RMSE as a share of the
constant's) and their ratio, below 1 where the system became better, then geometric means by metric.

    python -m benchmarks.cash.before c949604 --after 3107477 --budgets 30
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.cash.rows import ROWS, Row, read

_LEAST: Final = 1e-9  # of a loss, so that a ratio is one


class Change(NamedTuple):
    """One run made twice."""

    before: Row
    after: Row

    @property
    def ratio(self) -> float:
        """Loss now over loss before."""
        return max(self.after.loss(), _LEAST) / max(self.before.loss(), _LEAST)


def rows_of(revision: str) -> dict[tuple[str, str, int, float], Row]:
    """The judge's rows as a revision has them.

    Raises:
        ValueError: it has none, or there is no such revision; with what git says.
    """
    path = f"{revision}:{ROWS.relative_to(ROWS.parents[3])}"
    done = subprocess.run(["git", "show", path], cwd=ROWS.parent, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode().strip())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.write_bytes(done.stdout)
        return read(file)


def changes(
    before: dict[tuple[str, str, int, float], Row], after: dict[tuple[str, str, int, float], Row], system: str
) -> list[Change]:
    """The runs of a system that both have, and that are not the same run, by table, split and budget."""
    both = sorted(key for key in before.keys() & after.keys() if key[0] == system)
    return [Change(before[key], after[key]) for key in both if before[key] != after[key]]


def table(found: Sequence[Change]) -> str:
    """A line for each pair, then one for each metric and for all of them."""
    lines = ["| table | split | budget | metric | before | after | ratio |", "| --- " * 7 + "|"]
    for one in found:
        row, losses = one.after, (one.before.loss(), one.after.loss())
        lines.append(
            f"| {row.table} | {row.split} | {row.budget:g} s | {row.metric} "
            f"| {losses[0]:.4g} | {losses[1]:.4g} | {one.ratio:.3f} |"
        )
    lines += [_mean(name, [one for one in found if one.after.metric == name]) for name in _metrics(found)]
    return "\n".join([*lines, _mean("all", found)])


def _metrics(found: Sequence[Change]) -> list[str]:
    return sorted({one.after.metric for one in found})


def _mean(name: str, some: Sequence[Change]) -> str:
    """The geometric mean with its standard error, and how many became better."""
    logs = np.log([one.ratio for one in some])
    if not len(logs):
        return f"{name}: nothing to compare"
    error = f", standard error {logs.std(ddof=1) / math.sqrt(len(logs)):.3f}" if len(logs) > 1 else ""
    changed = logs[logs != 0]
    return (
        f"{name}: {len(logs)} runs, ratio {math.exp(logs.mean()):.3f}{error}; "
        f"better in {int((changed < 0).sum())} of {len(changed)} that changed"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 2 for what it cannot understand."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cash.before",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("revision")
    parser.add_argument("system", nargs="?", default="rung")
    parser.add_argument("--after", metavar="REVISION", default="", help="take these rows for those of now")
    parser.add_argument("--budgets", default="", help="seconds, comma between; all by default")
    parser.add_argument("--splits", default="", help="numbers, comma between; all by default")
    asked = parser.parse_args(arguments)
    try:
        before = rows_of(asked.revision)
        after = rows_of(asked.after) if asked.after else read()
        budgets = {float(word) for word in asked.budgets.split(",") if word}
        splits = {int(word) for word in asked.splits.split(",") if word}
    except ValueError as error:
        parser.error(str(error))
    found = [
        one
        for one in changes(before, after, asked.system)
        if (not budgets or one.after.budget in budgets) and (not splits or one.after.split in splits)
    ]
    print(table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
