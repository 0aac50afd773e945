"""SMAC 3: the facade for hyperparameters; with a resource the multi-fidelity one (Hyperband); or a GP."""

import tempfile
from pathlib import Path
from typing import Any

from configspace_of import plain, space_of
from serve import FAILED, serve
from smac import BlackBoxFacade, HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario
from smac.runhistory.dataclasses import TrialInfo, TrialValue


class Tuner:
    def __init__(self, told: dict[str, Any]) -> None:
        self._space = space_of(told["space"], told["seed"])
        self._full = told["full"]
        budgets = {}
        facade: Any = BlackBoxFacade if told["option"] == "gp" else HyperparameterOptimizationFacade
        if told["resource"]:
            facade = MultiFidelityFacade
            budgets = {"min_budget": told["resource"][0], "max_budget": told["resource"][1]}
        scenario = Scenario(
            self._space,
            deterministic=True,
            n_trials=(100 if told["resource"] else 1) * told["evaluations"] + told["workers"],
            seed=told["seed"],
            output_directory=Path(tempfile.mkdtemp(dir=".")),
            **budgets,
        )
        options = {}
        if told["resource"]:
            options["intensifier"] = facade.get_intensifier(scenario, eta=told["eta"])
        else:  # an initial design of a quarter of the evaluations, SMAC's own rule, is in its defaults
            options["intensifier"] = facade.get_intensifier(scenario, max_config_calls=1)
        self._facade = facade(
            scenario, lambda config, seed, budget=None: 0.0, overwrite=True, logging_level=False, **options
        )
        self._asked: dict[int, TrialInfo] = {}

    def ask(self) -> tuple[int, dict[str, Any], int] | None:
        try:
            info = self._facade.ask()
        except StopIteration:
            return None
        number = len(self._asked)
        self._asked[number] = info
        return number, plain(info.config), round(info.budget or self._full)

    def tell(self, number: int, config: dict[str, Any], resource: int, loss: float | None) -> None:
        cost = FAILED if loss is None else loss
        self._facade.tell(self._asked[number], TrialValue(cost=cost), save=False)


serve(Tuner)
