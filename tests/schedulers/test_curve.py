"""Stopping by extrapolated learning curves: the rule, its edges, and what it saves."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from scipy import stats

import rung
from rung.executors.simulated import SimulatedExecutor
from rung.models.curves import Curve, Experience, lesson
from rung.schedulers.base import Start, Stop
from rung.schedulers.curve import MEMORY, CurveStopping, gates_of
from rung.trials import events as ev
from rung.trials.events import Failure, JobStarted, Limits, Reported
from support.driver import Driver, identity, replayed

R = 81
SPACE = {f"x{i}": rung.Float(0.0, 1.0) for i in range(3)}


def test_gates_stand_densely_and_never_at_the_end():
    assert gates_of(1, 100, None)[:16] == (1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 18, 23, 29, 37, 45, 53)
    assert gates_of(27, 81, None) == tuple(range(27, 81, 4))
    assert gates_of(1, 10, 3) == (1, 4, 7)
    assert gates_of(1, 1, None) == ()
    assert len(gates_of(1, 10**6, None)) < 70
    for maximum in range(1, 200):
        gates = gates_of(1, maximum, None)
        assert list(gates) == sorted(set(gates))
        assert all(gate < maximum for gate in gates)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "slow"}, "'fast' or 'ensemble'"),
        ({"threshold": 0.0}, "threshold must be between 0 and 1"),
        ({"min_points": 1}, "min_points must be at least 2"),
        ({"min_complete": 0}, "min_complete must be at least 1"),
        ({"interval": 0}, "interval must be at least 1"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        CurveStopping(**settings)


class Bench:
    """A study whose trials report what they are told to."""

    def __init__(self, scheduler: CurveStopping, workers: int = 1) -> None:
        self.scheduler = scheduler
        self.driver = Driver(scheduler, identity(1, R), Limits(trials=100), workers=workers)

    def start(self) -> int:
        decision = self.scheduler.next(self.driver.history)
        assert isinstance(decision, Start)
        self.driver.start(decision)
        return len(self.driver.history) - 1

    def report(self, trial: int, resource: int, value: float | None) -> None:
        self.driver.fold(Reported(trial, resource, {"loss": value} if value is not None else {}))
        if resource == R:
            self.driver.fold(ev.JobFinished(trial))

    def whole(self, end: float, fall: float = 1.0) -> int:
        """A trial that runs to its end."""
        trial = self.start()
        for gate in [*gates_of(1, R, None), R]:
            assert not isinstance(self.scheduler.next(self.driver.history), Stop)
            self.report(trial, gate, end + fall / gate)
        return trial

    def stopped_at(self, curve) -> int | None:
        """Where a new trial with this curve is stopped."""
        trial = self.start()
        for gate in [*gates_of(1, R, None), R]:
            self.report(trial, gate, curve(gate))
            if isinstance(decision := self.scheduler.next(self.driver.history), Stop):
                assert decision.trial == trial
                self.driver.fold(ev.TrialStopped(trial))
                self.driver.fold(ev.JobStopped(trial))
                return gate
        return None


def taught(scheduler: CurveStopping | None = None) -> Bench:
    """Five complete trials, the best of them with 0.2 + 1 / R."""
    bench = Bench(scheduler or CurveStopping())
    for end in (0.3, 0.35, 0.2, 0.4, 0.25):
        bench.whole(end)
    return bench


def test_the_hopeless_is_stopped_early_and_the_promising_goes_on():
    assert taught().stopped_at(lambda t: 1.0 + 1 / t) < R / 3
    assert taught().stopped_at(lambda t: 0.1 + 1 / t) is None
    assert taught().stopped_at(lambda t: 0.19 + 1.5 / t) is None


def test_a_trial_that_is_better_already_is_not_asked_about():
    assert taught().stopped_at(lambda t: 0.15 if t < 5 else 0.3 + t / R) is None


def test_a_rising_curve_is_stopped():
    assert taught().stopped_at(lambda t: 0.9 + t / R) is not None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_trial_that_diverges_is_stopped_at_once_even_the_first(value):
    assert Bench(CurveStopping()).stopped_at(lambda t: 1.0 if t < 3 else value) == 3


def test_too_few_complete_trials_stop_nobody():
    bench = Bench(CurveStopping())
    for end in (0.2, 0.2, 0.2, 0.2):
        bench.whole(end)
    assert bench.stopped_at(lambda t: 1.0 + 1 / t) is None
    assert bench.stopped_at(lambda t: 1.0 + 1 / t) is not None


def test_failed_trials_are_no_complete_ones():
    bench = Bench(CurveStopping(min_complete=1))
    for _ in range(3):
        bench.start()
        bench.driver.fold(ev.JobFailed(len(bench.driver.history) - 1, Failure.ERROR, ""))
    assert bench.stopped_at(lambda t: 1.0 + 1 / t) is None


def test_nobody_is_judged_before_it_has_enough_values():
    bench = taught(CurveStopping(min_points=6, threshold=0.5))
    assert bench.stopped_at(lambda t: 50.0 + 1 / t) == 6


def test_the_probability_is_the_models():
    """The rule itself, against the model asked by hand."""
    times = np.array([*gates_of(1, R, None), R], dtype=float)
    complete = [Curve(times, end + 1.0 / times) for end in (0.3, 0.35, 0.2, 0.4, 0.25)]
    experience = Experience([lesson(each) for each in complete])

    def expected(curve) -> int | None:
        for n in range(4, len(times)):
            seen = Curve(times[:n], np.array([curve(t) for t in times[:n]]))
            if experience.forecast(seen, R).below(0.2 + 1 / R) < 0.05:
                return int(times[n - 1])
        return None

    for height in (0.25, 0.3, 0.5):
        assert taught().stopped_at(lambda t, h=height: h + 1 / t) == expected(lambda t, h=height: h + 1 / t)


def test_the_verdicts_follow_from_the_log_alone():
    """Also after many complete curves, with a cold cache at any moment."""
    bench = Bench(CurveStopping(min_complete=2), workers=3)
    rng = np.random.default_rng(0)
    for end in rng.uniform(0.2, 0.9, MEMORY + 12):
        bench.stopped_at(lambda t, e=float(end): e + 1 / t)
    log = bench.driver.log
    for length in range(5, len(log), 41):
        warm = asked_of(log[:length], bench.scheduler)
        cold = replayed(log[:length], bench.scheduler)
        assert bench.scheduler.next(warm) == bench.scheduler.next(cold)


def asked_of(log, scheduler):
    """A history that was asked after each event."""
    history = replayed(log[:2], scheduler)
    for event in log[2:]:
        history.fold(event)
        if isinstance(event, Reported | JobStarted):
            scheduler.next(history)
    return history


def test_the_ensemble_decides_alike(monkeypatch):
    monkeypatch.setattr("rung.models.curve_ensemble.STEPS", 320)
    assert taught(CurveStopping("ensemble")).stopped_at(lambda t: 2.0 + 1 / t) < R / 2
    assert taught(CurveStopping("ensemble")).stopped_at(lambda t: 0.05 + 1 / t) is None


def test_settings_can_be_pickled():
    assert pickle.loads(pickle.dumps(CurveStopping(interval=3))) == CurveStopping(interval=3)


def curve(config, trial, epoch):
    """A bowl; learning speeds differ, and each report has noise of its own."""
    bowl = sum((config[f"x{i}"] - 0.3 - 0.2 * i) ** 2 for i in range(3))
    noise = 0.01 * math.sin(1e5 * config["x2"] + 7 * epoch)
    return {"loss": bowl + (1.0 + 0.2 * math.sin(1e4 * config["x1"])) / epoch ** (0.5 + config["x0"]) + noise}


def found(scheduler, seed: int) -> tuple[float, float]:
    """What 50 trials on four workers find, and the share of the resource that they use."""
    executor = SimulatedExecutor(4, curve, lambda config, first, last, trial: float(last - first), seed=seed)
    study = rung.Study(
        SPACE, resource=("epoch", 1, R), trials=50, sampler="random", scheduler=scheduler, seed=seed
    )
    best = study.run(lambda config, epoch: None, executor=executor).best
    return best.value, sum(study.history.reached) / (50 * R)


def test_it_saves_a_third_of_the_resource_at_an_equal_result():
    """Over 12 seeds: never more than 70 %, and a Wilcoxon test sees no worse results."""
    ours = [found("curve", seed) for seed in range(12)]
    plain = [found("plain", seed) for seed in range(12)]
    assert all(share == 1.0 for _, share in plain)
    assert max(share for _, share in ours) < 0.7
    losses = np.array([[ours[i][0], plain[i][0]] for i in range(12)])
    assert (losses[:, 0] == losses[:, 1]).sum() >= 10  # the very same incumbent, as a rule
    worse = losses[:, 0] - losses[:, 1]
    assert not worse.any() or stats.wilcoxon(worse, alternative="greater").pvalue > 0.05
