"""When each job ran, laid out in lanes: what the workers did."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple

from rung.trials import events as ev
from rung.trials.events import Event, Failure


class Job(NamedTuple):
    """A job of `trial` from resource `start` up to `until`.

    `began` and `ended` are seconds of the study's running time: pauses between sessions are left out. The
    log does not name workers: `lane` is the first that was free, so that there are as many as jobs ran at
    the same time. `outcome` is "finished", "stopped", "running" or a `Failure`.
    """

    trial: int
    lane: int
    began: float
    ended: float
    start: int
    until: int
    outcome: str


class Sessions(NamedTuple):
    """All jobs in order of their beginnings, and when each session after the first began."""

    jobs: list[Job]
    breaks: list[float]
    seconds: float


class _Open(NamedTuple):
    job: ev.JobStarted
    lane: int
    began: float


def jobs(events: Iterable[Event]) -> Sessions:
    """Every job of a log."""
    fold = _Fold()
    for event in events:
        fold.take(event)
    return fold.finish()


class _Fold:
    def __init__(self) -> None:
        self.shift: float | None = None  # running time is clock time plus this
        self.last = 0.0  # running time so far
        self.open: dict[int, _Open] = {}
        self.free: list[int] = []
        self.lanes = 0
        self.done: list[Job] = []
        self.breaks: list[float] = []

    def take(self, event: Event) -> None:
        match event:
            case ev.SessionStarted(time=time):
                if self.shift is not None:
                    self.breaks.append(self.last)
                self.shift = self.last - time
            case ev.JobStarted():
                self._start(event, self._now(event.time))
            case ev.JobFinished() | ev.JobStopped() | ev.JobFailed():
                running = self.open.get(event.trial)
                if running is not None and running.job.attempt == event.attempt:
                    self._end(running, self._now(event.time), _outcome(event))
            case ev.Reported(time=time) | ev.SessionEnded(time=time):
                self._now(time)

    def _now(self, time: float) -> float:
        if self.shift is None:  # a log without a session: the caller's own loop
            self.shift = -time
        self.last = max(self.last, time + self.shift)
        return self.last

    def _start(self, job: ev.JobStarted, now: float) -> None:
        if self.free:
            lane = heapq.heappop(self.free)
        else:
            lane, self.lanes = self.lanes, self.lanes + 1
        self.open[job.trial] = _Open(job, lane, now)

    def _end(self, running: _Open, now: float, outcome: str) -> None:
        job, lane, began = running
        del self.open[job.trial]
        heapq.heappush(self.free, lane)
        self.done.append(Job(job.trial, lane, began, now, job.start, job.until, outcome))

    def finish(self) -> Sessions:
        for running in list(self.open.values()):
            self._end(running, self.last, "running")
        return Sessions(sorted(self.done, key=lambda job: (job.began, job.lane)), self.breaks, self.last)


def _outcome(event: ev.JobFinished | ev.JobStopped | ev.JobFailed) -> str:
    if isinstance(event, ev.JobFailed):
        return str(Failure(event.failure))
    return "finished" if isinstance(event, ev.JobFinished) else "stopped"


def merged(jobs: list[Job], shortest: float) -> list[tuple[Job, int]]:
    """Jobs for drawing: neighbours in a lane with one outcome and one goal that are shorter than `shortest`
    become one; beside each, how many it stands for.
    """
    last: dict[int, int] = {}
    found: list[tuple[Job, int]] = []
    for job in jobs:
        place = last.get(job.lane)
        if place is not None:
            before, count = found[place]
            alike = (before.outcome, before.until) == (job.outcome, job.until)
            short = job.ended - job.began < shortest and job.ended - before.began < 8 * shortest
            if alike and short and job.began - before.ended < shortest:
                found[place] = (before._replace(ended=job.ended), count + 1)
                continue
        last[job.lane] = len(found)
        found.append((job, 1))
    return found
