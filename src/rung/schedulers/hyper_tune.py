"""Hyper-Tune's scheduling: Li et al. 2022 (VLDB), bracket selection and D-ASHA.

Asynchronous Hyperband (`async-hyperband`) with two changes. Which bracket a new configuration goes to is
learnt: bracket b starts at rung b, and its weight is w_b = c_b theta_b, with c_b = 1 / r_b (cheap brackets
try more) and theta_b for how well rung b ranks as the highest fidelity does. And promotion is delayed
(D-ASHA): a rung with n results has promoted floor(n / eta) trials at most.

What differs from the paper, and why:
- theta. The paper fits a model to each fidelity and takes the probability that it mis-ranks the fewest pairs
  of the highest. A scheduler has no model; it counts pairs of results: tau_b is the share of pairs that rung
  b ranks as the highest does, less the share that it ranks the other way (Kendall), at least 0. As the
  highest fidelity always ranks itself best, that probability would be 1; theta_b is tau_b^3, by the
  power of the authors' code. A rung that ranks at random is not begun at.
- The highest fidelity is the highest rung with at least `min_trials` results; brackets above it keep their
  shares of Hyperband. Before there is one above the lowest, all do (the paper waits for results at R). With
  `lowest_first` all begin at the lowest rung until then, as in `asha`, and later every other one: a model
  learns from cheap results first, and those that begin higher are its suggestions, not random ones.
- Not drawn: each start adds the weights to the brackets' credits and takes 1 from its own; the one with the
  most goes next. So the decision follows from the log alone.
- A trial is looked at on its way through the rungs below its own, too (gates at which nobody is stopped), so
  that rungs are compared on all trials, not on those only that the lower rung let pass.
- A result is compared with the 128 latest at its rung, so that a result costs the same after many.

What happens when:
- a trial failed: it counts as the worst in its rung's n, is never promoted, and ranks nothing;
- values are equal: the older trial is promoted first; a pair that is equal at the highest fidelity ranks
  nothing, one that is equal at the lower only counts half;
- a rung has too few pairs to tell (as many as `min_trials` trials make): it counts as ranking well;
- an objective reports nothing on the way: what its end says is not taken for a result of lower rungs.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.errors import StudyError
from rung.schedulers.async_hyperband import shares
from rung.schedulers.base import ByState, Decision, Start
from rung.schedulers.ladder import ladder_of
from rung.schedulers.promotion import Promotions
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import WORST, History, Result

POWER = 3  # of a rung's consistency: what is no better than others falls back fast
_LATEST = 128  # results at a rung with which a new one is compared


class Consistency:
    """How well each rung ranks as each higher one does, from trials with results at both.

    Attributes:
        counts: results at each level.
        agreeing, pairs: (levels, levels) pairs ranked alike by the lower and the higher level, and all.
    """

    __slots__ = ("_latest", "_values", "agreeing", "counts", "pairs")

    def __init__(self, levels: int) -> None:
        self.counts = [0] * levels
        self.agreeing = np.zeros((levels, levels))
        self.pairs = np.zeros((levels, levels))
        self._values: dict[int, list[float]] = {}  # by trial, at each level; NaN where there is none
        self._latest: list[deque[NDArray[np.float64]]] = [deque(maxlen=_LATEST) for _ in range(levels)]

    def add(self, trial: int, level: int, value: float) -> None:
        """A trial's result at a level; those below come first."""
        values = self._values.setdefault(trial, [math.nan] * len(self.counts))
        values[level] = value
        self.counts[level] += 1
        if level > 0:
            row = np.array(values[: level + 1])
            if self._latest[level]:
                self._compare(row, np.stack(self._latest[level]))
            self._latest[level].append(row)

    def forget(self, trial: int) -> None:
        """The trial goes no further."""
        self._values.pop(trial, None)

    def _compare(self, row: NDArray[np.float64], others: NDArray[np.float64]) -> None:
        """Pairs of one trial (levels,) with others (n, levels), the last level being the one that counts."""
        order = (others > row).astype(np.int8) - (others < row)  # (n, levels)
        known = np.isfinite(others) & np.isfinite(row) & (order[:, -1:] != 0)
        alike = (1.0 + order * order[:, -1:]) / 2.0  # 1, or 0, or a half where the lower level has a tie
        top = len(row) - 1
        self.agreeing[:top, top] += np.where(known, alike, 0.0).sum(axis=0)[:top]
        self.pairs[:top, top] += known.sum(axis=0)[:top]

    def tau(self, top: int, least: int) -> NDArray[np.float64]:
        """Rank correlation of levels 0, ..., `top` with the last: (top + 1,), from 0 to 1.

        It is 1 where fewer than `least` pairs are known.
        """
        pairs, agreeing = self.pairs[:top, top], self.agreeing[:top, top]
        found = np.where(pairs >= least, 2.0 * agreeing / np.maximum(pairs, 1.0) - 1.0, 1.0)
        return np.append(np.maximum(found, 0.0), 1.0)


