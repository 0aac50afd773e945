"""Which checkpoints are kept: those that a job can still start from, and the incumbent's, always."""

from __future__ import annotations

import time
import warnings
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rung.errors import StorageError
from rung.executors.files import trial_name
from rung.executors.remote import is_url
from rung.study.checkpoint_limit import held, surplus
from rung.study.checkpoint_places import Places, wanted
from rung.study.writer import Writer
from rung.trials.events import (
    CheckpointDamaged,
    CheckpointDeleted,
    CheckpointSaved,
    Event,
    JobFailed,
    JobFinished,
    JobStopped,
)
from rung.trials.states import TrialState

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_ENDS = frozenset({JobFinished, JobFailed, JobStopped})
_EVERY = 32  # checkpoints saved between two looks at all of them
_HANDS = 4  # threads that delete in a store by URL
_PAUSE = 60.0  # seconds until what a store did not delete is tried again


class Keeper:
    """Deletes checkpoints that nothing can need. Giving a trial's latest one up is an event, logged first.

    A trial keeps its latest one and, while its job runs, the one before: should the latest be damaged, the
    job begins there. Under a limit further ones are given up, see `rung.study.checkpoint_limit`.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._saved = 0
        self._there: dict[int, dict[str, int]] = {}  # by trial and path, the bytes of those not given up
        self._bytes = 0
        self._doomed: list[str] = []  # given up in the log, or superseded: their folders go at the next sweep
        self._not_before = 0.0  # that is tried again, by the monotonic clock
        self._opened: Places | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._going: dict[Future[None], str] = {}  # paths that are being deleted
        history = writer.history
        for kept in (history.checkpoints, history.previous):
            for trial, checkpoint in kept.items():
                self._add(trial, checkpoint.path, checkpoint.size)
        self._best = self._find_best()  # superseded by its own trial's later ones, it stays
        if self._best is not None and history.best_checkpoint is not None:
            self._add(*self._best, history.best_checkpoint.size)

    def tidy(self, running: Collection[int] = ()) -> None:
        """Delete what a session that died left behind: given up or superseded, or saved and never told.

        Args:
            running: trials whose jobs outlived it: what they saved they may yet tell.
        """
        history = self._writer.history
        kept = {path for there in self._there.values() for path in there}
        jobs = [running.job for running in (*history.retry, *history.running.values())]
        kept |= {job.checkpoint for job in jobs if job.checkpoint is not None}
        try:
            spared = {trial_name(trial) for trial in running}
            others = self._places().others(kept)
            self._doomed = [path for path in others if path.split("/")[-2] not in spared]
        except StorageError as error:
            warnings.warn(f"what an earlier session left behind stays for now: {error}", stacklevel=3)
        self.delete()

    def sweep(self, news: Sequence[Event], now: float) -> list[Event]:
        """Look at what was logged just now; returns the (folded) events that give checkpoints up.

        They come where a job has ended: in which portions a running job's events arrive is chance, and the
        log of one worker is to be the same each time.
        """
        if (self._doomed or self._going) and time.monotonic() >= self._not_before:
            self.delete()
        ended = False
        for event in news:
            kind = type(event)
            if kind is CheckpointSaved:
                self._saved += 1
                self._add(event.trial, event.path, event.size)  # type: ignore[attr-defined]
            if kind in _ENDS or kind is CheckpointSaved or kind is CheckpointDamaged:
                ended = ended or kind in _ENDS
                self._review_family(event.trial)  # type: ignore[attr-defined]
        if self._there:
            self._follow_incumbent()
        if not ended:
            return []
        given_up: list[Event] = []
        if self._saved >= _EVERY:
            self._saved = 0
            given_up = self.give_up(now)
        return given_up + self._keep_limit(now)

    def _add(self, trial: int, path: str, size: int) -> None:
        there = self._there.setdefault(trial, {})
        self._bytes += size - there.get(path, 0)
        there[path] = size

    def _doom(self, trial: int, path: str) -> None:
        there = self._there[trial]
        self._bytes -= there.pop(path)
        if not there:
            del self._there[trial]
        self._doomed.append(path)

    def _review(self, trial: int) -> None:
        """Doom what the log has of this trial no more, and nobody starts from."""
        there = self._there.get(trial)
        if there is None:
            return
        history = self._writer.history
        latest, previous = history.checkpoints.get(trial), history.previous.get(trial)
        kept = {one.path for one in (latest, previous, history.best_checkpoint) if one is not None}
        for path in [path for path in there if path not in kept]:
            if not self._is_in_use(trial, path):
                self._doom(trial, path)

    def _review_family(self, trial: int) -> None:
        """The trial, and the one that it may have begun from."""
        parent = self._writer.history.origins[trial].parent
        self._review(trial)
        if parent is not None:
            self._review(parent)

    def _is_in_use(self, trial: int, path: str) -> bool:
        """Whether a job that runs, or will run again, starts from this one: the trial's own or a child's."""
        history = self._writer.history
        running = history.running.get(trial)
        if running is not None and running.job.checkpoint == path:
            return True
        children = bool(history.borrowed) and path in history.borrowed.values()
        return children or any(
            waiting.job.checkpoint == path and waiting.job.trial not in history.checkpoints
            for waiting in history.retry
        )

    def _find_best(self) -> tuple[int, str] | None:
        best, incumbent = self._writer.history.best_checkpoint, self._writer.history.incumbent
        return (incumbent.trial, best.path) if best is not None and incumbent is not None else None

    def _follow_incumbent(self) -> None:
        """The checkpoint of an earlier incumbent goes if it stayed for its value only."""
        former, self._best = self._best, self._find_best()
        if former is not None and former != self._best:
            self._review(former[0])

    def give_up(self, now: float) -> list[Event]:
        """Fold and return the events that give up every checkpoint that nothing can need."""
        history = self._writer.history
        given_up: list[Event] = []
        for trial in list(history.checkpoints):
            if not self._needed(trial):
                event = CheckpointDeleted(trial, now)
                history.fold(event)
                given_up.append(event)
                self._review(trial)
        return given_up

    def _needed(self, trial: int) -> bool:
        history, scheduler = self._writer.history, self._writer.scheduler
        if history.incumbent is not None and history.incumbent.trial == trial:
            return True
        state = history.states[trial]
        if state in (TrialState.RUNNING, TrialState.INTERRUPTED):
            return True
        return state == TrialState.PAUSED and scheduler.may_resume(history, trial)

    def _keep_limit(self, now: float) -> list[Event]:
        """Fold and return the events that give up what is over the study's limit."""
        history, limit = self._writer.history, wanted(self._writer.history).limit
        given_up: list[Event] = []
        if limit is None or self._bytes <= limit:
            return given_up
        for one in surplus(held(history, self._writer.scheduler, self._there), limit):
            event = CheckpointDeleted(one.trial, now, one.path, "limit")
            history.fold(event)
            given_up.append(event)
            self._review(one.trial)
        return given_up

    def delete(self) -> None:
        """Remove the folders of what the log has given up; in a store by URL that goes on beside the loop."""
        self._look_after_going()
        if not self._doomed:
            return
        places = self._places()
        while self._doomed:
            path = self._doomed.pop()
            if is_url(path):
                self._going[self._hands().submit(places.delete, path)] = path
            else:
                places.delete(path)

    def close(self) -> None:
        """Delete, and wait until it is done; what a store does not delete now, the next session does."""
        self.delete()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
            self._look_after_going()

    def _look_after_going(self) -> None:
        """What a store did not delete is tried again, later."""
        for future in [future for future in self._going if future.done()]:
            path = self._going.pop(future)
            error = future.exception()
            if isinstance(error, StorageError):
                self._doomed.append(path)
                self._not_before = time.monotonic() + _PAUSE
            elif error is not None:
                raise error

    def _hands(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(_HANDS, "rung-checkpoints")
        return self._pool

    def _places(self) -> Places:
        if self._opened is None or not self._opened.knows(self._writer.history):
            self._opened = Places(self._writer.log.folder, self._writer.history)
        return self._opened
