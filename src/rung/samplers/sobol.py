"""A scrambled Sobol sequence (Sobol 1967; Owen 1998) through the unit cube of the space.

Trial number n has the n-th point of the sequence that belongs to the study's seed, so that trials fill the
space evenly whoever runs them, and in whichever order. Each coordinate is a rank under its parameter's prior.

What scipy's sequence leaves open is done so:
- Parameters of one value take no coordinate. Of a space with more than `qmc.Sobol.MAXDIM` others, those
  beyond have independent uniform coordinates.
- A conditional parameter has a coordinate of its own, used where it is active.
- A trial whose point is forbidden, or beyond the end of the sequence, has its random configuration.
- With `from_default` the study's first trial has the space's default configuration instead, if that is
  allowed: what the user gave as `default`, else the middle of a range, which people choose around what they
  think sensible. A configuration that is queued first takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from rung.samplers.base import Request, Suggestion
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng, key, uniforms
from rung.space.values import Values
from rung.trials.events import Origin
from rung.trials.history import History

_ORIGIN: Final = Origin("sobol")
_STREAM: Final = 17  # apart from other keys made of a study's seed

BITS: Final = 30  # of a coordinate; the sequence has 2**BITS points
BLOCK: Final = 64  # points are made in aligned blocks
KEPT: Final = 8  # sequences, for a space: a study asks under a few seeds


@dataclass(frozen=True)
class SobolSampler:
    """Goes along a scrambled Sobol sequence; reads nothing of the history.

    Args:
        from_default: begin with the configuration of all defaults (`CompiledSpace.default`).
    """

    from_default: bool = False

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The configuration at the sequence's point that belongs to the trial's number."""
        values = _default(space) if self.from_default and rng.number == 0 else None
        if values is None and rng.number < 2**BITS:
            values = _sequence(space, rng.seed).values(space, rng.number)
        return Suggestion(space.sample(rng.seed, rng.number) if values is None else values, _ORIGIN)


def _default(space: CompiledSpace) -> Values | None:
    """The configuration of all defaults; None if it is forbidden."""
    values = space.default()
    return values if space.legal([values])[0] else None


class Sequence:
    """One seed's sequence over a space, of which the latest block is kept."""

    def __init__(self, space: CompiledSpace, seed: int) -> None:
        varies = np.flatnonzero([axis.count != 1 for axis in space.columns.axes])
        self._varies = varies[: qmc.Sobol.MAXDIM]
        self._beyond = varies[qmc.Sobol.MAXDIM :]
        self._seed = key(seed, _STREAM)
        self._engine: qmc.Sobol | None = None
        self._block = -1
        self._rows: list[Values | None] = []

    def values(self, space: CompiledSpace, number: int) -> Values | None:
        """The configuration at point `number`; None if it is forbidden."""
        block = number // BLOCK
        if block != self._block:
            ranks = np.full((BLOCK, space.size), 0.5)
            ranks[:, self._varies] = self._points(block * BLOCK)
            ranks[:, self._beyond] = uniforms(self._seed, block * BLOCK, BLOCK, len(self._beyond))
            rows = space.decode(space.by_priors(ranks))
            legal = space.legal(rows).tolist()
            self._rows = [row if fine else None for row, fine in zip(rows, legal, strict=True)]
            self._block = block
        return self._rows[number % BLOCK]

    def _points(self, first: int) -> NDArray[np.float64]:
        """Points `first` ... `first + BLOCK - 1`: (BLOCK, coordinates)."""
        if not len(self._varies):
            return np.empty((BLOCK, 0))
        engine = self._engine
        if engine is None or engine.num_generated > first:
            generator = np.random.default_rng(self._seed)
            engine = self._engine = qmc.Sobol(len(self._varies), bits=BITS, rng=generator)
        if engine.num_generated < first:
            engine.fast_forward(first - engine.num_generated)
        return engine.random(BLOCK)


_sequences: WeakKeyDictionary[CompiledSpace, dict[int, Sequence]] = WeakKeyDictionary()  # a cache


def _sequence(space: CompiledSpace, seed: int) -> Sequence:
    kept = _sequences.setdefault(space, {})
    if seed not in kept:
        while len(kept) >= KEPT:
            del kept[next(iter(kept))]
        kept[seed] = Sequence(space, seed)
    return kept[seed]
