"""The median stopping rule: Golovin et al. 2017 (Vizier, KDD), section 3.2.1.

A trial is stopped at resource s if its best value up to s is strictly worse than the median of the running
averages, up to s, of all completed trials. A trial has completed, as in Vizier, when it has ended with a
value or was stopped: the averages of a stopped trial count up to where it was stopped.

The paper's average is over every report up to s. Here it is over the gates up to s, where a report waits for
the rule's word: the rungs of the ladder, or, with `interval`, every so many units of the resource; with
`interval` 1 it is the paper's. What happens with failures, ties and few results is said in
`rung.schedulers.standing`; that the rule waits for some trials (`min_trials`, `min_resource`) is the way of
Katib and Ray, whose defaults these are.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.schedulers.base import ByState
from rung.schedulers.standing import Rule, Standing, check, gates_of
from rung.trials.events import Identity


@dataclass(frozen=True)
class Median(ByState):
    """Stop a trial whose best value is worse than the median of the others' running averages.

    Args:
        interval: judge each so many units of the resource; at the rungs of the ladder if None.
        min_trials: stop nobody before so many others count.
        min_resource: stop nobody below this.
        running: let running trials count, too, as far as they have come: with many workers the rule bites
            earlier than the paper's, for which no trial counts until it has ended.
    """

    interval: int | None = None
    min_trials: int = 3
    min_resource: int = 0
    running: bool = False

    def __post_init__(self) -> None:
        check(self.interval, self.min_trials, self.min_resource, "median")

    def initial(self, identity: Identity) -> Standing:
        rule = Rule(50.0, True, self.running, self.min_trials, self.min_resource)
        return Standing(gates_of(identity, self.interval), rule)
