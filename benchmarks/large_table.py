"""A fit of a large CSV: `python -m benchmarks.large_table [--rows 3000000] [--budget 90]`.

Writes a table of 16 columns (numbers, categories, a date, holes) into a temporary folder, runs `rung fit` on
it as a process of its own, and prints a line of JSON: the file's size, the most memory of the process and its
children together (pages that they share count once, on Linux), the wall time, and trials and score as the
study has them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from rung.storage import open_storage

PIECE = 250_000  # rows that are written at once
EVERY = 0.5  # seconds between two looks at the memory


def write(path: Path, rows: int) -> None:
    """A table whose target hangs on some of its columns."""
    for start in range(0, rows, PIECE):
        rng, size = np.random.default_rng(start), min(PIECE, rows - start)
        frame = pd.DataFrame(rng.normal(size=(size, 11)).round(6), columns=[f"x{j}" for j in range(11)])
        frame.loc[rng.random(size) < 0.1, "x3"] = np.nan
        frame["kind"] = rng.choice(["red", "green", "blue"], size)
        frame["place"] = rng.integers(0, 500, size)
        frame["count"] = rng.poisson(3, size)
        frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, size), unit="D")
        noise = rng.normal(size=size)
        frame["y"] = np.where(frame.x0 + frame.x1 * (frame.kind == "red") + noise > 0, "yes", "no")
        frame.to_csv(path, mode="a" if start else "w", header=not start, index=False)


def held(root: psutil.Process) -> int:
    """Bytes of a process and its children; what they share is divided between them."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            found = process.memory_full_info()
            total += getattr(found, "pss", found.rss)  # on Linux
    return total


def fitted(table: Path, budget: float) -> tuple[int, float]:
    """The most bytes of a fit, and its seconds."""
    command = [sys.executable, "-m", "rung", "fit", str(table), "--target", "y", "--budget", str(budget)]
    began, most = time.monotonic(), 0
    with (table.parent / "fit.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--storage", "fit.db", "--study", "large"], cwd=table.parent, stdout=log, stderr=log
        )
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                most = max(most, held(psutil.Process(process.pid)))
            time.sleep(EVERY)
    if process.returncode:
        raise SystemExit((table.parent / "fit.log").read_text()[-500:])
    return most, time.monotonic() - began


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--budget", type=float, default=90.0, help="seconds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rung-large-") as folder:
        table = Path(folder) / "large.csv"
        write(table, given.rows)
        most, seconds = fitted(table, given.budget)
        storage = open_storage(str(table.parent / "fit.db"))
        row = storage.find("large")
        storage.close()
        assert row is not None
        size = table.stat().st_size
    found = {
        "rows": given.rows,
        "csv_mb": round(size / 1e6),
        "peak_mb": round(most / 1e6),
        "peak_to_file": round(most / size, 1),
        "budget_s": given.budget,
        "wall_s": round(seconds, 1),
        "trials": row.summary.trials,
        row.summary.metric: row.summary.best,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
