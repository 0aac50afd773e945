"""Warm starts from earlier studies of the same or an overlapping space, for any sampler, and a guard.

What the earlier studies found is in this study's log: for each its configurations and their values, which are
turned into ranks from 0 (best) to 1, so that studies of different scales can be compared. From them:

- The first proposals are the best configurations of the earlier studies in turn, each far from those before
  it,
  but only every second one: the other ones are the base sampler's, as in a cold start.
- After that a proposal may come from a kernel regression over the earlier ranks and this study's own: of
  candidates around good configurations and random ones, the one with the lowest estimate.

The guard: how often that happens depends on what the earlier studies proved worth. The share is zero unless
the ranks that they predict for this study's own configurations go along with those found (Kendall's tau,
one-sided, `LEVEL`), and falls as the study gets results of its own. So a misleading study costs half of the
first `2 FIRST` proposals, and nothing later. (The idea of weighing earlier tasks by how well they rank the
new one's observations is that of Feurer et al. 2018, RGPE; the warm start by earlier bests that of Feurer
et al. 2015.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.models.features import Features
from rung.models.one_thread import one_thread
from rung.samplers.base import Request, Suggestion
from rung.samplers.observed import Observed, observed
from rung.space.changes import completed
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials.events import Identity, Origin, Spec
from rung.trials.history import History

TOPIC: Final = "transfer"  # under which the log keeps what earlier studies found
FIRST: Final = 5  # configurations of earlier studies that are tried, whatever comes of them
LEAST: Final = 6  # own results before the earlier studies can be judged
LEVEL: Final = 0.05  # of the test whether they rank this study's configurations
WIDTH: Final = 0.15  # of the kernel, in the unit cube, for each dimension's root
_BEST: Final = Origin("transfer", model=True, fidelity=0)

Floats = NDArray[np.float64]


class Earlier(NamedTuple):
    """The configurations of all earlier studies that fit the space, and their ranks in their own study.

    Attributes:
        values: n configurations of the present space.
        points: (n, k) their columns, see `rung.models.features`.
        ranks: (n,) from 0 for the best to 1.
        firsts: those to try first, best first.
    """

    values: list[Values]
    points: Floats
    ranks: Floats
    firsts: list[int]


@dataclass(frozen=True)
class TransferSampler:
    """Starts from earlier studies and goes on with another sampler.

    Args:
        base: the other sampler's name.
        settings: its settings.
    """

    base: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.base == "transfer":
            raise ValueError("the base of transfer must be another sampler")

    @property
    def _base(self) -> Any:
        from rung.samplers import make_sampler

        return make_sampler(Spec(self.base, self.settings))

    def initial(self, identity: Identity) -> Any:
        """The base sampler's own state, if it has one."""
        base = self._base
        return base.initial(identity) if hasattr(base, "fold") else None

    def fold(self, state: Any, item: Any) -> Any:
        base = self._base
        return base.fold(state, item) if hasattr(base, "fold") else state

    @one_thread()
    def suggest(
        self, space: CompiledSpace, history: History, request: Request, rng: Rng
    ) -> Suggestion | None:
        """A configuration that earlier studies speak for, or one of the base sampler."""
        earlier = earlier_of(history, space)
        if earlier is not None:
            values = self._transferred(space, history, earlier, rng)
            if values is not None:
                return Suggestion(values, _BEST)
        suggestion: Suggestion | None = self._base.suggest(space, history, request, rng)
        return suggestion

    def _transferred(
        self, space: CompiledSpace, history: History, earlier: Earlier, rng: Rng
    ) -> Values | None:
        number = history.begun
        if number < 2 * len(earlier.firsts):
            return earlier.values[earlier.firsts[number // 2]] if number % 2 == 0 else None
        generator = rng.generator()
        own = _own(history)
        if generator.random() >= share(space, history, earlier, own):
            return None
        return _estimated_best(space, history, earlier, own, generator)


def share(space: CompiledSpace, history: History, earlier: Earlier, own: Observed) -> float:
    """The part of proposals that the earlier studies make: 0 unless they rank what was found here."""
    sound = np.flatnonzero(np.isfinite(own.losses))[-200:]
    if len(sound) < LEAST:
        return 0.0
    found = [history.values[trial] for trial in own.trials[sound]]
    predicted = _estimates(space, found, earlier.points, earlier.ranks)
    if np.ptp(predicted) == 0.0 or np.ptp(own.losses[sound]) == 0.0:
        return 0.0
    from scipy.stats import kendalltau  # half a second to import, for the few studies that need it

    test = kendalltau(predicted, own.losses[sound], alternative="greater")
    if not test.pvalue < LEVEL:
        return 0.0
    return float(test.statistic) * min(1.0, 10.0 * FIRST / (len(own.losses) + 1))


def _estimated_best(
    space: CompiledSpace, history: History, earlier: Earlier, own: Observed, generator: np.random.Generator
) -> Values:
    """Of candidates the one with the lowest estimated rank, from earlier studies and this one together."""
    from scipy.stats import rankdata

    ranks = (rankdata(own.losses) - 1.0) / max(1, len(own.losses) - 1)
    mine = [history.values[trial] for trial in own.trials[-200:]]
    points = np.concatenate([earlier.points, _points(space, mine)])
    weights = np.concatenate([np.ones(len(earlier.ranks)), np.full(len(mine), 2.0)])
    known = np.concatenate([earlier.ranks, ranks[-200:]])
    best = mine[int(np.argmin(ranks[-200:]))]
    candidates = [
        *space.samples(int(generator.integers(2**62)), 0, 64),
        *space.neighbours(best, generator, 32),
        *space.neighbours(earlier.values[earlier.firsts[0]], generator, 32),
    ]
    tried = {repr(values) for values in mine}
    candidates = [values for values in candidates if repr(values) not in tried] or candidates
    return candidates[int(np.argmin(_estimates(space, candidates, points, known, weights)))]


def _estimates(
    space: CompiledSpace,
    values: Sequence[Values],
    known: Floats,
    ranks: Floats,
    weights: Floats | None = None,
) -> Floats:
    """Kernel regression (Nadaraya and Watson) of ranks at n configurations from points `known` (m, k)."""
    parameters = Features(space).parameters
    if parameters == 0:
        return np.full(len(values), 0.5)
    points = _points(space, values)
    squares = ((points[:, None, :] - known[None, :, :]) ** 2).sum(axis=2) / parameters  # (n, m)
    kernel = np.exp(-0.5 * squares / WIDTH**2) * (1.0 if weights is None else weights)
    total = kernel.sum(axis=1)
    estimates: Floats = (kernel @ ranks + 0.5 * 1e-3) / (total + 1e-3)  # far from all: the middle
    return estimates


def _own(history: History) -> Observed:
    """This study's results at the fidelity that has most of them."""
    fidelity = max(history.results, key=lambda one: (len(history.results[one]), one), default=0)
    return observed(history, fidelity)


def _points(space: CompiledSpace, values: Sequence[Values]) -> Floats:
    """The configurations' columns (n, k); two categories are as far apart as the ends of a number's range."""
    return Features(space).of(space.encode(values))


def earlier_of(history: History, space: CompiledSpace) -> Earlier | None:
    """What the log holds of earlier studies, as configurations of `space`; None if none fits."""
    records = history.records.get(TOPIC)
    if not records:
        return None
    key = (len(records), history.space_version)
    kept = _kept.get(history)
    if kept is None or kept[0] != key:
        kept = _kept[history] = (key, _read([record.data for record in records], space))
    return kept[1]


def _read(studies: Sequence[Mapping[str, Any]], space: CompiledSpace) -> Earlier | None:
    from scipy.stats import rankdata

    values: list[Values] = []
    ranks: list[float] = []
    for study in studies:
        fitting = [(found, loss) for config, loss in study["rows"] if (found := _fits(space, config))]
        if fitting:
            order = rankdata([loss for _, loss in fitting])
            values += [found for found, _ in fitting]
            ranks += [(rank - 1.0) / max(1, len(fitting) - 1) for rank in order]
    if not values:
        return None
    points = _points(space, values)
    return Earlier(values, points, np.array(ranks), _firsts(points, np.array(ranks)))


def _fits(space: CompiledSpace, config: Mapping[str, Any]) -> Values | None:
    """The configuration in this space, with defaults; None if a value is not in its domain."""
    found = completed(space, config)
    return found.values if not found.misfits and space.legal([found.values])[0] else None


def _firsts(points: Floats, ranks: Floats) -> list[int]:
    """The best configurations, each at some distance from those before it."""
    chosen: list[int] = []
    for index in np.argsort(ranks, kind="stable").tolist():
        if ranks[index] > 0.5 or len(chosen) == FIRST:
            break
        gaps = np.abs(points[chosen] - points[index]).max(axis=1, initial=0.0)
        if not chosen or gaps.min() > 0.05:
            chosen.append(index)
    return chosen


_Kept = tuple[tuple[int, int], Earlier | None]
_kept: WeakKeyDictionary[History, _Kept] = WeakKeyDictionary()  # a cache: it follows from the log
