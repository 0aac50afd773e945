"""1 to 32 simulated workers on the nets of letter: time to a regret (BOHB, 5.2.2, its figure on workers).

All searches have the same resource to spend; a job takes the seconds that its training took when recorded.
The regret to reach is the mean that the same system has with one worker after a quarter of its time; it was
chosen on the first 20 seeds, of which half of the time lies on the plateau that the table's noise leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments.judging import Said, near_linear, of, sublinear
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_PROBLEMS: Final = ("smooth nets-letter",)
_JUDGED: Final = ("rung bohb", "rung asha")
_OTHERS: Final = ("rung random", "rung hyperband", "rung")
_FULL: Final = tuple(Setting(workers=workers, evaluations=100) for workers in (1, 2, 4, 8, 16, 32))
_QUICK: Final = tuple(Setting(workers=workers, evaluations=5) for workers in (1, 4))


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Near-linear for two and four workers is the paper's; the others are what comes after."""
    bohb, asha = (of(rows, system=system) for system in _JUDGED)
    source = "BOHB, 5.2.2"
    return [
        near_linear(Said("BOHB's speed-up is close to linear with two and four workers", source), bohb, 4),
        near_linear(Said("and it still is with eight", source), bohb, 8),
        sublinear(Said("with 32 workers it is sublinear (about 15 in the paper)", source), bohb, 32),
        near_linear(Said("ASHA's speed-up is close to linear up to eight workers", "ASHA, 4.2"), asha, 8),
    ]


ENTRIES: Final = {
    "parallel-scaling": Experiment(
        "1 to 32 workers on nets of letter (BOHB, 5.2.2)",
        full=(
            Plan(_PROBLEMS, _JUDGED, _FULL, 80),
            Plan(_PROBLEMS, _JUDGED[:1], _FULL[:3], 240),  # the time to a regret varies much by seed
            Plan(_PROBLEMS, _OTHERS, _FULL, 20),
        ),
        quick=(Plan(_PROBLEMS, _JUDGED + _OTHERS, _QUICK, 2),),
        minutes=15,
        claims=claims,
    ),
}
