"""NePS: the optimiser that its "auto" takes: Bayesian optimisation, with a resource Hyperband."""

import random
from typing import Any

import neps
import numpy as np
import torch
from neps.optimizers import load_optimizer
from neps.optimizers.ask_and_tell import AskAndTell
from serve import FAILED, serve

_FIDELITY = "the fidelity"

ABOUT = {
    "requirements": ["neural-pipeline-search>=0.17,<0.18", "torch>=2.6,<2.15"],
    "note": "Bayesian optimisation, Hyperband",
    "systems": {"neps": {"note": 'NePS: "auto", Bayesian optimisation or Hyperband', "model": "process"}},
}


class Tuner:
    """Conditional parameters are always there; ordered lists are whole numbers."""

    def __init__(self, told: dict[str, Any]) -> None:
        random.seed(told["seed"])
        np.random.seed(told["seed"])  # noqa: NPY002  # the peer's own generator
        torch.manual_seed(told["seed"])
        self._full = told["full"]
        space = {one["name"]: _parameter(one) for one in told["space"]}
        if told["resource"]:
            low, high = told["resource"]
            space[_FIDELITY] = neps.HPOInteger(low, high, log=True, is_fidelity=True)
        optimiser, _ = load_optimizer("auto", neps.SearchSpace(space))
        self._optimiser = AskAndTell(optimiser)
        self._trials: dict[int, Any] = {}

    def ask(self) -> tuple[int, dict[str, Any], int]:
        trial = self._optimiser.ask()
        config = dict(trial.config)
        until = round(config.pop(_FIDELITY, self._full))
        number = len(self._trials)
        self._trials[number] = trial
        return number, config, until

    def tell(self, number: int, config: dict[str, Any], resource: int, loss: float | None) -> None:
        self._optimiser.tell(self._trials[number], FAILED if loss is None else loss)


def _parameter(one: dict[str, Any]) -> Any:
    if one["kind"] == "float":
        return neps.HPOFloat(one["low"], one["high"], log=one["log"])
    if one["kind"] == "integer":
        return neps.HPOInteger(one["low"], one["high"], log=one["log"])
    if one["kind"] == "ordinal":
        return neps.HPOInteger(0, one["values"] - 1)
    return neps.HPOCategorical(list(range(one["values"])))


serve(Tuner)
