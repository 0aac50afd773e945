"""Strategies that wrap another one: cures for the collapse to skips, a price of operations, limits.

Each is one behaviour; `rung.nas.strategies.table.make` puts them around a strategy. What a wrapper does not
change it hands on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from rung.nas.costs import Costs, expected
from rung.nas.genotype import Genotype
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import (
    Alphas,
    Ending,
    Finishing,
    Lengthening,
    Observing,
    Passes,
    Removal,
    Repeating,
    Strategy,
    Turn,
    probabilities,
)
from rung.nas.strategies.bilevel import add_term
from rung.nas.strategies.selection import Limits, check_limits, select
from rung.nas.supernet import Supernet
from rung.nas.task import Mixed, Net, Weighted


@dataclass(frozen=True)
class Wrapper:
    """A strategy that does as another one does.

    Attributes:
        inner: the other one.
    """

    inner: Strategy

    @property
    def name(self) -> str:
        """The other's."""
        return self.inner.name

    @property
    def form(self) -> str:
        """The other's."""
        return self.inner.form

    @property
    def single_level(self) -> bool:
        """The other's."""
        return self.inner.single_level

    @property
    def extra(self) -> int:
        """The other's, if it ever asks for more epochs."""
        return self.inner.extra if isinstance(self.inner, Lengthening) else 0

    @property
    def mean_cost(self) -> float:
        """The other's, if it gets cheaper by what it prunes."""
        return self.inner.mean_cost if isinstance(self.inner, Lengthening) else 1.0

    def begin(self, space: Space, seed: int) -> Alphas:
        """The other's."""
        return self.inner.begin(space, seed)

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The other's."""
        return self.inner.mixed(space, alphas, alive, moment)

    def settled(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The other's."""
        return self.inner.settled(space, alphas, alive, moment)

    def probabilities(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Mapping[str, Tensor]:
        """The other's."""
        return probabilities(self.inner, space, alphas, alive, moment)

    def step(self, turn: Turn) -> Passes:
        """The other's."""
        return self.inner.step(turn)

    def removals(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Sequence[Removal]:
        """The other's."""
        return self.inner.removals(space, alphas, alive, moment)

    def finished(self, space: Space, alive: Mapping[str, Mask], moment: Moment) -> bool:
        """The other's."""
        return self.inner.finished(space, alive, moment)

    def more(self, space: Space, alive: Mapping[str, Mask], moment: Moment) -> bool:
        """The other's, if it ever asks for more epochs."""
        return isinstance(self.inner, Lengthening) and self.inner.more(space, alive, moment)

    def undecided(self, space: Space, alive: Mapping[str, Mask]) -> list[str]:
        """The other's, if it ever asks for more epochs."""
        return self.inner.undecided(space, alive) if isinstance(self.inner, Lengthening) else []

    def prunes(self, moment: Moment) -> bool:
        """The other's, if it ever prunes within an epoch."""
        return isinstance(self.inner, Repeating) and self.inner.prunes(moment)

    def temperature(self, moment: Moment) -> float | None:
        """The other's."""
        return self.inner.temperature(moment)

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """The other's."""
        return self.inner.derive(space, alphas, alive)

    def ahead(self, space: Space, steps: int) -> float:
        """The other's, if it derives by more than its alphas."""
        return self.inner.ahead(space, steps) if isinstance(self.inner, Finishing) else 0.0

    def finish(self, ending: Ending) -> Genotype:
        """The other's, if it has one, else what is derived."""
        if isinstance(self.inner, Finishing):
            return self.inner.finish(ending)
        return self.derive(ending.space, ending.alphas, ending.net.alive)

    def observe(self, turn: Turn) -> Mapping[str, Any]:
        """The other's."""
        return self.inner.observe(turn) if isinstance(self.inner, Observing) else {}

    def overstayed(self, notes: Sequence[Mapping[str, Any]]) -> int | None:
        """The other's."""
        return self.inner.overstayed(notes) if isinstance(self.inner, Observing) else None


@dataclass(frozen=True)
class SkipDropout(Wrapper):
    """Dropout behind the skips while searching, falling to zero (P-DARTS: Chen et al. 2019, section 3.3).

    Attributes:
        rate: of the first epoch; it falls linearly to zero after the last.
    """

    rate: float = 0.3

    def step(self, turn: Turn) -> Passes:
        """The other's, with this epoch's dropout set for it and for the weights' step after it."""
        moment = turn.moment
        set_skip_dropout(turn.net, self.rate * max(1.0 - moment.epoch / moment.epochs, 0.0))
        return self.inner.step(turn)

    def finish(self, ending: Ending) -> Genotype:
        """The other's, without dropout where it still trains the weights."""
        set_skip_dropout(ending.net, 0.0)
        return super().finish(ending)


@dataclass(frozen=True)
class Priced(Wrapper):
    """An expected cost beside the loss of the alphas (as SNAS, section 2.4), in nats.

    It does not depend on the weights: to the hypergradient of any order it adds its own gradient and no more.

    Attributes:
        price: cost by operation, in units of the whole, and its weight; see `Costs.weighted`.
    """

    price: Weighted = field(default_factory=lambda: Weighted({}, 0.0))

    def step(self, turn: Turn) -> Passes:
        """The other's, and the gradient of the expected cost; nothing where the alphas do not learn."""
        passes = self.inner.step(turn)
        if passes.learnt:
            weights = probabilities(self.inner, turn.space, turn.alphas, turn.net.alive, turn.moment)
            add_term(turn.alphas, expected(self.price, weights))
        return passes


@dataclass(frozen=True)
class Limited(Wrapper):
    """A derivation that takes the best within limits, by the sum of what each chosen operation weighs.

    Attributes:
        max_skips: how many skips a cell that keeps its size may have; None for any number.
        costs, limit: what the derived network may cost at most, in the costs' unit; None for any.
    """

    max_skips: int | None = None
    costs: Costs | None = None
    limit: float | None = None

    @property
    def limits(self) -> Limits:
        """All of them."""
        return Limits(self.max_skips, self.costs, self.limit)

    def begin(self, space: Space, seed: int) -> Alphas:
        """The other's.

        Raises:
            SpaceError: no architecture is within the limits.
        """
        check_limits(space, self.limits)
        return super().begin(space, seed)

    def removals(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Sequence[Removal]:
        """The other's, but for the best within the limits: so what is left always has something within."""
        gone = self.inner.removals(space, alphas, alive, moment)
        if not gone:
            return gone
        weights = probabilities(self.inner, space, alphas, alive, moment)
        needed = select(space, weights, alive, self.limits)
        return tuple(each for each in gone if (each.edge, each.column) not in needed[each.cell])

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """The best within the limits; the other's own derivation where that is within them already."""
        free = self.inner.derive(space, alphas, alive)
        if self.limits.admit_genotype(space, free):
            return free
        weights = probabilities(self.inner, space, alphas, alive, Moment(0, 0, 1))
        return space.genotype(select(space, weights, alive, self.limits))

    def finish(self, ending: Ending) -> Genotype:
        """The other's among what is within the limits."""
        if not isinstance(self.inner, Finishing):
            return self.derive(ending.space, ending.alphas, ending.net.alive)
        return self.inner.finish(
            ending._replace(admits=lambda chosen: self.limits.admit(ending.space, chosen))
        )


def set_skip_dropout(net: Net, rate: float) -> None:
    """Of every skip of the supernet, from now on."""
    if isinstance(net, Supernet):  # a recurrent cell has no such dropout
        for _, body in net.bodies:
            body.skip_dropout = rate
