"""What Syne Tune 0.16 does: its brackets of ASHA, stopping rules, PBT, searchers."""

import logging
import math
from datetime import datetime
from typing import Any

import numpy as np
from answer import answer
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import uniform
from syne_tune.optimizer.scheduler import SchedulerDecision
from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving, Bracket

logging.disable(logging.CRITICAL)
SPACE = {f"x{i}": uniform(0.0, 1.0) for i in range(5)}


def rungs(ladders: list[list[int]]) -> dict[str, Any]:
    """R itself is no rung of its brackets where it ends: the trial is stopped there."""
    return {"found": [[eta, power, len(Bracket(1, eta**power, eta, 0).rungs)] for eta, power in ladders]}


def _asha(largest: int = 81, brackets: int = 1) -> AsynchronousSuccessiveHalving:
    return AsynchronousSuccessiveHalving(
        SPACE, metric="loss", time_attr="epoch", max_t=largest, brackets=brackets, random_seed=0
    )


def _trial(number: int) -> Trial:
    return Trial(number, dict.fromkeys(SPACE, 0.5), datetime(2026, 1, 1))


def shares() -> dict[str, Any]:
    np.random.seed(0)  # noqa: NPY002  # its own generator is the global one
    scheduler = _asha(brackets=5)
    for number in range(143):
        scheduler.on_trial_add(_trial(number))
    homes = list(scheduler.trial_info.values())
    return {"counts": [sum(home is bracket for home in homes) for bracket in scheduler.brackets]}


def stopping(values: list[float | None]) -> dict[str, Any]:
    scheduler, on = _asha(), []
    for number, value in enumerate(values):
        scheduler.on_trial_add(_trial(number))
        result = {"loss": math.nan if value is None else value, "epoch": 1}
        if scheduler.on_trial_result(_trial(number), result) == SchedulerDecision.CONTINUE:
            on.append(number)
    return {"on": on}


def spoilt(values: list[float | None]) -> dict[str, Any]:
    """The same with NaN, and with a value that is worse than all in its place."""
    finite = {number for number, value in enumerate(values) if value is not None}
    both = [set(stopping(each)["on"]) for each in (values, [1e9 if v is None else v for v in values])]
    return {"differ": len((both[0] ^ both[1]) & finite), "on": len(both[0] - finite)}


def skipped() -> dict[str, Any]:
    scheduler = _asha()
    scheduler.on_trial_add(_trial(0))
    scheduler.on_trial_result(_trial(0), {"loss": 0.5, "epoch": 10})
    return {"rungs": [rung for rung, recorded in scheduler.brackets[0].rungs if recorded]}


def median(curves: list[list[float]], newcomer: list[float]) -> dict[str, Any]:
    """Its rule around a scheduler that never stops anybody."""
    from syne_tune.optimizer.schedulers.median_stopping_rule import MedianStoppingRule
    from syne_tune.optimizer.schedulers.single_objective_scheduler import SingleObjectiveScheduler

    inner = SingleObjectiveScheduler(SPACE, metric="loss", searcher="random_search", random_seed=0)
    rule = MedianStoppingRule(inner, time_attr="epoch", metric="loss", grace_population=5)
    for number, curve in enumerate([*curves, newcomer]):
        for step, value in enumerate(curve, 1):
            decision = rule.on_trial_result(_trial(number), {"loss": value, "epoch": step})
            if number == len(curves) and decision == SchedulerDecision.STOP:
                return {"step": step}
    return {"step": 0}


def _population(space: dict[str, Any]) -> Any:
    from syne_tune.optimizer.schedulers.pbt import PopulationBasedTraining

    return PopulationBasedTraining(
        space,
        metric="loss",
        time_attr="epoch",
        max_t=100,
        population_size=10,
        perturbation_interval=10,
        quantile_fraction=0.2,
        resample_probability=0.0,
        random_seed=0,
    )


def explore() -> dict[str, Any]:
    scheduler = _population({"x": uniform(0.0, 10.0)})
    return {"factors": sorted({round(float(scheduler._explore({"x": 1.0})["x"]), 4) for _ in range(50)})}


def truncation() -> dict[str, Any]:
    """Ten members with the values 0 ... 9, a fifth of them at either end."""
    scheduler = _population(SPACE)
    for number in range(10):
        scheduler.on_trial_add(_trial(number))
        state = scheduler.trial_state[number]
        scheduler._save_trial_state(state, 10, {"loss": float(number), "epoch": 10})
    bottom, top = scheduler._quantiles()
    return {"bottom": bottom, "top": top}


