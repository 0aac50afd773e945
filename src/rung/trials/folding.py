"""The fold of a study's log into its history: one function for each kind of event.

What each makes of what can go wrong is said in `rung.trials.history`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rung.space.values import Values
from rung.trials import checkpoints
from rung.trials import events as ev
from rung.trials.events import SERVICE, Failure, JobStarted, Origin
from rung.trials.running import (
    CONFIRM,
    ENQUEUED,
    EXHAUSTED,
    TOLD,
    WORST,
    Encoded,
    Measure,
    Metric,
    Result,
    Running,
    Searched,
    Yardstick,
    needed,
)
from rung.trials.states import TrialState

if TYPE_CHECKING:
    from rung.space.compiled import CompiledSpace
    from rung.trials.history import History


def _created(history: History, event: ev.StudyCreated) -> None:
    history.created = event.time
    identity = history.identity = event.identity
    history._metric = Metric(identity.metric, identity.mode)
    history._largest = identity.resource.maximum if identity.resource else 1
    history._plain = identity.resource is None
    history._needed = needed(identity)
    if identity.goals or identity.constraints:
        history._yardstick = Yardstick(identity)
    if history._fold_scheduler is not None:
        history.scheduler = history._fold_scheduler.initial(identity)
    if history._fold_sampler is not None:
        history.sampler = history._fold_sampler.initial(identity)


def _limits_changed(history: History, event: ev.LimitsChanged) -> None:
    history.limits = event.limits


def _session_started(history: History, event: ev.SessionStarted) -> None:
    by_jobs = event.executor == SERVICE
    history.clock.start(event.time, by_jobs=by_jobs, running=bool(history.running))
    history.objective = event.objective or history.objective
    history.stopping = None
    history.exhausted = history.confirming = False


def _session_ended(history: History, event: ev.SessionEnded) -> None:
    history.clock.stop(event.time)


def _job_started(history: History, event: JobStarted) -> None:
    trial = event.trial
    history.clock.job_started(event.time)
    if trial == len(history.values):
        _trial_created(history, event)
        if event.checkpoint is not None:
            history.starts[trial] = event.start
    if event.checkpoint is not None and trial not in history.checkpoints:
        history.borrowed[trial] = event.checkpoint
    history.attempts[trial] = event.attempt + 1
    history.devices += event.devices
    if history.assumed:
        history.assumed.pop(trial, None)  # from now on it has run with what was assumed
    if history.states[trial] is TrialState.INTERRUPTED:
        history.states[trial] = TrialState.RUNNING
        history.running[trial] = Running(event, _take_retry(history, trial))
        return
    history.states[trial] = TrialState.RUNNING
    history.running[trial] = Running(event)
    history.spent += event.until - event.start
    if history.apart.get(trial) != CONFIRM:
        history._tell(event)


def _trial_created(history: History, event: JobStarted) -> None:
    assert event.values is not None, "the first job of a trial brings its configuration"
    origin = event.origin or _UNKNOWN
    _entered(history, event.values, origin, event.bracket)
    if origin.sampler == ENQUEUED and history.enqueued:
        history.enqueued.popleft()
    elif origin.sampler == CONFIRM:
        history.apart[event.trial] = CONFIRM


def _entered(history: History, values: Values, origin: Origin, bracket: int = 0) -> None:
    """One entry more for each thing that is kept by trial."""
    history.values.append(values)
    history.origins.append(origin)
    history.brackets.append(bracket)
    history.states.append(TrialState.RUNNING)
    history.reached.append(0)
    history.latest.append(WORST)
    history.attempts.append(0)
    history.seconds.append(0.0)


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
    if history._plain:  # without a resource a trial's value is its last one; other metrics may follow it
        metrics = running.tell(0, event.metrics)
        if not history._needed.isdisjoint(event.metrics):
            history.latest[trial] = history._value(trial, metrics)
        return
    resource = min(event.resource, job.until)
    if resource <= history.reached[trial]:
        return
    metrics = running.tell(resource, event.metrics)
    if not history._needed <= metrics.keys():
        return  # the others may follow
    value = history._value(trial, metrics)
    if resource == job.until:
        running.final, running.before = value, (history.reached[trial], history.latest[trial])
    history._observe(trial, resource, value)
    while running.passed < len(job.gates) and job.gates[running.passed] <= resource and not running.stopping:
        running.passed += 1
        history._result(trial, job.gates[running.passed - 1], value, ended=False)


def _job_finished(history: History, event: ev.JobFinished) -> None:
    running = history._answers(event)
    if running is None:
        return
    trial, job = event.trial, running.job
    value = history._final_value(running, event.metrics)
    if running.final is not None and value != running.final:
        _take_back(history, running)
    if value == WORST:
        _ended_without_value(history, running, TrialState.FAILED, raised=True)
        return
    history._end(trial, TrialState.COMPLETE if job.until >= history._largest else TrialState.PAUSED)
    if history.reached[trial] < job.until:
        history._observe(trial, job.until, value)
    if not running.stopping:
        for gate in job.gates[running.passed :]:
            history._result(trial, gate, value, ended=True)
    history._result(trial, job.until, value, ended=True)


def _take_back(history: History, running: Running) -> None:
    """What the job reported at its end is not what it came to: its end has told another value."""
    trial = running.job.trial
    history.reached[trial], history.latest[trial] = running.before
    best = history.incumbent
    if best is not None and best.trial == trial:
        history._best_inside()


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
        state = TrialState.INFEASIBLE if infeasible else TrialState.FAILED
        _ended_without_value(history, running, state, raised=infeasible or event.failure == Failure.ERROR)


def _ended_without_value(history: History, running: Running, state: TrialState, *, raised: bool) -> None:
    """A crash is the worst result where the next was due; of a trial that is being stopped none is due.

    One that `raised`, or whose last value was none, is never the best by what it told before.
    """
    trial = running.job.trial
    if running.stopping:
        _refund(history, running)
        history._end(trial, TrialState.STOPPED)
    else:
        history._end(trial, state)
        history._result(trial, running.next_gate, WORST, ended=True)
    if (raised and not running.stopping) or history.latest[trial] == WORST:
        history._never_best(trial)


def _refund(history: History, running: Running) -> None:
    """A trial that was stopped cost what it came to, not all that its job was started for."""
    job = running.job
    history.spent -= max(0, job.until - max(job.start, history.reached[job.trial]))


def _job_stopped(history: History, event: ev.JobStopped) -> None:
    running = history._answers(event)
    if running is None:
        return
    if running.stopping:
        _ended_without_value(history, running, TrialState.STOPPED, raised=False)
    else:  # the session ends: the same job goes on in the next
        history._run_again(running)


def _trial_stopped(history: History, event: ev.TrialStopped) -> None:
    """A running job is told to stop; one that waits to run again never does."""
    trial = event.trial
    running = history.running.get(trial)
    if running is not None:
        running.stopping = True
    elif history.states[trial] is TrialState.INTERRUPTED:
        _refund(history, _take_retry(history, trial))
        history.states[trial] = TrialState.STOPPED
        history._lost.pop(trial, None)
        if history.latest[trial] == WORST:
            history._never_best(trial)
    if history._fold_scheduler is not None:
        history.scheduler = history._fold_scheduler.fold(history.scheduler, event)


def _told(history: History, event: ev.Told) -> None:
    """A trial of its own that is complete at once; a scheduler is not told of it."""
    trial = event.trial
    history.clock.last = event.time
    history.apart[trial] = TOLD
    _entered(history, event.values, _TOLD)
    value = history._value(trial, event.metrics)
    history._tell(JobStarted(trial, event.resource, values=event.values, origin=_TOLD, time=event.time))
    if value == WORST:
        history.states[trial] = TrialState.FAILED
    else:
        history.states[trial] = TrialState.COMPLETE
        history._observe(trial, event.resource, value)
    history._result(trial, event.resource, value, ended=True)


def _space_changed(history: History, event: ev.SpaceChanged) -> None:
    """Read every configuration as one of the new space; a sampler's own state begins anew from them."""
    from rung.space.changes import reread

    earlier = history.space
    history.identity = msgspec.structs.replace(history.identity, space=event.space)
    history._searched = Searched()
    history.space_version += 1
    history._encoded = Encoded()
    history.exhausted = False
    _reread(history, earlier, event.given)
    waiting = (config for config in history.enqueued if reread(history.space, config, {}).inside)
    history.enqueued = deque(waiting)
    history._best_inside()
    if history._fold_sampler is not None:
        history.sampler = history._fold_sampler.initial(history.identity)
        for item in _told_to_samplers(history):
            history.sampler = history._fold_sampler.fold(history.sampler, item)
    if hasattr(history._fold_scheduler, "space_changed"):
        outside = frozenset(history.outside)
        history.scheduler = history._fold_scheduler.space_changed(history.scheduler, outside)


