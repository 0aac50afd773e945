"""A small residual net on CIFAR-10, four parameters, budgets as 22 : 66 : 200 : 600 (BOHB, 5.5).

The net and its epochs are a proxy that two cores could train; the paper has no other system beside BOHB
here, and random search, Hyperband, TPE and a Gaussian process stand beside it all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments._bohb import SYSTEMS, early_lead, final_lead
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_PROBLEMS: Final = ("recorded resnet",)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The leads that the paper claims of its other nets."""
    section = "5"
    return [early_lead(rows, section), *(final_lead(rows, section, over) for over in ("hyperband", "random"))]


ENTRIES: Final = {
    "convolutional": Experiment(
        "a small residual net on CIFAR-10 (BOHB, 5.5)",
        full=(Plan(_PROBLEMS, SYSTEMS, (Setting(evaluations=30),), 20),),
        quick=(Plan(_PROBLEMS, SYSTEMS, (Setting(evaluations=8),), 2),),
        minutes=5,
        claims=claims,
    ),
}
