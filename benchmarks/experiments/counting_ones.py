"""Stochastic counting ones (BOHB, 5.1): categorical and continuous parameters, the optimum known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments._bohb import SYSTEMS, as_early, early_lead, final_lead
from benchmarks.experiments.judging import Said, group, not_behind, of
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_SIZES: Final = tuple(f"{each}+{each}" for each in (4, 8, 16, 32))
_PROBLEMS: Final = tuple(f"counting ones {size}" for size in _SIZES)
_FULL: Final = (Setting(evaluations=100),)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Early and final leads, over all sizes and by size."""
    section = "5.1"
    found = [early_lead(rows, section), as_early(rows, section)]
    for size, problem in zip(_SIZES, _PROBLEMS, strict=True):
        found.append(final_lead(of(rows, problem), section, where=f" with {size} parameters"))
    found.append(final_lead(rows, section, "random"))
    said = Said("in the end BOHB is not behind TPE", f"BOHB, {section}")
    found.append(not_behind(said, rows, group("rung bohb"), group("rung tpe")))
    said = Said("our BOHB is not behind the authors' own", "HpBandSter 0.7.4")
    found.append(not_behind(said, rows, group("rung bohb"), group("hpbandster")))
    return found


ENTRIES: Final = {
    "counting-ones": Experiment(
        "stochastic counting ones of 8 to 64 parameters (BOHB, 5.1)",
        full=(
            Plan(_PROBLEMS, SYSTEMS, _FULL, 10),
            Plan(_PROBLEMS, ("optuna",), _FULL, 10),
            Plan(("counting ones 8+8",), ("hpbandster", "smac"), _FULL, 5),
        ),
        quick=(Plan(_PROBLEMS[:2], SYSTEMS, (Setting(evaluations=5),), 2),),
        minutes=15,
        claims=claims,
    ),
}
