"""What the sampler `gp` keeps from one suggestion to the next; all of it follows from the history."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.models.botorch_gp import Kernel
from rung.samplers.inputs import Inputs
from rung.samplers.ladder import Key, Level, Scales
from rung.samplers.observed import Observed
from rung.trials.history import History

Floats = NDArray[np.float64]


class Kept:
    """What is made once: of each trial, and of each fidelity's results until another comes.

    Attributes:
        inputs: whose columns these are.
        version: of what the results are that count.
        fitted: hyperparameters that were fitted to beginnings of the results.
        scales: of the losses of all fidelities.
    """

    def __init__(self, inputs: Inputs, version: tuple[int, int]) -> None:
        self.inputs = inputs
        self.version = version
        self.fitted: dict[Key, Kernel] = {}
        self.scales = Scales()
        self._columns = np.empty((64, inputs.width))
        self._count = 0
        self._levels: dict[float, tuple[Observed, Level]] = {}  # by rung

    def columns(self, matrix: Floats) -> Floats:
        """Configurations (trials, d), those of earlier calls first, as columns (trials, k): a view."""
        known, wanted = self._count, len(matrix)
        if wanted > len(self._columns):
            grown = np.empty((2 * wanted, self.inputs.width))
            grown[:known] = self._columns[:known]
            self._columns = grown
        if known < wanted:
            self._columns[known:wanted] = self.inputs(matrix[known:])
            self._count = wanted
        return self._columns[:wanted]

    def level(self, data: Observed, rung: float, columns: Floats) -> Level:
        """Results that are `rung` rungs below the largest fidelity; the same object for the same ones."""
        known = self._levels.get(rung)
        if known is None or known[0] is not data:
            level = Level(rung, data.trials, columns[data.trials], data.losses)
            known = self._levels[rung] = data, level
        return known[1]


def kept_of(history: History, inputs: Inputs) -> Kept:
    """What is kept of this history."""
    version = history.space_version, len(history.outside)
    kept = _kept.get(history)
    if kept is None or kept.inputs is not inputs or kept.version != version:
        kept = _kept[history] = Kept(inputs, version)
    return kept


_kept: WeakKeyDictionary[History, Kept] = WeakKeyDictionary()
