"""PASHA: against Algorithm 1 with soft ranking, written slowly; and what it saves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

import rung
from rung.errors import StudyError
from rung.schedulers.base import Decision, Resume, Start
from rung.schedulers.pasha import PASHA, Progressive, criss_cross, points
from rung.trials import events as ev
from rung.trials.events import JobStarted, Limits
from rung.trials.history import Result
from support.driver import Driver, Oracle, identity
from support.oracles import best_first, idle

LADDERS = [(1, 1, 3), (1, 9, 3), (1, 27, 3), (2, 32, 2), (1, 100, 4)]
choices = st.lists(st.integers(0, 10**6), max_size=150)


class PaperPASHA(Oracle):
    """Bohdal et al. 2023: everything is ranked and every pair of curves compared anew for each result."""

    def __init__(self, rungs: list[int], eta: int, epsilon: float | None) -> None:
        self.rungs, self.eta, self.fixed = rungs, eta, epsilon
        self.top = min(1, len(rungs) - 1)
        self.epsilon = epsilon or 0.0
        self.results: list[dict[int, float]] = [{} for _ in rungs]
        self.promoted: list[set[int]] = [set() for _ in rungs]
        self.heading: dict[int, int] = {}
        self.curves: dict[int, dict[int, float]] = {}

    def started(self, trial: int, bracket: int, until: int) -> None:
        self.heading[trial] = self.rungs.index(until)
        if until != self.rungs[0]:
            self.promoted[self.heading[trial] - 1].add(trial)

    def told(self, trial: int, resource: int, value: float) -> None:
        self.curves.setdefault(trial, {})[resource] = value
        level = self.heading[trial]
        if resource == self.rungs[level]:
            self.results[level][trial] = value
            if level == self.top < len(self.rungs) - 1 and value < math.inf:
                self.look()

    def failed(self, trial: int) -> None:
        self.results[self.heading[trial]][trial] = math.inf

    def look(self) -> None:
        upper = {t: v for t, v in self.results[self.top].items() if v < math.inf}
        lower = {t: self.results[self.top - 1][t] for t in upper}
        if self.fixed is None:
            noise = [gap for pair in itertools.combinations(upper, 2) for gap in self.noise(*pair)]
            self.epsilon = float(np.percentile(noise, 90)) if noise else self.epsilon
        before = best_first(lower)
        for place, trial in enumerate(best_first(upper)):
            group = {t for t in before if abs(lower[t] - lower[before[place]]) <= self.epsilon}
            if trial not in group:
                self.top += 1
                return

    def noise(self, one: int, other: int) -> list[float]:
        """The distance at the highest rung in use of two curves that criss-cross."""
        first, second = self.curves[one], self.curves[other]
        above = [first[r] > second[r] for r in sorted(first) if math.inf not in (first[r], second[r])]
        below = [first[r] < second[r] for r in sorted(first) if math.inf not in (first[r], second[r])]
        points = range(len(above))
        for i, j in itertools.combinations(points, 2):
            if (above[i], below[j], above[-1]) == (True,) * 3 or (below[i], above[j], below[-1]) == (
                True,
            ) * 3:
                return [abs(first[max(first)] - second[max(second)])]
        return []

    def next(self, may_start: bool, busy: bool) -> Decision:
        for level in reversed(range(self.top)):
            results = self.results[level]
            top = best_first(results)[: len(results) // self.eta]
            wanted = [t for t in top if results[t] < math.inf and t not in self.promoted[level]]
            if wanted:
                return Resume(wanted[0], self.rungs[level + 1], self.gates(level + 1))
        return Start(self.rungs[0], gates=self.gates(0)) if may_start else idle(busy)

    def gates(self, level: int) -> tuple[int, ...]:
        if self.fixed is not None or self.top == len(self.rungs) - 1:
            return ()
        below, above = (0, *self.rungs)[level : level + 2]
        number = min(8, above - below)
        return tuple(below + (above - below) * i // number for i in range(1, number))


@pytest.mark.parametrize("epsilon", [None, 0.0, 1.0])
@given(
    ladder=st.sampled_from(LADDERS),
    n=st.integers(1, 60),
    slots=st.integers(1, 6),
    numbers=choices,
    values=st.sampled_from([1, 2, 3, 6, 40]),
)
@settings(max_examples=80, deadline=None)
def test_it_decides_as_the_papers_algorithm(epsilon, ladder, n, slots, numbers, values):
    who = identity(*ladder)
    scheduler = PASHA(epsilon)
    rungs = list(scheduler.initial(who)._ladder)
    oracle = PaperPASHA(rungs, who.eta, epsilon)
    driver = Driver(
        scheduler,
        who,
        Limits(trials=n, retries=1),
        workers=slots,
        choices=numbers,
        oracle=oracle,
        values=values,
    )
    driver.run()
    assert len(driver.history) == n
    assert driver.history.scheduler.maximum == rungs[oracle.top]
    assert driver.history.scheduler.epsilon == pytest.approx(oracle.epsilon)


def told(state: Progressive, trial: int, curve: dict[int, float]) -> None:
    """A trial's whole way up to the largest resource of its curve."""
    for until in [level for level in (1, 3, 9) if level <= max(curve)]:
        state.fold(JobStarted(trial, until))
        for resource in sorted(r for r in curve if (until // 3 if until > 1 else 0) < r <= until):
            state.fold(Result(trial, resource, curve[resource], 0, ended=resource == until))


def test_the_ladder_grows_when_a_ranking_turns_round():
    state = Progressive((1, 3, 9), 3, None)
    told(state, 0, {1: 0.5, 2: 0.4, 3: 0.3})
    told(state, 1, {1: 0.6, 2: 0.5, 3: 0.4})
    assert state.maximum == 3
    told(state, 2, {1: 0.9, 2: 0.8, 3: 0.1})
    assert state.maximum == 9


def test_what_differs_by_no_more_than_the_noise_is_no_new_ranking():
    """Two curves criss-cross and end 0.2 apart; then two change places that were 0.1 apart below."""
    state = Progressive((1, 3, 9), 3, None)
    told(state, 0, {1: 0.50, 2: 0.70, 3: 0.30})
    told(state, 1, {1: 0.60, 2: 0.50, 3: 0.50})
    assert (state.epsilon, state.maximum) == (pytest.approx(0.2), 3)
    told(state, 2, {1: 0.65, 2: 0.56, 3: 0.45})  # criss-crosses the first, 0.15 apart at the end
    assert (state.epsilon, state.maximum) == (pytest.approx(0.195), 3)


def test_criss_cross_is_two_changes_of_order():
    curve = np.array([0.0, 0.0, 0.0, 0.0])
    others = np.array(
        [[1, -1, 0, 1], [-1, 1, 1, -1], [1, 1, -1, -1], [1, 0, 0, 1], [-1, 1, 1, 1], [1, np.nan, -1, 2]]
    )
    assert criss_cross(curve, others).tolist() == [True, True, False, False, False, True]


def test_a_curve_has_at_most_8_points_a_step():
    assert points(0, 1) == ()
    assert points(0, 8) == (1, 2, 3, 4, 5, 6, 7)
    assert points(1, 3) == (2,)
    assert points(27, 81) == (33, 40, 47, 54, 60, 67, 74)


@pytest.mark.parametrize("epsilon", [-1.0, math.nan, math.inf])
def test_nonsense_is_refused(epsilon):
    with pytest.raises(StudyError, match="epsilon"):
        PASHA(epsilon)


def study(scheduler: str, seed: int, noise: float) -> tuple[float, int]:
    """The true loss of the best trial, and the resource spent, when curves never cross but for noise."""

    def curve(trial):
        rng = np.random.default_rng([seed, trial.number])
        for epoch in range(1, trial.resource + 1):
            trial.report(epoch, loss=trial.config["x"] + 1.0 / epoch + noise * rng.normal())

    space = {"x": rung.Float(0, 1)}
    resource = ("epoch", 1, 81)
    result = rung.tune(
        curve, space, resource=resource, sampler="random", scheduler=scheduler, trials=80, seed=seed
    )
    return result.best.config["x"], sum(trial.resource for trial in result.trials)


def test_where_rankings_are_stable_it_spends_less_than_asha_and_finds_as_good():
    runs = [(study("asha", seed, 0.0), study("pasha", seed, 0.0)) for seed in range(5)]
    assert all(pasha == asha for (asha, _), (pasha, _) in runs)
    assert all(2 * pasha < asha for (_, asha), (_, pasha) in runs)


def test_with_noise_it_spends_less_than_asha_and_finds_as_good():
    """Wilcoxon's signed ranks over 20 seeds: less is spent, and what is found is no more than 0.03 worse."""
    runs = [(study("asha", seed, 0.02), study("pasha", seed, 0.02)) for seed in range(20)]
    spent = [asha - pasha for (_, asha), (_, pasha) in runs]
    found = [pasha - asha - 0.03 for (asha, _), (pasha, _) in runs]
    assert wilcoxon(spent, alternative="greater").pvalue < 0.01
    assert wilcoxon(found, alternative="less").pvalue < 0.05


def test_with_a_fixed_epsilon_nothing_waits_at_gates():
    driver = Driver(PASHA(0.1), identity(1, 81, 3), Limits(trials=30)).run()
    assert not any(event.gates for event in driver.log if isinstance(event, ev.JobStarted))
