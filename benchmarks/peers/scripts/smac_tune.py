"""SMAC 3: the facade for hyperparameters; with a resource the multi-fidelity one (Hyperband); or a GP."""

import tempfile
from pathlib import Path
from typing import Any

from configspace_of import plain, space_of
from serve import FAILED, serve
from smac import BlackBoxFacade, HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario
from smac.intensifier.hyperband_utils import determine_hyperband_for_multifidelity
from smac.runhistory.dataclasses import TrialInfo, TrialValue

ABOUT = {
    "requirements": ["smac>=2.4,<3"],
    "note": "the reference of SMAC; its forests are scikit-learn's since 2.4",
    "systems": {
        "smac": {
            "note": "SMAC 3: random forest, with Hyperband where there is a resource",
            "model": "forest",
        },
        "smac gp": {
            "note": "SMAC 3: BlackBoxFacade, a Gaussian process",
            "model": "process",
            "multi_fidelity": False,
            "option": "gp",
        },
    },
}


class Tuner:
    """What SMAC knows of the budget is the number of trials; its initial design is at most a quarter of it.

    With a resource that number comes from its own rule for Hyperband within a total budget.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self._space = space_of(told["space"], told["seed"])
        self._full = told["full"]
        budgets, trials = {}, told["evaluations"]
        facade: Any = BlackBoxFacade if told["option"] == "gp" else HyperparameterOptimizationFacade
        if told["resource"]:
            facade = MultiFidelityFacade
            low, high = told["resource"]
            budgets = {"min_budget": low, "max_budget": high}
            total = told["evaluations"] * high
            trials = determine_hyperband_for_multifidelity(total, low, high, told["eta"])["n_trials"]
        scenario = Scenario(
            self._space,
            deterministic=True,
            n_trials=int(trials),
            seed=told["seed"],
            output_directory=Path(tempfile.mkdtemp(dir=".")),
            **budgets,
        )
        options = {"eta": told["eta"]} if told["resource"] else {"max_config_calls": 1}
        self._facade = facade(
            scenario,
            lambda config, seed, budget=None: 0.0,
            intensifier=facade.get_intensifier(scenario, **options),
            overwrite=True,
            logging_level=False,
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
