"""What SMAC 3 does: its brackets and its expected improvement."""

import logging
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ConfigSpace
import numpy as np
from answer import answer
from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario
from smac.acquisition.function import EI
from smac.intensifier.hyperband_utils import determine_HB
from smac.intensifier.successive_halving import SuccessiveHalving
from smac.runhistory.dataclasses import TrialValue
from smac.runhistory.enumerations import StatusType

logging.disable(logging.CRITICAL)


def rungs(ladders: list[list[int]]) -> dict[str, Any]:
    found = [
        (eta, power, SuccessiveHalving._get_max_iterations(eta, eta**power, 1)) for eta, power in ladders
    ]
    return {"found": [[eta, power, above + 1] for eta, power, above in found]}


def bracket_sizes(largest: int) -> dict[str, Any]:
    stages = determine_HB(1, largest, 3)["n_configs_in_stage"]
    return {"sizes": [stages[bracket][0] for bracket in sorted(stages)]}


def counts() -> dict[str, Any]:
    depth = SuccessiveHalving._get_max_iterations(3, 81, 1)
    return {"counts": SuccessiveHalving._compute_configs_and_budgets_for_stages(3, 81, depth)[1]}


def failures() -> dict[str, Any]:
    """Nine jobs of which seven crash, then the three of the next stage."""
    space = ConfigSpace.ConfigurationSpace(seed=0)
    space.add([ConfigSpace.UniformFloatHyperparameter("x", 0.0, 1.0)])
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space,
            deterministic=True,
            n_trials=60,
            min_budget=1,
            max_budget=9,
            seed=0,
            output_directory=Path(folder),
        )
        facade = MultiFidelityFacade(
            scenario,
            lambda config, seed, budget: 0.0,
            intensifier=SuccessiveHalving(scenario, eta=3, incumbent_selection="any_budget"),
            initial_design=MultiFidelityFacade.get_initial_design(scenario, n_configs=9),
            overwrite=True,
            logging_level=False,
        )
        jobs = [facade.ask() for _ in range(9)]
        for number, job in enumerate(jobs):
            crash = TrialValue(cost=float("inf"), status=StatusType.CRASHED)
            facade.tell(job, TrialValue(cost=float(number)) if number in (1, 5) else crash)
        configs = [job.config for job in jobs]
        found = [facade.ask().config for _ in range(3)]
    places = [configs.index(config) if config in configs else None for config in found]
    sound = sum(place in (1, 5) for place in places)
    new = places.count(None)
    return {"sound": sound, "new": new, "crashed": 3 - sound - new}


def improvement(points: list[list[float]], log: bool) -> dict[str, Any]:
    """EI with a model that predicts what it is told to."""
    return {"values": [_improvement(*point, log) for point in points]}


def _improvement(best: float, mean: float, deviation: float, log: bool) -> float:
    rule = EI(log=log)
    moments = np.array([[mean]]), np.array([[deviation**2]])
    rule._model = SimpleNamespace(predict_marginalized=lambda points: moments)
    rule._eta = best
    return float(rule._compute(np.zeros((1, 1)))[0, 0])


def tail(far: list[float]) -> dict[str, Any]:
    """Its EI is no logarithm: what comes of the logarithm of it."""
    found = [_improvement(z, 0.0, 1.0, False) for z in far]
    return {"values": [float(np.log(value)) if value > 0 else None for value in found]}


def repeats() -> dict[str, Any]:
    """Twelve configurations of a space of twelve."""
    space = ConfigSpace.ConfigurationSpace(seed=0)
    space.add([ConfigSpace.CategoricalHyperparameter("c", ["a", "b", "c"])])
    space.add([ConfigSpace.UniformIntegerHyperparameter("n", 1, 4)])

    def objective(config: ConfigSpace.Configuration, seed: int = 0) -> float:
        seen.append((config["c"], config["n"]))
        return float("abc".index(config["c"]) + config["n"])

    seen: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=12, seed=0, output_directory=Path(folder))
        HyperparameterOptimizationFacade(scenario, objective, overwrite=True, logging_level=False).optimize()
    return {"different": len(set(seen)), "trials": len(seen)}


answer({f.__name__: f for f in (rungs, bracket_sizes, counts, failures, improvement, tail, repeats)})
