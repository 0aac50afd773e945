"""Whole studies with the samplers that have no model: many workers, fidelities, hazards; derived again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import rung
from rung.executors.simulated import SimulatedExecutor
from rung.storage import open_storage
from rung.study.audit import audit
from rung.trials.events import JobStarted
from support.problems import CONDITIONAL

SPACE = {
    "x": rung.Float(0.0, 1.0),
    "kind": rung.Choice(
        {"a": {"y": rung.Integer(1, 9)}, "b": {"z": rung.Float(1e-4, 1.0, log=True)}, "c": {}}
    ),
}


def curve(config, epoch):
    """A learning curve; some configurations have no value."""
    if config["x"] > 0.95:
        return math.nan
    return (config["x"] - 0.3) ** 2 + config.get("y", 5) / 50 + config.get("z", 0.2) + 1.0 / epoch


def studied(sampler, scheduler, workers=8, **more):
    """The log of a simulated study, results late and out of order, some jobs lost."""
    executor = SimulatedExecutor(
        workers,
        lambda config, trial, resource: {"loss": curve(config, resource), "size": config["x"]},
        lambda config, first, last, trial: (last - first) * (1.0 + 5.0 * config["x"]),
        stragglers=0.8,
        drop=0.01,
        reports="saves",
    )
    storage = open_storage("memory")
    rung.tune(
        curve,
        SPACE,
        sampler=sampler,
        scheduler=scheduler,
        resource=("epoch", 1, 27),
        executor=executor,
        trials=120,
        storage=storage,
        study="s",
        **more,
    )
    events = list(storage.read("s"))
    storage.close()
    return events


SAMPLERS = ["sobol", "anneal", "genetic", "evolution", "grid"]


@pytest.mark.parametrize("scheduler", ["asha", "hyperband"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_decision_of_a_parallel_study_is_derived_again(sampler, scheduler):
    events = studied(sampler, scheduler)
    assert audit(events).differences == ()
    starts = [event for event in events if isinstance(event, JobStarted) and event.values is not None]
    configurations = [event.values for event in starts]
    assert len(starts) == len(set(configurations)) == 120  # also those asked at the same time
    learnt = sum(event.origin.model for event in starts)
    assert learnt == 0 if sampler in ("sobol", "grid") else learnt > 60


@pytest.mark.parametrize("sampler", ["anneal", "genetic", "evolution"])
def test_several_objectives_and_constraints(sampler):
    events = studied(
        sampler, "asha", metric=["loss", "size"], mode=["min", "max"], constraints=["size <= 0.9"]
    )
    assert audit(events).differences == ()
    starts = [event for event in events if isinstance(event, JobStarted) and event.values is not None]
    assert sum(event.origin.model for event in starts) > 60


@pytest.mark.long
@pytest.mark.parametrize("sampler", ["anneal", "genetic", "evolution"])
def test_better_than_random_under_asha_with_eight_workers(sampler):
    """Mann-Whitney, one-sided, over 10 seeds: the incumbent's value without noise, after 2,000 epochs."""

    def found(name, seed):
        def noisy(config, trial, epoch):
            noise = np.random.default_rng([seed, trial, epoch]).standard_normal()
            return {"loss": CONDITIONAL.function(config) + (0.5 + 0.25 * noise) / epoch}

        executor = SimulatedExecutor(
            8, noisy, lambda config, first, last, trial: (last - first) * (1.0 + trial % 7), reports="saves"
        )
        result = rung.tune(
            CONDITIONAL.function,
            CONDITIONAL.space,
            sampler=name,
            scheduler="asha",
            resource=("epoch", 1, 27),
            executor=executor,
            total_resource=2000,
            seed=seed,
        )
        return CONDITIONAL.function(result.best.config)

    own, random = ([found(name, seed) for seed in range(10)] for name in (sampler, "random"))
    assert stats.mannwhitneyu(own, random, alternative="less").pvalue < 0.01
