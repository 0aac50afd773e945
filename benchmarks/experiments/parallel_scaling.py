"""1 to 32 simulated workers on the nets of letter: time to a regret (BOHB, 5.2.2, its figure on workers).

All searches have the same resource to spend; a job takes the seconds that its training took when recorded.
The regret to reach is what BOHB has with one worker half way (the median over its seeds).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments.judging import Said, near_linear, of
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_PROBLEMS: Final = ("smooth nets-letter",)
_SYSTEMS: Final = ("rung random", "rung hyperband", "rung bohb", "rung asha", "rung")
_WORKERS: Final = (1, 2, 4, 8, 16, 32)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Near-linear for two and four workers is the paper's; the others are what comes after."""
    bohb, asha = of(rows, system="rung bohb"), of(rows, system="rung asha")
    source = "BOHB, 5.2.2"
    return [
        near_linear(Said("BOHB's speed-up is close to linear with two and four workers", source), bohb, 4),
        near_linear(Said("and it still is with eight", source), bohb, 8),
        near_linear(Said("and with 32 (the paper: about 15)", source), bohb, 32),
        near_linear(Said("ASHA's speed-up is close to linear up to eight workers", "ASHA, 4.2"), asha, 8),
    ]


ENTRIES: Final = {
    "parallel-scaling": Experiment(
        "1 to 32 workers on nets of letter (BOHB, 5.2.2)",
        full=(Plan(_PROBLEMS, _SYSTEMS, tuple(Setting(workers=w, evaluations=100) for w in _WORKERS), 20),),
        quick=(Plan(_PROBLEMS, _SYSTEMS, tuple(Setting(workers=w, evaluations=5) for w in (1, 4)), 2),),
        minutes=10,
        claims=claims,
    ),
}
