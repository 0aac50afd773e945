"""Which checkpoints are kept: those that a job can still start from, and the incumbent's, always."""

from __future__ import annotations

from collections.abc import Sequence

from rung.storage.checkpoints import CheckpointStore
from rung.study.writer import Writer
from rung.trials.events import CheckpointDeleted, CheckpointSaved, Event, JobFailed, JobFinished, JobStopped
from rung.trials.states import TrialState

_ENDS = frozenset({JobFinished, JobFailed, JobStopped})
_EVERY = 32  # checkpoints saved between two looks at all of them


class Keeper:
    """Deletes checkpoints that nothing can need. Giving a trial's latest one up is an event, logged first."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._saved = 0
        self._doomed: list[str] = []  # given up in the log, or superseded: their folders go at the next sweep
        self._latest: dict[int, str] = {t: c.path for t, c in writer.history.checkpoints.items()}
        self._incumbents = self._best()  # superseded by its own trial's later ones, it stays
        self._store: CheckpointStore | None = None

    def tidy(self) -> None:
        """Delete what a session that died left behind: given up or superseded, or saved and never told."""
        history, folder = self._writer.history, self._writer.log.folder
        kept = [checkpoint.path for checkpoint in history.checkpoints.values()]
        kept += [path for path in (self._best(),) if path is not None]
        kept += [running.job.checkpoint for running in history.retry if running.job.checkpoint is not None]
        self._files().keep_only({path.removeprefix(f"{folder}/") for path in kept})

    def sweep(self, news: Sequence[Event], now: float) -> list[Event]:
        """Look at what was logged just now; returns the (folded) events that give checkpoints up.

        They come where a job has ended: in which portions a running job's events arrive is chance, and the
        log of one worker is to be the same each time.
        """
        if self._doomed:
            self.delete()
        for event in news:
            if type(event) is CheckpointSaved:
                self._saved += 1
                self._supersede(event)
        if self._latest:
            self._follow_incumbent()
        if self._saved < _EVERY or not any(type(event) in _ENDS for event in news):
            return []
        self._saved = 0
        return self.give_up(now)

    def _supersede(self, event: CheckpointSaved) -> None:
        earlier = self._latest.get(event.trial)
        if earlier is not None and earlier not in (event.path, self._best()):
            self._doomed.append(earlier)
        self._latest[event.trial] = event.path

    def _best(self) -> str | None:
        best = self._writer.history.best_checkpoint
        return best.path if best is not None else None

    def _follow_incumbent(self) -> None:
        """The checkpoint of an earlier incumbent goes if it stayed for its value only."""
        former, self._incumbents = self._incumbents, self._best()
        if former is not None and former != self._incumbents and former not in self._latest.values():
            self._doomed.append(former)

    def give_up(self, now: float) -> list[Event]:
        """Fold and return the events that give up every checkpoint that nothing can need."""
        history = self._writer.history
        given_up: list[Event] = []
        for trial in list(history.checkpoints):
            if not self._needed(trial):
                self._doomed.append(history.checkpoints[trial].path)
                self._latest.pop(trial, None)
                event = CheckpointDeleted(trial, now)
                history.fold(event)
                given_up.append(event)
        return given_up

    def _needed(self, trial: int) -> bool:
        history, scheduler = self._writer.history, self._writer.scheduler
        if history.incumbent is not None and history.incumbent.trial == trial:
            return True
        state = history.states[trial]
        if state in (TrialState.RUNNING, TrialState.INTERRUPTED):
            return True
        return state == TrialState.PAUSED and scheduler.may_resume(history, trial)

    def delete(self) -> None:
        """Remove the folders of what the log has given up, but for those that a running trial began from."""
        if self._doomed:
            store, borrowed = self._files(), set(self._writer.history.borrowed.values())
            for path in self._doomed:
                if path not in borrowed:
                    store.delete(path)
            self._doomed = [path for path in self._doomed if path in borrowed]

    def _files(self) -> CheckpointStore:
        if self._store is None:
            self._store = CheckpointStore(self._writer.log.folder)
        return self._store
