"""The history of a study: the fold of its log, and the only thing that policies read.

It keeps, as it folds, what every decision needs: configurations, results by fidelity, running jobs, counts.
The scheduler's and the sampler's own states are folds too (`Folding`), kept here and rebuilt by replaying.

Inside, everything is minimised. What can go wrong has one outcome each:

- A NaN, infinite or missing metric is the worst value, `inf`: at a job's end the trial has failed.
- A report at a resource that the trial has reached before (doubled, or told again after going back to a
  checkpoint) is ignored: the first counts. One beyond its job's `until` counts as one at `until`.
- A report that skips gates counts at each of them.
- Whatever comes late, from a job that runs no more, is ignored; but a checkpoint is kept.
- A crash is a result of `inf` at the next gate, or at `until`. A lost worker's job runs again, up to
  `Limits.retries` times for one job, and then counts as a crash. An interrupted one runs again, uncounted.
- A trial that its scheduler stops passes no more gates. If its job reaches its end all the same, that counts.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from rung.space.values import Values
from rung.trials import events as ev
from rung.trials.events import Event, Failure, Identity, JobStarted, Limits, Origin
from rung.trials.running import WORST as WORST
from rung.trials.running import Best, Clock, Encoded, Metric
from rung.trials.running import Checkpoint as Checkpoint
from rung.trials.running import Column as Column
from rung.trials.running import Folding as Folding
from rung.trials.running import Incumbent as Incumbent
from rung.trials.running import Result as Result
from rung.trials.running import Running as Running
from rung.trials.states import TrialState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rung.space.compiled import CompiledSpace

ENQUEUED = "enqueued"  # the origin of a configuration that the user gave
EXHAUSTED = "exhausted"  # the sampler has no configuration left


class History:
    """The fold of one study's log.

    Args:
        scheduler, sampler: parts whose states to keep, if they are `Folding`.

    Attributes:
        values, origins, brackets, states: one entry a trial, in order of number.
        reached, latest: by trial, the largest resource reported, and the minimised value there.
        attempts: by trial, how often a job of it was started: what the next job's `attempt` must be, so that
            nothing told by an earlier job of the trial can be taken for the present one's.
        results: by resource, every result there (`Column`), failed ones as `inf`.
        running: trial number to its running job.
        retry: jobs that must run again, oldest first (lost or interrupted ones); taken from the front.
        checkpoints: trial number to the latest one.
        best_checkpoint: the one that holds the incumbent's value: of a trial that went on and diverged it is
            not the latest.
        scheduler, sampler: their states.
        spent: total resource of all jobs started; a job that runs again is counted once.
    """

    def __init__(self, scheduler: object = None, sampler: object = None) -> None:
        self._fold_scheduler: Any = scheduler if hasattr(scheduler, "fold") else None
        self._fold_sampler: Any = sampler if hasattr(sampler, "fold") else None
        self.scheduler: Any = None
        self.sampler: Any = None
        self.identity: Identity = None  # type: ignore[assignment]  # set by StudyCreated, always first
        self.limits = Limits()
        self.values: list[Values] = []
        self.origins: list[Origin] = []
        self.brackets: list[int] = []
        self.states: list[TrialState] = []
        self.reached = array("q")
        self.latest = array("d")
        self.attempts = array("q")
        self.results: dict[int, Column] = {}
        self.running: dict[int, Running] = {}
        self.retry: deque[Running] = deque()
        self.enqueued: deque[Mapping[str, Any]] = deque()
        self.checkpoints: dict[int, Checkpoint] = {}
        self.best_checkpoint: Checkpoint | None = None
        self.records: dict[str, list[ev.Recorded]] = {}
        self.spent = 0
        self.clock = Clock()
        self.stopping: str | None = None  # why no more jobs start in this session
        self.exhausted = False  # the sampler has no configuration left
        self.created = 0.0  # clock time of the study's beginning
        self.objective: str | None = None  # fingerprint of the code that ran last
        self.length = 0  # events folded
        self._metric = Metric()
        self._best = Best()
        self._encoded = Encoded()
        self._lost: dict[int, int] = {}  # trial -> lost attempts of its present job
        self._largest = 1
        self._plain = True  # no resource

    def __len__(self) -> int:
        """Trials started so far."""
        return len(self.values)

    @property
    def incumbent(self) -> Incumbent | None:
        """The best trial so far, if any has a value."""
        return self._best.incumbent

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
        return self._metric.minimised(metrics)

    def matrix(self, space: CompiledSpace) -> NDArray[np.float64]:
        """All configurations, encoded: (trials, dimensions) in the unit cube, NaN where inactive.

        Only what is new since the last call is encoded; the array is a view, not to be changed.
        """
        return self._encoded.matrix(space, self.values)

    def fold(self, event: Event) -> None:
        """Take one event in; events come in the order of the log."""
        _HANDLERS[type(event)](self, event)
        self.length += 1

    def fold_all(self, events: Iterable[Event]) -> History:
        """Take many events in, and return this history."""
        for event in events:
            self.fold(event)
        return self

    # -- what the handlers below share ----------------------------------------------------------------

    def _answers(self, event: ev.Reported | ev.JobFinished | ev.JobFailed | ev.JobStopped) -> Running | None:
        """The running job that `event` speaks of, or None if it is late: of a job that runs no more."""
        self.clock.last = event.time
        running = self.running.get(event.trial)
        return running if running is not None and event.attempt == running.job.attempt else None

    def _observe(self, trial: int, resource: int, value: float) -> None:
        """The trial's first value at a larger resource than before."""
        self.reached[trial] = resource
        self.latest[trial] = value
        before = self._best.incumbent
        self._best.consider(trial, resource, value, self._metric.sign)
        if self._best.incumbent is not before:
            latest = self.checkpoints.get(trial)
            if latest is not None and latest.resource <= resource:
                self.best_checkpoint = latest
            elif before is None or before.trial != trial:
                self.best_checkpoint = None

    def _final_value(self, running: Running, metrics: Mapping[str, Any] | None) -> float:
        """The value at the job's end: reported there, else returned, else (no resource) the last one."""
        if running.final is not None:
            return running.final
        if metrics is not None and self._metric.name in metrics:
            return self._metric.minimised(metrics)
        return self.latest[running.job.trial] if self._plain else WORST

    def _end(self, trial: int, state: TrialState) -> None:
        del self.running[trial]
        self.states[trial] = state
        if self._lost:
            self._lost.pop(trial, None)

    def _run_again(self, running: Running) -> None:
        del self.running[running.job.trial]
        self.states[running.job.trial] = TrialState.INTERRUPTED
        self.retry.append(running)

    def _result(self, trial: int, resource: int, value: float, ended: bool) -> None:
        column = self.results.get(resource)
        if column is None:
            column = self.results[resource] = Column()
        column.trials.append(trial)
        column.values.append(value)
        self._tell(Result(trial, resource, value, self.brackets[trial], ended))

    def _tell(self, item: JobStarted | Result) -> None:
        if self._fold_scheduler is not None:
            self.scheduler = self._fold_scheduler.fold(self.scheduler, item)
        if self._fold_sampler is not None:
            self.sampler = self._fold_sampler.fold(self.sampler, item)


