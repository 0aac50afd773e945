"""The cost of one suggestion by SMAC 3's facade for hyperparameters."""

import logging
import tempfile
from pathlib import Path

import ConfigSpace
from answer import answer, loss, seconds, timed
from smac import HyperparameterOptimizationFacade, Scenario
from smac.main.config_selector import ConfigSelector
from smac.runhistory.dataclasses import TrialInfo, TrialValue

logging.disable(logging.CRITICAL)


def suggest(observations: int, repeats: int) -> dict[str, float]:
    """Milliseconds to ask, after so many random configurations told; the model is fitted for each."""
    space = ConfigSpace.ConfigurationSpace(seed=0)
    space.add([ConfigSpace.UniformFloatHyperparameter(f"x{i}", 0.0, 1.0) for i in range(7)])
    space.add([ConfigSpace.CategoricalHyperparameter(f"c{i}", ["a", "b", "c"]) for i in range(3)])
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space, deterministic=True, n_trials=10 * observations, seed=0, output_directory=Path(folder)
        )
        facade = HyperparameterOptimizationFacade(
            scenario,
            lambda config, seed: 0.0,
            initial_design=HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=2),
            config_selector=ConfigSelector(scenario, retrain_after=1),
            intensifier=HyperparameterOptimizationFacade.get_intensifier(scenario, max_config_calls=1),
            overwrite=True,
            logging_level=False,
        )
        for config in space.sample_configuration(observations):
            facade.tell(TrialInfo(config, seed=0), TrialValue(cost=loss(dict(config))), save=False)

        def step() -> float:
            cost, trial = seconds(facade.ask)
            facade.tell(trial, TrialValue(cost=loss(dict(trial.config))), save=False)
            return cost

        return timed(step, repeats, warm=3)


answer({"suggest": suggest})
