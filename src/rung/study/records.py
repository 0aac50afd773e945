"""Every trial's record, as people read it: a fold of the log, made when somebody asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import msgspec

from rung.executors.attributes import TOPIC as ATTRIBUTES
from rung.study.foreign import TRIAL, called_elsewhere
from rung.trials import events as ev
from rung.trials.events import Event
from rung.trials.history import History
from rung.trials.running import Running, unneeded
from rung.trials.states import TrialState

_ANSWERS: Final = frozenset({ev.Reported, ev.JobFinished, ev.JobFailed, ev.JobStopped})


class Observation(msgspec.Struct, frozen=True):
    """Metrics of a trial at a resource (None in a study without one, where the objective named none)."""

    resource: int | None
    metrics: Mapping[str, Any]


class Timing(msgspec.Struct):
    """What depends on the clock, the worker or the number of attempts."""

    started: float
    ended: float | None = None
    attempts: int = 0
    message: str = ""


@called_elsewhere("a trial's record", TRIAL)
class TrialRecord(msgspec.Struct):
    """One configuration over its whole life.

    `value` is the metric at the largest resource it was observed at (None without one), in the metric's
    own sense; `checkpoint` the folder of its latest checkpoint that is kept; `confirmed` the values of its
    configuration's repeats, where it was declared the best by their mean; `attributes` what the objective or
    its caller kept beside (`trial.set_attribute`).
    """

    number: int
    config: dict[str, Any]
    state: TrialState
    observations: list[Observation]
    origin: ev.Origin
    bracket: int
    timing: Timing
    value: float | None = None
    checkpoint: str | None = None
    confirmed: tuple[float, ...] = ()
    attributes: dict[str, Any] = {}

    @property
    def resource(self) -> int | None:
        """The largest resource it was observed at."""
        return self.observations[-1].resource if self.observations else None

    @property
    def metrics(self) -> Mapping[str, Any]:
        """All metrics that were reported there, the study's own among them; empty without an observation."""
        return self.observations[-1].metrics if self.observations else {}


def further(records: Iterable[TrialRecord], metric: str) -> list[str]:
    """Names of metrics that trials reported beside `metric`, in order of their first appearance."""
    found = dict.fromkeys(name for record in records for name in record.metrics)
    return [name for name in found if name != metric]


def named(identity: ev.Identity) -> str:
    """What is optimised, in words."""
    return " or ".join(goal.metric for goal in identity.goals) or identity.metric


def unsound(metric: str) -> str:
    """Why a trial failed whose job went well."""
    return f"a value of {metric} that is NaN, infinite or missing"


def trials(events: Iterable[Event]) -> list[TrialRecord]:
    """The record of every trial, in order of number.

    A report that came late or doubled is left out, as it is by the history. A configuration is shown as it
    ran, also where the space has been changed since.

    Raises:
        StorageError: the events do not follow from each other, as those of a damaged log.
    """
    return folded(events)[1]


def folded(events: Iterable[Event]) -> tuple[History, list[TrialRecord]]:
    """The history that the events fold into, and with it every trial's record, as `trials`: one fold of both.

    Raises:
        StorageError: the events do not follow from each other, as those of a damaged log.
    """
    fold = _Fold()
    fold.history.fold_all(fold.beside(events))
    return fold.history, fold.finish()


