"""DEHB, asked and told; without a resource its differential evolution at one fidelity."""

from typing import Any

from configspace_of import plain, space_of
from dehb import DEHB
from serve import FAILED, serve

ABOUT = {
    "requirements": ["dehb==0.1.2"],
    "note": "the reference of DEHB",
    "systems": {"dehb": {"note": "DEHB 0.1.2", "model": "evolution"}},
}


class Tuner:
    def __init__(self, told: dict[str, Any]) -> None:
        self._full = told["full"]
        space = space_of(told["space"], told["seed"])
        low, high = told["resource"] or (None, None)
        if low is None:  # DEHB knows no single fidelity: one bracket of one rung
            low, high = 1, told["eta"]
            self._budget = None
        else:
            self._budget = True
        self._dehb = DEHB(
            f=lambda config, fidelity: {"fitness": 0.0, "cost": 1.0},
            cs=space,
            min_fidelity=low,
            max_fidelity=high,
            eta=told["eta"],
            n_workers=1,  # more would start processes of its own; asked and told, it takes any number of jobs
            seed=told["seed"],
            output_path=".",
            log_level="CRITICAL",
            save_freq="end",
        )
        self._jobs: dict[int, dict[str, Any]] = {}

    def ask(self) -> tuple[int, dict[str, Any], int]:
        job = self._dehb.ask()
        number = len(self._jobs)
        self._jobs[number] = job
        until = round(job["fidelity"]) if self._budget else self._full
        return number, plain(job["config"]), until

    def tell(self, number: int, config: dict[str, Any], resource: int, loss: float | None) -> None:
        fitness = FAILED if loss is None else loss
        self._dehb.tell(self._jobs[number], {"fitness": fitness, "cost": 1.0})


serve(Tuner)
