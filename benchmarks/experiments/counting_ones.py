"""Stochastic counting ones (BOHB, 5.1): categorical and continuous parameters, the optimum known."""

from __future__ import annotations

from typing import Final

from benchmarks.experiments import Experiment, Plan
from benchmarks.systems import Setting

_SYSTEMS: Final = ("rung random", "rung hyperband", "rung tpe", "rung gp", "rung bohb", "rung")

ENTRIES: Final = {
    "counting-ones": Experiment(
        "stochastic counting ones (BOHB, 5.1)",
        full=(Plan(("drawn ones",), _SYSTEMS, (Setting(evaluations=100),), 10),),
        quick=(Plan(("drawn ones",), _SYSTEMS, (Setting(evaluations=10),), 2),),
        minutes=10,
    ),
}
