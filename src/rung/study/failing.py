"""Failures that a user should hear of at once: the first one, and that nothing but the same one happens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rung.executors.files import log_path
from rung.trials.events import Event, Failure, JobFailed, JobFinished, Reported
from rung.trials.history import History

FAILING: Final = "failing"  # why a session ends in which all fail alike
ALIKE: Final = 50  # failed jobs, all with one message, after which a session ends that has no value
_LINES: Final = 30  # of a log, at most


class Alike:
    """Notices that a session's jobs all fail with the same error, as they do if the objective has a mistake.

    To go on would spend the whole budget on it. What counts is `Failure.ERROR` alone: what was raised, not
    infeasible configurations, lost workers or limits. One value, or another message, and it looks no more.
    """

    def __init__(self, history: History) -> None:
        self._message: str | None = None
        self._count = 0
        self._looks = history.incumbent is None

    def note(self, news: Sequence[Event]) -> bool:
        """Take in what happened; whether the session is to end."""
        if not self._looks:
            return False
        for event in news:
            if isinstance(event, JobFailed) and event.failure is Failure.ERROR:
                self._count += 1
                self._message = event.message if self._message is None else self._message
                self._looks = self._looks and event.message == self._message
            elif isinstance(event, Reported | JobFinished):
                self._looks = False
        return self._looks and self._count >= ALIKE


def first_failure(folder: str | Path, event: Event) -> str | None:
    """What is known of a job that raised: its message and the end of its log, which has the traceback.

    Args:
        folder: of the study.

    Returns:
        Some lines, or None if the event is not such a failure.
    """
    if not isinstance(event, JobFailed) or event.failure is not Failure.ERROR:
        return None
    said = f"trial {event.trial} failed with: {event.message}"
    try:
        text = Path(log_path(str(folder), event.trial)).read_text(encoding="utf-8", errors="replace")
    except OSError:  # it ran elsewhere, or the disk is full
        return said
    lines = text.rpartition("\n--- trial ")[2].splitlines()[1:][-_LINES:]
    return "\n".join([said, *(f"  {line}" for line in lines)])
