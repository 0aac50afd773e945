"""Any sampler under any scheduler, on a space of every kind, with several workers; each log derived again."""

from __future__ import annotations

import warnings

import pytest

import rung
from rung.executors.simulated import SimulatedExecutor
from rung.samplers import SAMPLERS
from rung.schedulers import SCHEDULERS
from rung.space.rules import Forbidden, Is
from rung.study.audit import audit

SPACE = rung.Space(
    {
        "lr": rung.Float(1e-4, 1.0, log=True),
        "layers": rung.Integer(1, 4),
        "batch": rung.Ordinal([16, 32, 64]),
        "kind": rung.Choice({"sgd": {"momentum": rung.Float(0.0, 0.99)}, "adam": {}, "none": {}}),
        "always": rung.Constant(7),
    },
    forbidden=[Forbidden(Is("kind", equals="none"))],
)


def curve(config, trial, epoch):
    """One in nine has no value."""
    value = abs(config["lr"] - 0.01) + config["layers"] / (1.0 + epoch) + config.get("momentum", 0.5)
    return {"loss": float("nan") if trial % 9 == 8 else value, "ms": 10.0 * config["layers"]}


def search(sampler, scheduler, trials, **more):
    executor = SimulatedExecutor(
        3, curve, lambda config, start, until, trial: until - start + 0.1 * (trial % 4), reports="saves"
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "study '.*' has no value")
        return rung.tune(
            lambda config: None,
            SPACE,
            resource=("epoch", 1, 9),
            sampler=sampler,
            scheduler=scheduler,
            trials=trials,
            executor=executor,
            **more,
        )


def check(result, trials):
    space = result.history.space
    assert result.history.begun == trials
    assert not result.history.running
    assert space.legal(result.history.values).all()
    assert result.best.value is not None
    found = audit(result._events())
    assert found.differences == ()
    assert found.decisions >= trials


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_pair_runs_and_can_be_derived_again(sampler, scheduler):
    check(search(sampler, scheduler, 10), 10)


@pytest.mark.long
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_pair_with_enough_results_for_models(sampler, scheduler):
    check(search(sampler, scheduler, 40), 40)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_with_several_objectives_and_a_constraint(sampler):
    result = search(
        sampler, "mo-asha", 30, metric=["loss", "ms"], reference=[3.0, 50.0], constraints=["ms <= 35"]
    )
    check(result, 30)
    assert all(trial.config["layers"] <= 3 for trial in result.front)
    assert result.hypervolume > 0.0


# the default looks at how many trials are allowed, which differs here from session to session
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("grid", "auto", "transfer")])
def test_a_search_that_goes_on_after_each_trial_is_the_same_search(sampler, tmp_path):
    """Resumed after every few trials, with folds and caches gone each time."""
    whole = rung.tune(lambda config: config["lr"], SPACE, sampler=sampler, trials=18, evaluation_cost=0.001)
    store = str(tmp_path / "s.db")
    for trials in (1, 2, 5, 9, 13, 18):
        parts = rung.tune(
            lambda config: config["lr"],
            SPACE,
            sampler=sampler,
            trials=trials,
            evaluation_cost=0.001,
            storage=store,
            study="s",
        )
    assert [trial.config for trial in parts.trials] == [trial.config for trial in whole.trials]
