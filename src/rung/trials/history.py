"""The history of a study: the fold of its log, and the only thing that policies read.

It keeps, as it folds, what every decision needs: configurations, results by fidelity, running jobs, counts.
The scheduler's and the sampler's own states are folds too (`Folding`), kept here and rebuilt by replaying.
Inside, everything is minimised; a NaN, infinite or missing metric is the worst value, `inf`.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from rung.space.values import Values
from rung.trials import events as ev
from rung.trials.events import Event, Failure, Identity, JobStarted, Limits, Origin
from rung.trials.states import TrialState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rung.space.compiled import CompiledSpace

WORST = math.inf
ENQUEUED = "enqueued"  # the origin of a configuration that the user gave
EXHAUSTED = "exhausted"  # the sampler has no configuration left


class Result(NamedTuple):
    """A trial's value (minimised; `inf` where it has none) at a rung: at a gate, or where its job ended."""

    trial: int
    resource: int
    value: float
    bracket: int


class Checkpoint(NamedTuple):
    resource: int
    path: str


class Incumbent(NamedTuple):
    """The best trial at the largest resource that any trial reached; `value` in the metric's own sense."""

    trial: int
    resource: int
    value: float


class Column:
    """Results at one fidelity, in the order they came: trial numbers and minimised values."""

    __slots__ = ("trials", "values")

    def __init__(self) -> None:
        self.trials = array("q")
        self.values = array("d")

    def __len__(self) -> int:
        return len(self.trials)


class Running:
    """A job under way, and how far it has come."""

    __slots__ = ("final", "job", "passed", "stopping")

    def __init__(self, job: JobStarted, earlier: Running | None = None) -> None:
        self.job = job
        self.passed = earlier.passed if earlier else 0  # gates behind it
        self.final = earlier.final if earlier else None  # value of the first report at or past `until`
        self.stopping = False  # its scheduler stops it for good

    @property
    def next_gate(self) -> int:
        """The resource of the result that comes next."""
        job = self.job
        return job.gates[self.passed] if self.passed < len(job.gates) else job.until


