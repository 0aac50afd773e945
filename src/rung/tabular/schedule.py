"""Who runs next in a search for a model: the good defaults first and far, what the sampler proposes by ASHA.

Brackets of ASHA (Li et al. 2020): bracket 0 is the whole ladder of rungs, for what the sampler proposes;
bracket j is its j highest rungs. Configurations that were enqueued are known to be worth it, and start in the
bracket that their learner's cost allows, at best in bracket 1, with all rows at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rung.schedulers.asha import Promotions, may_be_promoted
from rung.schedulers.base import DONE, WAIT, Decision
from rung.schedulers.ladder import ladder_of
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import History, Result


@dataclass(frozen=True)
class DefaultsFirst:
    """ASHA, with enqueued configurations in a bracket of their own.

    Attributes:
        rungs: by learner, how many of the highest rungs its enqueued configurations climb; 1 unless named.
    """

    rungs: Mapping[str, int] = field(default_factory=dict)

    def initial(self, identity: Identity) -> Promotions:
        ladder = ladder_of(identity)
        return Promotions([ladder, *(ladder[-top:] for top in range(1, len(ladder) + 1))], identity.eta)

    def fold(self, state: Promotions, item: JobStarted | Result | TrialStopped) -> Promotions:
        state.fold(item)
        return state

    def next(self, history: History) -> Decision:
        """Promote, else start what is enqueued, else what the sampler proposes, else wait or be done."""
        state: Promotions = history.scheduler
        promotion = state.promotion()
        if promotion is not None:
            return promotion
        if history.may_start:
            return state.starts[self._bracket(history, len(state.starts) - 1)]
        return WAIT if history.running or history.retry else DONE

    def _bracket(self, history: History, most: int) -> int:
        if not history.enqueued:
            return 0
        return min(self.rungs.get(history.enqueued[0].get("learner", ""), 1), most)

    def may_resume(self, history: History, trial: int) -> bool:
        """As in ASHA."""
        return may_be_promoted(history.scheduler, history, trial)
