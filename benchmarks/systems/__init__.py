"""Systems that search: rung's methods and its peers, under one protocol on a virtual clock.

Each module has `ENTRIES`, from a system's name to a `System`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

from benchmarks.entries import collect, pick
from benchmarks.problems import Problem
from benchmarks.systems.trace import Trace


class Setting(NamedTuple):
    """How a search is run.

    Attributes:
        seed: of the system and of the problem's noise.
        workers: jobs at once, on the virtual clock.
        evaluations: full evaluations' worth of resource, in all.
        seconds: virtual seconds after which no result counts; None for no limit.
        stragglers, drop: see `rung.executors.simulated.SimulatedExecutor`.
        trials: configurations to start; None for as many as the budget allows.
        eta: the factor between rungs.
    """

    seed: int = 0
    workers: int = 1
    evaluations: int = 80
    seconds: float | None = None
    stragglers: float = 0.0
    drop: float = 0.0
    trials: int | None = None
    eta: int = 3


class System(NamedTuple):
    """A system.

    Attributes:
        run: searches a problem and fills the trace; raises `Unavailable` if the system is not installed.
        note: what of it runs, in a line.
        model: the class of its model ("none", "density", "forest", "process", "evolution", ...).
        multi_fidelity: whether it uses a resource; if not, each evaluation is a full one.
    """

    run: Callable[[Problem, Setting, Trace], None]
    note: str
    model: str = "none"
    multi_fidelity: bool = True


@cache
def systems() -> Mapping[str, System]:
    """All systems, by name."""
    return collect(sys.modules[__name__])


def system(name: str) -> System:
    """The system of this name; ValueError if there is none."""
    found: System = pick(systems(), name, "system")
    return found
