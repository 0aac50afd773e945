"""Syne Tune: conformal quantile regression (CQR), under ASHA where there is a resource (ASHACQR)."""

import datetime
import random
from typing import Any

import numpy as np
from serve import FAILED, rungs, serve
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, lograndint, loguniform, ordinal, randint, uniform
from syne_tune.optimizer.baselines import ASHACQR, CQR

ABOUT = {
    "requirements": ["syne-tune==0.16.0", "huggingface_hub"],
    "note": "conformal quantile regression, ASHA, PBT, median rule; its import needs huggingface_hub",
    "systems": {
        "syne-tune": {
            "note": "Syne Tune 0.16: CQR, under ASHA where there is a resource",
            "model": "boosting",
        }
    },
}


class Tuner:
    """It knows no conditional parameters: all are there. Trials report at the rungs, where it decides."""

    def __init__(self, told: dict[str, Any]) -> None:
        np.random.seed(told["seed"])  # noqa: NPY002  # the peer's own generator
        random.seed(told["seed"])
        space = {one["name"]: _domain(one) for one in told["space"]}
        self._full, self._steps = told["full"], [told["full"]]
        if told["resource"]:
            low, high = told["resource"]
            self._steps = rungs(low, high, told["eta"])
            self._scheduler: Any = ASHACQR(
                space,
                metric="loss",
                time_attr="resource",
                max_t=high,
                grace_period=low,
                reduction_factor=told["eta"],
                random_seed=told["seed"],
            )
        else:
            self._scheduler = CQR(space, metric="loss", random_seed=told["seed"])
        self._trials: dict[int, Trial] = {}

    def ask(self) -> tuple[int, dict[str, Any], int]:
        suggestion = self._scheduler.suggest()
        number = len(self._trials)
        trial = Trial(number, suggestion.config, datetime.datetime.now())
        self._trials[number] = trial
        self._scheduler.on_trial_add(trial)
        return number, suggestion.config, self._steps[0]

    def tell(self, number: int, config: dict[str, Any], resource: int, loss: float | None) -> int | None:
        trial = self._trials[number]
        result = {"loss": FAILED if loss is None else loss, "resource": resource}
        if len(self._steps) == 1 or resource >= self._full:
            self._scheduler.on_trial_complete(trial, result)
            return None
        if self._scheduler.on_trial_result(trial, result) == "CONTINUE":
            return self._steps[self._steps.index(resource) + 1]
        self._scheduler.on_trial_remove(trial)
        return None


def _domain(one: dict[str, Any]) -> Any:
    if one["kind"] == "float":
        return (loguniform if one["log"] else uniform)(one["low"], one["high"])
    if one["kind"] == "integer":
        return (lograndint if one["log"] else randint)(one["low"], one["high"])
    values = list(range(one["values"]))
    return ordinal(values, kind="equal") if one["kind"] == "ordinal" else choice(values)


serve(Tuner)
