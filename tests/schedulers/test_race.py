"""Racing: the tests against scipy's, the race against one written slowly, and what it finds."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import rung
from rung.errors import StudyError
from rung.schedulers.base import Resume, Start
from rung.schedulers.friedman import friedman, ranks, wilcoxon, worse
from rung.schedulers.race import Candidate, Racing
from rung.trials.events import JobStarted, Limits
from support.beside import Beside, idle
from support.driver import Driver, identity

choices = st.lists(st.integers(0, 10**6), max_size=100)
tables = st.tuples(st.integers(2, 9), st.integers(2, 7), st.integers(0, 10**6), st.sampled_from([2, 5, 50]))


def table(size: tuple[int, int, int, int]) -> np.ndarray:
    """Values (blocks, candidates) in which later candidates are worse; few different ones make ties."""
    blocks, n, seed, different = size
    return np.round(np.random.default_rng(seed).normal(np.arange(n) * 0.8, 1.0, (blocks, n)) * different / 6)


@given(tables)
@settings(deadline=None)
def test_friedmans_statistic_is_scipys(size):
    values = table(size)
    assert np.array_equal(ranks(values), stats.rankdata(values, axis=1))
    if values.shape[1] > 2 and len(np.unique(values)) > 1:
        _, spread, statistic = friedman(ranks(values))
        if spread:
            assert statistic == pytest.approx(stats.friedmanchisquare(*values.T).statistic)


@given(st.lists(st.integers(-5, 6).filter(bool), min_size=1, max_size=9))
@settings(max_examples=40, deadline=None)
def test_wilcoxons_chance_is_scipys_ties_included(differences):
    assert wilcoxon(np.array(differences, float))[1] == pytest.approx(stats.wilcoxon(differences).pvalue)


@pytest.mark.parametrize(
    ("n", "how"), [(20, "exact"), (50, "exact"), (51, "asymptotic"), (200, "asymptotic")]
)
def test_wilcoxons_chance_of_many(n, how):
    values = np.random.default_rng(n).normal(0.3, 1.0, n)
    assert wilcoxon(values)[1] == pytest.approx(stats.wilcoxon(values, method=how).pvalue)


def naive_worse(values: np.ndarray, alpha: float) -> list[bool]:
    """Birattari et al. 2002, term by term."""
    k, n = values.shape
    if n == 2:
        gap = values[:, 0] - values[:, 1]
        gap = gap[gap != 0]
        if not len(gap) or stats.wilcoxon(gap).pvalue > alpha:
            return [False, False]
        rank = stats.rankdata(abs(gap))
        up = rank[gap > 0].sum() > rank[gap < 0].sum()
        return [bool(up), not up]
    R = [[1 + sum(o < v for o in row) + (sum(o == v for o in row) - 1) / 2 for v in row] for row in values]
    sums = [sum(R[block][j] for block in range(k)) for j in range(n)]
    spread = sum(r**2 for row in R for r in row) - k * n * (n + 1) ** 2 / 4
    if spread == 0:
        return [False] * n
    T = (n - 1) * sum((s - k * (n + 1) / 2) ** 2 for s in sums) / spread
    if stats.friedmanchisquare(*values.T).pvalue > alpha:
        return [False] * n
    scale = math.sqrt(2 * k * max(0.0, 1 - T / (k * (n - 1))) * spread / ((k - 1) * (n - 1)))
    bound = stats.t.ppf(1 - alpha / 2, (k - 1) * (n - 1)) * scale
    return [s - min(sums) > bound + 1e-9 for s in sums]


@given(tables, st.sampled_from([0.01, 0.05, 0.3]))
@settings(max_examples=60, deadline=None)
def test_who_is_worse_is_as_the_paper_writes_it(size, alpha):
    values = table(size)
    assert worse(values, alpha).tolist() == naive_worse(values, alpha)


class PaperRace:
    """Race after race, looked at from the beginning at every decision."""

    def __init__(self, rule: Racing, largest: int) -> None:
        self.rule, self.largest = rule, largest
        self.known: dict[tuple, list[bool]] = {}

    def initial(self, identity):
        return []

    def fold(self, items, item):
        return [*items, item]

    def next(self, history):
        self.races: list[dict] = []
        self.elite: tuple[float, int, list[float]] | None = None
        for item in history.scheduler:
            if isinstance(item, JobStarted):
                self.started(item)
            else:
                self.races[item.bracket]["means"][item.trial].append(item.value)
                self.settle(self.races[item.bracket])
        for race in self.races:
            if race["wanted"]:
                return Resume(race["wanted"][0], race["block"])
        last = self.races[-1] if self.races else None
        open_ = last is not None and not last["full"]
        if history.may_start:
            return Start(1, len(self.races) - open_)
        if open_ and self.largest > 1:
            sound = [t for t in last["new"] if last["means"][t] and last["means"][t][0] < math.inf]
            if sound and all(last["means"][t] for t in last["new"]):
                return Resume(sound[0], 2)
        return idle(history)

    def started(self, job: JobStarted) -> None:
        while job.bracket >= len(self.races):
            old = {self.elite[1]: self.elite[2]} if self.elite and self.rule.elite else {}
            self.races.append(
                {"new": [], "means": dict(old), "alive": list(old), "block": 1, "wanted": [], "full": False}
            )
        race = self.races[job.bracket]
        if job.until == 1:
            race["new"].append(job.trial)
            race["alive"].append(job.trial)
            race["means"][job.trial] = []
            race["full"] = len(race["new"]) == self.rule.candidates
        else:
            if not race["full"]:
                race["full"] = True
                self.settle(race)
            race["wanted"].remove(job.trial)

    def settle(self, race: dict) -> None:
        """Blocks that are complete, one after the other."""
        means = race["means"]
        while race["full"] and race["alive"]:
            if any(len(means[t]) < race["block"] for t in race["alive"]):
                return
            race["alive"] = [t for t in race["alive"] if math.inf not in means[t]]
            if race["block"] >= self.rule.first_test and len(race["alive"]) > 1:
                values = np.array([self.repeats(means[t][: race["block"]]) for t in race["alive"]]).T
                out = self.found(values)
                race["alive"] = [t for t, gone in zip(race["alive"], out, strict=True) if not gone]
            if all(len(means[t]) == self.largest for t in race["alive"]):
                for trial in race["alive"]:
                    if self.elite is None or (means[trial][-1], trial) < self.elite[:2]:
                        self.elite = (means[trial][-1], trial, means[trial])
                race["alive"] = []
                return
            race["block"] += 1
            race["wanted"] = [t for t in race["alive"] if len(means[t]) < race["block"]]

    def found(self, values: np.ndarray) -> list[bool]:
        """As `naive_worse`; the same question is asked over and over."""
        key = (values.shape, values.tobytes())
        if key not in self.known:
            self.known[key] = naive_worse(values, self.rule.alpha)
        return self.known[key]

    @staticmethod
    def repeats(means: list[float]) -> list[float]:
        return [means[0]] + [k * m - (k - 1) * b for k, (b, m) in enumerate(pairwise(means), 2)]


@pytest.mark.parametrize("rule", [Racing(4, 2, 0.2), Racing(6, 3, 0.3), Racing(3, 2, 0.5, elite=False)])
@given(n=st.integers(1, 12), slots=st.integers(1, 7), numbers=choices, values=st.sampled_from([2, 6, 30]))
@settings(max_examples=12, deadline=None)
def test_it_decides_as_races_written_slowly(rule, n, slots, numbers, values):
    both = Beside(rule, PaperRace(rule, 6))
    driver = Driver(
        both, identity(1, 6, 3), Limits(trials=n), workers=slots, choices=numbers, values=values
    ).run()
    assert len(driver.history) == n


def test_single_repeats_are_read_off_the_means():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, 100) / 10
    candidate = Candidate(0)
    for k in range(1, 101):
        candidate.take(k, float(np.mean(values[:k])))
    assert candidate.values == values.tolist()  # to the last bit, so that ties are ties


def test_who_breaks_a_constraint_is_behind_without_a_mean():
    candidate = Candidate(0)
    for k, mean in enumerate([0.5, 1.2e306, 1.9e306, 0.25], 1):
        candidate.take(k, mean)
    assert candidate.values == [0.5, 1.2e306, 1.9e306, 0.25]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Racing(candidates=1), "2 candidates"),
        (lambda: Racing(first_test=1), "2 blocks"),
        (lambda: Racing(alpha=1.0), "alpha"),
    ],
)
def test_nonsense_is_refused(wrong, message):
    with pytest.raises(StudyError, match=message):
        wrong()


def noisy(scheduler: object, seed: int, n: int = 20, repeats: int = 30, **more) -> tuple[float, int]:
    """The true loss of what is declared the best of n arms, 0, 1/n, ...; and how many repeats were run."""

    def arm(config, resource, number):
        noise = np.random.default_rng([seed, number]).normal(0.0, 0.25, repeats)
        return {"loss": config["x"] + float(noise[:resource].mean())}

    def trial(trial):
        trial.report(trial.resource, **arm(trial.config, trial.resource, trial.number))

    result = rung.tune(
        trial,
        {"x": rung.Float(0, 1)},
        resource=("repeat", 1, repeats),
        sampler="random",
        scheduler=scheduler,
        trials=n,
        seed=seed,
        **more,
    )
    return result.best.config["x"], sum(found.resource for found in result.trials)


def test_it_finds_as_good_as_all_repeats_of_all_with_fewer_of_them():
    """20 seeds: Wilcoxon's signed ranks tell no loss of 0.05, with less than half of the repeats."""
    runs = [(noisy("plain", seed), noisy("race", seed)) for seed in range(20)]
    losses = [race - full for (full, _), (race, _) in runs]
    assert stats.wilcoxon(np.array(losses) - 0.05, alternative="less").pvalue < 0.01
    assert all(2 * race < full for (_, full), (_, race) in runs)


def test_it_finds_better_than_one_repeat_of_as_many():
    """The winner's curse: one noisy repeat of each declares a worse one (Wilcoxon, 20 seeds)."""
    runs = [(noisy("plain", seed, repeats=1), noisy("race", seed)) for seed in range(20)]
    gains = [one - race for (one, _), (race, _) in runs]
    assert stats.wilcoxon(gains, alternative="greater").pvalue < 0.01


def test_an_elite_makes_later_races_cheap():
    """Five races, 6 seeds: with an elite fewer repeats (binomial: p < 0.02 if all are), as good a winner."""
    runs = [(noisy(Racing(elite=False), seed, n=100), noisy(Racing(), seed, n=100)) for seed in range(6)]
    assert all(elite < alone for (_, alone), (_, elite) in runs)
    assert np.mean([elite - alone for (alone, _), (elite, _) in runs]) < 0.03
