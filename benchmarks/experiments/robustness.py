"""Fidelities that mislead (BOHB, 4): does a search recover that trusts small budgets at first?

Three planted problems: short trainings that rank configurations the wrong way round, counting ones of which
half count backwards at small budgets, and a function whose hills are shifted there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments._bohb import SYSTEMS, final_lead
from benchmarks.experiments.judging import Said, ahead, at_share, group, not_behind, of
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_PROBLEMS: Final = ("misleading", "misleading ones 8+8", "biased")
_BOUND: Final = 12  # 1 / rho times s_max + 1, for a third of random configurations and four rungs


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The paper's bound, and more than that: level with random search on what misleads most."""
    worst = of(rows, _PROBLEMS[0]) + of(rows, _PROBLEMS[1])
    said = Said(
        f"where small budgets mislead, BOHB is at most {_BOUND} times slower than random search",
        "BOHB, 4",
    )
    slower = group("rung random", at=at_share(1 / _BOUND))
    found = [not_behind(said, worst, group("rung bohb"), slower)]
    said = Said("and in the end it is not behind random search", "BOHB, 4")
    found.append(not_behind(said, worst, group("rung bohb"), group("rung random")))
    said = Said("nor is rung's default", "BOHB, 4")
    found.append(not_behind(said, worst, group("rung"), group("rung random")))
    said = Said("and BOHB is ahead of Hyperband, whose configurations are all random", "BOHB, 4")
    found.append(ahead(said, worst, group("rung bohb"), group("rung hyperband")))
    where = " where hills are shifted a little"
    found.append(final_lead(of(rows, _PROBLEMS[2]), "4", "random", where))
    return found


ENTRIES: Final = {
    "robustness": Experiment(
        "small budgets that mislead (BOHB, 4)",
        full=(Plan(_PROBLEMS, (*SYSTEMS, "rung asha"), (Setting(evaluations=40),), 20),),
        quick=(Plan(_PROBLEMS, SYSTEMS, (Setting(evaluations=5),), 2),),
        minutes=5,
        claims=claims,
    ),
}
