"""The cost of one suggestion by HpBandSter's BOHB, which fits anew with each result."""

import logging

import ConfigSpace
from answer import answer, loss, seconds, timed
from hpbandster.core.dispatcher import Job
from hpbandster.optimizers.config_generators.bohb import BOHB

logging.disable(logging.CRITICAL)


def suggest(observations: int, repeats: int) -> dict[str, float]:
    """Milliseconds to take one more result in and to suggest, after so many random configurations."""
    space = ConfigSpace.ConfigurationSpace(seed=0)
    numbers = [ConfigSpace.UniformFloatHyperparameter(f"x{i}", 0.0, 1.0) for i in range(7)]
    choices = [ConfigSpace.CategoricalHyperparameter(f"c{i}", ["a", "b", "c"]) for i in range(3)]
    space.add([*numbers, *choices])
    sampler = BOHB(space, random_fraction=0.0)
    for number, config in enumerate(space.sample_configuration(observations)):
        sampler.new_result(_job(dict(config)), update_model=number == observations - 1)

    def step() -> float:
        config, _ = sampler.get_config(1.0)
        told, _ = seconds(lambda: sampler.new_result(_job(config)))
        asked, _ = seconds(lambda: sampler.get_config(1.0))
        return told + asked

    return timed(step, repeats)


def _job(config: dict) -> Job:
    job = Job((0, 0, 0), config=config, budget=1.0)
    job.result = {"loss": loss(config), "info": {}}
    return job


answer({"suggest": suggest})
