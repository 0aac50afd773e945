"""A run as a row: a line of JSON each, added under a lock, read again by the report."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Final, NamedTuple

ROWS: Final = Path(__file__).resolve().parents[1] / "data" / "cash" / "rows.jsonl"
TIES: Final = 1e-4  # scores that are closer are a tie


class Row(NamedTuple):
    """One run of one system.

    Attributes:
        budget: seconds; 0 for a system that has none.
        metric: "auc", "log_loss" or "rmse"; `score` in its own sense, None where the run failed.
        constant: the score of the training rows' shares or mean.
        wall: seconds from the start of the process to the written predictions (to its end, if it failed).
        start: of these, until the interpreter had started and the libraries were imported.
        fitted: seconds until the model was there.
        peak_mb: most memory of the process and its children together; pages that they share count each time.
        size_mb: the model on disk; None if it could not be told.
        predict_ms: for 1,000 rows at once.
        rows, columns: of the training part; `cores`: those there were; `load`: of the machine before.
        version: of the system; note: what it chose; failed: why there is no score, "" if there is one.
    """

    system: str
    table: str
    split: int
    budget: float
    task: str
    metric: str
    score: float | None
    constant: float
    wall: float
    start: float | None
    fitted: float | None
    peak_mb: float
    size_mb: float | None
    predict_ms: float | None
    rows: int
    columns: int
    cores: int
    load: float
    version: str = ""
    note: str = ""
    failed: str = ""

    @property
    def key(self) -> tuple[str, str, int, float]:
        """What tells a run from all others."""
        return self.system, self.table, self.split, self.budget

    def loss(self, *, constant: bool = False) -> float:
        """The score turned so that less is better, RMSE as a share of the constant's; without one the
        constant's.
        """
        score = self.constant if self.score is None or constant else self.score
        if self.metric == "auc":
            return 1.0 - score
        return score / max(self.constant, 1e-300) if self.metric == "rmse" else score


def read(path: Path = ROWS) -> dict[tuple[str, str, int, float], Row]:
    """The rows by key, the last of each; a last line that was cut off is left out."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [Row(**json.loads(line)) for line in lines if line.endswith("\n")]
    return {row.key: row for row in rows}


def append(row: Row, path: Path = ROWS) -> None:
    """Add a row; a line that an earlier run left half written is cut away first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        file.seek(0)
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)
        file.write(json.dumps(row._asdict()).encode() + b"\n")
