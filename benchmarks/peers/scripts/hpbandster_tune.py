"""HpBandSter's BOHB: its iterations and its model, driven as its `Master` does, without the network."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from configspace_of import plain, space_of
from hpbandster.core.dispatcher import Job
from hpbandster.optimizers.bohb import BOHB
from hpbandster.optimizers.config_generators import bohb as generators
from serve import serve

ABOUT = {
    "requirements": ["hpbandster==0.7.4", "statsmodels", "numpy<2.5"],
    "note": "the reference of BOHB; not maintained since 2022",
    "systems": {"hpbandster": {"note": "HpBandSter 0.7.4: BOHB", "model": "density"}},
}


class Tuner:
    """Without a resource all rungs but the last are left out: its model at one fidelity."""

    def __init__(self, told: dict[str, Any]) -> None:
        np.random.seed(told["seed"])  # noqa: NPY002  # the peer's own generator
        low, high = told["resource"] or (told["full"], told["full"])
        rungs = -int(np.log(low / high) / np.log(told["eta"])) + 1
        self._settings = SimpleNamespace(
            max_SH_iter=rungs,
            budgets=high * np.power(float(told["eta"]), -np.linspace(rungs - 1, 0, rungs)),
            eta=told["eta"],
            config_generator=generators.BOHB(configspace=space_of(told["space"], told["seed"], whole=True)),
        )
        self._iterations: list[Any] = []
        self._runs: dict[int, tuple[Any, dict[str, Any], float]] = {}
        self._numbers: dict[Any, int] = {}

    def ask(self) -> tuple[int, dict[str, Any], int]:
        run = next((found for one in self._iterations if (found := self._next(one))), None)
        while run is None:  # as Master.run: another iteration whenever no job is ready
            self._iterations.append(BOHB.get_next_iteration(self._settings, len(self._iterations), {}))
            run = self._next(self._iterations[-1])
        identity, config, budget = run
        number = self._numbers.setdefault(identity, len(self._numbers))
        self._runs[number] = run
        return number, plain(config), round(budget)

    @staticmethod
    def _next(iteration: Any) -> Any:
        return None if iteration.is_finished else iteration.get_next_run()

    def tell(self, number: int, config: dict[str, Any], resource: int, loss: float | None) -> None:
        identity, asked, budget = self._runs[number]
        job = Job(identity, config=asked, budget=budget)
        if loss is None:
            job.exception = "failed"
        else:
            job.result = {"loss": loss, "info": {}}
        self._iterations[identity[0]].register_result(job)
        self._settings.config_generator.new_result(job)


serve(Tuner)
