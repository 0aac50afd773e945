"""Stragglers and dropped jobs (ASHA, appendix A.1): eta 4, r 1, R 256, n 256, 25 workers.

A job's expected time is its resource. It is multiplied by 1 + |z| with z normal, and a job is dropped with a
probability in each unit of time; one that was dropped is tried again three times. Measured are the
configurations trained to R within 2000 units, and when the first of them was. A free worker of synchronous
successive halving opens the next bracket of 256 instead of waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import log
from typing import Final

import numpy as np

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments.judging import Said, less, paired
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_LIMIT: Final = 2000.0
_PLAIN: Final = Setting(workers=25, evaluations=100_000, seconds=_LIMIT, eta=4)
_STRAGGLERS: Final = (0.0, 0.24, 0.56, 1.33)
_DROPS: Final = (0.0, 0.003, 0.006, 0.01)
_SYSTEMS: Final = ("rung asha", "rung sha")


def trained(row: Row) -> float:
    """Configurations that were trained to R."""
    return float(row.full)


def first_trained(row: Row) -> float:
    """When the first one was; the limit if none was. The workload observes more than 1 below R."""
    return next((now for _, now, observed, _ in row.points if observed <= 1.0), _LIMIT)


def _hindered(row: Row) -> bool:
    """Whether stragglers or drops are as frequent as in the upper half of the grid."""
    known = dict(part.rsplit(" ", 1) for part in row.variant.split(", ") if part)
    return float(known.get("stragglers", 0)) >= 0.56 or float(known.get("drop", 0)) >= 0.003


def claims(rows: Sequence[Row]) -> list[Claim]:
    """More trained to R, and the first one sooner, where there are hazards and where there are none."""
    hindered = [row for row in rows if _hindered(row)]
    calm = [row for row in rows if row.variant == f"eta {_PLAIN.eta}"]
    source = "ASHA, A.1"
    more = "ASHA trains more configurations to R than synchronous SHA"
    sooner = "ASHA trains its first configuration to R sooner than synchronous SHA"
    return [
        _compared(Said(f"with many stragglers or dropped jobs {more}", source), hindered, trained, -1),
        _compared(Said(f"with many stragglers or dropped jobs {sooner}", source), hindered, first_trained, 1),
        _compared(Said(f"without them, too, {sooner}", source), calm, first_trained, 1),
    ]


def _compared(said: Said, rows: Sequence[Row], measure: Callable[[Row], float], sign: int) -> Claim:
    pairs = paired(rows, *_SYSTEMS, measure)
    if not len(pairs):
        return less(said, np.empty(0), "no searches")
    means = pairs.mean(axis=0)
    unit = "time units" if sign > 0 else "configurations"
    ratios = np.array([log(max(a, 0.5) / max(b, 0.5)) for a, b in pairs])
    return less(said, sign * ratios, f"on average {means[0]:.3g} {unit} against {means[1]:.3g}")


def _grid(stragglers: Sequence[float], drops: Sequence[float]) -> tuple[Setting, ...]:
    return tuple(_PLAIN._replace(stragglers=a, drop=b) for a, b in product(stragglers, drops))


ENTRIES: Final = {
    "asha-stragglers": Experiment(
        "stragglers and dropped jobs (ASHA, appendix A.1)",
        full=(Plan(("workload",), _SYSTEMS, _grid(_STRAGGLERS, _DROPS), 25),),
        quick=(Plan(("workload",), _SYSTEMS, _grid((0.0, 1.33), (0.0, 0.006)), 1),),
        minutes=20,
        claims=claims,
    ),
}