# -- the fold: one function for each kind of event ----------------------------------------------------


def _created(history: History, event: ev.StudyCreated) -> None:
    history.created = event.time
    identity = history.identity = event.identity
    history._metric = Metric(identity.metric, identity.mode)
    history._largest = identity.resource.maximum if identity.resource else 1
    history._plain = identity.resource is None
    if history._fold_scheduler is not None:
        history.scheduler = history._fold_scheduler.initial(identity)
    if history._fold_sampler is not None:
        history.sampler = history._fold_sampler.initial(identity)


def _limits_changed(history: History, event: ev.LimitsChanged) -> None:
    history.limits = event.limits


def _session_started(history: History, event: ev.SessionStarted) -> None:
    history.clock.start(event.time)
    history.objective = event.objective or history.objective
    history.stopping = None
    history.exhausted = False


def _session_ended(history: History, event: ev.SessionEnded) -> None:
    history.clock.stop(event.time)


def _job_started(history: History, event: JobStarted) -> None:
    trial = event.trial
    history.clock.last = event.time
    if trial == len(history.values):
        _trial_created(history, event)
    history.attempts[trial] = event.attempt + 1
    if history.states[trial] is TrialState.INTERRUPTED:
        history.states[trial] = TrialState.RUNNING
        history.running[trial] = Running(event, _take_retry(history, trial))
        return
    history.states[trial] = TrialState.RUNNING
    history.running[trial] = Running(event)
    history.spent += event.until - event.start
    history._tell(event)


def _trial_created(history: History, event: JobStarted) -> None:
    assert event.values is not None, "the first job of a trial brings its configuration"
    origin = event.origin or _UNKNOWN
    history.values.append(event.values)
    history.origins.append(origin)
    history.brackets.append(event.bracket)
    history.states.append(TrialState.RUNNING)
    history.reached.append(0)
    history.latest.append(WORST)
    history.attempts.append(0)
    if origin.sampler == ENQUEUED and history.enqueued:
        history.enqueued.popleft()


def _take_retry(history: History, trial: int) -> Running:
    """The job of `trial` that must run again, taken from the queue: its front, as a rule."""
    place = next(i for i, waiting in enumerate(history.retry) if waiting.job.trial == trial)
    running = history.retry[place]
    del history.retry[place]
    return running


