"""Freeze-thaw: whom it thaws and starts, the basket, the end, and that it beats random search."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from scipy import stats

import rung
from rung.executors.simulated import SimulatedExecutor
from rung.schedulers.base import Done, Resume, Start
from rung.schedulers.freeze_thaw import FreezeThaw, _seen
from rung.space import to_json
from rung.space.domains import Categorical, Constant, Space
from rung.trials import events as ev
from rung.trials.events import JobStarted, Limits
from rung.trials.history import EXHAUSTED
from rung.trials.states import TrialState
from support.driver import Driver, identity, replayed

R = 81
QUICK = FreezeThaw(drawn=16, samples=48)


@pytest.mark.parametrize("name", ["first", "old", "new", "basket", "check", "drawn", "samples", "points"])
def test_settings_are_checked(name):
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        FreezeThaw(**{name: 0})


def test_giving_up_is_a_probability():
    with pytest.raises(ValueError, match="give_up must be between 0 and 1"):
        FreezeThaw(give_up=1.0)


def bench(scheduler: FreezeThaw = QUICK, space: Space | None = None, **limits) -> Driver:
    who = identity(1, R, 3)
    if space is not None:
        who = msgspec.structs.replace(who, space=to_json(space))
    return Driver(scheduler, who, Limits(**(limits or {"trials": 200})))


def bowl(x: float, epoch: int) -> float:
    return (x - 0.3) ** 2 + 0.5 / epoch**0.7


def run(driver: Driver, count: int, loss=bowl) -> list:
    """`count` more jobs, one after the other; fewer if it is done."""
    decisions = []
    for _ in range(count):
        decision = driver.scheduler.next(driver.history)
        if isinstance(decision, Done):
            break
        driver.start(decision)
        trial = decision.trial if isinstance(decision, Resume) else len(driver.history) - 1
        job = driver.history.running[trial].job
        value = loss(driver.history.values[trial][0], decision.until)
        driver.fold(ev.JobFinished(trial, job.attempt, metrics={"loss": value}))
        decisions.append(decision)
    return decisions


def cold(driver: Driver):
    """The decision of a history that knows nothing but the log."""
    return driver.scheduler.next(replayed(driver.log, driver.scheduler))


def test_what_is_fixed_after_a_look_holds_for_the_decision():
    driver = bench(FreezeThaw(drawn=16, samples=48, old=1))
    fixed, held = {}, []
    for turn in range(24):
        run(driver, 1)
        driver.scheduler.next(driver.history)
        fixed = {"n": 1 + turn % 9}
        driver.fold(ev.Requested("fix", fixed))
        decision = driver.scheduler.next(driver.history)
        assert decision == cold(driver)
        held += [decision.values[1] == fixed["n"]] if isinstance(decision, Start) and decision.values else []
    assert held
    assert all(held)


def test_a_checkpoint_that_comes_after_a_look_makes_a_step_cheaper():
    driver, changed = bench(), 0
    for _ in range(30):
        decision = run(driver, 1)[0]
        before = driver.scheduler.next(driver.history)
        trial = decision.trial if isinstance(decision, Resume) else len(driver.history) - 1
        driver.fold(ev.CheckpointSaved(trial, decision.until, "c", driver.history.attempts[trial] - 1))
        after = driver.scheduler.next(driver.history)
        assert after == cold(driver)
        changed += after != before
    assert changed


def test_the_sampler_proposes_the_first_trials():
    assert run(bench(), 6) == [Start(1)] * 6


def test_then_it_starts_and_thaws_rung_by_rung():
    driver = bench()
    decisions = run(driver, 40)
    own = [d for d in decisions[6:] if isinstance(d, Start)]
    assert own
    assert all(d.until == 1 and d.origin.sampler == "freeze-thaw" and d.origin.model for d in own)
    steps: dict[int, list[int]] = {}
    for event in driver.log:
        if isinstance(event, JobStarted):
            steps.setdefault(event.trial, []).append(event.until)
    assert all(each == [1, 3, 9, 27, 81][: len(each)] for each in steps.values())
    assert max(map(len, steps.values())) >= 3


def test_it_finds_the_best_place_and_takes_it_to_the_end():
    driver = bench(total_resource=6 * R)
    run(driver, 60)
    best = driver.history.incumbent
    assert best.resource == R
    assert abs(driver.history.values[best.trial][0] - 0.3) < 0.1


def test_the_promising_are_thawed_not_the_hopeless():
    driver = bench()
    run(driver, 60)
    reached = {x: r for (x, _), r in zip(driver.history.values, driver.history.reached, strict=True)}
    near = [r for x, r in reached.items() if abs(x - 0.3) < 0.15]
    far = [r for x, r in reached.items() if abs(x - 0.3) > 0.4]
    assert np.mean(near) > 2 * np.mean(far)


def test_no_more_than_a_basket_can_be_resumed():
    driver = bench(FreezeThaw(first=30, basket=4, drawn=16, samples=48))
    run(driver, 20)
    history, state = driver.history, driver.history.scheduler
    allowed = [t for t in range(20) if driver.scheduler.may_resume(history, t)]
    assert allowed == sorted(state.paused)
    assert len(allowed) == 4
    losses = sorted((history.latest[t], t) for t in range(20))
    assert {t for _, t in losses[:3]} <= set(allowed)  # the fourth may be the newest


def test_of_equal_ones_the_younger_leaves_the_basket():
    driver = bench(FreezeThaw(first=30, basket=3, drawn=16, samples=48))
    run(driver, 10, lambda x, epoch: 1.0)
    assert sorted(driver.history.scheduler.paused) == [0, 1, 2]


def test_a_trial_that_failed_is_never_thawed():
    driver = bench()
    run(driver, 40, lambda x, epoch: math.nan if x > 0.5 else bowl(x, epoch))
    failed = [t for t, state in enumerate(driver.history.states) if state is TrialState.FAILED]
    assert failed
    assert not set(failed) & set(driver.history.scheduler.paused)
    driver = bench()
    assert run(driver, 20, lambda x, epoch: math.nan) == [Start(1)] * 20


def test_when_no_more_may_start_the_best_are_finished_and_the_rest_given_up():
    driver = bench(trials=15)
    decisions = run(driver, 200)
    history = driver.history
    assert len(history) == 15
    assert isinstance(decisions[-1], Resume)
    assert history.incumbent.resource == R
    assert sum(r == R for r in history.reached) < 15
    assert not any(driver.scheduler.may_resume(history, trial) for trial in range(15))
    best = min(range(15), key=lambda t: bowl(history.values[t][0], R))
    assert history.reached[best] == R


def test_without_a_model_the_best_one_is_finished():
    for count in (1, 2):
        driver = bench(trials=count)
        run(driver, 50)
        assert list(driver.history.reached).count(R) == 1
        assert driver.history.incumbent.resource == R


def test_parallel_workers_get_different_jobs():
    driver = bench()
    run(driver, 12)
    chosen = []
    for _ in range(6):
        decision = driver.scheduler.next(driver.history)
        driver.start(decision)
        chosen.append(("trial", decision.trial) if isinstance(decision, Resume) else decision.values)
    assert len(set(chosen)) == 6


@pytest.mark.parametrize("loss", [lambda x, s: 1.0, lambda x, s: 1e300 * x, lambda x, s: x * s * 1e-200])
def test_odd_losses_are_no_trouble(loss):
    """It goes on deciding, and its own model goes on choosing."""
    decisions = run(bench(), 16, loss)
    assert len(decisions) == 16
    assert any(isinstance(one, Start) and one.values is not None for one in decisions)


def test_a_space_of_one_point_and_one_of_two_come_to_their_end():
    for space, values in ({"k": Constant(1)}, [(1,)]), ({"c": Categorical(["a", "b"])}, [("a",), ("b",)]):
        driver = bench(space=Space(space))
        for each in values:
            assert driver.scheduler.next(driver.history) == Start(1)
            driver.start(Start(1, values=each))
            driver.fold(ev.JobFinished(len(driver.history) - 1, metrics={"loss": 1.0}))
        driver.fold(ev.StopDecided(EXHAUSTED))
        run(driver, 20, lambda x, epoch: 1.0)
        assert isinstance(driver.scheduler.next(driver.history), Done)
        assert driver.history.incumbent.resource == R


def test_a_value_that_python_takes_for_one_that_was_tried_is_new():
    driver = bench(FreezeThaw(first=3, drawn=8, samples=16), Space({"c": Categorical([0, 1, 2, True])}))
    for value, loss in ((0, 1.0), (2, 3.0), (1, 2.0)):
        driver.start(Start(1, values=(value,)))
        driver.fold(ev.JobFinished(len(driver.history) - 1, metrics={"loss": loss}))
    while not isinstance(driver.scheduler.next(driver.history), Start):
        run(driver, 1, lambda x, epoch: 1.0)
    assert repr(driver.scheduler.next(driver.history).values) == "(True,)"


def test_a_cold_cache_decides_the_same():
    driver = bench()
    run(driver, 10)
    for _ in range(8):
        warm = driver.scheduler.next(driver.history)
        assert driver.scheduler.next(replayed(driver.log, driver.scheduler)) == warm
        run(driver, 1)


def test_the_model_sees_no_more_than_its_points():
    scheduler = FreezeThaw(first=30, drawn=16, samples=48, points=10)
    driver = bench(scheduler)
    run(driver, 25)
    seen = _seen(scheduler, driver.history, driver.history.scheduler.results)
    assert len(seen.trials) == len(seen.curves) == 10
    best = sorted(range(25), key=lambda t: driver.history.latest[t])[:5]
    assert set(best) <= set(seen.trials)


SPACE = {f"x{i}": rung.Float(0.0, 1.0) for i in range(3)}


def curve(config, trial, epoch):
    """A bowl at the end; learning speeds differ, and there is a little noise."""
    end = sum((config[f"x{i}"] - 0.3 - 0.2 * i) ** 2 for i in range(3))
    fall = (1.0 + 0.2 * math.sin(1e4 * config["x1"])) / epoch ** (0.8 + 0.2 * config["x0"])
    return {"loss": end + fall - 1.0 / R + 0.003 * math.sin(1e5 * config["x2"] + epoch)}


def found(scheduler, seed: int) -> float:
    """What 12 R of resource find."""
    executor = SimulatedExecutor(
        1, curve, lambda config, first, last, trial: float(last - first), seed=seed, reports="saves"
    )
    study = rung.Study(
        SPACE,
        resource=("epoch", 1, R),
        total_resource=12 * R,
        sampler="random",
        scheduler=scheduler,
        seed=seed,
    )
    best = study.run(lambda config, epoch: None, executor=executor).best
    assert best.resource == R
    assert study.history.spent <= 12 * R
    return best.value


@pytest.mark.long
def test_it_beats_random_search_at_equal_resource_and_is_no_worse_than_asha():
    """Mann-Whitney tests over 12 seeds; that it is better than ASHA, these seeds do not show."""
    ours = [found("freeze-thaw", seed) for seed in range(12)]
    random, asha = ([found(other, 100 + seed) for seed in range(12)] for other in ("plain", "asha"))
    assert stats.mannwhitneyu(ours, random, alternative="less").pvalue < 0.01
    assert stats.mannwhitneyu(ours, asha, alternative="greater").pvalue > 0.1


def test_it_beats_random_search_on_a_few_seeds():
    """All five below random search's median: the binomial probability of that by chance is 1 / 32."""
    random = np.median([found("plain", 100 + seed) for seed in range(20)])
    assert max(found(QUICK, seed) for seed in range(5)) < random
