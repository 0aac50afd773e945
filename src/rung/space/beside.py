"""Random configurations beside values that are set: by the priors, under the condition of those values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from rung.space.changes import settled
from rung.space.compiled import CompiledSpace
from rung.space.draws import uniforms_of
from rung.space.values import Values

MOST: Final = 2**16  # configurations drawn before so many legal ones as were found are all
_FIRST: Final = 16  # drawn at once; then four times as many, each time, up to the next number
_LARGEST: Final = 4096


class Draw(NamedTuple):
    """A random configuration.

    Attributes:
        values: a legal one.
        every: by slot, the parameter's value, or the one that it would have if it were active.
    """

    values: Values
    every: Values


def drawn_beside(space: CompiledSpace, fixed: Mapping[str, Any], seed: int) -> Iterator[Draw]:
    """Legal configurations with the values of `fixed`, by key or by name; a pure function.

    What is not fixed is drawn by the priors, what becomes active beside it too. There is an end where
    forbidden statements leave almost nothing.
    """
    columns, own = space.columns, settled(space, fixed)
    always = [True] * space.size
    first, count = 0, _FIRST
    while first < MOST:
        uniforms = uniforms_of(seed, np.arange(first, first + count), space.size)
        raw = columns.raw(np.ascontiguousarray(space.by_priors(uniforms).T))
        for slot, number in own.items():
            raw[slot][:] = number
        legal = columns.legal(raw, columns.activity(raw), count)
        raw = [column[legal] for column in raw]
        rows = columns.rows(raw, columns.activity(raw))
        yield from map(Draw, rows, columns.rows(raw, always))
        first, count = first + count, min(4 * count, _LARGEST, MOST - first - count)
