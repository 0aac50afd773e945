"""Ax: its client as it comes (Sobol, then BoTorch's Gaussian process), every evaluation a full one."""

from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.exceptions.core import DataRequiredError
from serve import serve

ABOUT = {
    "requirements": ["ax-platform>=1.3,<2", "torch>=2.6,<2.14"],
    "note": "BoTorch's Gaussian processes, by Meta's client",
    "systems": {
        "ax": {
            "note": "Ax 1: its client's default, a Gaussian process",
            "model": "process",
            "multi_fidelity": False,
        }
    },
}


class Tuner:
    """Conditional parameters are always there; lists are whole numbers, ordered or not."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._full = told["full"]
        self._client = Client(random_seed=told["seed"])
        self._client.configure_experiment(parameters=[_parameter(one) for one in told["space"]])
        self._client.configure_optimization(objective="-loss")

    def ask(self) -> tuple[int, dict[str, Any], int] | None:
        try:
            jobs = self._client.get_next_trials(max_trials=1)
        except DataRequiredError:  # it wants some results of its Sobol points first
            return None
        if not jobs:
            return None
        number, config = next(iter(jobs.items()))
        return number, dict(config), self._full

    def tell(self, number: int, config: dict[str, Any], resource: int, loss: float | None) -> None:
        if loss is None:
            self._client.mark_trial_failed(number)
        else:
            self._client.complete_trial(number, raw_data={"loss": loss})


def _parameter(one: dict[str, Any]) -> Any:
    if one["kind"] in ("float", "integer"):
        return RangeParameterConfig(
            name=one["name"],
            bounds=(one["low"], one["high"]),
            parameter_type="float" if one["kind"] == "float" else "int",
            scaling="log" if one["log"] else "linear",
        )
    return ChoiceParameterConfig(
        name=one["name"],
        values=list(range(one["values"])),
        parameter_type="int",
        is_ordered=one["kind"] == "ordinal",
    )


serve(Tuner)
