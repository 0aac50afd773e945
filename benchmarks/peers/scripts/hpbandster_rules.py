"""What HpBandSter does: its brackets, stages and density model, without its servers."""

import logging
from typing import Any

import ConfigSpace
import numpy as np
from answer import answer
from hpbandster.core.dispatcher import Job
from hpbandster.core.master import Master
from hpbandster.optimizers.bohb import BOHB
from hpbandster.optimizers.config_generators import bohb as generators
from hpbandster.optimizers.iterations import SuccessiveHalving

logging.disable(logging.CRITICAL)


def _serverless(self: Any, run_id: str = "", config_generator: Any = None) -> None:
    """What `Master.__init__` leaves behind, without its name server and dispatcher."""
    self.config, self.config_generator = {}, config_generator


Master.__init__ = _serverless


def _space() -> ConfigSpace.ConfigurationSpace:
    space = ConfigSpace.ConfigurationSpace(seed=0)
    space.add([ConfigSpace.UniformFloatHyperparameter(name, 0.0, 1.0) for name in "xy"])
    space.add([ConfigSpace.CategoricalHyperparameter("z", ["a", "b", "c"])])
    return space


def _optimizer(largest: int) -> BOHB:
    return BOHB(configspace=_space(), run_id="", min_budget=1, max_budget=largest, eta=3)


def rungs(ladders: list[list[int]]) -> dict[str, Any]:
    found = []
    for eta, power in ladders:
        made = BOHB(configspace=_space(), run_id="", min_budget=1, max_budget=eta**power, eta=eta)
        found.append([eta, power, made.max_SH_iter])
    return {"found": found}


def bracket_sizes(largest: int) -> dict[str, Any]:
    optimizer = _optimizer(largest)
    return {"sizes": [optimizer.get_next_iteration(i).num_configs[0] for i in range(optimizer.max_SH_iter)]}


def counts() -> dict[str, Any]:
    return {"counts": _optimizer(81).get_next_iteration(0).num_configs}


def failures() -> dict[str, Any]:
    """Nine jobs of which seven crash, then the jobs of the next stage."""
    drawn = iter(range(1000))
    bracket = SuccessiveHalving(0, [9, 3, 1], [1.0, 3.0, 9.0], lambda budget: ({"x": next(drawn)}, {}))
    for number in range(9):
        name, config, budget = bracket.get_next_run()
        job = Job(name, config=config, budget=budget)
        job.result = {"loss": float(number), "info": {}} if number in (1, 5) else None
        bracket.register_result(job)
    entered = []
    while (following := bracket.get_next_run()) is not None:
        entered.append(following[1]["x"])
    sound = sum(number in (1, 5) for number in entered)
    new = sum(number > 8 for number in entered)
    return {"sound": sound, "new": new, "crashed": len(entered) - sound - new}


def _told(rows: list[list[float]]) -> generators.BOHB:
    generator = generators.BOHB(_space())
    for x, y, z, loss in rows:
        job = Job((0, 0, 0), config={"x": x, "y": y, "z": "abc"[int(z)]}, budget=1.0)
        job.result = {"loss": loss, "info": {}}
        generator.new_result(job)
    return generator


def bandwidths(rows: list[list[float]]) -> dict[str, Any]:
    return {"good": _told(rows).kde_models[1.0]["good"].bw}


def split(rows: list[list[float]]) -> dict[str, Any]:
    models = _told(rows).kde_models[1.0]
    return {"good": len(models["good"].data), "bad": len(models["bad"].data)}


def first(rows: list[list[float]]) -> dict[str, Any]:
    return {"first": next(n for n in range(1, len(rows)) if _told(rows[:n]).kde_models)}


def random(rows: list[list[float]]) -> dict[str, Any]:
    np.random.seed(0)  # noqa: NPY002  # its own generator is the global one
    generator = _told(rows)
    picks = [generator.get_config(1.0)[1]["model_based_pick"] for _ in range(300)]
    return {"part": 1.0 - float(np.mean(picks))}


def seeds() -> dict[str, Any]:
    """Its random choices come from NumPy's global generator, which no seed of a study sets."""
    rows = [[0.01 * n, 1.0 - 0.02 * n, float(n % 3), 0.01 * n] for n in range(40)]
    runs = []
    for _ in range(2):
        generator = _told(rows)
        runs.append([generator.get_config(1.0)[0] for _ in range(5)])
    return {"same": runs[0] == runs[1], "note": ": it draws from NumPy's global generator"}


answer(
    {f.__name__: f for f in (rungs, bracket_sizes, counts, failures, bandwidths, split, first, random, seeds)}
)
