"""ASAP (Noy et al. 2020, arXiv 1904.04123): alphas are annealed and operations pruned while the search runs.

What is left at the end is the derived cell: nothing is cut off after the last step of the weights, so that
there is no gap between what was searched and what is kept.

Algorithm 1: alphas start from zero; an operation's weight is the Gibbs softmax exp(alpha / T) / sum over its
edge; T = T0 beta^epoch. While T is not under the grace temperature only the weights learn. After that alphas
descend on the validation loss, in turn with the weights, and before each epoch every operation whose
probability is under the threshold is removed. The search ends when everything is decided. The paper's course
has 50 epochs: in a shorter search T falls, and is pruned, several times an epoch, and it may fall through the
paper's course in a part of the epochs (decision record 0016).

The paper leaves open how the edges of a node become two. The rule here (decision record 0014): edges have
logits of their own, learnt and annealed with the alphas, and gates that sum to k at each node; see
`rung.nas.strategies.asap_gates`. An edge is removed when its gate is under its threshold. When k are left
their gates are one, so that there is no jump. The zero operation says that an edge is absent: its probability
is taken from the edge's claim to a gate, and it never is what is left of an edge that stays. Where all edges
stay (`keep` is None, as in NAS-Bench-201) it is an operation as any other, and may win.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from rung.errors import UserError
from rung.nas.genotype import Genotype
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Cell, Space
from rung.nas.strategies.asap_gates import mixture
from rung.nas.strategies.asap_pruning import (
    Pressure,
    confidence_ratio,
    falling,
    idle_zeros,
    leaving,
    open_questions,
)
from rung.nas.strategies.base import Alphas, Passes, Removal, Turn, ranked
from rung.nas.strategies.bilevel import first_order
from rung.nas.task import Mixed

Policy = Literal["constant", "linear", "confidence"]
Edges = Literal["after", "meanwhile"]
Chosen = tuple[tuple[int, int], ...]  # (edge, column)

_ABSENT: Final = -1e30  # finite: differences of two are numbers
_FALLS: Final = 50  # of the temperature, in the paper: one an epoch
_BEFORE: Final = 0.9  # of an unpruned epoch's cost is an epoch's, in the mean, in the paper's course,
_AFTER: Final = 0.4  # and after it, with a margin: a search of preset `small` had .9 and .35
_COLDEST: Final = 1.6 * 0.95**49  # where the paper's course ends, after 50 epochs: 0.1296


@dataclass(frozen=True)
class Asap:
    """Settings; the defaults are the paper's for 50 epochs, but for those of edges and of extra epochs.

    Attributes:
        T0, beta: temperature of the first epoch, and its factor an epoch.
        anneal: the share of the planned epochs in which the temperature goes through the paper's course, from
            T0 to 0.13; after it T falls on at the same pace until everything is decided.
        checks: how many times in an epoch the temperature falls and operations are pruned; 0 for as many as
            make about the paper's 50 in that course: 4 in each of 12 epochs, 1 in each of 50.
        grace: alphas neither learn nor are pruned while the temperature is not under it.
        threshold: an operation goes when its probability is under threshold / N, where N is how many its edge
            had when the search began.
        policy: "constant"; "linear", which rises from zero at the end of the grace period to the same at the
            end of the temperature's course; or "confidence", which holds back until `confidence_ratio`
            allows it, too.
        delta: of "confidence": probability of ever removing the best.
        alpha_step: of "confidence": a bound on a step of an alpha, such as Adam's learning rate.
        edge_threshold: an edge goes when its gate is under edge_threshold * k / n, n being how many enter its
            node and k how many may stay.
        edges: whether an edge may go "meanwhile", or only "after" one operation is left on it.
        extra: how many more epochs may follow the last where something is undecided; in the last of them what
            is ahead wins.
        extra_beta: factor of the temperature in each of them.

    Raises:
        UserError: a setting is out of its range.
    """

    T0: float = 1.6
    beta: float = 0.95
    anneal: float = 1.0
    checks: int = 0
    grace: float = 1.0
    threshold: float = 0.4
    policy: Policy = "constant"
    delta: float = 0.05
    alpha_step: float = 3e-4
    edge_threshold: float = 0.2
    edges: Edges = "after"
    extra: int = 12
    extra_beta: float = 0.6
    name: str = "asap"
    form: str = "fused"
    single_level: bool = False

    def __post_init__(self) -> None:
        self._check_choices()
        for name in ("T0", "grace", "alpha_step"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} of asap is a positive number, not {getattr(self, name)!r}")
        if not 0.0 < self.anneal <= 1.0:
            raise UserError(f"anneal of asap is over 0 and at most 1, not {self.anneal!r}")
        for name in ("beta", "threshold", "delta", "edge_threshold", "extra_beta"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise UserError(f"{name} of asap lies between 0 and 1, not {getattr(self, name)!r}")
        for name, least in (("extra", 1), ("checks", 0)):  # without an extra epoch something may stay open
            if getattr(self, name) < least:
                raise UserError(f"{name} of asap is at least {least}, not {getattr(self, name)}")

    def _check_choices(self) -> None:
        for name, choices in (("policy", get_args(Policy)), ("edges", get_args(Edges))):
            if getattr(self, name) not in choices:
                raise UserError(f"{name} of asap is {' or '.join(choices)}, not {getattr(self, name)!r}")

    def scaled(self, epochs: int) -> Asap:
        """The same course of the temperature, from T0 to the paper's last, in `anneal` of so many epochs."""
        span = self.anneal * epochs - 1.0 / self._checks(Moment(0, 0, epochs))
        if span <= 0.0 or self.T0 <= _COLDEST:
            return self
        return replace(self, beta=(_COLDEST / self.T0) ** (1.0 / span))

    @property
    def mean_cost(self) -> float:
        """Between that of the temperature's course and that after it, by the share of each."""
        return _BEFORE * self.anneal + _AFTER * (1.0 - self.anneal)

    def begin(self, space: Space, seed: int) -> Alphas:
        """Zeros: for operations (E, O), and where edges are chosen, "NAME/edges" (E,)."""
        alphas: Alphas = {}
        for cell in space.cells:
            alphas[cell.name] = torch.zeros(len(cell.edges), len(cell.operations), requires_grad=True)
            if cell.keep is not None:
                alphas[_edges_of(cell)] = torch.zeros(len(cell.edges), requires_grad=True)
        return alphas

    def temperature(self, moment: Moment) -> float:
        """T0 beta^epochs, in steps of 1 / `checks`; in extra epochs `extra_beta` takes the place of beta."""
        done = self._done(moment)
        over = max(done - moment.epochs + 1.0 / self._checks(moment), 0.0)
        return float(self.T0 * self.beta ** (done - over) * self.extra_beta**over)

    def prunes(self, moment: Moment) -> bool:
        """Whether the temperature falls before this step."""
        return not moment.step or self._done(moment) > self._done(moment._replace(step=moment.step - 1))

    def _checks(self, moment: Moment) -> int:
        return self.checks or max(round(_FALLS / max(self.anneal * moment.epochs, 1.0)), 1)

    def _done(self, moment: Moment) -> float:
        """Epochs, in parts of which the temperature falls."""
        checks = self._checks(moment)
        return moment.epoch + moment.step * checks // max(moment.steps, 1) / checks

    def learning(self, moment: Moment) -> bool:
        """Whether the grace period is over."""
        return self.temperature(moment) < self.grace

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The Gibbs softmax on each edge, times the edge's gate."""
        heat = self.temperature(moment)
        return Mixed(
            {
                cell.name: mixture(
                    cell, alphas[cell.name], alphas.get(_edges_of(cell)), alive[cell.name], heat
                )
                for cell in space.cells
            }
        )

    def settled(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The same."""
        return self.mixed(space, alphas, alive, moment)

    def step(self, turn: Turn) -> Passes:
        """One pass over the alphas' batch, in first order; none in the grace period or with all decided."""
        alive = turn.net.alive
        if not self.learning(turn.moment) or not self.undecided(turn.space, alive):
            return Passes(0, 0)
        return first_order(self, turn)

    def removals(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Sequence[Removal]:
        """Operations under their threshold; then edges under theirs, with what is left on them.

        In the last extra epoch, all but what would be derived.
        """
        if moment.epoch >= moment.epochs + self.extra - 1:
            return self._rest(space, alphas, alive)
        if not self.learning(moment):
            return ()
        gone: list[Removal] = []
        for cell in space.cells:
            own, left = alphas[cell.name], alive[cell.name].copy()
            pressure = self._pressure(moment, len(cell.operations))
            fallen = falling(cell, own, left, pressure)
            left[tuple(np.array(fallen, dtype=int).reshape(-1, 2).T)] = False
            if cell.keep is not None:
                for edge in leaving(cell, own, alphas[_edges_of(cell)], left, pressure):
                    fallen += [(edge, int(column)) for column in np.flatnonzero(left[edge])]
                    left[edge] = False
                fallen += idle_zeros(cell, left)
            gone += [Removal(cell.name, edge, column) for edge, column in sorted(fallen)]
        return tuple(gone)

    def finished(self, space: Space, alive: Mapping[str, Mask], moment: Moment) -> bool:
        """Whether one operation is left on each edge, and the edges that stay."""
        return not self.undecided(space, alive)

    def more(self, space: Space, alive: Mapping[str, Mask], moment: Moment) -> bool:
        """Whether another epoch follows the last: something is undecided, and an extra epoch is left."""
        return bool(self.undecided(space, alive)) and moment.epoch < moment.epochs + self.extra

    def undecided(self, space: Space, alive: Mapping[str, Mask]) -> list[str]:
        """Edges with several operations, and nodes with too many inputs, each in words."""
        return [line for cell in space.cells for line in open_questions(cell, alive[cell.name])]

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """What is left; before the end, what is ahead: on each edge, and of the edges of a node."""
        return space.genotype(self._ahead(space, alphas, alive))

    def _rest(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> tuple[Removal, ...]:
        kept = {
            (cell, *choice) for cell, chosen in self._ahead(space, alphas, alive).items() for choice in chosen
        }
        everything = [(name, int(e), int(c)) for name, mask in alive.items() for e, c in np.argwhere(mask)]
        return tuple(Removal(*operation) for operation in sorted(everything) if operation not in kept)

    def _ahead(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> dict[str, Chosen]:
        return {
            cell.name: _ahead(cell, alphas[cell.name], alphas.get(_edges_of(cell)), alive[cell.name])
            for cell in space.cells
        }

    def _pressure(self, moment: Moment, operations: int) -> Pressure:
        heat, ratio, share = self.temperature(moment), 1.0, self.threshold
        over = moment.epoch >= moment.epochs
        if self.policy == "linear" and not over:
            each, began = 1.0 / self._checks(moment), self._learnt_from(moment)
            rise = max(self.anneal * moment.epochs - each - began, each)
            share *= min((self._done(moment) - began) / rise, 1.0)
        if self.policy == "confidence" and not over:
            steps = round((self._done(moment) - self._learnt_from(moment)) * moment.steps)
            ratio = confidence_ratio(steps, self.alpha_step, operations, self.delta) ** (1.0 / heat)
        return Pressure(heat, share, ratio, self.edge_threshold, self.edges == "meanwhile")

    def _learnt_from(self, moment: Moment) -> float:
        """Epochs after which the grace period ended."""
        checks = self._checks(moment)
        falls = (fall / checks for fall in range(math.floor(self._done(moment) * checks) + 1))
        return next(done for done in falls if self.T0 * self.beta**done < self.grace)


def _edges_of(cell: Cell) -> str:
    return f"{cell.name}/edges"


def _ahead(cell: Cell, alphas: Tensor, edges: Tensor | None, alive: Mask) -> Chosen:
    """(edge, column) of what is kept when the temperature goes to zero; ties go to the earlier."""
    values = np.where(alive, alphas.detach().cpu().double().numpy(), _ABSENT)  # (E, O)
    if cell.keep is None or edges is None:
        return tuple((int(edge), int(values[edge].argmax())) for edge in np.flatnonzero(alive.any(1)))
    others = ranked(cell)
    real, zero = values[:, others].max(1), values[:, ~others].max(1, initial=_ABSENT)
    claims = edges.detach().cpu().double().numpy() + np.minimum(real - zero, 0.0)  # T u, as T goes to zero
    chosen = np.where(others[None, :], values, _ABSENT).argmax(1)
    kept = []
    for target in cell.targets:
        left = [edge for edge in cell.entering(target) if real[edge] > _ABSENT]
        order = sorted(left, key=lambda edge: (-claims[edge], edge))[: cell.keep]
        kept += [(edge, int(chosen[edge])) for edge in sorted(order)]
    return tuple(kept)
