"""Percentile stopping: the median stopping rule (Golovin et al. 2017, 3.2.1) at any other percentile.

A trial is stopped at resource s if its best value up to s is strictly worse than the given percentile of the
values that others had at s: with `percentile` 25, the default, who is not as good as the best quarter. These
are the values at s themselves, as in Optuna's pruner of this name; with `averages` they are the running
averages of the paper, so that percentile 50 with averages is `median`.

The others are the trials that have ended with a value or were stopped; the percentile is interpolated
linearly. What happens with failures, ties and few results is said in `rung.schedulers.standing`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.errors import StudyError
from rung.schedulers.base import ByState
from rung.schedulers.standing import Rule, Standing, check, gates_of
from rung.trials.events import Identity


@dataclass(frozen=True)
class Percentile(ByState):
    """Stop a trial whose best value is worse than a percentile of the others' values.

    Args:
        percentile: above 0 and below 100; the smaller, the more trials are stopped.
        averages: compare with the others' running averages instead of their values.
        interval: judge each so many units of the resource; at the rungs of the ladder if None.
        min_trials: stop nobody before so many others count.
        min_resource: stop nobody below this.
        running: let running trials count, too, as far as they have come.
    """

    percentile: float = 25.0
    averages: bool = False
    interval: int | None = None
    min_trials: int = 5
    min_resource: int = 0
    running: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.percentile < 100.0:
            raise StudyError(f"percentile must be above 0 and below 100, not {self.percentile}")
        check(self.interval, self.min_trials, self.min_resource, "percentile")

    def initial(self, identity: Identity) -> Standing:
        rule = Rule(self.percentile, self.averages, self.running, self.min_trials, self.min_resource)
        return Standing(gates_of(identity, self.interval), rule)
