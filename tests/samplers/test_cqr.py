"""Conformal quantile regression as a sampler: its data, its draws, when it is fitted, and what it finds."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import rung
from rung.executors.simulated import SimulatedExecutor
from rung.models.forest import as_points
from rung.samplers import cqr
from rung.samplers.base import Request
from rung.samplers.candidates import random_points
from rung.samplers.cqr import CqrSampler, latest_results
from rung.samplers.observed import fidelities
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer
from rung.space.draws import Rng
from rung.trials.events import Goal, JobFinished, JobStarted, Origin, Reported

QUICK = CqrSampler(random_fraction=0.0, rounds=10, candidates=200)
REQUEST = Request(1)
MIXED = compile_space(
    {
        "fixed": Constant("c"),
        "kind": Choice({"a": {"x": Float(0, 1), "n": Integer(1, 5)}, "b": {"y": Float(1e-4, 1, log=True)}}),
        "flag": Categorical([True, False]),
        "z": Float(-1, 1),
    }
)


def climbing(record, space, results):
    """Trials with a result at 1, 3 and 9 as far as each list goes."""
    for number, losses in enumerate(results, len(record.history)):
        resources = (1, 3, 9)[: len(losses)]
        job = JobStarted(
            number,
            resources[-1],
            values=space.sample(0, number),
            origin=Origin("random"),
            gates=resources[:-1],
        )
        record.history.fold(job)
        for resource, loss in zip(resources[:-1], losses, strict=False):
            record.history.fold(Reported(number, resource, {"loss": loss}))
        record.history.fold(JobFinished(number, metrics={"loss": losses[-1]}))
    return record.history


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.sampled_from([0.5, 1.0, 2.0, math.inf]), min_size=1, max_size=3), max_size=25))
def test_each_trials_result_at_its_largest_resource_stands_for_it(recorder, results):
    history = climbing(recorder(), MIXED, results)
    found = latest_results(history, {at: len(history.results[at]) for at in fidelities(history)})
    assert found.trials.tolist() == list(range(len(results)))
    expected = []
    for losses in results:
        sound = [loss for loss in losses if loss < math.inf]
        expected.append(math.inf if losses[-1] == math.inf else losses[-1])
        assert sound or expected[-1] == math.inf
    assert found.losses.tolist() == expected


def test_the_lowest_of_the_drawn_quantiles_is_taken(recorder):
    """The draws are repeated here, candidate by candidate."""
    record = recorder().random_trials(MIXED, [n * 7 % 11 / 11 for n in range(40)])
    for number in range(40, 44):
        found = QUICK.suggest(MIXED, record.history, REQUEST, Rng(0, number))
        model = QUICK.model(MIXED, record.history)
        generator = Rng(0, number).generator()
        generator.random()
        points = random_points(MIXED, generator, 200)
        quantiles = model.quantiles.predict(as_points(points))
        picks = generator.integers(5, size=len(points)).tolist()
        drawn = [quantiles[pick, i] for i, pick in enumerate(picks)]
        assert found.values == MIXED.decode(points[[int(np.argmin(drawn))]])[0]
        assert found.origin == Origin("cqr", model=True, fidelity=1)


def fits(history, first, last, loss):
    """With how many results models were fitted, as results came one by one."""
    counts = []
    real = cqr.fit_quantiles
    try:
        cqr.fit_quantiles = lambda points, *rest, **more: (
            counts.append(len(points)) or real(points, *rest, **more)
        )
        for number in range(first, last):
            QUICK.suggest(MIXED, history.history, REQUEST, Rng(0, number))
            history.trial(MIXED.sample(0, number), loss(number))
    finally:
        cqr.fit_quantiles = real
    return counts


def test_models_are_fitted_when_a_block_of_results_is_full(recorder):
    counts = fits(recorder(), 0, 300, lambda n: n * 7 % 11)
    blocks = [*range(8, 64), *range(64, 128, 2), *range(128, 256, 4), *range(256, 300, 8)]
    assert counts == blocks


def test_with_several_objectives_every_result_counts(recorder):
    """Their losses are places among all results, so that an old model's would be others."""
    record = recorder(goals=(Goal("loss", "min"), Goal("size", "min")))
    for number in range(70):
        trial = record.start(MIXED.sample(0, number))
        record.history.fold(JobFinished(trial, metrics={"loss": number % 7, "size": number % 5}))
    assert QUICK.suggest(MIXED, record.history, REQUEST, Rng(0, 70)).origin.model
    assert cqr._counted(record.history, 1) == 70
    trial = record.start(MIXED.sample(0, 70))
    record.history.fold(JobFinished(trial, metrics={"loss": 1.0, "size": 1.0}))
    assert cqr._counted(record.history, 1) == 71


def test_a_model_that_was_kept_is_the_one_that_would_be_fitted_now(recorder):
    record = recorder()
    for number in range(75):
        QUICK.suggest(MIXED, record.history, REQUEST, Rng(0, number))
        record.trial(MIXED.sample(0, number), number * 7 % 11, (1, 1, 3)[number % 3])
    for number in range(75, 78):
        found = QUICK.suggest(MIXED, record.history, REQUEST, Rng(0, number))
        assert found == QUICK.suggest(MIXED, copy.deepcopy(record.history), REQUEST, Rng(0, number))
        record.trial(MIXED.sample(0, number), 0.3)


def test_the_first_suggestions_are_random(recorder):
    record = recorder().random_trials(MIXED, [None] * 20 + [0.5] * 7)
    assert QUICK.suggest(MIXED, record.history, REQUEST, Rng(0, 27)) == (MIXED.sample(0, 27), Origin("cqr"))
    record.random_trials(MIXED, [0.25])
    assert QUICK.suggest(MIXED, record.history, REQUEST, Rng(0, 28)).origin.model


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random_fraction", -0.5),
        ("min_points", 1),
        ("candidates", 1),
        ("quantiles", 4),
        ("rounds", 0),
        ("most", 7),
    ],
)
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, not {value}"):
        CqrSampler(**{name: value})


# -- statistics -------------------------------------------------------------------------------------------

SPACE = {f"x{i}": Float(0, 1) for i in range(5)} | {"c": Categorical(list("abcd"))}


def curve(config, trial, epoch):
    """A bowl with a category, learnt at a speed that differs, with noise that fades."""
    bowl = sum((config[f"x{i}"] - 0.2 - 0.1 * i) ** 2 for i in range(5)) + 0.2 * "abcd".index(config["c"])
    noise = 0.1 * np.random.default_rng([trial, epoch]).normal()
    return {"loss": bowl + (1.0 + 0.5 * config["x0"] + noise) / epoch}


def final(sampler, seed):
    """The bowl at the best configuration of an asynchronous study with eight workers."""
    executor = SimulatedExecutor(
        8, curve, lambda c, a, b, t: float(b - a), stragglers=0.3, seed=seed, reports="saves"
    )
    study = rung.Study(
        SPACE, resource=("epoch", 1, 27), trials=70, sampler=sampler, scheduler="asha", seed=seed
    )
    config = study.run(lambda config, epoch: None, executor=executor).best.config
    return curve(config, 0, 10**9)["loss"]


FAST = CqrSampler(rounds=40, candidates=1000)


@pytest.mark.long
def test_it_beats_random_search_under_asha_with_eight_workers():
    """One-sided Wilcoxon signed-rank test over 14 pairs of simulated studies with the same seed."""
    ours, randoms = ([final(sampler, seed) for seed in range(14)] for sampler in (FAST, "random"))
    assert stats.wilcoxon(ours, randoms, alternative="less").pvalue < 0.01
