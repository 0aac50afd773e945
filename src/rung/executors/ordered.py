"""Jobs on any number of real workers, told in the order in which a stated number of simulated ones would end.

A study's decisions depend on the order in which results come. Here that order is one of a virtual clock, on
which a unit of resource takes a unit of time on each of `simulated` workers: what a job tells up to its
next gate, or its end, is due at that moment, and waits until everything that is due earlier has been told.
So the log is the same, but for times, on one real worker or on many.

Real jobs wait at no gate: they run on while their turn to be judged has not come, and one that is stopped
then ends, for the study, right at the gate. What a real clock decides (a job that is lost, a limit on a
job's time, a wall-time budget) is not the same elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from rung.executors.base import Executor, Job
from rung.trials.events import Event, JobFailed, JobFinished, JobStopped, Reported

_ENDS = (JobFinished, JobFailed, JobStopped)


class _Lane:
    """A job on a simulated worker: what its real one has told that the study has not been told yet."""

    __slots__ = ("began", "gates", "job", "told")

    def __init__(self, job: Job, began: float) -> None:
        self.job = job
        self.began = began  # virtual
        self.gates = deque(gate for gate in job.gates if gate > job.start)  # those ahead
        self.told: deque[Event] = deque()

    @property
    def goal(self) -> int:
        """The resource at which it tells next."""
        return self.gates[0] if self.gates else self.job.until

    @property
    def due(self) -> tuple[float, int]:
        """The virtual time of that; of equal ones the older trial's comes first."""
        return self.began + self.goal - self.job.start, self.job.trial

    @property
    def ready(self) -> bool:
        """Whether its real job has come so far."""
        return any(
            isinstance(event, _ENDS) or (isinstance(event, Reported) and self._at_gate(event))
            for event in self.told
        )

    def _at_gate(self, event: Reported) -> bool:
        return bool(self.gates) and event.resource >= self.gates[0]

    def pass_on(self) -> list[Event]:
        """What it tells at its next gate or its end."""
        events: list[Event] = []
        while self.told:
            event = self.told.popleft()
            events.append(event)
            if isinstance(event, Reported) and self._at_gate(event):
                while self.gates and self.gates[0] <= event.resource:
                    self.gates.popleft()
                break
        return events


class OrderedExecutor:
    """Wraps an executor: `workers` jobs at once as the study sees it, told in virtual order.

    Args:
        inner: runs the jobs, as many at once as it can.
        simulated: number of simulated workers.
        strict: where all jobs are told to stop, one that is due after the first that did so runs again, even
            if it has ended: the study then goes on as if it had not been interrupted.
    """

    def __init__(self, inner: Executor, simulated: int, *, strict: bool = False) -> None:
        self.name = inner.name
        self.workers = simulated
        self._inner, self._strict = inner, strict
        self._lanes: dict[int, _Lane] = {}
        self._waiting: deque[Job] = deque()
        self._clock = 0.0
        self._judged: int | None = None  # the trial that waits at a gate for the study's word
        self._dropped: set[tuple[int, int]] = set()  # (trial, attempt) that still run and are heard no more
        self._events: list[Event] = []
        self._cancelled: set[int] = set()  # trials that are to stop at their next report
        self._ending = False  # all are to stop, and one has
        self._closed = False

    @property
    def free_slots(self) -> int:
        return 0 if self._closed else self.workers - sum(lane.job.devices for lane in self._lanes.values())

    def submit(self, jobs: Sequence[Job]) -> None:
        self._ending = False
        for job in jobs:
            self._lanes[job.trial] = _Lane(job, self._clock)
            self._cancelled.discard(job.trial)
            self._waiting.append(job._replace(gates=()))
        self._feed()

    def _feed(self) -> None:
        """Hand waiting jobs to real workers that are free; a trial's earlier job has to be gone."""
        busy = {trial for trial, _ in self._dropped}
        free = self._inner.free_slots
        chosen: list[Job] = []
        for job in [job for job in self._waiting if job.trial not in busy]:
            real = job._replace(devices=min(job.devices, self._inner.workers))
            free -= real.devices
            if free < 0:
                break  # in their order: the next one may be smaller, but waits
            self._waiting.remove(job)
            chosen.append(real)
        if chosen:
            self._inner.submit(chosen)

    def poll(self, timeout: float | None) -> list[Event]:
        """What the simulated workers tell next; nothing while the real job of the one that is due goes on."""
        self._judged = None
        first = self._first()
        waits = not self._events and (first is None or not first.ready)
        for event in self._inner.poll(timeout if waits else 0.0):
            self._take(event)
        self._feed()
        events, self._events = self._events, []
        first = self._first()
        if not events and first is not None and first.ready:
            events = self._tell(first)
        return events

    def _take(self, event: Event) -> None:
        trial, attempt = event.trial, getattr(event, "attempt", 0)  # type: ignore[attr-defined]  # a job's
        if (trial, attempt) in self._dropped:
            if isinstance(event, _ENDS):
                self._dropped.discard((trial, attempt))
        elif trial in self._lanes:
            self._lanes[trial].told.append(event)

    def _first(self) -> _Lane | None:
        """The lane that is due next by the virtual clock."""
        return min(self._lanes.values(), key=lambda lane: lane.due, default=None)

    def _tell(self, lane: _Lane) -> list[Event]:
        self._clock = max(self._clock, lane.due[0])
        trial, all_stop = lane.job.trial, self._cancelled.issuperset(self._lanes)
        events = lane.pass_on()
        if self._strict and self._ending and isinstance(events[-1], JobFinished):
            events = [JobStopped(trial, lane.job.attempt, self.now())]
        self._ending = self._ending or (all_stop and isinstance(events[-1], JobStopped))
        if isinstance(events[-1], _ENDS):
            del self._lanes[lane.job.trial]
        else:
            self._judged = lane.job.trial
        return events

    def cancel(self, trial: int) -> None:
        """One that waits at a gate has ended for the study, whatever its real job still does."""
        lane = self._lanes.get(trial)
        if lane is None:
            return
        job = lane.job
        waiting = next((one for one in self._waiting if one.trial == trial), None)
        if waiting is not None:
            self._waiting.remove(waiting)
        elif trial == self._judged and not any(isinstance(event, _ENDS) for event in lane.told):
            self._dropped.add((trial, job.attempt))
            self._inner.cancel(trial)
        elif trial != self._judged:
            self._cancelled.add(trial)
            self._inner.cancel(trial)
            return
        del self._lanes[trial]
        self._events.append(JobStopped(trial, job.attempt, self.now()))

    def now(self) -> float:
        return self._inner.now()

    def close(self, *, grace: float = 0.0) -> None:
        self._closed = True
        self._inner.close(grace=grace)
