"""Hyperband (Li et al. 2018, JMLR, Algorithm 1): brackets of successive halving, over and over.

Bracket number q is the paper's s = s_max - q mod (s_max + 1). It starts n = ceil((s_max + 1) / (s + 1) eta^s)
configurations s rungs below R, and keeps floor(n / eta^i) at the i-th rung: for R / r = 81 and eta 3 it
starts 81, 34, 15, 8, 5; for 243 243, 98, 41, 18, 9, 6. What happens with failures, ties and a bracket that is
cut short is said in `rung.schedulers.synchronous`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.schedulers.base import ByState
from rung.schedulers.ladder import bracket_size, ladder_of, shrink
from rung.schedulers.synchronous import BracketPlan, Brackets
from rung.trials.events import Identity


def table(rungs: tuple[int, ...], eta: int) -> tuple[BracketPlan, ...]:
    """One round of brackets, the most aggressive (s = s_max) first."""
    levels = len(rungs)
    return tuple(
        BracketPlan(rungs[levels - 1 - s :], shrink(bracket_size(levels, s, eta), s + 1, eta))
        for s in reversed(range(levels))
    )


@dataclass(frozen=True)
class Hyperband(ByState):
    """Synchronous Hyperband; with idle workers the next bracket opens early."""

    def initial(self, identity: Identity) -> Brackets:
        return Brackets(table(ladder_of(identity), identity.eta), identity.eta)
