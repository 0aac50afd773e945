"""Stopping rules that compare a trial with what others had come to at the same resource: shared by
`median` and `percentile`, which say in their own files what is compared with what.

Every trial has one job, straight to R. At each gate on the way its best value so far is compared with a
percentile of the others' marks there; it is stopped for good if it is strictly worse.

What happens when:
- values are equal to the percentile: the trial goes on, so that a plateau stops nobody;
- fewer than `min_trials` others have a mark at the gate, or it lies below `min_resource`: the trial goes on;
- the result is `inf` (NaN, infinite, missing): the trial is stopped, wherever it stands;
- a trial failed: none of its marks counts, because a crash says nothing about where a good trial stands;
- a report skips gates: it is judged at each of them, and stopped if any says so;
- a job reaches its end before it obeys: its result counts, its marks are those from before it was stopped.
"""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass, field

from rung.errors import StudyError
from rung.schedulers.base import DONE, WAIT, Decision, Start, Stop
from rung.schedulers.ladder import ladder_of
from rung.schedulers.quantile import RunningPercentile
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import WORST, History, Result


@dataclass(frozen=True)
class Rule:
    """How trials are compared.

    Attributes:
        percent: the percentile of the marks that a trial's best value must not exceed.
        averages: a mark is the mean of a trial's values at the gates up to this one; else the value itself.
        running: marks of running trials count, too; else only those of trials that have ended.
        min_trials: marks that a gate must have before anybody is stopped there.
        min_resource: nobody is stopped below this.
    """

    percent: float
    averages: bool
    running: bool
    min_trials: int
    min_resource: int


def check(interval: int | None, min_trials: int, min_resource: int, name: str) -> None:
    """Refuse settings that make no sense.

    Raises:
        StudyError: one of them, by name.
    """
    if interval is not None and interval < 1:
        raise StudyError(f"{name} needs an interval of at least 1, not {interval}")
    if min_trials < 1:
        raise StudyError(f"{name} needs at least 1 trial to compare with, so min_trials not {min_trials}")
    if min_resource < 0:
        raise StudyError(f"{name} needs a min_resource of at least 0, not {min_resource}")


def gates_of(identity: Identity, interval: int | None) -> tuple[int, ...]:
    """The resources at which trials are judged, R last: each `interval`, or the rungs of the ladder."""
    rungs = ladder_of(identity)
    return rungs if interval is None else (*range(interval, rungs[-1], interval), rungs[-1])


@dataclass(slots=True)
class _Track:
    """What a running trial has come to: best value, sum of its values, its mark at each gate behind it."""

    best: float = WORST
    total: float = 0.0
    marks: list[tuple[int, float]] = field(default_factory=list)


def _worse(value: float, mark: float) -> bool:
    """Whether it is above the mark by more than rounding: a mean of equal values may be a bit below them."""
    return value > mark and not math.isclose(value, mark, rel_tol=1e-9)


class Standing:
    """The state: marks by gate, what running trials have come to, and who is to be stopped.

    Args:
        gates: resources at which results come, R last.
    """

    __slots__ = ("_doomed", "_marks", "_rule", "_start", "_tracks")

    def __init__(self, gates: tuple[int, ...], rule: Rule) -> None:
        self._rule = rule
        self._start = Start(gates[-1], gates=gates[:-1])
        self._marks = {gate: RunningPercentile(rule.percent) for gate in gates[:-1]}
        self._tracks: dict[int, _Track] = {}
        self._doomed: dict[int, None] = {}  # in the order of their results

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started, a result, or that a trial was stopped."""
        if type(item) is Result:
            self._told(item)
        elif type(item) is JobStarted:
            self._tracks[item.trial] = _Track()
        elif type(item) is TrialStopped:
            self._doomed.pop(item.trial, None)
            self._ended(item.trial)

    def _told(self, result: Result) -> None:
        track = self._tracks.get(result.trial)
        if track is not None:  # else it was stopped, and ends late
            if result.value == WORST:
                self._failed(result.trial)
                self._doomed[result.trial] = None
            elif result.resource in self._marks:
                self._judge(result, track)
            else:
                self._ended(result.trial)
        if result.ended:  # nothing is left to stop
            self._doomed.pop(result.trial, None)

    def _judge(self, result: Result, track: _Track) -> None:
        rule, gate = self._rule, result.resource
        track.best = min(track.best, result.value)
        track.total += result.value
        others = self._marks[gate]
        compared = gate >= rule.min_resource and len(others) >= rule.min_trials
        if compared and _worse(track.best, others.value()):
            self._doomed[result.trial] = None
        mark = track.total / (len(track.marks) + 1) if rule.averages else result.value
        track.marks.append((gate, mark))
        if rule.running:
            others.add(mark)

    def _failed(self, trial: int) -> None:
        """None of the trial's marks counts."""
        track = self._tracks.pop(trial)
        if self._rule.running:  # they did until now
            for gate, mark in track.marks:
                self._marks[gate].remove(mark)

    def _ended(self, trial: int) -> None:
        """The trial counts among those that have ended, with its marks so far."""
        track = self._tracks.pop(trial, None)
        if track is not None and not self._rule.running:
            for gate, mark in track.marks:
                self._marks[gate].add(mark)

    def pass_over(self, outside: Set[int]) -> None:
        """Nobody is promoted; the marks of these trials go on counting."""

    def next(self, history: History) -> Decision:
        """Stop who is to be stopped, else start, else wait or be done."""
        for trial in self._doomed:  # each runs, or waits to run again
            return Stop(trial)
        if history.may_start:
            return self._start
        return WAIT if history.running or history.retry else DONE

    def may_resume(self, history: History, trial: int) -> bool:
        """Never: a trial has one job."""
        return False