def _reported(history: History, event: ev.Reported) -> None:
    running = history._answers(event)
    if running is None:
        return
    trial, job = event.trial, running.job
    value = history._metric.minimised(event.metrics)
    if history._plain:  # without a resource a trial's value is its last one
        history.latest[trial] = value
        return
    resource = min(event.resource, job.until)
    if resource <= history.reached[trial]:
        return
    history._observe(trial, resource, value)
    while running.passed < len(job.gates) and job.gates[running.passed] <= resource and not running.stopping:
        running.passed += 1
        history._result(trial, job.gates[running.passed - 1], value, ended=False)
    if resource == job.until:
        running.final = value


def _checkpoint_saved(history: History, event: ev.CheckpointSaved) -> None:
    running = history.running.get(event.trial)
    resource = event.resource
    if running is not None and not history._plain:
        resource = min(resource, running.job.until)
    latest = history.checkpoints.get(event.trial)
    if latest is None or resource >= latest.resource:
        history.checkpoints[event.trial] = Checkpoint(resource, event.path)
    best = history.incumbent
    if best is not None and best.trial == event.trial and (resource <= best.resource or history._plain):
        history.best_checkpoint = Checkpoint(resource, event.path)


def _checkpoint_deleted(history: History, event: ev.CheckpointDeleted) -> None:
    history.checkpoints.pop(event.trial, None)


def _job_finished(history: History, event: ev.JobFinished) -> None:
    running = history._answers(event)
    if running is None:
        return
    trial, job = event.trial, running.job
    value = history._final_value(running, event.metrics)
    if value == WORST:
        _ended_without_value(history, running, TrialState.FAILED)
        return
    history._end(trial, TrialState.COMPLETE if job.until >= history._largest else TrialState.PAUSED)
    if history.reached[trial] < job.until:
        history._observe(trial, job.until, value)
    if not running.stopping:
        for gate in job.gates[running.passed :]:
            history._result(trial, gate, value, ended=True)
    history._result(trial, job.until, value, ended=True)


def _job_failed(history: History, event: ev.JobFailed) -> None:
    running = history._answers(event)
    if running is None:
        return
    trial, lost = event.trial, event.failure == Failure.LOST
    if lost:
        history._lost[trial] = history._lost.get(trial, 0) + 1
    again = event.failure == Failure.INTERRUPTED or (lost and history._lost[trial] <= history.limits.retries)
    if again and not running.stopping:
        history._run_again(running)
    else:
        infeasible = event.failure == Failure.INFEASIBLE
        _ended_without_value(history, running, TrialState.INFEASIBLE if infeasible else TrialState.FAILED)


def _ended_without_value(history: History, running: Running, state: TrialState) -> None:
    """A crash is the worst result where the next was due; of a trial that is being stopped none is due."""
    trial = running.job.trial
    if running.stopping:
        history._end(trial, TrialState.STOPPED)
    else:
        history._end(trial, state)
        history._result(trial, running.next_gate, WORST, ended=True)


def _job_stopped(history: History, event: ev.JobStopped) -> None:
    running = history._answers(event)
    if running is None:
        return
    if running.stopping:
        history._end(event.trial, TrialState.STOPPED)
    else:  # the session ends: the same job goes on in the next
        history._run_again(running)


def _trial_stopped(history: History, event: ev.TrialStopped) -> None:
    """A running job is told to stop; one that waits to run again never does."""
    trial = event.trial
    running = history.running.get(trial)
    if running is not None:
        running.stopping = True
    elif history.states[trial] is TrialState.INTERRUPTED:
        _take_retry(history, trial)
        history.states[trial] = TrialState.STOPPED
        history._lost.pop(trial, None)
    if history._fold_scheduler is not None:
        history.scheduler = history._fold_scheduler.fold(history.scheduler, event)


def _stop_decided(history: History, event: ev.StopDecided) -> None:
    if event.reason == EXHAUSTED:
        history.exhausted = True
    else:
        history.stopping = event.reason


def _requested(history: History, event: ev.Requested) -> None:
    if event.request == "enqueue":
        history.enqueued.append(event.data)


def _recorded(history: History, event: ev.Recorded) -> None:
    history.records.setdefault(event.topic, []).append(event)


_UNKNOWN: Final = Origin("user")
_HANDLERS: Final[Mapping[type, Callable[[History, Any], None]]] = {
    ev.StudyCreated: _created,
    ev.LimitsChanged: _limits_changed,
    ev.SessionStarted: _session_started,
    ev.SessionEnded: _session_ended,
    ev.JobStarted: _job_started,
    ev.Reported: _reported,
    ev.CheckpointSaved: _checkpoint_saved,
    ev.CheckpointDeleted: _checkpoint_deleted,
    ev.JobFinished: _job_finished,
    ev.JobFailed: _job_failed,
    ev.JobStopped: _job_stopped,
    ev.TrialStopped: _trial_stopped,
    ev.StopDecided: _stop_decided,
    ev.Requested: _requested,
    ev.Recorded: _recorded,
}
