"""The tree-structured Parzen estimator (Bergstra et al. 2011; its parts as in Watanabe 2023).

The best results at a fidelity are good, all others bad. Of `candidates` points from the Parzen estimator l of
the good, the one with the highest l / g is suggested, g being that of the bad (`rung.samplers.parzen`).

Multivariate (the default), one density spans all parameters, the tree of conditions included. With `group`,
parameters that are active together have a density of their own, from the trials in which they are, as in
Optuna; without `multivariate` each parameter has one, as in Bergstra et al. 2011. Their candidates are drawn
and chosen apart.

What the papers leave open is done so:
- The model is of the largest fidelity with `startup` results. With `lower`, trials that have a result at a
  lower one only are bad there, as their scheduler found: else, where only the best come so far, good and bad
  would hardly differ.
- Pending trials are bad until their result is there (a constant lie), so that workers keep apart.
- Constraints and several objectives come in through `rung.samplers.observed`: a result that breaks one comes
  after all that break none, less broken before more; of several objectives the order is a non-dominated
  sorting's.
- A failed trial is bad, never good. Among equal values the older trial is better.
- The weight of a good trial, "improvement": by how much it is better than the best of the bad (Watanabe 2023,
  3.2); the prior's is their mean. If nothing tells them apart, all weigh the same.
- Of more than `most_bad` bad trials the newest half of that number stays, and an even selection of the
  others. (With 60 of 270 on two problems searches ended no worse than with all.)
- A category's bandwidth shrinks as trials come, as in Optuna. With one of 0.2, as Watanabe has it, a category
  that is out of favour never comes back: on problems with a misleading one half of the searches stayed there.
- A best point that is forbidden, or of a category of weight 0, makes way for the next best (of every group);
  if all are, a random one is suggested.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.samplers.base import Request, Suggestion
from rung.samplers.frame import Frame, Singles
from rung.samplers.kde import best
from rung.samplers.observed import fidelities, observed, pending
from rung.samplers.parzen import Parzen, Settings, fit
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials.events import Origin
from rung.trials.history import History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_RANDOM: Final = Origin("tpe")
_RECENT: Final = 25  # trials that "age" gives their full weight
_FLAT: Final = 1e-12  # the least weight of a good trial, relative to the largest


class Evidence(NamedTuple):
    """What a model is made from.

    Attributes:
        good, bad: trial numbers, (n,) and (m,).
        weights: (n,) of the good, with a mean of 1.
    """

    fidelity: int
    good: Ints
    bad: Ints
    weights: Floats


class Block:
    """Parameters with a density of their own, and the features of all trials, extended as a history grows."""

    def __init__(self, space: CompiledSpace, dims: NDArray[np.intp]) -> None:
        self.frame = Frame(space, dims)
        self._first = int(dims[0])
        self._features: Singles = np.empty((self.frame.height, 64), np.float32)
        self._held = np.empty(64, dtype=bool)
        self._count = 0

    def extend(self, matrix: Floats) -> None:
        """Take in the rows of `matrix` (trials, d) that are new."""
        known, wanted = self._count, len(matrix)
        if wanted > self._features.shape[1]:
            features = np.empty((self.frame.height, 2 * wanted), np.float32)
            features[:, :known] = self._features[:, :known]
            held = np.empty(2 * wanted, dtype=bool)
            held[:known] = self._held[:known]
            self._features, self._held = features, held
        if known < wanted:
            new = matrix[known:]
            self._features[:, known:wanted] = self.frame.features(new)
            self._held[known:wanted] = self.frame.joint | ~np.isnan(new[:, self._first])
            self._count = wanted

    def fitted(self, trials: Ints, weights: Floats, prior: float, settings: Settings) -> Parzen:
        """The density of those of `trials` (n,) in which the parameters are active."""
        held = self._held[trials]
        if not held.all():
            trials, weights = trials[held], weights[held]
        return fit(self.frame, self._features.take(trials, axis=1, mode="clip"), weights, prior, settings)


class _Kept(NamedTuple):
    space: CompiledSpace
    shape: str
    blocks: list[Block]


_blocks: WeakKeyDictionary[History, _Kept] = WeakKeyDictionary()  # a cache: it follows from the history


@dataclass(frozen=True)
class TpeSampler:
    """TPE; all but `category_bandwidth` is set as Watanabe 2023 recommends or has among the good settings.

    Args:
        multivariate: whether one density spans all parameters.
        group: whether parameters that are active together have a density of their own.
        startup: results before the first model.
        candidates: points compared for a suggestion.
        gamma: "linear" or "sqrt": whether the number of good results grows with that of all, or its root.
        good_fraction: that number is this part of it, rounded up;
        most_good: but at most this.
        weights: of good trials by "improvement"; or all equal, "uniform"; or, of bad ones, too, smaller by
            "age" for those before the latest 25.
        prior_weight: of the prior, in kernels.
        min_bandwidth: the least bandwidth, in the unit cube.
        magic_exponent: with n trials the least bandwidth is also 1 / (n + 2) to this power; None: it is not.
        category_bandwidth: the mass that a kernel gives to all other categories; None: (m - 1) / (n + m + 1),
            with n trials and m categories.
        lower: whether trials that have come to lower fidelities only are bad.
        liar: whether pending trials are bad.
        most_bad: bad trials that a model has at most.

    Raises:
        ValueError: a setting outside its range.
    """

    multivariate: bool = True
    group: bool = False
    startup: int = 10
    candidates: int = 24
    gamma: Literal["linear", "sqrt"] = "linear"
    good_fraction: float = 0.1
    most_good: int = 25
    weights: Literal["improvement", "uniform", "age"] = "improvement"
    prior_weight: float = 1.0
    min_bandwidth: float = 0.03
    magic_exponent: float | None = 2.0
    category_bandwidth: float | None = None
    lower: bool = True
    liar: bool = True
    most_bad: int = 10_000

    def __post_init__(self) -> None:
        _check("group", self.group, self.multivariate or not self.group, "off where multivariate is")
        for name in ("startup", "candidates", "most_good", "most_bad"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        _check("gamma", self.gamma, self.gamma in ("linear", "sqrt"), "'linear' or 'sqrt'")
        _check("good_fraction", self.good_fraction, 0.0 < self.good_fraction < 1.0, "between 0 and 1")
        known = ("improvement", "uniform", "age")
        _check("weights", self.weights, self.weights in known, "'improvement', 'uniform' or 'age'")
        _check("prior_weight", self.prior_weight, 0.0 < self.prior_weight < math.inf, "above 0")
        _check("min_bandwidth", self.min_bandwidth, 1e-3 <= self.min_bandwidth < 1.0, "from 0.001 to below 1")
        exponent = self.magic_exponent
        _check("magic_exponent", exponent, exponent is None or exponent > 0.0, "above 0, or None")
        mass = self.category_bandwidth
        _check("category_bandwidth", mass, mass is None or 0.0 < mass < 1.0, "between 0 and 1, or None")

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The best of the candidates, or a random configuration; the origin tells which."""
        evidence = self.evidence(history)
        blocks = self.blocks(space, history) if evidence is not None else []
        if evidence is not None and blocks:
            values = self._best(space, history, blocks, evidence, rng.generator())
            if values is not None:
                return Suggestion(values, Origin("tpe", model=True, fidelity=evidence.fidelity))
        return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)

    def evidence(self, history: History) -> Evidence | None:
        """Which trials are good and which bad, None before there are enough results."""
        for fidelity in fidelities(history):
            found = observed(history, fidelity)
            finite = int(np.count_nonzero(found.losses < np.inf))
            if len(found.trials) < self.startup or not finite:
                continue
            chosen = best(found.losses, found.trials, min(self._wanted(len(found.trials)), finite))
            bad = self._thinned(np.concatenate([found.trials[~chosen], self._others(history, fidelity)]))
            good = found.trials[chosen]
            if self.weights == "improvement":
                weights = improvements(found.losses[chosen], found.losses[~chosen])
            else:
                weights = self._by_age(good)
            return Evidence(fidelity, good, bad, weights)
        return None

    def blocks(self, space: CompiledSpace, history: History) -> list[Block]:
        """The densities' parameters, with the features of all trials."""
        shape = ("group" if self.group else "joint") if self.multivariate else "single"
        kept = _blocks.get(history)
        if kept is None or kept.space is not space or kept.shape != shape:
            kept = _blocks[history] = _Kept(
                space, shape, [Block(space, dims) for dims in _parts(space, shape)]
            )
        for block in kept.blocks:
            block.extend(history.matrix(space))
        return kept.blocks

    def models(self, block: Block, evidence: Evidence) -> tuple[Parzen, Parzen]:
        """The densities of the good and of the bad over the block's parameters."""
        settings = Settings(self.min_bandwidth, self.magic_exponent, self.category_bandwidth)
        good = block.fitted(evidence.good, evidence.weights, self.prior_weight, settings)
        ones = self._by_age(evidence.bad) if self.weights == "age" else np.ones(len(evidence.bad))
        return good, block.fitted(evidence.bad, ones, self.prior_weight, settings)

    def _best(
        self,
        space: CompiledSpace,
        history: History,
        blocks: list[Block],
        evidence: Evidence,
        generator: np.random.Generator,
    ) -> Values | None:
        """The legal configuration of the highest l / g, None if no candidate is legal."""
        ordered = np.full((space.size, self.candidates), 0.5)  # of each block the best first
        usable = self.candidates
        for block in blocks:
            good, bad = self.models(block, evidence)
            points = good.draw(self.candidates, generator)
            ratios = good.log2(points) - bad.log2(points)
            possible = np.isfinite(block.frame.log_prior(points)).all(axis=1)
            order = np.argsort(np.where(possible, -ratios, np.inf), kind="stable")
            usable = min(usable, int(np.count_nonzero(possible)))
            ordered[block.frame.dims] = block.frame.cube(points[order])[block.frame.dims]
        for column in range(usable):
            values = space.decode(ordered[:, column : column + 1].T)
            if space.legal(values)[0]:
                return values[0]
        return None

    def _wanted(self, count: int) -> int:
        base = count if self.gamma == "linear" else math.sqrt(count)
        return min(self.most_good, math.ceil(self.good_fraction * base - 1e-9))

    def _others(self, history: History, fidelity: int) -> Ints:
        """Trials without a result at `fidelity` that are bad."""
        others = [np.empty(0, dtype=np.int64)]
        if self.lower:
            others += [observed(history, smaller).trials for smaller in history.results if smaller < fidelity]
        if self.liar:
            others += [np.array([t for t in pending(history) if t not in history.outside], dtype=np.int64)]
        together = np.concatenate(others)
        return np.setdiff1d(together, observed(history, fidelity).trials) if len(together) else together

    def _thinned(self, trials: Ints) -> Ints:
        """The newest half of `most_bad`, and an even selection of the others, if there are more."""
        if len(trials) <= self.most_bad:
            return trials
        ordered = np.sort(trials)
        recent = (self.most_bad + 1) // 2
        older = ordered[: len(trials) - recent]
        even = np.arange(self.most_bad - recent) * len(older) // max(1, self.most_bad - recent)
        return np.concatenate([older[even], ordered[len(older) :]])

    def _by_age(self, trials: Ints) -> Floats:
        """Weights (n,): 1, or by "age" rising from 1/n to 1 for all but the latest trials."""
        n = len(trials)
        weights = np.ones(n)
        if self.weights == "age" and n > _RECENT:
            weights[np.argsort(trials, kind="stable")[: n - _RECENT]] = np.linspace(1.0 / n, 1.0, n - _RECENT)
        return weights


