"""Each trial's last value and the best so far; learning curves; the distribution of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rung.analysis.data.values import Floats, Ints, Mask
from rung.analysis.subject import Step, Subject
from rung.errors import StudyError
from rung.study.records import TrialRecord
from rung.trials.events import Goal
from rung.trials.history import BEHIND, CONFIRM
from rung.trials.running import Metric
from rung.trials.states import TrialState


class Latest(NamedTuple):
    """The last value of every trial that has one; repeats of the incumbent are left out.

    Attributes:
        trials: (n,) trial numbers, ascending.
        values: (n,) in the metric's own sense.
        resources: (n,) where it was observed; 1 in a study without a resource.
        kept: (n,) whether all constraints are kept.
        failed: numbers of the trials that failed.
    """

    trials: Ints
    values: Floats
    resources: Ints
    kept: Mask
    failed: Ints


class Curve(NamedTuple):
    """A trial's values over the resource, both (n,); `reached` is the last."""

    trial: int
    resources: Ints
    values: Floats

    @property
    def reached(self) -> int:
        """The largest resource it was observed at."""
        return int(self.resources[-1])


def finite(metrics: object, goal: Goal) -> float | None:
    """The objective's value among a trial's metrics, in its own sense; None if it is no finite number."""
    metric = Metric(goal.metric, goal.mode)
    value = metric.minimised(metrics)  # type: ignore[arg-type]  # a mapping, from a record
    return metric.sign * value if np.isfinite(value) else None


def latest(subject: Subject, goal: Goal) -> Latest:
    """Every trial's last value of an objective."""
    history = subject.history
    rows, failed = [], []
    for record in subject.records:
        if history.apart.get(record.number) == CONFIRM:
            continue
        if record.state in (TrialState.FAILED, TrialState.INFEASIBLE):
            failed.append(record.number)
        last = _last(record, goal)
        if last is not None:
            kept = history.latest[record.number] < BEHIND
            rows.append((record.number, last[1], last[0] or 1, kept))
    numbers, values, resources, kept_ = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Latest(
        np.array(numbers, np.int64),
        np.array(values, np.float64),
        np.array(resources, np.int64),
        np.array(kept_, bool),
        np.array(failed, np.int64),
    )


def _last(record: TrialRecord, goal: Goal) -> tuple[int | None, float] | None:
    for observation in reversed(record.observations):
        value = finite(observation.metrics, goal)
        if value is not None:
            return observation.resource, value
    return None


def best_so_far(subject: Subject, goal: Goal, found: Latest) -> tuple[Floats, Floats]:
    """The number of the latest trial started, and the best value by then, in steps.

    It is the incumbent's: the best at the largest resource reached, with a gap (NaN) before the steps where a
    trial first went further: there it may be worse than before. Of several
    objectives, each one's best at the largest resource of all.
    """
    if len(subject.goals) == 1:
        return _incumbents(subject.steps)
    top = found.kept & (found.resources == found.resources.max(initial=1))
    sign = -1.0 if goal.mode == "max" else 1.0
    best = np.minimum.accumulate(sign * found.values[top])
    return found.trials[top].astype(np.float64), sign * best


def _incumbents(steps: Sequence[Step]) -> tuple[Floats, Floats]:
    x: list[float] = []
    y: list[float] = []
    resource = 0
    for place, step in enumerate(steps):
        after = steps[place + 1] if place + 1 < len(steps) else None
        if after is not None and after.trials == step.trials:
            continue  # overtaken before the next trial started
        if x and step.incumbent.resource > resource:
            x, y = [*x, step.trials - 1.0], [*y, np.nan]
        resource = step.incumbent.resource
        x, y = [*x, step.trials - 1.0], [*y, step.incumbent.value]
    return np.array(x), np.array(y)


def curves(subject: Subject, goal: Goal) -> list[Curve]:
    """The learning curve of every trial that has a value, in order of number.

    Raises:
        StudyError: the study has no resource.
    """
    if subject.unit is None:
        raise StudyError(f"study {subject.name!r} has no resource, so there are no learning curves")
    found = []
    for record in subject.records:
        if subject.history.apart.get(record.number) == CONFIRM:
            continue
        points = [(o.resource or 0, finite(o.metrics, goal)) for o in record.observations]
        sound = [(resource, value) for resource, value in points if value is not None]
        if sound:
            resources, values = zip(*sound, strict=True)
            found.append(Curve(record.number, np.array(resources, np.int64), np.array(values)))
    return found


def distribution(values: Floats) -> tuple[Floats, Floats]:
    """The empirical distribution: values, ascending, and the share that is at most each."""
    ascending = np.sort(values)
    return ascending, np.arange(1, len(values) + 1) / len(values)
