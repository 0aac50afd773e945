"""New configurations from known ones: one parameter moved, several moved, two configurations crossed.

All are legal. A proposal that is forbidden is drawn again, `TRIES` times at most; then the (first)
configuration that it was made from is returned as it is, which is legal, too.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rung.space.columns import Raw
from rung.space.compiled import CompiledSpace
from rung.space.neighbours import STEP, find_neighbours, movables, moved
from rung.space.values import Values

TRIES: Final = 32
STEPS: Final = 4  # proposals where nothing is forbidden: a numeric parameter's step may end where it began


def neighbour(
    space: CompiledSpace, values: Values, generator: np.random.Generator, step: float = STEP
) -> Values:
    """The configuration with one active parameter changed; the same one where the space has no other."""
    found = find_neighbours(space.columns, values, generator, 1, step)
    return found[0] if found else values


def mutated(
    space: CompiledSpace,
    values: Values,
    generator: np.random.Generator,
    rate: float | None = None,
    step: float = STEP,
) -> Values:
    """The configuration with each active parameter changed at a chance, and one at least.

    Args:
        rate: the chance; None for one over the number of parameters that can change.
        step: standard deviation of a numeric parameter's step in the unit cube.
    """
    movable = movables(space.columns, values)
    if not len(movable):
        return values
    tries = TRIES if space.columns.forbidden else STEPS
    chances = generator.random((len(movable), tries))
    change = chances < (1.0 / len(movable) if rate is None else rate)
    change[generator.integers(len(movable), size=tries), np.arange(tries)] |= ~change.any(axis=0)
    chosen = np.zeros((space.size, tries), dtype=np.bool_)
    chosen[movable] = change
    found = moved(space.columns, values, chosen, generator, step)
    return found[0] if found else values


def crossed(space: CompiledSpace, first: Values, second: Values, generator: np.random.Generator) -> Values:
    """A child of two configurations: uniform crossover (Syswerda 1989) on the parameters that are active.

    Each value comes from either parent at even chance, or from the only one that has it. So a branch of a
    choice comes whole from the parent that has it, and two parents of the same branch are mixed. What is
    active in the child alone, by a condition on values of both parents, is drawn from its prior.
    """
    columns = space.columns
    tries = TRIES if columns.forbidden else 1
    own, present = columns.read([first, second])
    picks = generator.integers(2, size=(space.size, tries))
    raw: Raw = []
    for axis, column, mask, pick in zip(columns.axes, own, present, picks, strict=True):
        if mask.any():
            raw.append(column[pick if mask.all() else np.full(tries, mask.argmax())])
        else:
            u = generator.random(tries)
            raw.append(axis.raw(u if axis.quantile is None else axis.quantile(u)))
    active = columns.activity(raw)
    legal: NDArray[np.intp] = np.flatnonzero(columns.legal(raw, active, tries))
    return columns.rows(raw, active)[legal[0]] if len(legal) else first
