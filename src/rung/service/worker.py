"""A machine that lends slots to a service: it registers, polls for jobs, runs them until it is told to go.

The worker outlives the service: while that is away, jobs go on and what they say waits. It holds nothing that
the service needs: if it dies, its jobs' leases run out and others take them up from their last checkpoints.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from rung.errors import MissingError, UserError
from rung.executors.gpus import visible_gpus
from rung.service.http import Api, AwayError, Call, of_job
from rung.service.wire import Job, Joined, Polled
from rung.service.worker_machine import gpus_of
from rung.service.worker_objectives import Objectives
from rung.service.worker_refusals import Refusals
from rung.service.worker_run import Engine, Run, Slot, was_lost, went_well

_WAIT: Final = 20.0  # seconds that a poll may wait at the service, or a third of a lease
_REST: Final = 1.0  # between two polls that bring nothing new
_POLLS: Final = 3  # at once: a slot that is free does not wait for the poll before
_ENDED: Final = 1000  # jobs that are known to have ended
_LATE: Final = 10.0  # seconds that the service gets to hear the last word
_TURN: Final = 5.0  # that a poll may wait where nothing runs, and another service may have something
_IDLE: Final = 10.0  # that a slot without a job keeps its place in a cluster


@dataclass(frozen=True)
class Lent:
    """What a machine lends.

    Attributes:
        name: by which people know it; a later worker of the same user and name takes its place.
        slots: jobs at once.
        labels: anything that is worth knowing about it.
    """

    name: str
    slots: int
    labels: Mapping[str, str] = field(default_factory=dict)


class Worker:
    """Lends this machine's slots until `drain` is called.

    Args:
        api: whose patience should be without end.
        say: takes sentences that people should read.
        room: slots for which there is a place now; a cluster may have fewer than were lent.
    """

    def __init__(
        self,
        api: Api,
        lent: Lent,
        engine: Engine,
        objectives: Objectives,
        say: Callable[[str], object],
        room: Callable[[], int] | None = None,
    ) -> None:
        self._api = api
        self._lent = lent
        self._engine = engine
        self._objectives = objectives
        self._say = say
        self._room = room or (lambda: lent.slots)
        gpus = visible_gpus() if engine.name == "local" else ()
        self._slots = [Slot(engine, index, gpus_of(gpus, index, lent.slots)) for index in range(lent.slots)]
        self._free = deque(self._slots)
        self._runs: dict[tuple[str, int, int], Run] = {}  # by `Job.place`
        self._queued: deque[Job] = deque()  # given, and no slot is free yet
        self._known: deque[tuple[str, object]] = deque(maxlen=_ENDED)  # ended, by study's key and place
        self._refusals = Refusals(say)
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._polls = 0
        self._stale = False  # whether a slot became free since the last poll began
        self._id = ""
        self._run = secrets.token_hex(8)  # by which the service knows this process from the one before
        self._joining = False
        self._lease = _WAIT * 3
        self._leaving_since: float | None = None
        self._failed: UserError | None = None
        self.finished = self.failed = 0

    # -- from outside ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Until it is drained.

        Raises:
            NotAllowedError: the service does not take machines from this token.
            AwayError: the service did not hear of the last jobs' ends.
        """
        self._join()
        try:
            while not self._is_done():
                self._poll_if_due()
                with self._lock:  # by which nobody takes a free slot meanwhile
                    _let_go(self._free, _IDLE)
                self._wake.wait(0.5)
                self._wake.clear()
        finally:
            self._leave()
        if self._failed is not None:
            raise self._failed

    def drain(self) -> None:
        """Take no more jobs; those that run save and stop at their next report, and go on elsewhere.

        To be called from another thread than the one that runs, as by a signal's handler.
        """
        if self._leaving_since is None:
            self._leaving_since = time.monotonic()
        if not self._id:  # it waits for the service to be there
            self._api.give_up()
        self._wake.set()

    @property
    def draining(self) -> bool:
        return self._leaving_since is not None

    def status(self) -> str:
        """Where it stands, in one line."""
        with self._lock:
            busy = sum(len(run.slots) for run in self._runs.values())
            waiting = len(self._queued)
        parts = [f"{self._lent.name}: {busy} of {self._lent.slots} slots busy", f"{self.finished} jobs done"]
        if self.failed:
            parts.append(f"{self.failed} not")
        if waiting:
            parts.append(f"{waiting} waiting")
        if self._refusals:
            parts.append(f"{len(self._refusals)} studies refused")
        if self.draining:
            parts.append("leaving: jobs stop at their next report")
        return " · ".join([*parts, *_away(self._api)])

    # -- the service ----------------------------------------------------------------------------------

    def _join(self) -> None:
        lent = self._lent
        body = {"name": lent.name, "run": self._run, "slots": lent.slots, "labels": dict(lent.labels)}
        joined = msgspec.convert(self._api.json(Call("POST", "/workers", body)), Joined)
        self._id, self._lease = joined.id, joined.lease_seconds

    def _leave(self) -> None:
        """Give back what was lent; without an answer its lease runs out."""
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.stop("leaving")
        self._api.patience = 1.0
        try:
            self._api.json(Call("DELETE", f"/workers/{self._id}"))
        except UserError:
            self._api.give_up()
        for slot in self._slots:
            slot.close()

    def _poll_if_due(self) -> None:
        with self._lock:
            due = self._polls == 0 or (self._stale and self._polls < _POLLS)
            if not due:
                return
            self._polls += 1
            self._stale = False
        threading.Thread(target=self._poll, name="rung-poll", daemon=True).start()

    def _poll(self) -> None:
        began, news = time.monotonic(), False
        number = self._id
        try:
            turns = len(self._api.urls) > 1 and not self._runs
            wait = min(_TURN if turns else _WAIT, self._lease / 3)
            body = self._present(wait)
            answer = self._api.json(Call("POST", f"/workers/{number}/poll", body, wait=wait))
            with self._lock:
                self._refusals.was_heard(body["refuse"])
            news = self._take(msgspec.convert(answer, Polled))
            idle = time.monotonic() - began > wait / 2 and not (news or self._runs or self._queued)
            if turns and idle and not self.draining:
                self._try_next(number)
        except MissingError:  # the service was started again, or our name taken
            self._join_again(number)
        except AwayError:
            pass  # it was given up: we leave
        except UserError as error:
            self._failed = self._failed or error
            self.drain()
        finally:
            rest = 0.0 if news else max(0.0, _REST - (time.monotonic() - began))
            if rest:  # it had nothing to say, and would say so again
                self._api.rest(rest)
            with self._lock:
                self._polls -= 1
            self._wake.set()

    def _present(self, wait: float) -> dict[str, Any]:
        room = self._room()
        with self._lock:
            jobs = [*(run.job for run in self._runs.values()), *self._queued]
            waiting = sum(job.devices for job in self._queued)
            there = min(len(self._free), room - (len(self._slots) - len(self._free)))
            unable = self.draining or self._refusals.paused
            free = 0 if unable else max(0, there - waiting)
            refused = self._refusals.unheard
        running = [job.named() for job in jobs]
        body = {"running": running, "free": free, "wait": wait, "refuse": refused}
        if unable or room < len(self._slots):  # nothing is to be planned for the others
            body["lends"] = 0 if unable else room
        return body

    def _join_again(self, number: str) -> None:
        with self._lock:
            if self._id != number or self._joining or self.draining:
                return
            self._joining = True
        try:
            self._join()
        except UserError as error:
            self._failed = self._failed or error
            self.drain()
        finally:
            self._joining = False

    def _try_next(self, number: str) -> None:
        """Go to the next service: this one has no job."""
        at = self._api.at
        with suppress(MissingError):
            self._api.json(Call("DELETE", f"/workers/{number}"))
        self._api.turn_from(at)
        self._join_again(number)

    def _take(self, polled: Polled) -> bool:
        """Start and stop what the service says; whether that was anything new."""
        news = False
        with self._lock:
            for job in polled.jobs:
                if job.place in self._runs or (job.key, job.place) in self._known or job in self._queued:
                    continue
                self._queued.append(job)
                news = True
            for stop in polled.stop:
                run = self._runs.get(stop.place)
                if run is not None:
                    run.stop(stop.why)
                self._queued = deque(job for job in self._queued if job.place != stop.place)
        self._start_queued()
        return news

    # -- jobs -----------------------------------------------------------------------------------------

    def _start_queued(self) -> None:
        with self._lock:
            while self._queued and min(self._queued[0].devices, len(self._slots)) <= len(self._free):
                job = self._queued.popleft()
                slots = _pick(self._free, job)
                run = Run(self._api, job, slots, self._engine, self._objectives, self._ended, self._say)
                self._runs[job.place] = run
                run.start()

    def _ended(self, run: Run) -> None:
        """A job's run is over; called from its thread."""
        with self._lock:
            del self._runs[run.job.place]
            self._known.append((run.job.key, run.job.place))
            self._free.extend(slot.freed_by(run.job.study) for slot in run.slots)
            well = went_well(run) and run.over is None
            self.finished, self.failed = self.finished + well, self.failed + (not well)
            self._stale = True
            if run.refused is not None:
                self._refusals.refuse(run.job.study, run.refused)
            if run.unfit is not None:
                self._refusals.pause(run.unfit)
            gone = None if isinstance(run.broken, AwayError) else run.broken
            if gone is not None or run.lost is not None:
                self._failed = self._failed or gone or run.lost
                self.drain()
            if was_lost(run):  # another slot's place may have been on the same node
                _let_go(self._free, 0.0)
        self._start_queued()
        self._wake.set()

    def _is_done(self) -> bool:
        """Whether to leave: it is to, and nothing runs any more."""
        if self._leaving_since is None:
            return False
        with self._lock:
            queued, runs = list(self._queued), list(self._runs.values())
            self._queued.clear()
        for job in queued:
            threading.Thread(target=_return, args=(self._api, job), daemon=True).start()
        for run in runs:
            run.stop("leaving")
        if runs and time.monotonic() - self._leaving_since > self._engine.grace + _LATE:
            self._failed = self._failed or _untold(self._api, len(runs))
            self._api.give_up()
        return not runs


def _return(api: Api, job: Job) -> None:
    """Give back a job that was not begun."""
    with suppress(UserError):  # its lease runs out
        api.json(of_job(job, "tell", {"outcome": "stopped"}))


def _away(api: Api) -> list[str]:
    """That the service is away, in a few words, if it is."""
    since = api.away_since
    away = 0.0 if since is None else time.monotonic() - since
    return [f"the service is away for {away:.0f} s"] if away > 2 else []


def _untold(api: Api, jobs: int) -> AwayError:
    return AwayError(
        f"the service at {api.names} does not answer: how {jobs} jobs ended is not told, "
        "and they will be given out again"
    )


def _let_go(free: Iterable[Slot], seconds: float) -> None:
    for slot in free:
        slot.let_go(seconds)


def _pick(free: deque[Slot], job: Job) -> list[Slot]:
    """Take slots for it: first the one that ran its study last, whose process is up, else the latest used."""
    first = max(free, key=lambda slot: (slot.study == job.study, slot.freed))
    free.remove(first)
    return [first, *(free.pop() for _ in range(min(job.devices - 1, len(free))))]
