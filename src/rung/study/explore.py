"""A configuration changed into a new one: what population based training calls "explore".

Jaderberg et al. 2017, 4.1.1: each parameter is drawn anew from the prior, with some probability, or
perturbed: a number is multiplied by a factor or divided by it; a value of an ordered list gives way to one
beside it. A category, which has no neighbours, is drawn anew or kept. What becomes active is drawn, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import numpy as np

from rung.schedulers.base import Explore
from rung.space.beside import drawn_beside
from rung.space.changes import completed, with_fixed
from rung.space.compiled import CompiledSpace
from rung.space.domains import Domain, Float, Integer, Ordinal
from rung.space.draws import Rng, key
from rung.space.values import INACTIVE, Values

TRIES: Final = 16  # where combinations are forbidden; then the configuration stays what it is
_STREAM: Final = 13  # apart from other keys made of a study's seed


def explored(
    space: CompiledSpace, values: Values, how: Explore, rng: Rng, fixed: Mapping[str, Any] | None = None
) -> Values:
    """The configuration that `values` becomes, a legal one with what is `fixed`; itself if none is legal."""
    generator = rng.generator()
    seed = key(rng.seed, _STREAM, rng.number) >> 1
    for draw in islice(drawn_beside(space, fixed or {}, seed), TRIES):
        known: dict[str, Any] = dict(zip(space.keys, draw.every, strict=True))
        for slot, value in enumerate(values):
            if value is not INACTIVE and generator.random() >= how.resample:
                known[space.keys[slot]] = perturbed(space.domains[slot], value, how.factor, generator)
        found = with_fixed(space, completed(space, known).values, fixed or {}, draw.every)
        if space.legal([found])[0]:
            return found
    return values


def perturbed(domain: Domain, value: Any, factor: float, generator: np.random.Generator) -> Any:
    """The value beside `value`, by the flip of a coin up or down; it stays within the domain."""
    up = generator.random() < 0.5
    match domain:
        case Float():
            moved = value * factor if up else value / factor
            clipped = min(max(moved, domain.low), domain.high)
            return clipped if domain.step is None else _on_steps(domain, value, clipped, up)
        case Integer():
            moved = round(value * factor if up else value / factor)
            if moved == value:  # small numbers move, too
                moved += 1 if up else -1
            whole = min(max(moved, domain.low), domain.high)
            return whole if domain.step is None else _on_steps(domain, value, whole, up)
        case Ordinal():
            kind = type(value)  # True is not 1
            place = next(i for i, one in enumerate(domain.values) if one == value and type(one) is kind)
            return domain.values[min(max(place + (1 if up else -1), 0), len(domain.values) - 1)]
    return value


def _on_steps(domain: Float | Integer, value: float, wanted: float, up: bool) -> float:
    """The step nearest to `wanted`, at least one away from `value`."""
    steps = domain.steps()
    own, place = steps.nearest(value), steps.nearest(wanted)
    if place == own:
        place = min(max(own + (1 if up else -1), 0), steps.nearest(domain.high))
    return steps.value(place)