def _told_to_samplers(history: History) -> Iterator[JobStarted | Result]:
    """Every trial and every result so far, as a sampler with a state of its own is told of them.

    Results come by resource, at each in the order of the log.
    """
    for trial, values in enumerate(history.values):
        if history.apart.get(trial) != CONFIRM and trial not in history.outside:
            first = history._largest if trial in history.apart else 0
            yield JobStarted(trial, first, values=values, origin=history.origins[trial])
    for resource in sorted(history.results):
        column = history.results[resource]
        measures: Sequence[Measure | None] = column.measures or [None] * len(column)
        for trial, value, measure in zip(column.trials, column.values, measures, strict=True):
            if trial not in history.outside:
                yield Result(trial, resource, value, history.brackets[trial], True, measure)


def _reread(history: History, earlier: CompiledSpace, given: Mapping[str, Any]) -> None:
    """Every trial's configuration as one of the new space; one that this has not, or has again."""
    from rung.space.changes import reread

    rows: list[Values] = []
    originals: dict[int, Mapping[str, Any]] = {}
    supposed: dict[int, frozenset[str]] = {}
    for trial, row in enumerate(history.values):
        config = history.originals.get(trial)
        if config is None:
            config = earlier.to_mapping(row)
        before = history.assumed.get(trial, frozenset())
        values, inside, assumed = reread(history.space, config, given, before)
        rows.append(values)
        if not inside:  # it stays what it was, with what was assumed of it
            originals[trial], assumed = config, before
        if assumed:
            supposed[trial] = assumed
    history.values, history.outside = rows, set(originals)
    history.originals, history.assumed = originals, supposed


