"""Feed-forward nets on four tables, six parameters, epochs as fidelity (BOHB, 5.2.2).

The quick form trains one net for real where `RUNG_DATA` is set; the rest reads recorded curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments._bohb import SYSTEMS, as_early, early_lead, final_lead
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_NAMES: Final = ("nets-letter", "nets-optdigits", "nets-adult", "nets-protein")
_PROBLEMS: Final = tuple(f"recorded {name}" for name in _NAMES)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Early and final leads over the four tables together."""
    section = "5.2.2"
    found = [early_lead(rows, section), as_early(rows, section)]
    return [*found, *(final_lead(rows, section, over) for over in ("hyperband", "random", "tpe", "gp"))]


ENTRIES: Final = {
    "feed-forward": Experiment(
        "feed-forward nets on letter, optdigits, adult and protein (BOHB, 5.2.2)",
        full=(Plan(_PROBLEMS, (*SYSTEMS, "rung smac", "optuna"), (Setting(evaluations=40),), 10),),
        quick=(
            Plan(_PROBLEMS[:1], SYSTEMS, (Setting(evaluations=10),), 2),
            Plan(("live nets-optdigits",), ("rung random",), (Setting(evaluations=1),), 1),
        ),
        minutes=5,
        claims=claims,
    ),
}