class _Fold:
    def __init__(self) -> None:
        self.history = History()
        self.records: list[TrialRecord] = []
        self._after: dict[type[Event], Callable[[Any], None]] = {
            ev.JobStarted: self._started,
            ev.Told: self._told,
            ev.Recorded: self._recorded,
        }

    def beside(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events, for the history to fold: each is looked at before and after it has been."""
        after = self._after
        for event in events:
            kind = type(event)
            if kind in _ANSWERS:
                self._answer(event)  # type: ignore[arg-type]  # one of these four, by the table
            yield event
            if kind in after:
                after[kind](event)

    def _told(self, event: ev.Told) -> None:
        self._created(event.trial, event.time)
        told = Observation(None if self._plain else event.resource, event.metrics)
        self.records[event.trial].observations.append(told)

    def _recorded(self, event: ev.Recorded) -> None:
        if event.topic == ATTRIBUTES and event.trial is not None:
            self.records[event.trial].attributes.update(event.data)

    def _created(self, trial: int, time: float) -> None:
        history = self.history
        self.records.append(
            TrialRecord(
                number=trial,
                config=history.config(trial),
                state=TrialState.RUNNING,
                observations=[],
                origin=history.origins[trial],
                bracket=history.brackets[trial],
                timing=Timing(time),
            )
        )

    def _started(self, event: ev.JobStarted) -> None:
        if event.values is not None:
            self._created(event.trial, event.time)
        record = self.records[event.trial]
        record.timing.attempts += 1
        if self._plain:  # a job that runs again tells again what its earlier attempt told past its checkpoint
            record.observations = [o for o in record.observations if (o.resource or 0) <= event.start]

    @property
    def _plain(self) -> bool:
        return self.history.identity.resource is None

    def _answer(self, event: ev.Reported | ev.JobFinished | ev.JobFailed | ev.JobStopped) -> None:
        running = self.history.running.get(event.trial)
        if running is None or running.job.attempt != event.attempt:
            return
        record = self.records[event.trial]
        if isinstance(event, ev.Reported):
            self._reported(record, running, event)
            return
        record.timing.ended = event.time
        if isinstance(event, ev.JobFailed):
            record.timing.message = event.message
        if isinstance(event, ev.JobFinished) and event.metrics is not None:
            self._finished(record, running, event.metrics)

    def _reported(self, record: TrialRecord, running: Running, event: ev.Reported) -> None:
        plain = self._plain
        resource = event.resource if plain else min(event.resource, running.job.until)
        if plain or resource > self.history.reached[event.trial]:
            metrics = running.beside(0 if plain else resource, event.metrics)
            self._observe(record, Observation(resource, metrics))
        elif running.joins(event.resource):
            _join(record, resource, unneeded(self.history.identity, event.metrics))

    def _finished(self, record: TrialRecord, running: Running, metrics: Mapping[str, Any]) -> None:
        plain, until = self._plain, running.job.until
        if plain or self.history.reached[record.number] < until:
            told = running.beside(0 if plain else until, metrics)
            self._observe(record, Observation(None if plain else until, told))
        else:
            _join(
                record, until, metrics if running.joins(until) else unneeded(self.history.identity, metrics)
            )

    def _observe(self, record: TrialRecord, new: Observation) -> None:
        """Add it, in the place of what lacked metrics: its first parts, or those of a job that runs again."""
        kept = record.observations
        while not self._plain and kept and (kept[-1].resource or 0) >= (new.resource or 0):
            kept.pop()
        kept.append(new)

    def finish(self) -> list[TrialRecord]:
        for record in self.records:
            self.finish_one(record)
        return self.records

    def finish_one(self, record: TrialRecord) -> None:
        history = self.history
        record.state = history.states[record.number]
        checkpoint = history.checkpoints.get(record.number)
        record.checkpoint = checkpoint.path if checkpoint else None
        record.value = _last_value(record.observations, history)
        if record.state is TrialState.FAILED and not record.timing.message:
            record.timing.message = unsound(named(history.identity))


def _join(record: TrialRecord, resource: int, metrics: Mapping[str, Any]) -> None:
    """Put metrics into the trial's last observation, where that is the one that they are of."""
    if record.observations and record.observations[-1].resource == resource:
        last = record.observations[-1].metrics
        record.observations[-1] = Observation(resource, {**last, **metrics})


class Following:
    """Single trials' records of a log that grows: what is new in it is read when one is asked for.

    Args:
        read: the log's events from a number on.
    """

    def __init__(self, read: Callable[[int], Iterable[Event]]) -> None:
        self._read = read
        self._fold = _Fold()

    def __getitem__(self, trial: int) -> TrialRecord:
        """The record as it is now, the caller's own."""
        fold, self._fold = self._fold, _Fold()  # one that an interrupt cuts short is not gone on with
        fold.history.fold_all(fold.beside(self._read(fold.history.length)))
        self._fold, record = fold, fold.records[trial]
        fold.finish_one(record)
        return deepcopy(record)


def _last_value(observations: list[Observation], history: History) -> float | None:
    for observation in reversed(observations):
        value = history.minimised(observation.metrics)
        if math.isfinite(value):
            return -value if history.identity.mode == "max" else value
    return None
