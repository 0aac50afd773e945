"""Optuna: its TPE as it comes, with a resource under its Hyperband pruner; or its Gaussian process."""

from typing import Any

import optuna
from optuna.trial import TrialState
from serve import rungs, serve

optuna.logging.set_verbosity(optuna.logging.ERROR)

ABOUT = {
    "requirements": ["optuna>=5,<6", "cmaes", "scipy", "torch>=2.6,<2.14"],
    "note": "TPE, CMA-ES, pruners; torch is for its GPSampler only",
    "systems": {
        "optuna": {
            "note": "Optuna 5: TPE, Hyperband pruner where there is a resource",
            "model": "density",
        },
        "optuna gp": {
            "note": "Optuna 5: GPSampler",
            "model": "process",
            "multi_fidelity": False,
            "option": "gp",
        },
    },
}


class Tuner:
    """Several workers ask before results are told: TPE's constant liar, as its documentation advises."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._space, self._full = told["space"], told["full"]
        parallel = told["workers"] > 1
        if told["option"] == "gp":
            sampler: Any = optuna.samplers.GPSampler(seed=told["seed"])
        else:
            sampler = optuna.samplers.TPESampler(seed=told["seed"], constant_liar=parallel)
        pruner: Any = optuna.pruners.NopPruner()
        self._steps = [self._full]
        if told["resource"]:
            low, high = told["resource"]
            self._steps = rungs(low, high, told["eta"])
            pruner = optuna.pruners.HyperbandPruner(low, high, reduction_factor=told["eta"])
        self._study = optuna.create_study(sampler=sampler, pruner=pruner)
        self._trials: dict[int, Any] = {}

    def ask(self) -> tuple[int, dict[str, Any], int]:
        trial = self._study.ask()
        self._trials[trial.number] = trial
        config: dict[str, Any] = {}
        for one in self._space:
            if one["when"] is None or config.get(one["when"][0]) == one["when"][1]:
                config[one["name"]] = _suggest(trial, one)
        return trial.number, config, self._steps[0]

    def tell(self, number: int, config: dict[str, Any], resource: int, loss: float | None) -> int | None:
        trial = self._trials[number]
        if loss is None:
            self._study.tell(trial, state=TrialState.FAIL)
            return None
        if len(self._steps) > 1:
            trial.report(loss, resource)
            if resource < self._full:
                if not trial.should_prune():
                    return self._steps[self._steps.index(resource) + 1]
                self._study.tell(trial, state=TrialState.PRUNED)
                return None
        self._study.tell(trial, loss)
        return None


def _suggest(trial: Any, one: dict[str, Any]) -> Any:
    """Ordered lists are suggested as whole numbers, their indices."""
    name = one["name"]
    if one["kind"] == "float":
        return trial.suggest_float(name, one["low"], one["high"], log=one["log"])
    if one["kind"] == "integer":
        return trial.suggest_int(name, one["low"], one["high"], log=one["log"])
    if one["kind"] == "ordinal":
        return trial.suggest_int(name, 0, one["values"] - 1)
    return trial.suggest_categorical(name, list(range(one["values"])))


serve(Tuner)
