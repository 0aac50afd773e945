"""What a search shows while it runs: one moving line on a terminal, an occasional plain line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rung.cli import output
from rung.cli.moving import Moving
from rung.study.checkpoint_words import trouble
from rung.study.choose import spoken as chosen
from rung.study.confirm import leading
from rung.study.durations import spoken
from rung.trials.events import Event, JobFailed, StopDecided

if TYPE_CHECKING:
    from rich.text import Text

    from rung.trials.events import Identity
    from rung.trials.history import History

PATIENCE = 10.0  # seconds between two plain lines
_FINISHING = {
    "interrupted": "stopping: running jobs save at their next report; Ctrl-C again stops at once",
    "budget": "the budget is spent: running jobs save at their next report",
    "target": "the target is reached: running jobs are told to stop",
}


class Searched(Protocol):
    """What is watched: a study that runs here or elsewhere."""

    @property
    def history(self) -> History: ...

    @property
    def identity(self) -> Identity: ...


class Progress(Moving):
    """Watches a study: called with each batch of events that was logged."""

    def __init__(self, study: Searched) -> None:
        super().__init__()
        self._history = study.history
        self._began = time.monotonic() - study.history.clock.known()
        self._printed = time.monotonic()
        self._shown: Any = None
        self._told: set[type] = set()  # kinds of trouble with checkpoints

    def __call__(self, study: Searched, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, StopDecided) and event.reason in _FINISHING:
                self._tell(_FINISHING[event.reason])
            elif (line := chosen(event, study.identity)) is not None:
                self._tell(line)
            elif (line := trouble(event)) is not None:
                if output.verbose() or type(event) not in self._told:  # a full disk is full for every trial
                    self._tell(line)
                self._told.add(type(event))
            elif isinstance(event, JobFailed) and output.verbose():
                self._tell(f"trial {event.trial}: {event.failure}: {event.message}")
        if not self._live and time.monotonic() - self._printed >= PATIENCE:
            self._tell(status(self._history, time.monotonic() - self._began))

    def _tell(self, text: str) -> None:
        self._printed = time.monotonic()
        self._console.print(text)

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text(status(self._history, time.monotonic() - self._began), style="cyan")


def status(history: History, seconds: float) -> str:
    """Where a search stands, in one line: trials, running, best, what is spent and what is left."""
    limits = history.limits
    failed = sum(state in ("failed", "infeasible") for state in history.states)
    of = f" of {limits.trials}" if limits.trials else ""
    parts = [f"{len(history.values)}{of} trials", f"{len(history.running)} running"]
    if failed:
        parts.append(f"{failed} failed")
    best = leading(history)
    if best is not None:
        parts.append(f"best {history.identity.metric} {output.number(best.value)} (trial {best.trial})")
    if limits.total_resource and history.identity.resource:
        parts.append(f"{history.spent} of {limits.total_resource} {history.identity.resource.unit}")
    parts.append(f"{spoken(seconds)} of {spoken(limits.seconds)}" if limits.seconds else spoken(seconds))
    return " · ".join(parts)


@contextmanager
def watching(study: Searched) -> Iterator[Progress | None]:
    """A progress display for this study, or None under `-q`."""
    if output.quiet():
        yield None
        return
    progress = Progress(study)
    with progress.showing():
        yield progress
    sys.stderr.flush()
