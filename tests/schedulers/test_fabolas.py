"""Fabolas: the first design, sizes, pending trials, the incumbent at R, and that it beats random search."""

from __future__ import annotations

import math
from collections import Counter

import msgspec
import numpy as np
import pytest
from scipy import stats

import rung
from rung.executors.simulated import SimulatedExecutor
from rung.schedulers.base import Start, Wait
from rung.schedulers.fabolas import Fabolas
from rung.space import to_json
from rung.space.domains import Categorical, Constant, Space
from rung.trials import events as ev
from rung.trials.events import Limits
from support.driver import Driver, identity, replayed

R = 64
QUICK = Fabolas(drawn=16, compared=6, representers=8, samples=48)
SPACE = {"c": rung.Float(1e-3, 1e3, log=True), "gamma": rung.Float(1e-4, 1e2, log=True)}


@pytest.mark.parametrize("name", ["first", "check", "drawn", "representers", "compared", "samples", "points"])
def test_settings_are_checked(name):
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        Fabolas(**{name: 0})


def bench(scheduler: Fabolas = QUICK, space: Space | None = None, **limits) -> Driver:
    who = identity(1, R, 2)
    if space is not None:
        who = msgspec.structs.replace(who, space=to_json(space))
    return Driver(scheduler, who, Limits(**(limits or {"trials": 200})))


def run(driver: Driver, count: int, loss=lambda x, size: (x - 0.3) ** 2 + 0.3 / size) -> list[Start]:
    """`count` more trials, one after the other."""
    decisions = []
    for _ in range(count):
        decision = driver.scheduler.next(driver.history)
        assert isinstance(decision, Start)
        driver.start(decision)
        trial = len(driver.history) - 1
        value = loss(driver.history.values[trial][0], decision.until)
        driver.fold(ev.JobFinished(trial, metrics={"loss": value}))
        decisions.append(decision)
    return decisions


def test_the_first_design_is_random_configurations_each_on_small_subsets():
    driver = bench()
    decisions = run(driver, 15)
    assert [decision.until for decision in decisions] == [1, 2, 4] * 5
    assert all(decision.values is None for decision in decisions[::3])
    for i, decision in enumerate(decisions):
        if i % 3:
            assert decision.values == driver.history.values[i - i % 3]
            assert decision.origin == ev.Origin("fabolas", parent=i - i % 3)


def test_the_first_design_repeats_no_configuration_that_failed():
    driver = bench()
    first = run(driver, 3, lambda x, size: math.nan if size == 1 else 0.5)
    second = run(driver, 3, lambda x, size: math.nan if size == 2 else 0.5)
    assert [decision.until for decision in first + second] == [1, 2, 4] * 2
    assert [decision.values is None for decision in first] == [True, True, True]
    assert [decision.values is None for decision in second] == [True, False, True]
    assert len(set(driver.history.values)) == 5


def test_then_the_model_chooses_and_says_so():
    driver = bench()
    run(driver, 15)
    decisions = run(driver, 10)
    assert all(d.origin.sampler == "fabolas" and d.origin.model for d in decisions)
    assert {d.origin.fidelity for d in decisions} <= {4, 8, 16, 32, 64}
    assert decisions[4].until == R  # the predicted best, every fifth
    assert abs(decisions[4].values[0] - 0.3) < 0.25
    pairs = [(driver.history.values[t], u) for t, u in driver.history.scheduler.until.items()]
    assert len(set(pairs)) == len(pairs)  # nothing twice


def test_the_last_configuration_is_the_predicted_best_on_all_data():
    driver = bench(trials=19)
    decisions = run(driver, 19)
    assert decisions[-1].until == R
    assert abs(decisions[-1].values[0] - 0.3) < 0.25


def test_a_budget_of_resource_ends_with_the_predicted_best_too():
    driver = bench(total_resource=35 + 2 * R - 1)  # the first design costs 35
    assert run(driver, 16)[-1].until == R


def test_cheap_configurations_are_preferred():
    """The same information for a tenth of the seconds."""
    driver = bench(Fabolas(samples=96))
    for _ in range(30):
        decision = driver.scheduler.next(driver.history)
        driver.start(decision)
        trial = len(driver.history) - 1
        began = driver.history.clock.last
        x, n = driver.history.values[trial]
        seconds = decision.until * (10.0 if n > 5 else 1.0)
        driver.fold(ev.JobFinished(trial, metrics={"loss": (x - 0.3) ** 2}, time=began + seconds))
    dear = [driver.history.values[t][1] > 5 for t in range(15, 30)]
    assert sum(dear) <= 5


def test_parallel_workers_get_different_jobs():
    driver = bench()
    run(driver, 15)
    started = []
    for _ in range(6):
        decision = driver.scheduler.next(driver.history)
        driver.start(decision)
        started.append((decision.values, decision.until))
    assert len(set(started)) == 6


def test_what_is_fixed_after_a_look_holds_for_the_decision():
    driver = bench()
    run(driver, 16)
    driver.scheduler.next(driver.history)
    for fixed in ({"n": 7}, {"n": 2}, {}):
        driver.fold(ev.Requested("fix", fixed))
        decision = driver.scheduler.next(driver.history)
        assert decision == driver.scheduler.next(replayed(driver.log, driver.scheduler))
        tried = {driver.history.values[trial] for trial in driver.history.scheduler.until}
        assert not fixed or decision.values[1] == fixed["n"] or decision.values in tried


