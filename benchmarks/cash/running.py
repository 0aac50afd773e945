"""One run: two files, a process, its clock and its memory, and what its predictions are worth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from benchmarks.cash.rows import Row
from benchmarks.cash.systems import OWN, PEER, System
from benchmarks.cash.tables import Parts, Table, write

if TYPE_CHECKING:
    import pandas as pd
    import psutil

METRIC: Final = {"binary": "auc", "multiclass": "log_loss", "regression": "rmse"}
UNTIMED: Final = 180.0  # seconds after which one without a budget is killed, as if its budget were 40 s
_EVERY: Final = 0.1  # seconds between two looks at the memory


class Watched(NamedTuple):
    """How a process ended.

    Attributes:
        failed: "" or why it did not end well.
        wall: seconds until it did.
        peak: bytes, most of the process and its children together.
    """

    failed: str
    wall: float
    peak: int


def patience(budget: float) -> float:
    """Seconds after which a run is killed."""
    return 3 * budget + 60 if budget else UNTIMED


def run(system: System, table: Table, number: int, budget: float, parts: Parts) -> Row:
    """Run one system on one split.

    Raises:
        Unavailable: the system's environment is not there.
    """
    python = system.python()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="cash-") as name:
        folder = Path(name)
        write(parts, table.target, folder)
        _forget(table, folder)
        order = {
            "folder": name,
            "target": table.target,
            "task": table.task,
            "budget": budget,
            "seed": number,
            "threads": cores(),
            "option": system.option,
        }
        watched = _process(python, system.script, order, patience(budget))
        facts = _facts(folder)
        score, failed = _score(folder, facts, table, parts, watched.failed)
    steps = facts.get("steps", {})
    return Row(
        system=system.name,
        table=table.name,
        split=number,
        budget=budget,
        task=table.task,
        metric=METRIC[table.task],
        score=score,
        constant=_round(constant_score(table, parts)),
        wall=_round(steps.get("written", watched.wall)),
        start=_optional(steps.get("imported")),
        fitted=_optional(steps.get("fitted")),
        peak_mb=_round(watched.peak / 1e6),
        size_mb=_optional(facts["bytes"] / 1e6 if "bytes" in facts else None),
        predict_ms=_optional(facts.get("milliseconds")),
        rows=len(parts.train),
        columns=parts.test.shape[1],
        cores=cores(),
        load=round(load, 2),
        version=facts.get("versions", ""),
        note=facts.get("note", ""),
        failed=failed,
    )


def _forget(table: Table, folder: Path) -> None:
    """What rung knows of earlier tables, without this one, so that it is as new to rung as to the others."""
    from rung.tabular.meta.memory import FILE, shipped, to_json

    (folder / FILE).write_text(to_json(shipped().without([table.name])), encoding="utf-8")


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _process(python: Path, script: Path, order: dict[str, Any], limit: float) -> Watched:
    import psutil

    folder = Path(order["folder"])
    environment = os.environ | {
        "PYTHONPATH": f"{PEER}{os.pathsep}{OWN}",
        "PYTHONHASHSEED": "0",
        "RUNG_PORTFOLIO": str(folder / "portfolio.json"),
    }
    with (folder / "errors.txt").open("wb") as errors:
        began = time.monotonic()
        (folder / "order.json").write_text(json.dumps({**order, "started": began}))
        process = subprocess.Popen(
            [str(python), "-W", "ignore", str(script), str(folder / "order.json")],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=folder,
            env=environment,
            start_new_session=True,  # so that it can be ended with all its children
        )
        root, peak, killed = psutil.Process(process.pid), 0, False
        while process.poll() is None:
            peak = max(peak, _memory(root))
            if time.monotonic() - began > limit:
                killed = True
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(_EVERY)
        wall = time.monotonic() - began
        _end(process)
    failed = f"killed after {limit:g} s" if killed else ""
    if not killed and process.returncode != 0:
        failed = _last_line(folder / "errors.txt") or f"exit code {process.returncode}"
    return Watched(failed, wall, peak)


def _memory(root: psutil.Process) -> int:
    import psutil

    total = 0
    with suppress(psutil.Error):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and the children that it left behind, which its own session holds."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return textwrap.shorten(lines[-1], 140, placeholder=" ...") if lines else ""


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "facts.json"
    facts: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return facts


def _score(
    folder: Path, facts: dict[str, Any], table: Table, parts: Parts, failed: str
) -> tuple[float | None, str]:
    """The score, and why there is none. Predictions that were written count, whatever came afterwards."""
    path = folder / "predictions.npy"
    if not path.exists() or not facts:
        return None, failed or "no predictions were written"
    raw = np.load(path)
    if len(raw) != len(parts.y) or not np.isfinite(raw).all():
        return None, "the predictions are not finite, or not one a row"
    return _round(score(table.task, raw, facts["classes"], parts.y), 9), ""


def score(task: str, raw: np.ndarray, classes: list[str] | None, y: pd.Series) -> float:
    """Area under the ROC curve, log loss or root mean squared error of predictions.

    Args:
        raw: (n, k) probabilities in the order of `classes`, or (n,) values. A class that the system does not
            know has probability 0.
    """
    from rung.tabular.metrics import METRICS

    judge = METRICS[METRIC[task]]
    if classes is None:
        return judge.score(y.to_numpy(dtype=float), raw)
    labels = sorted(set(classes) | set(y))
    aligned = np.zeros((len(raw), len(labels)))
    aligned[:, [labels.index(one) for one in classes]] = raw
    aligned /= np.maximum(aligned.sum(axis=1, keepdims=True), 1e-300)
    return judge.score(np.array([labels.index(one) for one in y]), aligned)


def constant_score(table: Table, parts: Parts) -> float:
    """What the training rows' shares of the classes, or their mean, score."""
    known = parts.train[table.target]
    if table.task == "regression":
        return score(table.task, np.full(len(parts.y), known.mean()), None, parts.y)
    shares = known.value_counts(normalize=True)
    raw = np.tile(shares.to_numpy(), (len(parts.y), 1))
    return score(table.task, raw, list(shares.index), parts.y)


def _round(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")


def _optional(value: float | None) -> float | None:
    return None if value is None else _round(value, 4)