def fronts(vectors: list[list[float]]) -> dict[str, Any]:
    """The three that its priority of several objectives puts first."""
    from syne_tune.optimizer.schedulers.multiobjective.multiobjective_priority import (
        NonDominatedPriority,
    )

    order = np.argsort(NonDominatedPriority()(np.array(vectors, dtype=float)), kind="stable")
    return {"first": order[:3]}


def ageing() -> dict[str, Any]:
    from syne_tune.optimizer.schedulers.searchers.regularized_evolution import RegularizedEvolution

    searcher = RegularizedEvolution(SPACE, population_size=3, sample_size=3, random_seed=0)
    for number in range(4):
        searcher.on_trial_complete(number, {"x": number}, float(number))
    return {"members": [member.config["x"] for member in searcher.population]}


def mutation() -> dict[str, Any]:
    from syne_tune.optimizer.schedulers.searchers.regularized_evolution import mutate_config

    rng = np.random.RandomState(0)
    parent = dict.fromkeys(SPACE, 0.5)
    children = [mutate_config(parent, SPACE, rng) for _ in range(200)]
    return {"changes": [sum(child[name] != 0.5 for name in SPACE) for child in children]}


def latest() -> dict[str, Any]:
    """Trial 0 has results at 1 and at 9, trial 1 at 3, as its multi-fidelity wrapper tells them."""
    from syne_tune.optimizer.schedulers.searchers.last_value_multi_fidelity_searcher import (
        LastValueMultiFidelitySearcher,
    )

    searcher = LastValueMultiFidelitySearcher(SPACE, searcher="cqr", num_init_random_draws=2, random_seed=0)
    config = dict.fromkeys(SPACE, 0.5)
    for trial, loss, epoch in ((0, 0.9, 1), (1, 0.7, 3), (0, 0.2, 9)):
        searcher.on_trial_result(trial, config, metric=loss, resource_level=epoch)
    searcher.suggest()
    return {"losses": [searcher.trial_results[trial][-1] for trial in (0, 1)]}


def coverage() -> dict[str, Any]:
    """Its symmetric correction of quantiles far too narrow, on 99 targets; then 2,000 new ones."""
    from syne_tune.optimizer.schedulers.searchers.conformal.surrogate.symmetric_conformalized_quantile_regression_model import (  # noqa: E501
        SymmetricConformalizedGradientBoostingQuantileRegressor as Regressor,
    )

    draws = np.random.default_rng(0).normal(size=2599)
    np.random.seed(0)  # noqa: NPY002  # it splits by NumPy's global generator
    made = Regressor(quantiles=5, valid_fraction=0.2)
    points = np.zeros((599, 1))
    made.fit(points, draws[:599])
    found = made.predict(points[:1]).results_stacked[0]
    inside = np.mean((draws[599:] >= found[0]) & (draws[599:] <= found[-1]))
    return {"inside": float(inside)}


def seeds() -> dict[str, Any]:
    """Twice the same seed: the brackets that 40 trials are given."""
    runs = []
    for _ in range(2):
        scheduler = _asha(brackets=5)
        for number in range(40):
            scheduler.on_trial_add(_trial(number))
        runs.append([scheduler.brackets.index(scheduler.trial_info[number]) for number in range(40)])
    return {"same": runs[0] == runs[1], "note": ": brackets are drawn from NumPy's global generator"}


def several() -> dict[str, Any]:
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

    scheduler = MOASHA(SPACE, metrics=["loss", "size"], time_attr="epoch", max_t=81, random_seed=0)
    stopped = 0
    for number in range(30):
        scheduler.on_trial_add(_trial(number))
        result = {"loss": number * 7 % 30, "size": number * 11 % 30, "epoch": 1}
        stopped += scheduler.on_trial_result(_trial(number), result) == SchedulerDecision.STOP
    return {
        "works": 0 < stopped < 30,
        "said": f"MOASHA: {stopped} of 30 trials stopped early, with two objectives",
    }


answer(
    {
        f.__name__: f
        for f in (
            rungs,
            shares,
            stopping,
            spoilt,
            skipped,
            median,
            truncation,
            explore,
            fronts,
            ageing,
            mutation,
            latest,
            coverage,
            seeds,
            several,
        )
    }
)