class Weighed:
    """The state: the brackets' rungs, how well rungs rank, and each bracket's credit.

    Attributes:
        weights: (brackets,) the share of new configurations that each bracket gets now.
    """

    __slots__ = (
        "_consistency",
        "_credits",
        "_early",
        "_heading",
        "_ladder",
        "_level",
        "_lowest",
        "_promotions",
        "_shares",
        "_start",
        "_starts",
        "min_trials",
        "weights",
    )

    def __init__(self, ladder: tuple[int, ...], eta: int, rule: HyperTune) -> None:
        share = shares(len(ladder), eta, rule.brackets)
        self.min_trials = rule.min_trials
        self._ladder = ladder
        self._level = {resource: level for level, resource in enumerate(ladder)}
        self._promotions = Promotions([ladder[b:] for b in range(len(share))], share, eta, delayed=True)
        self._consistency = Consistency(len(ladder))
        self._heading: dict[int, int] = {}  # the resource to which each running trial's job runs
        self._shares = np.array(share) / sum(share)
        self._lowest = 0.5 if rule.lowest_first else 0.0  # at least so much to the first bracket
        # what brackets get about which nothing is known yet
        self._early = np.eye(1, len(share))[0] if rule.lowest_first else self._shares
        self._credits = np.zeros(len(share))
        self._starts = [Start(ladder[b], b, ladder[:b]) for b in range(len(share))]
        self._weigh()

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started or a result."""
        if type(item) is Result:
            self._told(item)
        elif type(item) is JobStarted:
            self._heading[item.trial] = item.until
            self._promotions.fold(item)
            if item.until == self._ladder[item.bracket]:
                self._credits += self.weights
                self._credits[item.bracket] -= 1.0
                self._choose()

    def _told(self, result: Result) -> None:
        heading = self._heading[result.trial]
        if result.ended and result.value == WORST:  # it may have failed at a gate on the way
            result = result._replace(resource=heading)
            self._consistency.forget(result.trial)
        elif result.value < WORST and (result.resource == heading or not result.ended):
            level = self._level[result.resource]
            self._consistency.add(result.trial, level, result.value)
            if level > 0:  # results of the lowest rung alone compare nothing
                self._weigh()
        if result.resource == heading:
            del self._heading[result.trial]
            self._promotions.fold(result)
            if heading == self._ladder[-1]:
                self._consistency.forget(result.trial)

    def _weigh(self) -> None:
        """The weights that follow from what is known now."""
        enough = [level for level, n in enumerate(self._consistency.counts) if n >= self.min_trials]
        top = enough[-1] if enough else 0
        self.weights = self._early.copy()
        if top > 0:
            tau = self._consistency.tau(top, self.min_trials * (self.min_trials - 1) // 2)
            raw = (tau**POWER / np.array(self._ladder[: top + 1]))[: len(self.weights)]
            if raw.sum() > 0.0:
                self.weights[: len(raw)] = raw / raw.sum() * self._early[: len(raw)].sum()
        self.weights *= 1.0 - self._lowest
        self.weights[0] += self._lowest
        self._choose()

    def _choose(self) -> None:
        credit = (self._credits + self.weights).round(
            9
        )  # so that the first of equal ones is the same anywhere
        self._start = self._starts[int(np.argmax(credit))]

    def pass_over(self, outside: Set[int]) -> None:
        """Promote none of these trials."""
        self._promotions.pass_over(outside)

    def next(self, history: History) -> Decision:
        """Promote, else start in the bracket with the most credit, else wait or be done."""
        decision = self._promotions.next(history)
        return self._start if isinstance(decision, Start) else decision

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether a paused trial can still go on."""
        return self._promotions.may_resume(history, trial)


@dataclass(frozen=True)
class HyperTune(ByState):
    """Asynchronous Hyperband that learns which brackets are worth their cost.

    Args:
        brackets: only the first so many; all that the rungs allow if None.
        min_trials: results that a rung must have before lower ones are compared with it.
        lowest_first: all begin at the lowest rung until two rungs can be compared, and half of them later.
    """

    brackets: int | None = None
    min_trials: int = 8
    lowest_first: bool = False

    def __post_init__(self) -> None:
        if self.brackets is not None and self.brackets < 1:
            raise StudyError(f"hyper-tune needs at least 1 bracket, not {self.brackets}")
        if self.min_trials < 2:
            raise StudyError(f"hyper-tune needs at least 2 min_trials to compare, not {self.min_trials}")

    def initial(self, identity: Identity) -> Weighed:
        return Weighed(ladder_of(identity), identity.eta, self)