def improvements(good: Floats, bad: Floats) -> Floats:
    """Weights of good losses (n,), with a mean of 1: how far below the least bad one of (m,) they are."""
    threshold = float(bad.min(initial=np.inf))
    if threshold == np.inf:
        return np.ones(len(good))
    scale = max(abs(threshold), float(np.abs(good).max()))
    if scale == 0.0:
        return np.ones(len(good))
    gains = threshold / scale - good / scale
    top = float(gains.max())
    if top <= 0.0:
        return np.ones(len(good))
    weights = np.maximum(gains / top, _FLAT)
    found: Floats = weights / weights.mean()
    return found


def _parts(space: CompiledSpace, shape: str) -> list[NDArray[np.intp]]:
    """The dimensions of more than one value, by density."""
    varies = [j for j, axis in enumerate(space.columns.axes) if axis.count != 1]
    if shape == "joint":
        return [np.array(varies, dtype=np.intp)] if varies else []
    groups: dict[object, list[int]] = {}
    for j in varies:
        groups.setdefault(space.columns.gates[j] if shape == "group" else j, []).append(j)
    return [np.array(dims, dtype=np.intp) for dims in groups.values()]


def _check(name: str, given: object, valid: bool, range_: str) -> None:
    if not valid:
        raise ValueError(f"{name} must be {range_}, not {given!r}")
