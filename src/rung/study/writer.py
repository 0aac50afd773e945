"""The one writer of a study's log: it takes policies' decisions down, folds them, and holds the session."""

from __future__ import annotations

import gc
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rung.errors import SpaceError
from rung.samplers.base import Sampler
from rung.schedulers.base import Done, Scheduler, Wait
from rung.space.compiled import CompiledSpace
from rung.storage.base import Log, Request, Summary
from rung.study.choose import Chooser, chooses
from rung.study.confirm import leading, time_to_confirm
from rung.study.decide import Decider, decide, ended, out_of_resource, unfinished
from rung.study.enqueued import asked_configuration
from rung.study.identity import check_same
from rung.trials import events as ev
from rung.trials.events import Event, Failure, Identity, Limits
from rung.trials.history import CONFIRM, History

# by why a session ended
_STATES = {"paused": "paused", "interrupted": "interrupted", "failing": "interrupted", "closed": "idle"}

_STOPS = {"pause": "paused", "stop": "stopped"}  # requests that end a session, and the reason that they are

Watch = Callable[[Sequence[Event]], None]


@contextmanager
def _no_collections() -> Iterator[None]:
    """Keep the garbage collector from looking, over and over, at a history that only grows."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Writer:
    """A study's log, opened for writing, with the history that it folds into.

    Args:
        asked: settings that the stored ones must equal.
        state: what the study did last, as lists of studies show it.

    Raises:
        StudyError: they differ.
    """

    def __init__(
        self,
        name: str,
        log: Log,
        sampler: Sampler,
        scheduler: Scheduler,
        asked: Identity | None = None,
        state: str = "idle",
    ) -> None:
        self.name = name
        self.log = log
        self.scheduler = scheduler
        self.watch: Watch | None = None
        self.new = False  # whether it was begun by whoever opened it
        self.loops = False  # whether the loop runs, whose clock is the executor's
        self.stop_wanted: str | None = None  # why, where `watch` wants the loop to end
        self._held: list[Event] | None = None  # folded, and made durable together with others
        self._session = False
        self._opened = time.time()
        self._state = "interrupted" if state == "running" else state  # it died with its process
        self._sampler = sampler
        try:
            self._read()
            if asked is not None:
                check_same(name, self.history.identity, asked)
            self._decider = Decider(sampler, scheduler)
            self._chooser = Chooser() if chooses(self.identity.sampler) else None
        except BaseException:
            log.close()
            raise

    @property
    def identity(self) -> Identity:
        """What the study is; of its space, what it was changed to last."""
        return self.history.identity

    @property
    def space(self) -> CompiledSpace:
        """The space from which configurations come now."""
        return self.history.space

    def _read(self) -> None:
        self.history = History(self.scheduler, self._sampler).fold_all(self.log.read())
        self._logged, self._settled = self.history.length, True  # events that are known to be in the log

    def catch_up(self) -> bool:
        """Read the log anew if the history is ahead of it; whether it was.

        Events are folded before they are logged where decisions build on each other; a full disk or a second
        Ctrl-C in between leaves them in the history alone; one in an append, nobody knows where.
        """
        ahead = not self._settled or self._logged + len(self._held or ()) != self.history.length
        if ahead:
            self._read()
        return ahead

    # -- decisions ------------------------------------------------------------------------------------

    def next_event(self, now: float, *, only_stops: bool = False) -> Event | Wait | Done:
        """The event that the policies decide on now, not yet logged; `only_stops` where no slot is free.

        Where the study chooses its sampler itself, the event of another choice comes first.
        """
        if self._chooser is None or only_stops:
            return self._decider.next(self.history, now, only_stops=only_stops)
        choice = self._chooser.due(self.history, now)
        if choice is not None:
            return choice
        began = time.perf_counter()
        event = self._decider.next(self.history, now)
        if isinstance(event, ev.JobStarted) and event.values is not None:
            self._chooser.took(self.history, time.perf_counter() - began)
        return event

    def stop_trials(self, now: float) -> list[int]:
        """Log the scheduler's decisions to stop running trials, and name these."""
        stopped = []
        while isinstance(event := self.next_event(now, only_stops=True), ev.TrialStopped):
            self.commit([event])
            stopped.append(event.trial)
        return stopped

    @property
    def done(self) -> bool:
        """Whether nothing runs and nothing will."""
        return not self.history.running and isinstance(decide(self.history, self.scheduler), Done)

    # -- the session ----------------------------------------------------------------------------------

    @property
    def in_session(self) -> bool:
        return self._session and self._logged == self.history.length

    def begin(
        self, executor: str, workers: int, objective: str | None, now: float, *, adopt: bool = False
    ) -> None:
        """Take the study up: what the log says is running died with its process, and runs again.

        With `adopt` such jobs go on: others run them, who outlive this process.
        """
        self.catch_up()
        self.stop_wanted = None
        history = self.history
        died = [] if adopt else unfinished(history)
        events: list[Event] = [
            ev.JobFailed(running.job.trial, Failure.INTERRUPTED, "its study died", running.job.attempt, now)
            for running in died
        ]
        host, pid = socket.gethostname(), os.getpid()
        events.append(ev.SessionStarted(host, pid, executor, workers, objective, now))
        if objective and history.objective and objective != history.objective:
            events.append(
                ev.Recorded("objective changed", {"from": history.objective, "to": objective}, None, now)
            )
            warnings.warn(
                f"the objective's code has changed since study {self.name!r} ran last; earlier results stay",
                stacklevel=4,
            )
        self._session, self._state = True, "running"
        if self._chooser is not None:
            self._chooser.workers = workers
        self.commit(events)

    def end(self, reason: str, now: float) -> None:
        """End the session, which another may follow."""
        if self._session:
            self._session, self._state = False, _STATES.get(reason, "done")
            self.commit([ev.SessionEnded(reason, now)])

    def want_stop(self, now: float) -> None:
        """Start no further job in this session; without one there is nothing to stop."""
        if self.loops:
            self.stop_wanted = "stopped"
        elif self._session and self.history.stopping is None:
            self.commit([ev.StopDecided("stopped", now)])

    def set_limits(self, limits: Limits, now: float) -> None:
        """Log when the study ends from now on; a finished one may have something to do again."""
        self._state = self._state if self._session else "idle"
        self.commit([ev.LimitsChanged(limits, now)])

    # -- the log --------------------------------------------------------------------------------------

    def commit(self, events: Sequence[Event]) -> None:
        """Make events durable, then fold them: nothing is acted on before it is in the log."""
        if not events:
            return
        self._settled = False
        if self._held is None:
            self._append(events)
        for event in events:
            self.history.fold(event)
        self._settled = True
        self._logged_or_held(events)

    def commit_folded(self, events: Sequence[Event]) -> None:
        """Make events durable that are folded already: a batch whose decisions build on each other."""
        if events:
            if self._held is None:
                self._append(events)
            self._logged_or_held(events)

    def _logged_or_held(self, events: Sequence[Event]) -> None:
        if self._held is not None:
            self._held += events
        elif self.watch is not None:
            self.watch(events)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make what is committed in this block durable in one go, at its end: it is to be told only then.

        Raises:
            StorageError: at its end: nothing of it is in the log, see `catch_up`.
        """
        self._held = []
        try:
            yield
        finally:
            self.flush()
            self._held = None

    def flush(self) -> None:
        """Make durable now what `together` holds."""
        events, self._held = self._held, None
        if events is not None:
            self.commit_folded(events)
            self._held = []

    def _append(self, events: Sequence[Event]) -> None:
        now: float = events[-1].time  # type: ignore[attr-defined]  # every event has one
        self.log.append(events, summary_of(self.history, self._state, now))
        self._logged += len(events)

    def tick(self, now: float) -> list[Event]:
        """Renew the lease; the events that take up what other processes ask of this study, not yet logged."""
        self.log.heartbeat()
        requests = self.log.requests()
        events = [self._taken_up(request, now) for request in requests]
        stops = [
            _STOPS[request.request]
            for request in requests
            if request.request in _STOPS and request.time >= self._opened  # else it meant an earlier session
        ]
        if stops and self.history.stopping is None:
            events.append(ev.StopDecided(stops[0], now))
        return events

    def _taken_up(self, request: Request, now: float) -> Event:
        """The event of a request; a configuration that is not in the space is refused, not queued."""
        if request.request == "enqueue":
            try:
                asked = asked_configuration(self.history, request.data)
                return ev.Requested("enqueue", asked, now, request.id)
            except SpaceError as error:
                warnings.warn(f"a configuration that was asked for is refused: {error}", stacklevel=4)
                data = {"request": "enqueue", "data": request.data, "why": str(error)}
                return ev.Requested("refused", data, now, request.id)
        return request.folded(now)

    def overdue(self, now: float) -> ev.StopDecided | None:
        """The decision that the wall time is spent, not yet logged; None as long as there is some left."""
        limit, history = self.history.limits.seconds, self.history
        if limit is None or history.stopping is not None:
            return None
        left = limit - history.clock.spent(now)
        if left <= 0.0:
            return ev.StopDecided("budget", now)
        if self.identity.confirm and not history.confirming and left < time_to_confirm(history):
            return ev.StopDecided(CONFIRM, now)
        return None

    @property
    def out_of_resource(self) -> bool:
        """Whether the next job is one that `total_resource` has no room for."""
        return out_of_resource(self.history, self.scheduler)

    @property
    def ended(self) -> str | None:
        """Why no further job starts (a limit, a request); None if only the policies can say."""
        return ended(self.history)

    def close(self) -> None:
        """End the session, if one is open, and let another process write the study."""
        try:
            self.end(self.ended or "closed", time.time())
        finally:
            self.log.close()


def summary_of(history: History, state: str, now: float) -> Summary:
    """What a list of studies shows of one, in `state` at `now`."""
    best = leading(history)
    identity = history.identity
    return Summary(
        door=identity.door,
        state=state,
        trials=len(history.values),
        finished=len(history.values) - len(history.running) - len(history.retry),
        metric=identity.metric,
        best=best.value if best else None,
        spent=history.spent,
        seconds=history.clock.spent(now),
        created=history.created,
        updated=now,
    )
