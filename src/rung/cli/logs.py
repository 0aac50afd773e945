"""What objectives printed: the lines of the trials' log files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rung.errors import UserError
from rung.executors.files import log_path
from rung.trials.history import History


def lines(folder: Path, history: History, trial: int | None) -> Iterator[tuple[int, str]]:
    """The lines of one trial's log, or of all trials' in order of number, each with its trial's number.

    Raises:
        UserError: no such trial, or nothing was written.
    """
    if trial is not None and trial >= len(history):
        raise UserError(f"there is no trial {trial}: the study has {len(history)}, numbered from 0")
    numbers = range(len(history)) if trial is None else [trial]
    paths = {number: Path(log_path(str(folder), number)) for number in numbers}
    written = {number: path for number, path in paths.items() if path.is_file()}
    if not written:
        what = "this study" if trial is None else f"trial {trial}"
        raise UserError(
            f"{what} has no log: one is written into {folder / 'logs'} when a job in a local worker prints"
        )
    for number, path in written.items():
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                yield number, line if line.endswith("\n") else line + "\n"
