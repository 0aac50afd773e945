"""Jobs on a virtual clock: thousands of workers, months of tuning in seconds.

Nothing runs. `curve` says what a trial would have reported at a resource, `duration` how long a job would
have taken, and the clock jumps from one happening to the next. Stragglers and dropped jobs are those of the
ASHA paper's simulations (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", appendix
A.1): a job's time is multiplied by 1 + |z| with z normal, and it is dropped with a fixed probability in each
unit of time. What befalls a job is a function of the seed, the trial, the attempt and where it starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, Literal

from rung.errors import Infeasible, StudyError
from rung.executors.base import Job
from rung.executors.calling import message_of, style_of
from rung.executors.metrics import as_metrics, as_number, is_number
from rung.executors.setup import Setup
from rung.space.draws import key
from rung.trials.events import (
    CheckpointSaved,
    Event,
    Failure,
    JobFailed,
    JobFinished,
    JobStopped,
    Reported,
)

Curve = Callable[[Mapping[str, Any], int, int], Any]
Duration = Callable[[Mapping[str, Any], int, int, int], float]


class SimulatedExecutor:
    """Runs jobs on a virtual clock that starts at 0.

    Args:
        workers: jobs at once.
        curve: `curve(config, trial, resource)`, the metrics as a mapping; may raise `rung.Infeasible`.
        duration: `duration(config, resource_from, resource_to, trial)`, in virtual seconds, without hazards.
        stragglers: standard deviation of z; 0 for none.
        drop: probability that a job is dropped in a second; it ends in `JobFailed(LOST)`, at that moment.
        seed: of stragglers and drops.
        reports: what a job tells: "ends", the metrics at its gates and at its end; "every", a report at each
            unit of resource too; "saves", as "ends", and a checkpoint at its end, so that the trial's next
            job goes on from there instead of from the start (it names a folder that does not exist).

    Attributes:
        speedups: how many times faster a job runs, by its number of devices; as fast where none is said.

    Raises:
        ValueError: a hazard that is no probability or is negative, or an unknown word for `reports`.
    """

    name = "simulated"
    virtual = True

    def __init__(
        self,
        workers: int,
        curve: Curve,
        duration: Duration,
        stragglers: float = 0.0,
        drop: float = 0.0,
        seed: int = 0,
        reports: Literal["ends", "every", "saves"] = "ends",
    ) -> None:
        if not (workers >= 1 and stragglers >= 0.0 and 0.0 <= drop < 1.0):
            raise ValueError("workers must be at least 1, stragglers at least 0, drop at least 0 and below 1")
        if reports not in ("ends", "every", "saves"):
            raise ValueError(f"reports must be 'ends', 'every' or 'saves', not {reports!r}")
        self.workers = workers
        self._curve = curve
        self._duration = duration
        self._stragglers = stragglers
        self._survival = math.log1p(-drop)  # of a second, as a logarithm
        self._hazards = stragglers > 0.0 or drop > 0.0
        self._seed = seed
        self._every = reports == "every"
        self._saves = reports == "saves"
        self.speedups: Mapping[int, float] = {}
        self._held = 0  # slots of running jobs
        self._heap: list[tuple[float, int, _Running]] = []  # when, which of equals first, whose
        self._running: dict[int, _Running] = {}
        self._gated: list[_Running] = []
        self._pending: list[Event] = []
        self._clock = 0.0
        self._count = 0
        self._closed = False
        self._worked = 0.0  # worker-seconds until now

    # -- the protocol ---------------------------------------------------------------------------------

    @property
    def free_slots(self) -> int:
        return 0 if self._closed else self.workers - self._held

    def submit(self, jobs: Sequence[Job]) -> None:
        wanted = sum(job.devices for job in jobs)
        if wanted > self.free_slots:
            raise ValueError(f"{len(jobs)} jobs want {wanted} of {self.free_slots} free slots")
        self._held += wanted
        clock, duration, running = self._clock, self._duration, self._running
        for job in jobs:
            seconds = duration(job.config, job.start, job.until, job.trial)
            if job.devices > 1:
                seconds /= self.speedups.get(job.devices, 1.0)
            state = _Running(job, clock, seconds)
            if self._hazards:
                self._befall(state)
            if self._every or job.gates:
                state.stops = self._stops(job)
            running[job.trial] = state
            self._schedule(state)

    def poll(self, timeout: float | None) -> list[Event]:
        """All that happens at the next moment at which anything does; `timeout` is in virtual seconds."""
        if self._gated:
            self._open_gates()
        heap, events = self._heap, self._pending
        if events:
            self._pending = []
            return events
        while heap and not events:
            moment = heap[0][0]
            if timeout is not None and moment > self._clock + timeout:
                break
            self._advance(moment)
            while heap and heap[0][0] == moment:
                self._happen(heappop(heap)[2], events)
            timeout = None if timeout is None else 0.0
        if not events and timeout:
            self._advance(self._clock + timeout)
        self._pending = [] if events else events
        return events

    def cancel(self, trial: int) -> None:
        """It stops at its next report; at once if it waits at a gate."""
        state = self._running.get(trial)
        if state is None:
            return
        state.cancelled = True
        if state in self._gated:
            self._gated.remove(state)
            self._end(state, JobStopped(trial, state.job.attempt, self._clock), self._pending)

    def now(self) -> float:
        return self._clock

    def close(self, *, grace: float = 0.0) -> None:
        """What still runs is interrupted; the next `poll` tells so."""
        for state in list(self._running.values()):
            job = state.job
            message = "the executor was closed"
            failed = JobFailed(job.trial, Failure.INTERRUPTED, message, job.attempt, self._clock)
            self._end(state, failed, self._pending)
        self._heap.clear()
        self._gated.clear()
        self._closed = True

    @property
    def utilisation(self) -> float:
        """The part of all workers' time so far in which they had a job."""
        return self._worked / (self.workers * self._clock) if self._clock > 0.0 else 0.0

    # -- a job's way ----------------------------------------------------------------------------------

    def _befall(self, state: _Running) -> None:
        """Draw what hinders this job: a straggler's factor, and the moment at which it is dropped."""
        job = state.job
        bits = key(self._seed, job.trial, job.start, job.attempt)
        if self._stragglers > 0.0:
            first, second = ((bits >> 32) + 0.5) * 2.0**-32, (bits & 0xFFFFFFFF) * 2.0**-32
            normal = math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)  # Box and Muller
            state.seconds *= 1.0 + self._stragglers * abs(normal)
        if self._survival < 0.0:
            uniform = (key(bits, 1) + 0.5) * 2.0**-64
            state.drops = math.log(uniform) / self._survival

    def _stops(self, job: Job) -> tuple[int, ...]:
        """Resources on the way at which it reports."""
        if self._every:
            return tuple(range(job.start + 1, job.until))
        return tuple(gate for gate in job.gates if job.start < gate < job.until)

    def _schedule(self, state: _Running) -> None:
        """Put the job's next happening on the heap."""
        job, after = state.job, state.seconds
        if state.passed < len(state.stops):
            after *= (state.stops[state.passed] - job.start) / (job.until - job.start)
        self._count += 1
        heappush(self._heap, (state.began + min(after, state.drops), self._count, state))

    def _happen(self, state: _Running, events: list[Event]) -> None:
        """The job reports, ends, or is dropped."""
        job = state.job
        if state.drops < math.inf and self._clock >= state.began + state.drops:
            message = "the job was dropped"
            self._end(state, JobFailed(job.trial, Failure.LOST, message, job.attempt, self._clock), events)
            return
        on_the_way = state.passed < len(state.stops)
        resource = state.stops[state.passed] if on_the_way else job.until
        try:
            metrics = self._metrics(job, resource)
        except Exception as error:  # noqa: BLE001  # whatever the user's curve raises is an event
            self._end(state, self._failed(job, error), events)
            return
        if on_the_way or state.cancelled:
            events.append(Reported(job.trial, resource, metrics, job.attempt, self._clock))
            self._go_on(state, resource, events)
        else:
            if self._saves:
                path = f"simulated/{job.trial}-{resource}"
                events.append(CheckpointSaved(job.trial, resource, path, job.attempt, self._clock))
            self._end(state, JobFinished(job.trial, job.attempt, metrics, self._clock), events)

    def _go_on(self, state: _Running, resource: int, events: list[Event]) -> None:
        state.passed += 1
        if state.cancelled:
            self._end(state, JobStopped(state.job.trial, state.job.attempt, self._clock), events)
        elif resource in state.job.gates:
            self._gated.append(state)
        else:
            self._schedule(state)

    def _open_gates(self) -> None:
        """Let go on whose report at a gate the last poll returned; time stood still for them."""
        for state in self._gated:
            self._schedule(state)
        self._gated.clear()

    def _metrics(self, job: Job, resource: int) -> dict[str, Any]:
        metrics = self._curve(job.config, job.trial, resource)
        if type(metrics) is not dict:
            return as_metrics(metrics)
        for value in metrics.values():
            if type(value) is not float:
                return as_metrics(metrics)
        return metrics

    def _failed(self, job: Job, error: Exception) -> JobFailed:
        failure = Failure.INFEASIBLE if isinstance(error, Infeasible) else Failure.ERROR
        return JobFailed(job.trial, failure, message_of(error), job.attempt, self._clock)

    def _end(self, state: _Running, event: Event, events: list[Event]) -> None:
        events.append(event)
        del self._running[state.job.trial]
        self._held -= state.job.devices

    def _advance(self, moment: float) -> None:
        self._worked += self._held * (moment - self._clock)
        self._clock = moment


