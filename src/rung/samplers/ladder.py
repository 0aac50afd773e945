"""Results of all fidelities as one Gaussian process takes them, fitted at milestones.

`rung.models.process` has the model. What is done to the results so that they fit into it:

- At each fidelity what is far beyond the median is cut off (`rung.samplers.inputs.targets`).
- Losses of a lower fidelity are brought to the spread of the next higher one by the trials that both have,
  from four of these on. Means need no such care: the model has one for each fidelity.
- Of many results at most so many are modelled, the same number of each fidelity as far as there are so many:
  which, says `rung.samplers.kept`.
- At most `FIDELITIES` are modelled, the largest one, and others evenly from the rest.

Hyperparameters come from the first m results at each fidelity, m its last milestone; see
`rung.samplers.surrogate`, which does the same with results of one fidelity. With several they come from at
most `_FITTED` results, chosen by the same rule, however many are modelled: so one fit serves the trials of
all brackets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.models.botorch_gp import ITERATIONS, WARM, Kernel
from rung.models.process import Data, fit
from rung.samplers.inputs import cut
from rung.samplers.kept import kept_rows
from rung.samplers.surrogate import EACH, LEAST, milestone

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIDELITIES: Final = 6
_PAIRS: Final = 4  # trials at two fidelities that tell how their spreads compare
_EACH: Final = 2  # results at one of several fidelities, up to which every one is a milestone
_WARM: Final = 8  # iterations of a fit of several fidelities, from an earlier one
_FITTED: Final = 96  # results of several fidelities, at most, that hyperparameters come from
_RATIO: Final = 4.0  # of two spreads, at most


Key = tuple[int, tuple[tuple[float, int], ...]]  # results that are modelled, and how many at each rung


class Level(NamedTuple):
    """Results at one fidelity, in the order they came.

    Attributes:
        rung: how many rungs it is below the largest that is modelled.
        trials: (n,) whose they are.
        x: (n, k) columns of their configurations.
        losses: (n,) `inf` where failed.
    """

    rung: float
    trials: Ints
    x: Floats
    losses: Floats

    def first(self, count: int) -> Level:
        """The first `count` of them."""
        return Level(self.rung, self.trials[:count], self.x[:count], self.losses[:count])


class Scales:
    """Losses of several levels on one scale; what a level has is kept until it has another result.

    `Level`s are told apart by identity.
    """

    def __init__(self) -> None:
        self._cuts: dict[float, tuple[Level, Floats, float]] = {}  # by rung
        self._centred: list[tuple[Level, float, Floats]] = []  # by place, with the unit
        self._rows: dict[float, tuple[Level, int, Ints]] = {}  # by rung, with how many are kept

    def __call__(self, levels: Sequence[Level]) -> list[Floats]:
        """Losses of each level, the largest fidelity first, on one scale, each less its mean."""
        cuts = [self._cut(level) for level in levels]
        unit = max(most for _, most in cuts) or 1.0  # so that no square is beyond a float
        for place, (level, (losses, _)) in enumerate(zip(levels, cuts, strict=True)):
            if place < len(self._centred):
                known = self._centred[place]
                if known[0] is level and known[1] == unit:
                    continue
                del self._centred[place:]  # the scale of each depends on those before it
            scaled = losses / unit
            if place > 0:
                scaled *= _ratio(level, scaled, levels[place - 1], self._centred[-1][2])
            self._centred.append((level, unit, scaled - scaled.mean()))
        return [each for _, _, each in self._centred[: len(levels)]]

    def rows(self, level: Level, count: int) -> Ints:
        """Which `count` results of several fidelities' levels are modelled, see `rung.samplers.kept`."""
        known = self._rows.get(level.rung)
        if known is None or known[0] is not level or known[1] != count:
            known = self._rows[level.rung] = level, count, kept_rows(level.losses, count)
        return known[2]

    def _cut(self, level: Level) -> tuple[Floats, float]:
        """Losses without what is far beyond the median, and how large the largest is."""
        known = self._cuts.get(level.rung)
        if known is None or known[0] is not level:
            losses = cut(level.losses)
            known = self._cuts[level.rung] = level, losses, float(np.abs(losses).max())
        return known[1:]


def modelled(
    levels: Sequence[Level], numbers: int, most: int, fitted: dict[Key, Kernel], scales: Scales
) -> tuple[Kernel, Data]:
    """Hyperparameters, and the results that are modelled.

    Args:
        levels: the largest fidelity first, each with results.
        numbers: how many columns are numbers.
        most: results.
        fitted: hyperparameters of earlier calls with the beginnings of these results; new ones are added.
        scales: of earlier calls.
    """
    fewer = most if len(levels) == 1 else min(most, _FITTED)
    return _kernel(levels, numbers, fewer, fitted), together(levels, numbers, most, scales)


def _kernel(levels: Sequence[Level], numbers: int, most: int, fitted: dict[Key, Kernel]) -> Kernel:
    each = EACH if len(levels) == 1 else _EACH
    levels = [level.first(milestone(len(level.losses), each)) for level in levels]
    key = most, tuple((level.rung, len(level.losses)) for level in levels)
    if key not in fitted:
        start = None
        if sum(len(level.losses) for level in levels) >= 2 * LEAST:
            earlier = [level.first(_before(len(level.losses))) for level in levels]
            start = _kernel(earlier, numbers, most, fitted)
        warm = WARM if len(levels) == 1 else _WARM
        data = together(levels, numbers, most, Scales())
        fitted[key] = fit(data, start, ITERATIONS if start is None else warm)
    return fitted[key]


def _before(count: int) -> int:
    """The largest power of two below `count`, so that few earlier fits serve many later ones; 1 of 1."""
    return 1 << max(0, (count - 1).bit_length() - 1)


def together(levels: Sequence[Level], numbers: int, most: int, scales: Scales) -> Data:
    """The results that are modelled, with targets of mean 0 and standard deviation 1 for all of them."""
    rows = _rows(levels, most, scales)
    targets = scales(levels)
    y = np.concatenate([each[row] for each, row in zip(targets, rows, strict=True)])
    x = np.concatenate([level.x[row] for level, row in zip(levels, rows, strict=True)])
    rungs = np.repeat([level.rung for level in levels], [len(row) for row in rows])
    if len(levels) == 1:
        y = y - y.mean()
    deviation = float(np.sqrt((y * y).mean()))
    return Data(x, numbers, rungs, y / (deviation if deviation > 1e-12 else 1.0))


def _rows(levels: Sequence[Level], most: int, scales: Scales) -> list[Ints]:
    """Which results of each level are modelled."""
    found, left = [], most
    for place, level in enumerate(levels):
        count = min(len(level.losses), max(1, left // (len(levels) - place)))
        alone = len(levels) == 1
        found.append(kept_rows(level.losses, count, level.x) if alone else scales.rows(level, count))
        left -= count
    return found


def _ratio(low: Level, losses: Floats, high: Level, others: Floats) -> float:
    """The spread at the higher fidelity over that at the lower one, where trials have both."""
    place = np.full(max(int(low.trials.max()), int(high.trials.max())) + 1, -1)
    place[high.trials] = np.arange(len(high.trials))
    there = place[low.trials]
    here = np.flatnonzero(there >= 0)
    if len(here) < _PAIRS:
        return 1.0
    there = there[here]
    ours, theirs = float(losses[here].std()), float(others[there].std())
    if min(ours, theirs) <= 1e-12:
        return 1.0
    return min(max(theirs / ours, 1.0 / _RATIO), _RATIO)
