"""Hyper-Tune: brackets, weights and delayed promotion against the rule written slowly; and what it learns."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, wilcoxon

import rung
from rung.errors import StudyError
from rung.schedulers.async_hyperband import shares
from rung.schedulers.base import Decision, Start
from rung.schedulers.hyper_tune import Consistency, HyperTune, Weighed
from rung.trials.events import JobFinished, Limits
from support.driver import Driver, identity
from support.oracles import PaperASHA, idle

choices = st.lists(st.integers(0, 10**6), max_size=120)


class PaperHyperTune(PaperASHA):
    """All pairs are counted anew for each decision."""

    def __init__(self, rungs: list[int], eta: int, min_trials: int, lowest_first: bool) -> None:
        share = shares(len(rungs), eta)
        super().__init__([rungs[b:] for b in range(len(rungs))], list(share), eta)
        self.rungs, self.min_trials = rungs, min_trials
        self.prior = [part / sum(share) for part in share]
        self.lowest_first = lowest_first
        if lowest_first:
            self.prior = [1.0] + [0.0] * (len(share) - 1)
        self.credit = [0.0] * len(rungs)
        self.seen: dict[int, dict[int, float]] = {}
        self.lost: set[int] = set()
        self.heading: dict[int, int] = {}

    def started(self, trial: int, bracket: int, until: int) -> None:
        if until == self.ladders[bracket][0]:
            self.credit = [c + w for c, w in zip(self.credit, self.shares_now(), strict=True)]
            self.credit[bracket] -= 1.0
        self.heading[trial] = until
        super().started(trial, bracket, until)

    def told(self, trial: int, resource: int, value: float) -> None:
        if value < math.inf:
            self.seen.setdefault(trial, {})[resource] = value
        if resource == self.heading[trial]:
            super().told(trial, resource, value)

    def failed(self, trial: int) -> None:
        super().told(trial, self.heading[trial], math.inf)

    def promotable(self, bracket: int, rung: int) -> int | None:
        room = len(self.promoted[bracket][rung]) < len(self.results[bracket][rung]) // self.eta
        return super().promotable(bracket, rung) if room else None

    def shares_now(self) -> list[float]:
        full = [r for r in self.rungs if sum(r in seen for seen in self.seen.values()) >= self.min_trials]
        if not full or full[-1] == self.rungs[0]:
            return self.prior
        head = self.rungs[: self.rungs.index(full[-1]) + 1]
        raw = [self.tau(r, full[-1]) ** 3 / r for r in head]
        mass = sum(self.prior[: len(head)])
        learnt = [mass * w / sum(raw) for w in raw] + self.prior[len(head) :]
        if self.lowest_first:
            learnt = [0.5 + 0.5 * learnt[0]] + [0.5 * w for w in learnt[1:]]
        return learnt

    def tau(self, low: int, high: int) -> float:
        if low == high:
            return 1.0
        both = [seen for seen in self.seen.values() if low in seen and high in seen]
        alike = [
            ((a[low] > b[low]) - (a[low] < b[low])) * ((a[high] > b[high]) - (a[high] < b[high]))
            for a, b in itertools.combinations(both, 2)
            if a[high] != b[high]
        ]
        if len(alike) < self.min_trials * (self.min_trials - 1) // 2:
            return 1.0
        return max(0.0, sum(alike) / len(alike))

    def next(self, may_start: bool, busy: bool) -> Decision:
        decision = super().next(True, busy)
        if not isinstance(decision, Start):
            return decision
        if not may_start:
            return idle(busy)
        wanted = [round(c + w, 9) for c, w in zip(self.credit, self.shares_now(), strict=True)]
        bracket = wanted.index(max(wanted))
        return Start(self.rungs[bracket], bracket, tuple(self.rungs[:bracket]))


@pytest.mark.parametrize(("min_trials", "lowest_first"), [(2, False), (4, False), (2, True)])
@given(
    ladder=st.sampled_from([(1, 1, 3), (1, 9, 3), (1, 27, 3), (2, 16, 2)]),
    n=st.integers(1, 50),
    slots=st.integers(1, 6),
    numbers=choices,
)
@settings(max_examples=60, deadline=None)
def test_it_decides_as_the_rule_written_slowly(min_trials, lowest_first, ladder, n, slots, numbers):
    r, R, eta = ladder
    rungs = [r * eta**k for k in range(9) if r * eta**k <= R]
    driver = Driver(
        HyperTune(min_trials=min_trials, lowest_first=lowest_first),
        identity(r, R, eta),
        Limits(trials=n, retries=1),
        workers=slots,
        choices=numbers,
        oracle=PaperHyperTune(rungs, eta, min_trials, lowest_first),
    )
    driver.run()
    assert len(driver.history) == n


def test_consistency_is_kendalls_tau():
    rng = np.random.default_rng(0)
    high = rng.normal(size=60)
    low, noise = high + rng.normal(size=60), rng.normal(size=60)
    consistency = Consistency(3)
    for trial in range(60):
        for level, value in enumerate((noise[trial], low[trial], high[trial])):
            consistency.add(trial, level, float(value))
    expected = [max(0.0, kendalltau(each, high).statistic) for each in (noise, low, high)]
    assert consistency.tau(2, 28).tolist() == pytest.approx(expected)


def test_what_an_objective_says_at_its_end_is_no_result_of_lower_rungs():
    driver = Driver(HyperTune(), identity(1, 9, 3), Limits(trials=13))
    while not driver.decide():
        job = next(iter(driver.history.running.values())).job
        driver.fold(JobFinished(job.trial, job.attempt, {"loss": float(job.trial)}))
    state: Weighed = driver.history.scheduler
    assert state._consistency.counts[0] == sum(bracket == 0 for bracket in driver.history.brackets)
    assert len(driver.history.results[1]) == 13  # what samplers see


@pytest.mark.parametrize("wrong", [{"brackets": 0}, {"min_trials": 1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(StudyError, match="at least"):
        HyperTune(**wrong)


def study(scheduler: object, seed: int, misleads: bool) -> tuple[float, float]:
    """The true loss of the best trial, and the share of configurations that began at the lowest rung."""

    def curve(trial):
        x = trial.config["x"]
        for epoch in range(1, trial.resource + 1):
            early = trial.config["noise"] if misleads else x
            trial.report(epoch, loss=x if epoch >= 27 else early + 1.0 / epoch)

    found = rung.tune(
        curve,
        {"x": rung.Float(0, 1), "noise": rung.Float(0, 1)},
        resource=("epoch", 1, 27),
        sampler="random",
        scheduler=scheduler,
        total_resource=1500,
        seed=seed,
    )
    begun = [trial.bracket for trial in found.trials]
    return found.best.config["x"], begun.count(0) / len(begun)


def test_it_learns_whether_low_fidelities_are_worth_it():
    """Where they tell all, most begin low; where they tell nothing, most begin at the top and it finds
    better than with Hyperband's fixed shares (Wilcoxon, 12 seeds)."""
    told = [study("hyper-tune", seed, False) for seed in range(12)]
    misled = [study("hyper-tune", seed, True) for seed in range(12)]
    fixed = [study("async-hyperband", seed, True) for seed in range(12)]
    assert min(share for _, share in told) > 0.6  # Hyperband's share is 0.55
    assert max(share for _, share in misled) < 0.45
    gains = [one - ours for (one, _), (ours, _) in zip(fixed, misled, strict=True)]
    assert wilcoxon(gains, alternative="greater").pvalue < 0.05
