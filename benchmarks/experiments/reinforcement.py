"""PPO that swings a pole up, eight parameters, 1 to 9 repeats as fidelity (BOHB, 5.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments._bohb import SYSTEMS, as_early, final_lead
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_PROBLEMS: Final = ("recorded ppo-cartpole",)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The paper's: as fast as Hyperband, then better than it and than TPE."""
    section = "5.4"
    return [as_early(rows, section), *(final_lead(rows, section, over) for over in ("hyperband", "tpe"))]


ENTRIES: Final = {
    "reinforcement": Experiment(
        "PPO on a cart-pole that swings up (BOHB, 5.4)",
        full=(Plan(_PROBLEMS, SYSTEMS, (Setting(evaluations=40),), 20),),
        quick=(Plan(_PROBLEMS, SYSTEMS, (Setting(evaluations=8),), 2),),
        minutes=5,
        claims=claims,
    ),
}
