"""The incumbent is evaluated again before it is declared."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.stats import wilcoxon

import rung
from rung.study.audit import audit
from rung.study.ranking import ranking
from rung.study.study import Study
from rung.trials.events import Failure, JobFailed
from rung.trials.history import CONFIRM, MOST_CONFIRMED

SPACE = {"x": rung.Float(0, 1)}


class Noisy:
    """A bowl with its minimum at 0.5, with noise that the trial's seed decides."""

    def __init__(self, deviation):
        self.deviation = deviation

    def __call__(self, trial):
        noise = np.random.default_rng(trial.seed).normal(0.0, self.deviation)
        return (trial.config["x"] - 0.5) ** 2 + noise


def search(deviation=0.1, **more):
    return rung.tune(Noisy(deviation), SPACE, sampler="random", trials=30, noisy=True, **more)


def test_without_noise_one_configuration_is_repeated_and_declared():
    result = search(deviation=0.0, confirm=3)
    repeats = [trial for trial in result.trials if trial.origin.sampler == CONFIRM]
    assert [trial.origin.parent for trial in repeats] == [result.best.number] * 3
    assert result.best.confirmed == pytest.approx((result.best.value,) * 3)
    assert len(result.trials) == 33  # the limit on trials is on those that a scheduler starts


def test_repeats_have_seeds_of_their_own():
    best = search(confirm=4).best
    assert len(set(best.confirmed)) == 4
    assert best.value == sum(best.confirmed) / 4


def test_the_next_best_is_repeated_as_long_as_it_may_be_better():
    for seed in range(8):
        result = search(confirm=2, seed=seed)
        firsts = sorted(
            (trial.value, trial.number) for trial in result.trials if trial.origin.sampler != CONFIRM
        )
        means: dict[int, list[float]] = {}
        for trial in result.trials:
            if trial.origin.sampler == CONFIRM:
                means.setdefault(trial.origin.parent, []).append(trial.value)
        expected, lowest = [], np.inf
        for value, number in firsts[:MOST_CONFIRMED]:
            if value >= lowest:
                break
            expected.append(number)
            lowest = min(lowest, np.mean(means[number]))
        assert list(means) == expected
        assert result.best.value == pytest.approx(lowest)


def test_what_is_declared_stands_first_among_the_best():
    others = 0
    for seed in range(8):
        result = search(confirm=2, seed=seed)
        ranked = ranking(result.history, result.trials)
        others += result.history.incumbent.trial != result.best.number
        assert ranked[0].number == result.best.number
        values = [trial.value for trial in ranked[1:]]
        assert values == sorted(values)
    assert others > 0


def test_the_declared_value_is_honest_where_the_luckiest_is_not():
    """Over seeds: the incumbent's own value is better than the truth (Wilcoxon), its repeats' mean is not."""
    lucky, confirmed = [], []
    for seed in range(40):
        result = search(confirm=3, seed=seed)
        truth = (result.best.config["x"] - 0.5) ** 2
        confirmed.append(result.best.value - truth)
        incumbent = result.history.incumbent
        lucky.append(incumbent.value - (result.trials[incumbent.trial].config["x"] - 0.5) ** 2)
    assert wilcoxon(lucky, alternative="less").pvalue < 1e-6
    assert np.mean(lucky) < 2.0 * np.mean(confirmed) < 0.1


def test_a_repeat_that_fails_counts_as_the_worst():
    def sometimes(trial):
        if trial.number >= 10 and trial.config["x"] < 0.45:
            raise RuntimeError("not again")
        return trial.config["x"]

    result = rung.tune(sometimes, SPACE, sampler="random", trials=10, confirm=1, seed=3)
    assert result.best is not None
    assert result.best.config["x"] >= 0.45 or not result.best.confirmed


def test_confirming_goes_on_after_a_crash(tmp_path):
    store = str(tmp_path / "s.db")
    with rung.Study(SPACE, storage=store, study="s", trials=3, confirm=2, sampler="random") as study:
        for _ in range(4):
            job = study.ask()
            study.tell(job, job.config["x"])
        assert study.ask().number == 4  # the second repeat is lost with its process
    with rung.Study.open(store, "s") as study:
        job = study.ask()
        assert job.number == 4
        study.tell(job, job.config["x"])
        assert study.ask() is None
        assert study.done


def test_time_for_the_repeats_is_kept_back():
    """With a budget of wall time the study turns to the repeats before it is spent."""
    from rung.executors.simulated import SimulatedExecutor

    executor = SimulatedExecutor(1, lambda config, trial, at: {"loss": config["x"]}, lambda *_: 10.0)
    result = rung.tune(lambda config: None, SPACE, sampler="random", budget=205, confirm=3, executor=executor)
    assert result.best.confirmed
    assert 16 <= result.history.begun <= 18


@pytest.mark.parametrize("trials", [None, 200])
def test_a_target_that_is_reached_is_confirmed(trials):
    asked = {"sampler": "random", "confirm": 3, "noisy": True}
    result = rung.tune(Noisy(0.1), SPACE, trials=trials, target=-0.05, **asked)
    assert result.reason == "target"
    assert len(result.best.confirmed) == 3
    assert result.best.value > result.history.incumbent.value <= -0.05
    assert result.history.begun < 200, "repeats are all that starts once it is reached"


def test_what_runs_when_a_target_is_reached_goes_on_and_is_confirmed_if_it_is_better():
    study = Study(SPACE, sampler="random", target=0.2, confirm=1)
    first, second = study.ask(), study.ask()
    study.tell(first, 0.15)
    repeat = study.ask()
    assert repeat.config == first.config
    study.tell(repeat, 0.18)
    assert study.ask() is None
    assert not study.done
    study.tell(second, 0.1)
    study.tell(study.ask(), 0.12)
    assert study.done
    assert (study.result.reason, study.best.number, study.best.value) == ("target", second.number, 0.12)


