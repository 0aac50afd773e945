"""Who runs next in a search for a model: the good defaults first and far, what the sampler proposes by ASHA.

Brackets of ASHA (Li et al. 2020): bracket 0 is the whole ladder of rungs, for what the sampler proposes;
bracket j is its j highest rungs. Configurations that were enqueued are known to be worth it, and start in the
bracket that their learner's cost allows, at best in bracket 1, with all rows at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rung.schedulers.base import Decision, Start
from rung.schedulers.ladder import ladder_of
from rung.schedulers.promotion import Promotions
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
        ladders = [ladder, *(ladder[-top:] for top in range(1, len(ladder) + 1))]
        return Promotions(ladders, [1] + [0] * len(ladder), identity.eta)  # only bracket 0 starts by itself

    def fold(self, state: Promotions, item: JobStarted | Result | TrialStopped) -> Promotions:
        state.fold(item)
        return state

    def next(self, history: History) -> Decision:
        """Promote, else start what is enqueued, else what the sampler proposes, else wait or be done."""
        state: Promotions = history.scheduler
        decision = state.next(history)
        if isinstance(decision, Start) and history.enqueued:
            return self._start(history)
        return decision

    def _start(self, history: History) -> Start:
        ladder = ladder_of(history.identity)
        top = min(self.rungs.get(history.enqueued[0].get("learner", ""), 1), len(ladder))
        return Start(ladder[-top], top)

    def may_resume(self, history: History, trial: int) -> bool:
        """As in ASHA."""
        state: Promotions = history.scheduler
        return state.may_resume(history, trial)