def _stop_decided(history: History, event: ev.StopDecided) -> None:
    if event.reason == EXHAUSTED:
        history.exhausted = True
    elif event.reason == CONFIRM:
        history.confirming = True
    else:
        history.stopping = event.reason


def _requested(history: History, event: ev.Requested) -> None:
    if event.request == "enqueue":
        history.enqueued.append(event.data)
        history.exhausted = False
    elif event.request == "fix":
        history.fixed = event.data
        history.exhausted = False


def _recorded(history: History, event: ev.Recorded) -> None:
    history.records.setdefault(event.topic, []).append(event)


_UNKNOWN: Final = Origin("user")
_TOLD: Final = Origin(TOLD)
HANDLERS: Final[Mapping[type, Callable[[History, Any], None]]] = {
    ev.StudyCreated: _created,
    ev.LimitsChanged: _limits_changed,
    ev.SessionStarted: _session_started,
    ev.SessionEnded: _session_ended,
    ev.JobStarted: _job_started,
    ev.Reported: _reported,
    ev.CheckpointSaved: checkpoints.saved,
    ev.CheckpointDeleted: checkpoints.deleted,
    ev.CheckpointFailed: checkpoints.failed,
    ev.CheckpointDamaged: checkpoints.damaged,
    ev.JobFinished: _job_finished,
    ev.JobFailed: _job_failed,
    ev.JobStopped: _job_stopped,
    ev.TrialStopped: _trial_stopped,
    ev.StopDecided: _stop_decided,
    ev.Told: _told,
    ev.SpaceChanged: _space_changed,
    ev.Requested: _requested,
    ev.Recorded: _recorded,
}
