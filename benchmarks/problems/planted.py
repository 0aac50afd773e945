"""Counting ones whose small budgets mislead: `misleading ones 8+8`.

Of half of the parameters of each kind, more counts as less at the smallest budget, and the weight goes to
the right sign with the logarithm of the budget. What is best at 9 draws is right in half of the parameters,
and in the others as wrong as can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.problems import Problem
from benchmarks.problems.counting import counting
from benchmarks.problems.synthetic import drawn_ones


def turned(config: Mapping[str, Any], draws: int, seed: int) -> float:
    """Counting ones in which parameters of odd number count backwards at 9 draws, as they should at 729."""
    share = math.log(draws / 9) / math.log(729 / 9)
    odd = {name: value for name, value in config.items() if int(name[1:]) % 2}
    even = {name: value for name, value in config.items() if name not in odd}
    right, wrong = drawn_ones(even, draws, 2 * seed), drawn_ones(odd, draws, 2 * seed + 1)
    return right + (2.0 * share - 1.0) * wrong


ENTRIES: Final[dict[str, Callable[[], Problem]]] = {
    "misleading ones 8+8": lambda: counting(8)._replace(value=turned, evaluations=40)
}
