"""The model of BOHB (Falkner, Klein, Hutter 2018, Algorithm 2): kernel densities of good and bad trials.

With probability rho a configuration is random. Otherwise the largest fidelity with enough results is taken;
the densities l of its best and g of its other configurations are estimated; and of 64 points near good ones,
the one with the highest l / g is suggested.

What the paper leaves open is done so:
- All dimensions of the space count in d, conditional ones and constants, too, as in the authors' code.
- Ordinals and integers are continuous; a dimension of one value is no part of the model.
- Inactive parameters are filled in as `rung.samplers.rows` says, for good and bad alike.
- A failed trial counts among the results as the worst, but is never good: a fidelity has a model only when
  N_min of its results have values, and the good are at most those.
- In a split, the older trial goes first among equal values.
- A best point that is forbidden is passed over for the next best; if all are, a random one is suggested.
- Constraints and several objectives come in through `rung.samplers.observed`: a result that breaks one comes
  after all that break none; of several objectives the order is a non-dominated sorting's.
- A pending trial is no result, as in the authors' code. With `liar` it is one: of the largest, the mean or
  the smallest value of the sound results at the model's fidelity (Ginsbourger et al. 2010).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.samplers.base import Request, Suggestion
from rung.samplers.density import Density, draw, fit, ranked
from rung.samplers.observed import fidelities, observed, pending
from rung.samplers.rows import Rows, rows_of
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials.events import Origin
from rung.trials.history import History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_RANDOM: Final = Origin("kde")
_LIES: Final[dict[str, Callable[[Floats], Any]]] = {"max": np.max, "mean": np.mean, "min": np.min}


class Split(NamedTuple):
    """Which results of a fidelity are good and which bad, as positions among them; few may be both."""

    good: NDArray[np.intp]
    bad: NDArray[np.intp]


class Model(NamedTuple):
    """Densities from the results at `fidelity`, over the columns of `rows`."""

    rows: Rows
    good: Density
    bad: Density
    fidelity: int


class Key(NamedTuple):
    """What the model of a history depends on, beside the space."""

    sampler: KdeSampler
    fidelity: int
    results: int
    pending: tuple[int, ...]


class _Kept(NamedTuple):
    key: Key
    model: Model


_models: WeakKeyDictionary[History, _Kept] = WeakKeyDictionary()  # a cache: it follows from the history


@dataclass(frozen=True)
class KdeSampler:
    """BOHB's sampler, with the paper's defaults.

    Args:
        random_fraction: rho, the part of all suggestions that is random.
        good_fraction: the part of a fidelity's results that is good.
        candidates: points compared for a suggestion.
        bandwidth_factor: how many bandwidths wide the points lie around good ones.
        min_bandwidth: the smallest bandwidth, in the unit cube.
        min_points: N_min; None for one more than the space has dimensions.
        liar: what value pending trials are taken to have: "max", "mean" or "min"; None leaves them out.

    Raises:
        ValueError: a setting outside its range.
    """

    random_fraction: float = 1 / 3
    good_fraction: float = 0.15
    candidates: int = 64
    bandwidth_factor: float = 3.0
    min_bandwidth: float = 1e-3
    min_points: int | None = None
    liar: Literal["max", "mean", "min"] | None = None

    def __post_init__(self) -> None:
        _check("random_fraction", self.random_fraction, 0.0 <= self.random_fraction <= 1.0, "from 0 to 1")
        _check("good_fraction", self.good_fraction, 0.0 < self.good_fraction < 1.0, "between 0 and 1")
        _check("candidates", self.candidates, self.candidates >= 1, "at least 1")
        _check("bandwidth_factor", self.bandwidth_factor, self.bandwidth_factor > 0.0, "above 0")
        _check("min_bandwidth", self.min_bandwidth, 0.0 < self.min_bandwidth < 0.5, "between 0 and 0.5")
        _check("min_points", self.min_points, self.min_points is None or self.min_points >= 1, "at least 1")
        _check("liar", self.liar, self.liar is None or self.liar in _LIES, "'max', 'mean', 'min' or None")

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """A configuration near good ones, or a random one; the origin tells which, and the fidelity used."""
        generator = rng.generator()
        if generator.random() >= self.random_fraction:
            model = self.model(space, history)
            values = None if model is None else self._near_good(space, model, generator)
            if model is not None and values is not None:
                return Suggestion(values, Origin("kde", model=True, fidelity=model.fidelity))
        return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)

    def _near_good(self, space: CompiledSpace, model: Model, generator: np.random.Generator) -> Values | None:
        """The best legal configuration of those drawn near good ones; None if none is legal."""
        points = draw(model.good, self.candidates, self.bandwidth_factor, generator)
        for index in ranked(model.good, model.bad, points):
            values = space.decode(model.rows.decoded(points[index]))
            if space.legal(values)[0]:
                return values[0]
        return None

    def model(self, space: CompiledSpace, history: History) -> Model | None:
        """The model of the largest fidelity that has one; kept until another result comes there."""
        least = self.min_points or space.size + 1
        under_way = _under_way(history) if self.liar is not None else []
        for fidelity in fidelities(history):
            trials, losses = observed(history, fidelity)[:2]
            others = tuple(np.setdiff1d(under_way, trials).tolist()) if under_way else ()
            key = Key(self, fidelity, len(trials), others)
            kept = _models.get(history)
            if kept is not None and kept.key == key and kept.model.rows.space is space:
                return kept.model
            groups = split(losses, trials, least, self.good_fraction)
            if groups is not None and others:
                trials, losses = self._with_lies(trials, losses, others)
                groups = split(losses, trials, least, self.good_fraction)
            if groups is not None:
                return self._fitted(space, history, key, trials, groups)
        return None

    def _with_lies(self, trials: Ints, losses: Floats, others: tuple[int, ...]) -> tuple[Ints, Floats]:
        """The results, and one more for each of the pending trials `others`."""
        assert self.liar is not None
        lie = float(_LIES[self.liar](losses[losses < np.inf]))
        return np.append(trials, others), np.append(losses, np.full(len(others), lie))

    def _fitted(
        self, space: CompiledSpace, history: History, key: Key, trials: Ints, groups: Split
    ) -> Model | None:
        rows, data = rows_of(history, space)
        if len(rows.columns) == 0:
            return None  # the space is a single point
        good, bad = (
            fit(data.take(trials[group], axis=1), rows.levels, self.min_bandwidth) for group in groups
        )
        model = Model(rows, good, bad, key.fidelity)
        _models[history] = _Kept(key, model)
        return model


def _under_way(history: History) -> list[int]:
    """Pending trials, the oldest first, whose configuration is in the space."""
    return sorted(trial for trial in pending(history) if trial not in history.outside)


def split(losses: Floats, trials: Ints, least: int, fraction: float) -> Split | None:
    """The good and the bad of the results (n,) of trials (n,), None if they are too few for a model.

    The good are the best max(`least`, `fraction` of all) that have a value, the bad the other ones, but at
    least the `least` worst.
    """
    count = len(losses)
    if count < least + 2:
        return None
    finite = int(np.count_nonzero(losses < np.inf))
    if finite < least:
        return None
    wanted = max(least, int(fraction * count + 1e-9))
    others = max(least, count - wanted)
    good = best(losses, trials, min(wanted, finite))
    rest = good if wanted == count - others and wanted <= finite else best(losses, trials, count - others)
    return Split(np.flatnonzero(good), np.flatnonzero(~rest))


def best(values: NDArray[np.float64], ages: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which `count` of `values` (n,) are smallest; among equal ones those of smaller `ages` go first."""
    if count == 0:
        return np.zeros(len(values), dtype=bool)
    last = np.partition(values, count - 1)[count - 1]
    chosen: NDArray[np.bool_] = values < last
    ties = np.flatnonzero(values == last)
    missing = count - int(np.count_nonzero(chosen))
    chosen[ties[np.argsort(ages[ties], kind="stable")[:missing]]] = True
    return chosen


def _check(name: str, given: object, valid: bool, range_: str) -> None:
    if not valid:
        raise ValueError(f"{name} must be {range_}, not {given!r}")
