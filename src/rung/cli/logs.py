"""What objectives printed: the lines of the trials' log files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rung.errors import UserError
from rung.executors.files import log_path
from rung.trials.history import History


def lines(folder: Path, history: History, trial: int | None) -> Iterator[str]:
    """The lines of one trial's log, or of all trials' in order of number.

    Raises:
        UserError: no such trial, or nothing was written.
    """
    if trial is not None and trial >= len(history):
        raise UserError(f"there is no trial {trial}: the study has {len(history)}, numbered from 0")
    numbers = range(len(history)) if trial is None else [trial]
    paths = [path for number in numbers if (path := Path(log_path(str(folder), number))).is_file()]
    if not paths:
        who = "no trial of this study" if trial is None else f"trial {trial}"
        raise UserError(f"{who} has a log: only jobs in local workers write one, into {folder / 'logs'}")
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                yield line if line.endswith("\n") else line + "\n"
