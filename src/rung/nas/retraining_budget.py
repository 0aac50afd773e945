"""How many epochs of a training fit a budget: a few steps are timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from rung.errors import UserError
from rung.nas.devices import average
from rung.nas.retraining_limits import out_of_budget

_PROBES: Final = 3  # steps that are timed, after one that is not
_MARGIN: Final = 1.05  # of what was measured; the first steps of a training are no slower than the others


class OutOfBudget(UserError):  # noqa: N818  # what there is not
    """A budget is under one epoch."""


class Budget(NamedTuple):
    """Wall time in seconds, and the monotonic time from which it counts."""

    seconds: float
    began: float

    def spent(self) -> float:
        """Seconds that are over."""
        return time.monotonic() - self.began


class Probe(NamedTuple):
    """What is timed.

    Attributes:
        step: a training step; False when there are no more pictures.
        test: scores as many test pictures as a batch has.
        steps: of an epoch.
        tested: test pictures.
        every: epochs between two tests.
        batch: pictures in a step.
    """

    step: Callable[[], bool]
    test: Callable[[], object]
    steps: int
    tested: int
    every: int
    batch: int


def epochs_within(probe: Probe, epochs: int, budget: Budget) -> int:
    """As many epochs as fit what the probe leaves of the budget, at most so many.

    Raises:
        OutOfBudget: not even one fits.
    """
    training, testing = (average(seconds) for seconds in measured(probe))
    spent = average(budget.spent())
    possible = int((budget.seconds - spent - testing) / (training + testing / probe.every))
    if possible < 1:
        raise OutOfBudget(out_of_budget(budget.seconds, spent + training + testing))
    return min(possible, epochs)


def measured(probe: Probe) -> tuple[float, float]:
    """What training an epoch takes here, and what testing takes."""
    times = []
    first = _timed(probe.step)
    for _ in range(_PROBES):
        seconds = _timed(probe.step)
        if seconds is not None:
            times.append(seconds)
    training = statistics.median(times) if times else first or 0.0
    testing = _timed(probe.test) or 0.0
    return _MARGIN * probe.steps * training, testing * probe.tested / min(probe.batch, probe.tested)


def least(probe: Probe, steps: int) -> float:
    """Seconds of the fastest of so many training steps after a first; the first's where there are no more."""
    first = _timed(probe.step) or 0.0
    return min((spent for _ in range(steps) if (spent := _timed(probe.step)) is not None), default=first)


def _timed(call: Callable[[], object]) -> float | None:
    """Seconds; None where there was nothing to do."""
    began = time.perf_counter()
    done = call()
    return None if done is False else time.perf_counter() - began
