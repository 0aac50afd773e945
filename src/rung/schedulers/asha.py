"""ASHA, asynchronous successive halving by promotion: Li et al. 2020 (MLSys), Algorithm 2.

Whenever a worker is free: from the highest rung down, promote the best trial that is among the top
floor(n / eta) of *all* n results of its rung and not promoted yet; if there is none, start a new
configuration in the lowest rung. No worker ever waits for a rung to fill.

What happens when:
- a trial failed (crash, NaN, infinite, missing): its result counts in n as the worst, it is never promoted,
  and the slot that it leaves is not handed on: k = floor(n / eta) stays what it is;
- values are equal: the older trial is the better one;
- a rung has fewer than eta results: k = 0, it promotes nothing;
- all of a rung failed: it promotes nothing; new configurations go on being started;
- no more may be started: the promotions that the results allow are finished, then it is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.schedulers.base import ByState
from rung.schedulers.ladder import ladder_of
from rung.schedulers.promotion import Promotions
from rung.trials.events import Identity


@dataclass(frozen=True)
class ASHA(ByState):
    """Asynchronous successive halving by promotion."""

    def initial(self, identity: Identity) -> Promotions:
        return Promotions([ladder_of(identity)], [1], identity.eta)