def test_where_the_model_has_too_little_the_sampler_is_asked():
    driver = bench()
    for _ in range(17):
        decision = driver.scheduler.next(driver.history)
        driver.start(decision)
    assert decision == Start(1)


def test_failed_trials_repel_and_all_failed_is_no_trouble():
    driver = bench()
    decisions = run(driver, 15) + run(driver, 12, lambda x, size: math.nan if x > 0.5 else (x - 0.4) ** 2)
    chosen = [driver.history.values[t][0] for t in range(20, 27)]
    assert np.mean(chosen) < 0.6
    driver = bench()
    decisions = run(driver, 20, lambda x, size: math.nan)
    assert decisions[-1] == Start(1)


@pytest.mark.parametrize("loss", [lambda x, s: 1.0, lambda x, s: 1e300 * x, lambda x, s: -1e-300 * s])
def test_odd_losses_are_no_trouble(loss):
    """It goes on deciding, and its own model goes on choosing."""
    decisions = run(bench(), 19, loss)
    assert len(decisions) == 19
    assert any(isinstance(one, Start) and one.values is not None for one in decisions)


def test_a_space_of_one_point_runs_on_all_data():
    driver = bench(space=Space({"k": Constant(1)}))
    assert driver.scheduler.next(driver.history) == Start(R)


@pytest.mark.parametrize("values", [["a", "b"], [1, True]])
def test_of_two_configurations_one_is_the_first_design_and_the_other_is_found(values):
    driver = bench(space=Space({"c": Categorical(values)}))
    driver.start(Start(1, values=(values[0],)))
    assert driver.scheduler.next(driver.history).values == (values[0],)
    driver.start(driver.scheduler.next(driver.history))
    driver.start(driver.scheduler.next(driver.history))
    assert isinstance(driver.scheduler.next(driver.history), Wait)  # rather than to exhaust the space
    for trial in range(3):
        driver.fold(ev.JobFinished(trial, metrics={"loss": 1.0}))
    jobs = set()
    for _ in range(8):
        decision = driver.scheduler.next(driver.history)
        driver.start(decision)
        jobs.add((repr(decision.values), decision.until))
        driver.fold(ev.JobFinished(len(driver.history) - 1, metrics={"loss": 1.0}))
    assert repr((values[1],)) in {found for found, _ in jobs}
    assert len(jobs) == 8


def test_a_cold_cache_decides_the_same():
    driver = bench()
    run(driver, 15)
    for _ in range(6):
        warm = driver.scheduler.next(driver.history)
        assert driver.scheduler.next(replayed(driver.log, driver.scheduler)) == warm
        run(driver, 1)


def test_the_model_sees_no_more_than_its_points():
    driver = bench(Fabolas(drawn=16, compared=6, representers=8, samples=48, points=12))
    run(driver, 40)
    from rung.schedulers.fabolas import _seen

    state = driver.history.scheduler
    seen = _seen(driver.scheduler, driver.history, state.results)
    assert len(seen.trials) == 12
    best = sorted(range(40), key=lambda i: state.results[i][2])[:6]
    assert set(best) <= set(seen.trials)
    assert {39, 38, 37} - set(best) <= set(seen.trials)


def curve(config, trial, rows):
    """Two parameters, as a kernel machine's; the best place moves with the size of the subset."""
    c, gamma = math.log10(config["c"]), math.log10(config["gamma"])
    u, v = (c - 1.0) / 2.5, (gamma + 1.2) / 2.0
    shift = 0.15 * (1 - rows / R)
    far = (u - shift) ** 2 + (v + shift) ** 2 + 0.5 * (u - v) ** 2
    noise = 0.002 * math.sin(1e4 * c + rows)
    return {"loss": 0.05 + 0.45 * (1 - math.exp(-far)) + 0.12 * (rows**-0.5 - R**-0.5) + noise}


def found(scheduler, seed: int) -> float:
    """What 10 R of resource find."""
    executor = SimulatedExecutor(1, curve, lambda config, first, last, trial: (last - first) / 10, seed=seed)
    study = rung.Study(
        SPACE,
        resource=("rows", 1, R),
        eta=2,
        total_resource=10 * R,
        sampler="random",
        scheduler=scheduler,
        seed=seed,
    )
    best = study.run(lambda config, rows: None, executor=executor).best
    assert best.resource == R
    assert study.history.spent <= 10 * R
    return best.value


@pytest.mark.long
def test_it_beats_random_search_and_asha_at_equal_resource():
    """Mann-Whitney tests over 12 seeds."""
    ours = [found("fabolas", seed) for seed in range(12)]
    for other in ("plain", "asha"):
        theirs = [found(other, 100 + seed) for seed in range(12)]
        assert np.median(ours) < np.median(theirs)
        assert stats.mannwhitneyu(ours, theirs, alternative="less").pvalue < 0.05


def test_it_beats_random_search_on_a_few_seeds():
    """All five below random search's median: the binomial probability of that by chance is 1 / 32."""
    random = np.median([found("plain", 100 + seed) for seed in range(20)])
    ours = [found(QUICK, seed) for seed in range(5)]
    assert max(ours) < random
    assert Counter(value < 0.08 for value in ours)[True] >= 4