class _Running:
    """A job on its way; times are relative to when it began."""

    __slots__ = ("began", "cancelled", "drops", "job", "passed", "seconds", "stops")

    def __init__(self, job: Job, began: float, seconds: float) -> None:
        self.job = job
        self.began = began
        self.seconds = seconds
        self.drops = math.inf
        self.stops: tuple[int, ...] = ()
        self.passed = 0  # stops behind it
        self.cancelled = False


def simulate(setup: Setup) -> SimulatedExecutor:
    """The simulated executor for an ordinary objective: one second a unit of resource, without hazards.

    A function of (config, budget) is asked at each resource that matters (1 in a study without one).

    Raises:
        StudyError: the objective wants the trial's handle, which a simulation has not.
    """
    function, style, metric = setup.objective, style_of(setup.objective), setup.metric
    if style == "trial":
        raise StudyError(
            "the simulated executor calls the objective as a function of (config, budget), at each resource "
            "that it wants to know: write it so, or use executor='inline'"
        )

    def curve(config: Mapping[str, Any], trial: int, resource: int) -> Mapping[str, float]:
        told = function(dict(config)) if style == "config" else function(dict(config), resource)
        if is_number(told):
            return {metric: as_number(metric, told)}
        if not isinstance(told, Mapping):
            raise StudyError(f"the objective returned a {type(told).__name__}, but no metrics")
        return as_metrics(told)

    return SimulatedExecutor(setup.workers, curve, _by_resource)


def _by_resource(config: Mapping[str, Any], first: int, last: int, trial: int) -> float:
    return float(last - first)
