"""A support vector machine with the share of the data as fidelity (BOHB, 5.2.1): beside Fabolas and a GP.

The paper has MNIST as a surrogate; here the machine was trained on real tables and its losses recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments._bohb import EARLY, early_lead
from benchmarks.experiments.judging import Said, as_good_as, at_share, group, not_behind
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_PROBLEMS: Final = ("recorded svm-digits", "recorded svm-optdigits", "recorded svm-letter")
_SYSTEMS: Final = ("rung random", "rung hyperband", "rung gp", "rung bohb", "rung fabolas", "rung")


def claims(rows: Sequence[Row]) -> list[Claim]:
    """What the paper says of its figure 4."""
    source = "BOHB, 5.2.1"
    said = Said("with two parameters BOHB works as well as Hyperband", source)
    found = [
        early_lead(rows, "5.2.1", ("rung gp",)),
        as_good_as(said, rows, group("rung bohb"), group("rung hyperband")),
    ]
    for when, at in (("early on", at_share(EARLY)), ("in the end", None)):
        said = Said(f"{when} BOHB is not behind Fabolas", source)
        found.append(not_behind(said, rows, group("rung bohb", at=at), group("rung fabolas", at=at)))
    return found


ENTRIES: Final = {
    "svm": Experiment(
        "a support vector machine, from 1/512 of the data (BOHB, 5.2.1)",
        full=(Plan(_PROBLEMS, _SYSTEMS, (Setting(evaluations=30),), 10),),
        quick=(Plan(_PROBLEMS[:1], _SYSTEMS, (Setting(evaluations=5),), 2),),
        minutes=8,
        claims=claims,
    ),
}
