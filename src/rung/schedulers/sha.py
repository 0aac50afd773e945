"""Successive halving, synchronous (Jamieson & Talwalkar 2016; Li et al. 2018, Algorithm 1's inner loop).

Brackets of one size, n = eta^s_max configurations that start at r, one after the other: for R / r = 81 and
eta 3, 81 trials at r, 27 at 3 r, 9, 3, and 1 at R. What happens with failures, ties and a bracket that is cut
short is said in `rung.schedulers.synchronous`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.schedulers.base import ByState
from rung.schedulers.ladder import ladder_of, shrink
from rung.schedulers.synchronous import BracketPlan, Brackets
from rung.trials.events import Identity


def table(rungs: tuple[int, ...], eta: int) -> tuple[BracketPlan, ...]:
    """The one kind of bracket."""
    return (BracketPlan(rungs, shrink(eta ** (len(rungs) - 1), len(rungs), eta)),)


@dataclass(frozen=True)
class SuccessiveHalving(ByState):
    """Synchronous successive halving, one bracket after the other."""

    def initial(self, identity: Identity) -> Brackets:
        return Brackets(table(ladder_of(identity), identity.eta), identity.eta)
