"""The simulated workload of the ASHA paper (Li et al. 2020, appendix A.1), for stragglers and dropped jobs.

One parameter, of which less is better; r = 1 and R = 256. A job takes as long as the resource that it trains
to, as in the paper. What is observed says how far a configuration was trained: it is at most 1 at R and more
below, so that a row's incumbents tell when the first was trained to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import rung
from benchmarks.problems import Problem

LARGEST: Final = 256


def observed(config: Mapping[str, Any], resource: int, seed: int) -> float:
    """The quality, from 0 to 1, plus twice the share of R that is missing (1.5 at R / 4)."""
    return float(config["x"]) + 2.0 * (LARGEST - resource) / LARGEST


WORKLOAD: Final = Problem(
    {"x": rung.Float(0.0, 1.0)},
    observed,
    0.0,
    ("unit", 1, LARGEST),
    cost=lambda config, start, until: float(until),
)

ENTRIES: Final[dict[str, Callable[[], Problem]]] = {"workload": lambda: WORKLOAD}
