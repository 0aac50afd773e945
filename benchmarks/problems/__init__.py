"""Problems: a space, a function of configuration and resource, its least value.

Each module has `ENTRIES`, from a problem's name to a function that makes it; that function raises
`Unavailable` where data or a package is missing. Names are kept: rows refer to them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from benchmarks.entries import Unavailable, collect, pick

_OF_TABLES = ("recorded", "smooth", "timed", "live")  # first words of the names of the tables' problems


class Problem(NamedTuple):
    """One problem.

    Attributes:
        space: a mapping from name to domain.
        value: `value(config, resource, seed)`, what is observed; the seed makes its noise.
        optimum: the least true value at the largest resource.
        resource: (name, smallest, largest), or None.
        evaluations: full evaluations' worth of budget.
        truth: `truth(config)`, the true value at the largest resource; None where `value` has no noise.
        cost: `cost(config, start, until)`, the seconds that a job from one resource to another takes (0 and
            1 where there is none); None for one second a unit.
        continues: whether what was trained to a resource goes on from there; if not, a larger one is paid for
            from 0, as where the resource is a share of the data.
    """

    space: Mapping[str, Any]
    value: Callable[[Mapping[str, Any], int, int], float]
    optimum: float
    resource: tuple[str, int, int] | None = None
    evaluations: int = 80
    truth: Callable[[Mapping[str, Any]], float] | None = None
    cost: Callable[[Mapping[str, Any], int, int], float] | None = None
    continues: bool = True

    @property
    def largest(self) -> int:
        """The largest resource; 1 without one."""
        return self.resource[2] if self.resource else 1

    def true(self, config: Mapping[str, Any]) -> float:
        """The true value of a configuration at the largest resource."""
        return self.truth(config) if self.truth else self.value(config, self.largest, 0)

    def seconds(self, config: Mapping[str, Any], start: int, until: int) -> float:
        """How long a job takes on a worker of its own."""
        return self.cost(config, start, until) if self.cost else float(until - start)


@cache
def problems() -> Mapping[str, Callable[[], Problem]]:
    """All problems' makers, by name."""
    return collect(sys.modules[__name__])


@cache
def problem(name: str) -> Problem:
    """The problem of this name.

    Raises:
        ValueError: there is none.
        Unavailable: it needs what is not there.
    """
    kind, _, table = name.partition(" ")
    if kind in _OF_TABLES and name not in problems():
        raise Unavailable(
            f"the table {table} is not recorded: python -m benchmarks.data.tables record {table}"
        )
    made: Problem = pick(problems(), name, "problem")()
    return made
