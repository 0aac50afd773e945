"""Asynchronous Hyperband: ASHA in several brackets, each starting one rung higher (Li et al. 2020, 3.3).

Bracket b starts its configurations at rung b, so that bracket 0 stops most aggressively and the last one runs
everything to the end. A new configuration goes to the bracket that lags furthest behind its share, and the
shares are those of Hyperband's budgets (n = ceil((s_max + 1) / (s + 1) * eta^s) with s = s_max - b): for
R / r = 81 and eta 3, of every 143 configurations 81, 34, 15, 8 and 5. Counts decide, not chance.

Promotions come first, from the highest rung down; at one rung, the bracket with the smaller number first.
Each bracket compares its own results only. Everything else is as in `asha`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.errors import StudyError
from rung.schedulers.base import ByState
from rung.schedulers.ladder import bracket_size, ladder_of
from rung.schedulers.promotion import Promotions
from rung.trials.events import Identity


def shares(levels: int, eta: int, brackets: int | None = None) -> tuple[int, ...]:
    """Configurations of the first `brackets` (else of all) brackets, by which they share what is started."""
    wanted = levels if brackets is None else min(brackets, levels)
    return tuple(bracket_size(levels, levels - 1 - b, eta) for b in range(wanted))


@dataclass(frozen=True)
class AsyncHyperband(ByState):
    """ASHA in several brackets.

    Args:
        brackets: only the first so many (the paper runs 3); all that the rungs allow if None.
    """

    brackets: int | None = None

    def __post_init__(self) -> None:
        if self.brackets is not None and self.brackets < 1:
            raise StudyError(f"async-hyperband needs at least 1 bracket, not {self.brackets}")

    def initial(self, identity: Identity) -> Promotions:
        rungs = ladder_of(identity)
        share = shares(len(rungs), identity.eta, self.brackets)
        return Promotions([rungs[b:] for b in range(len(share))], share, identity.eta)