class Clock:
    """Wall time spent running, over all sessions; a session that died ends with its last event."""

    __slots__ = ("began", "last", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.began: float | None = None
        self.last = 0.0

    def start(self, time: float) -> None:
        self.stop(self.last)
        self.began = self.last = time

    def stop(self, time: float) -> None:
        if self.began is not None:
            self.seconds += max(0.0, time - self.began)
            self.began = None

    def spent(self, now: float) -> float:
        """Seconds spent running at clock time `now`."""
        return self.seconds + (max(0.0, now - self.began) if self.began is not None else 0.0)


class Folding(Protocol):
    """A policy part with a state of its own: a function of the log, kept by the history.

    `fold` is told each job that starts and each result, in the order of the log; it may change `state` in
    place, and returns it.
    """

    def initial(self, identity: Identity) -> Any: ...

    def fold(self, state: Any, item: JobStarted | Result) -> Any: ...


class History:
    """The fold of one study's log.

    Args:
        scheduler, sampler: parts whose states to keep, if they are `Folding`.

    Attributes:
        values, origins, brackets, states: one entry a trial, in order of number.
        results: by resource, every result there (`Column`), failed ones as `inf`.
        running: trial number to its running job.
        retry: jobs that must run again, oldest first (lost or interrupted ones); taken from the front.
        checkpoints: trial number to the latest one.
        scheduler, sampler: their states.
        spent: total resource of all jobs started; a job that runs again is counted once.
    """

    def __init__(self, scheduler: object = None, sampler: object = None) -> None:
        self._fold_scheduler = scheduler if hasattr(scheduler, "fold") else None
        self._fold_sampler = sampler if hasattr(sampler, "fold") else None
        self.scheduler: Any = None
        self.sampler: Any = None
        self.identity: Identity = None  # type: ignore[assignment]  # set by StudyCreated, always first
        self.limits = Limits()
        self.values: list[Values] = []
        self.origins: list[Origin] = []
        self.brackets: list[int] = []
        self.states: list[TrialState] = []
        self.results: dict[int, Column] = {}
        self.running: dict[int, Running] = {}
        self.retry: deque[Running] = deque()
        self.reached = array("q")  # by trial, the largest resource reported
        self.enqueued: deque[Mapping[str, Any]] = deque()
        self.checkpoints: dict[int, Checkpoint] = {}
        self.incumbent: Incumbent | None = None
        self.records: dict[str, list[ev.Recorded]] = {}
        self.spent = 0
        self.clock = Clock()
        self.stopping: str | None = None  # why no more jobs start in this session
        self.exhausted = False  # the sampler has no configuration left
        self.objective: str | None = None  # fingerprint of the code that ran last
        self.length = 0  # events folded
        self._latest = array("d")  # by trial, the minimised value there
        self._lost: dict[int, int] = {}  # trial -> lost attempts of its present job
        self._encoded: NDArray[np.float64] | None = None
        self._encoded_rows = 0
        self._largest = 1
        self._best = WORST
        self._sign = 1.0
        self._metric = ""
        self._plain = True
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.StudyCreated: self._created,
            ev.LimitsChanged: self._limits_changed,
            ev.SessionStarted: self._session_started,
            ev.SessionEnded: self._session_ended,
            ev.JobStarted: self._job_started,
            ev.Reported: self._reported,
            ev.CheckpointSaved: self._checkpoint_saved,
            ev.CheckpointDeleted: self._checkpoint_deleted,
            ev.JobFinished: self._job_finished,
            ev.JobFailed: self._job_failed,
            ev.JobStopped: self._job_stopped,
            ev.TrialStopped: self._trial_stopped,
            ev.StopDecided: self._stop_decided,
            ev.Requested: self._requested,
            ev.Recorded: self._recorded,
        }

    # -- questions ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Trials started so far."""
        return len(self.values)

    @property
    def may_start(self) -> bool:
        """Whether one more configuration may be started (running jobs and promotions aside)."""
        limit = self.limits.trials
        return self.stopping is None and not self.exhausted and (limit is None or len(self.values) < limit)

    def may_spend(self, cost: int) -> bool:
        """Whether a job of this cost still fits into the budget."""
        limit = self.limits.total_resource
        return limit is None or self.spent + cost <= limit

    def start_of(self, trial: int) -> int:
        """The resource from which the next job of `trial` would go on: its checkpoint's, or 0."""
        checkpoint = self.checkpoints.get(trial)
        return checkpoint.resource if checkpoint else 0

    def minimised(self, metrics: Mapping[str, Any] | None) -> float:
        """The study's metric among `metrics`, minimised; `inf` if it is missing or not a finite number."""
        value = None if metrics is None else metrics.get(self._metric)
        if value is None or isinstance(value, bool) or not isinstance(value, int | float):
            return WORST
        value = self._sign * value
        return value if -math.inf < value < math.inf else WORST

    def matrix(self, space: CompiledSpace) -> NDArray[np.float64]:
        """All configurations, encoded: (trials, dimensions) in the unit cube, NaN where inactive.

        Only what is new since the last call is encoded; the array is a view, not to be changed.
        """
        known, wanted = self._encoded, len(self.values)
        if known is None or len(known) < wanted:
            grown = np.empty((max(64, 2 * wanted), space.size))
            if known is not None:
                grown[: self._encoded_rows] = known[: self._encoded_rows]
            known = self._encoded = grown
        if self._encoded_rows < wanted:
            known[self._encoded_rows : wanted] = space.encode(self.values[self._encoded_rows : wanted])
            self._encoded_rows = wanted
        return known[:wanted]

    # -- the fold -------------------------------------------------------------------------------------

    def fold(self, event: Event) -> None:
        """Take one event in; events come in the order of the log."""
        self._handlers[type(event)](event)
        self.length += 1

    def fold_all(self, events: Iterable[Event]) -> History:
        """Take many events in, and return this history."""
        for event in events:
            self.fold(event)
        return self

    def _created(self, event: ev.StudyCreated) -> None:
        self.identity = event.identity
        self._metric = event.identity.metric
        self._sign = -1.0 if event.identity.mode == "max" else 1.0
        self._largest = event.identity.resource.maximum if event.identity.resource else 1
        self._plain = event.identity.resource is None
        if self._fold_scheduler is not None:
            self.scheduler = self._fold_scheduler.initial(event.identity)
        if self._fold_sampler is not None:
            self.sampler = self._fold_sampler.initial(event.identity)

    def _limits_changed(self, event: ev.LimitsChanged) -> None:
        self.limits = event.limits

    def _session_started(self, event: ev.SessionStarted) -> None:
        self.clock.start(event.time)
        self.objective = event.objective or self.objective
        self.stopping = None
        self.exhausted = False

    def _session_ended(self, event: ev.SessionEnded) -> None:
        self.clock.stop(event.time)

    def _job_started(self, event: JobStarted) -> None:
        trial = event.trial
        self.clock.last = event.time
        if event.values is not None:
            self._trial_created(event)
        else:
            self.states[trial] = TrialState.RUNNING
        if self.retry and self.retry[0].job.trial == trial:
            self.running[trial] = Running(event, self.retry.popleft())
        else:
            self.running[trial] = Running(event)
            self.spent += event.until - event.start
            self._tell(event)

    def _trial_created(self, event: JobStarted) -> None:
        assert event.values is not None
        origin = event.origin or _UNKNOWN
        self.values.append(event.values)
        self.origins.append(origin)
        self.brackets.append(event.bracket)
        self.states.append(TrialState.RUNNING)
        self.reached.append(0)
        self._latest.append(WORST)
        if origin.sampler == ENQUEUED and self.enqueued:
            self.enqueued.popleft()

    def _reported(self, event: ev.Reported) -> None:
        trial, resource = event.trial, event.resource
        self.clock.last = event.time
        running = self._answers(event)
        if running is None:
            return
        value = self.minimised(event.metrics)
        if self._plain:  # without a resource a trial's value is its last one
            self._latest[trial] = value
            return
        if resource <= self.reached[trial]:
            return  # doubled, or told again after going back to a checkpoint: the first counts
        self.reached[trial] = resource
        self._latest[trial] = value
        self._consider(trial, resource, value)
        job = running.job
        while running.passed < len(job.gates) and job.gates[running.passed] <= resource:
            gate = job.gates[running.passed]
            running.passed += 1
            self._result(trial, gate, value, job.bracket)
        if resource >= job.until and running.final is None:
            running.final = value

    def _answers(self, event: ev.Reported | ev.JobFinished | ev.JobFailed | ev.JobStopped) -> Running | None:
        """The running job that `event` speaks of, or None if it is late: of a job that runs no more."""
        running = self.running.get(event.trial)
        return running if running is not None and event.attempt == running.job.attempt else None

    def _checkpoint_saved(self, event: ev.CheckpointSaved) -> None:
        latest = self.checkpoints.get(event.trial)
        if latest is None or event.resource >= latest.resource:
            self.checkpoints[event.trial] = Checkpoint(event.resource, event.path)

    def _checkpoint_deleted(self, event: ev.CheckpointDeleted) -> None:
        self.checkpoints.pop(event.trial, None)

    def _job_finished(self, event: ev.JobFinished) -> None:
        self.clock.last = event.time
        running = self._answers(event)
        if running is None:
            return
        trial, job = event.trial, running.job
        value = self._final_value(running, event.metrics)
        if value == WORST:
            self._end(trial, TrialState.FAILED)
            self._result(trial, running.next_gate, WORST, job.bracket)
            return
        self._end(trial, TrialState.COMPLETE if job.until >= self._largest else TrialState.PAUSED)
        if self.reached[trial] < job.until:
            self.reached[trial] = job.until
            self._latest[trial] = value
            self._consider(trial, job.until, value)
        for gate in (*job.gates[running.passed :], job.until):
            self._result(trial, gate, value, job.bracket)

    def _final_value(self, running: Running, metrics: Mapping[str, Any] | None) -> float:
        """The value at the job's end: reported there, else returned, else (without a resource) the last one."""
        if running.final is not None:
            return running.final
        if metrics is not None and self._metric in metrics:
            return self.minimised(metrics)
        return self._latest[running.job.trial] if self._plain else WORST

    def _job_failed(self, event: ev.JobFailed) -> None:
        trial = event.trial
        self.clock.last = event.time
        running = self._answers(event)
        if running is None:
            return
        lost = event.failure == Failure.LOST
        if lost:
            self._lost[trial] = self._lost.get(trial, 0) + 1
        if running.stopping:
            self._end(trial, TrialState.STOPPED)
        elif event.failure == Failure.INTERRUPTED or (lost and self._lost[trial] <= self.limits.retries):
            self._run_again(running)
        else:
            infeasible = event.failure == Failure.INFEASIBLE
            self._end(trial, TrialState.INFEASIBLE if infeasible else TrialState.FAILED)
            self._result(trial, running.next_gate, WORST, running.job.bracket)

    def _job_stopped(self, event: ev.JobStopped) -> None:
        running = self._answers(event)
        self.clock.last = event.time
        if running is None:
            return
        if running.stopping:
            self._end(event.trial, TrialState.STOPPED)
        else:  # the session ends: the same job goes on in the next
            self._run_again(running)

    def _run_again(self, running: Running) -> None:
        del self.running[running.job.trial]
        self.states[running.job.trial] = TrialState.INTERRUPTED
        self.retry.append(running)

    def _trial_stopped(self, event: ev.TrialStopped) -> None:
        running = self.running.get(event.trial)
        if running is not None:
            running.stopping = True

    def _stop_decided(self, event: ev.StopDecided) -> None:
        if event.reason == EXHAUSTED:
            self.exhausted = True
        else:
            self.stopping = event.reason

    def _requested(self, event: ev.Requested) -> None:
        if event.request == "enqueue":
            self.enqueued.append(event.data)

    def _recorded(self, event: ev.Recorded) -> None:
        self.records.setdefault(event.topic, []).append(event)

    def _end(self, trial: int, state: TrialState) -> None:
        del self.running[trial]
        self.states[trial] = state
        if self._lost:
            self._lost.pop(trial, None)

    def _consider(self, trial: int, resource: int, value: float) -> None:
        """Make `trial` the incumbent if its value is the best at the largest resource reached."""
        if value == WORST:
            return
        best = self.incumbent
        if (
            best is None
            or resource > best.resource
            or (resource == best.resource and (value, trial) < (self._best, best.trial))
        ):
            self._best = value
            self.incumbent = Incumbent(trial, resource, self._sign * value)

    def _result(self, trial: int, resource: int, value: float, bracket: int) -> None:
        column = self.results.get(resource)
        if column is None:
            column = self.results[resource] = Column()
        column.trials.append(trial)
        column.values.append(value)
        self._tell(Result(trial, resource, value, bracket))

    def _tell(self, item: JobStarted | Result) -> None:
        if self._fold_scheduler is not None:
            self.scheduler = self._fold_scheduler.fold(self.scheduler, item)
        if self._fold_sampler is not None:
            self.sampler = self._fold_sampler.fold(self.sampler, item)


_UNKNOWN = Origin("user")