def test_resource_for_the_repeats_is_kept_back():
    result = rung.tune(Noisy(0.0), SPACE, sampler="random", total_resource=30, confirm=3, noisy=True)
    assert result.reason == "total_resource"
    assert len(result.best.confirmed) == 3
    assert (result.history.begun, result.history.spent) == (27, 30)


@pytest.mark.parametrize("workers", [1, 4])
def test_the_repeats_of_what_climbs_highest_fit_into_the_resource(workers):
    from rung.executors.simulated import SimulatedExecutor

    def value(config, trial, at):
        return {"loss": config["x"] + 1 / at}

    result = rung.tune(
        lambda config: None,
        SPACE,
        resource=("epoch", 1, 27),
        scheduler="asha",
        sampler="random",
        total_resource=300,
        confirm=2,
        executor=SimulatedExecutor(workers, value, lambda *_: 1.0),
    )
    assert result.best.resource == 27
    assert len(result.best.confirmed) == 2
    assert result.history.spent <= 300


def test_a_resource_that_is_less_than_the_repeats_is_searched_all_the_same():
    result = rung.tune(Noisy(0.0), SPACE, sampler="random", total_resource=3, confirm=3)
    assert result.best is not None
    assert result.history.spent <= 3


def test_several_workers_wait_for_the_repeats():
    result = rung.tune(Noisy(0.1), SPACE, sampler="random", trials=12, confirm=3, workers=2, executor="local")
    assert len(result.best.confirmed) == 3


def evaluated(study, value):
    """Ask and tell until nothing is left to do."""
    while (job := study.ask()) is not None:
        study.tell(job, value(job))


def test_repeats_at_a_smaller_resource_do_not_count_when_the_study_goes_on_to_a_larger_one():
    def value(job):
        return (job.config["x"] - 0.3) ** 2 + 0.01 * job.resource

    asked = {"resource": ("epoch", 1, 81), "scheduler": "asha", "sampler": "random", "seed": 1}
    study = Study(SPACE, trials=6, confirm=2, **asked)
    evaluated(study, value)
    assert study.best.resource == 3
    study.set_limits(replace(study.history.limits, trials=200))
    study.writer.end("done", 0.0)
    evaluated(study, value)
    assert study.best.resource == 81
    assert study.best.confirmed == (study.history.incumbent.value,) * 2
    assert audit(study.result.events()).differences == ()


def test_a_configuration_that_the_space_has_no_more_is_not_declared():
    def value(job):
        return (job.config["x"] - 0.3) ** 2

    study = Study(SPACE, sampler="random", trials=8, seed=1, confirm=2)
    evaluated(study, value)
    assert study.best.config["x"] < 0.5
    study.change_space({"x": rung.Float(0.5, 1)})
    study.set_limits(replace(study.history.limits, trials=12))
    evaluated(study, value)
    assert study.best.config["x"] >= 0.5
    assert len(study.best.confirmed) == 2


@pytest.mark.parametrize("kind", [RuntimeError, rung.Infeasible, None])
def test_a_trial_that_could_not_be_trained_to_its_end_is_not_declared(kind):
    """Those that go on beyond epoch 1 are the best there, and come to nothing."""

    def train(trial):
        for epoch in range(trial.start + 1, trial.resource + 1):
            if epoch > 1 and kind is not None:
                raise kind("out of memory")
            trial.report(epoch, loss=trial.config["x"] if epoch == 1 else float("nan"))

    epochs = {"resource": ("epoch", 1, 9), "scheduler": "asha", "sampler": "random"}
    result = rung.tune(train, SPACE, trials=9, confirm=2, quiet=True, **epochs)
    repeated = {trial.origin.parent for trial in result.trials if trial.origin.sampler == CONFIRM}
    assert repeated == {result.best.number} == {result.history.incumbent.trial}
    assert result.best.state == "paused"
    assert len(result.best.confirmed) == 2
    assert audit(result.events()).differences == ()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_an_incumbent_that_stands_between_two_rungs_is_confirmed(mode):
    """Jobs that train beyond epoch 6 are over their limit of time."""
    sign = 1.0 if mode == "min" else -1.0
    epochs = {"resource": ("epoch", 1, 9), "scheduler": "asha", "sampler": "random"}
    study = Study(SPACE, metric="loss", mode=mode, trials=18, confirm=2, **epochs)
    repeats = []
    while (job := study.ask()) is not None:
        repeat = study.history.origins[job.number].sampler == CONFIRM
        if repeat:
            repeats.append((study.history.origins[job.number].parent, job.resource))
        for epoch in range(1, min(job.resource, 6) + 1):
            study.report(job, epoch, sign * (job.config["x"] + repeat))
        if job.resource > 6:
            study.writer.commit([JobFailed(job.number, Failure.TIMEOUT, "too long", job.attempt, 0.0)])
        else:
            study.tell(job)
    cut = sorted(
        (trial.config["x"], trial.number) for trial in study.result.trials if trial.state == "failed"
    )
    assert len(cut) == 2
    assert repeats == [(number, 6) for _, number in cut for _ in range(2)], "the next best there, too"
    assert (study.best.number, study.best.resource) == (cut[0][1], 6)
    assert study.best.confirmed == (sign * (cut[0][0] + 1),) * 2
    assert audit(study.result.events()).differences == ()
