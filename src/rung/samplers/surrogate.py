"""The Gaussian processes of the samplers `gp` and `turbo`, fitted at milestones: a fit serves many results.

Hyperparameters come from the first m results, m the last milestone: every result to begin with, later every
twentieth part of them. In between, the model takes in each result with the same hyperparameters. A fit starts
where that of half as many results ended, which is fitted first if it is not at hand. So it depends on the
results only, not on which fits were made before, and costs from nothing little more than one fit.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.models.botorch_gp import ITERATIONS, WARM, Kernel
from rung.models.process import Data, fit
from rung.samplers.candidates import decoded
from rung.samplers.inputs import Inputs, targets
from rung.samplers.kept import kept_rows
from rung.space.compiled import CompiledSpace

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

EACH: Final = 20  # results, up to which every one is a milestone
LEAST: Final = 16  # results that an earlier fit is worth it for


class Model(NamedTuple):
    """What is modelled.

    Attributes:
        kernels: one a goal.
        rows: which of the results: positions in the arrays it was made from.
        y: (r, m) their targets.
    """

    kernels: list[Kernel]
    rows: Ints
    y: Floats


def model_of(x: Floats, numbers: int, losses: Floats, goals: Floats, most: int) -> Model:
    """The model of results, at most `most` of them.

    Args:
        x: (n, k) columns, the first `numbers` of them numbers.
        losses: (n,) by which results are chosen; `inf` where failed.
        goals: (n, m) what is modelled, one a column; `inf` where failed.
    """
    rows = kept_rows(losses, most, x)
    kernels = [_kernel(x, numbers, losses, goal, most) for goal in goals.T]
    return Model(kernels, rows, np.stack([targets(goal[rows]) for goal in goals.T], axis=1))


def _kernel(x: Floats, numbers: int, losses: Floats, goal: Floats, most: int) -> Kernel:
    n = milestone(len(losses))
    start = None
    if n >= 2 * LEAST:
        start = _kernel(x[: n // 2], numbers, losses[: n // 2], goal[: n // 2], most)
    rows = kept_rows(losses[:n], most, x[:n])
    data = Data(x[rows], numbers, np.zeros(len(rows)), targets(goal[rows]))
    return fit(data, start, ITERATIONS if start is None else WARM)


def milestone(count: int, each: int = EACH) -> int:
    """The last milestone up to `count`: a multiple of the largest power of two up to an `each`-th of it."""
    step = 1 << max(0, (count // each).bit_length() - 1)
    return count - count % step


def inputs_of(space: CompiledSpace) -> Inputs:
    """The columns of a space; they are made once."""
    inputs = _inputs.get(space)
    if inputs is None:
        inputs = _inputs[space] = Inputs(space)
    return inputs


def settled(space: CompiledSpace, points: Floats) -> Floats:
    """Points (n, d) at the configurations that they decode to, of those that are legal: (m, d).

    What is NaN but becomes active is at its centre.
    """
    filled = np.where(np.isnan(points), 0.5, np.clip(points, 0.0, 1.0))
    return decoded(space, np.ascontiguousarray(filled.T))[0]


_inputs: WeakKeyDictionary[CompiledSpace, Inputs] = WeakKeyDictionary()
