"""What went wrong with checkpoints, and how many there are, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from rung.trials.events import CheckpointDamaged, CheckpointFailed, Event
from rung.trials.history import History

_TROUBLES: Final = (CheckpointFailed, CheckpointDamaged)


def trouble(event: Event) -> str | None:
    """A line about a checkpoint that could not be saved, or was damaged, if the event is that."""
    match event:
        case CheckpointFailed(trial=trial, message=message):
            return f"trial {trial} goes on without a checkpoint: {message}"
        case CheckpointDamaged(trial=trial, message=message):
            return f"trial {trial} goes back to the checkpoint before, or starts anew: {message}"
    return None


class Kept(NamedTuple):
    """How many checkpoints the log has that are not given up, and their bytes as far as they are known."""

    number: int
    size: int


def kept(history: History) -> Kept:
    """What a study keeps now: trials' latest ones, and the incumbent's."""
    all_of_them = {one.path: one.size for one in history.checkpoints.values()}
    all_of_them |= {one.path: one.size for one in history.previous.values()}
    if history.best_checkpoint is not None:
        all_of_them[history.best_checkpoint.path] = history.best_checkpoint.size
    return Kept(len(all_of_them), sum(all_of_them.values()))


def troubles(events: Iterable[Event]) -> tuple[int, int, str]:
    """How many were not saved, how many were damaged, and the last such line ("" if there was none)."""
    failed = damaged = 0
    last = ""
    for event in events:
        if isinstance(event, _TROUBLES):
            failed += isinstance(event, CheckpointFailed)
            damaged += isinstance(event, CheckpointDamaged)
            last = trouble(event) or last
    return failed, damaged, last
