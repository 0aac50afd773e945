"""What `rung fit` shows while it searches: a bar and two lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rung.cli.moving import Moving
from rung.study.durations import spoken
from rung.trials.events import Event, StopDecided

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rung.study.study import Study

PATIENCE: Final = 5.0  # seconds between two plain lines


class FitProgress(Moving):
    """Watches a fit's study: called with each batch of events that was logged.

    Args:
        budget: seconds, counted from `began` (monotonic).
        trials: after so many the search ends, whatever the budget; None: at its end.
        records: what to write into the study's log once, by topic.
    """

    def __init__(self, budget: float, began: float, trials: int | None, records: Mapping[str, Any]) -> None:
        super().__init__()
        self.interrupted = False
        self._budget, self._began, self._trials, self._records = budget, began, trials, dict(records)
        self._done = 0
        self._learners: list[str] = []  # by trial
        self._running: tuple[str, ...] = ()
        self._headline = "starting"
        self._printed = time.monotonic()

    def __call__(self, study: Study, events: Sequence[Event]) -> None:
        self._record(study)
        was = self.interrupted
        for event in events:
            if isinstance(event, StopDecided) and event.reason == "interrupted":
                self.interrupted = True
        for trial in range(len(self._learners), len(study.history)):  # those of earlier sessions, too
            self._learners.append(str(study.history.config(trial).get("learner", "?")))
        self._running = tuple(sorted(self._learners[trial] for trial in study.history.running))
        self._done, self._headline = len(study.history) - len(study.history.running), self._said(study)
        due = self.interrupted != was or time.monotonic() - self._printed >= PATIENCE
        if self._plain and due:
            self._printed = time.monotonic()
            self._console.print(f"{self._clock()}: {self._headline}", markup=False)

    def _record(self, study: Study) -> None:
        """Write each record that the log does not have yet."""
        waiting, self._records = self._records, {}  # first, because writing calls this again
        for topic, data in waiting.items():
            known = study.history.records.get(topic, [])
            if not known or dict(known[-1].data) != data:
                study.record(topic, data)

    def _said(self, study: Study) -> str:
        history = study.history
        best = history.incumbent
        found = ""
        if best is not None:
            found = f", best {study.identity.metric} {best.value:.5g} ({self._learners[best.trial]})"
        running = f", running {', '.join(self._running)}" if self._running else ""
        if self.interrupted:
            running = ": interrupted, making a model of what was found; Ctrl-C again stops at once"
        return f"{len(history)} trial{'s' * (len(history) != 1)}{found}{running}"

    def _clock(self) -> str:
        spent = time.monotonic() - self._began
        return f"{spoken(spent)} of {spoken(self._budget)}" if self._trials is None else spoken(spent)

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        spent = time.monotonic() - self._began
        left = self._budget - spent
        grid = Table.grid(padding=(0, 2))
        total, done, until = self._budget, spent, f"{spoken(left)} left"
        if self._trials is not None:
            total, done, until = self._trials, self._done, f"{self._done} of {self._trials} trials"
        bar = ProgressBar(total=total, completed=min(done, total), width=32)
        grid.add_row(bar, Text(until if done < total else "finishing", style="bold cyan"))
        tried = Counter(self._learners)
        names = ", ".join(f"{name} {count}" for name, count in tried.most_common())
        return Group(grid, Text(self._headline), Text(f"tried: {names}" if names else "", style="dim"))
