"""Problems with known answers: a space, a function of configuration and resource, its least value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One problem.

    Attributes:
        space: a mapping from name to domain.
        value: `value(config, resource, seed)`, what is observed; the seed makes its noise.
        optimum: the least true value at the largest resource.
        resource: (name, smallest, largest), or None.
        evaluations: full evaluations' worth of budget.
        truth: `truth(config)`, the true value at the largest resource; None where `value` has no noise.
    """

    space: Mapping[str, Any]
    value: Callable[[Mapping[str, Any], int, int], float]
    optimum: float
    resource: tuple[str, int, int] | None = None
    evaluations: int = 80
    truth: Callable[[Mapping[str, Any]], float] | None = None
