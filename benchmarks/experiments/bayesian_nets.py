"""Bayesian nets of two layers, sampled by SGHMC, the number of steps as fidelity (BOHB, 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments._bohb import SYSTEMS, as_early, final_lead
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_PROBLEMS: Final = ("recorded bnn-housing", "recorded bnn-protein")


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The paper's: as fast as Hyperband, then better than it and than TPE."""
    section = "5.3"
    return [as_early(rows, section), *(final_lead(rows, section, over) for over in ("hyperband", "tpe"))]


ENTRIES: Final = {
    "bayesian-nets": Experiment(
        "Bayesian nets by SGHMC on Boston housing and protein (BOHB, 5.3)",
        full=(Plan(_PROBLEMS, SYSTEMS, (Setting(evaluations=40),), 10),),
        quick=(Plan(_PROBLEMS[:1], SYSTEMS, (Setting(evaluations=8),), 2),),
        minutes=5,
        claims=claims,
    ),
}
