"""What all strategies share: alphas, their mixtures, and the derivation of the paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from rung.nas.genotype import Genotype
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Cell, Space
from rung.nas.task import Mixed, Net, Scores, Task

SCORED: Final = 0.2  # of an epoch, roughly, is a look at the alphas' samples

Alphas = dict[str, Tensor]  # by cell: (E, O); a strategy may keep others beside, such as "normal/edges": (E,)


class Removal(NamedTuple):
    """An operation that a strategy prunes: cell, number of the edge, column of the operation."""

    cell: str
    edge: int
    column: int


class Turn(NamedTuple):
    """What a step of the alphas is given.

    Attributes:
        task: the data and its loss.
        space: what is searched.
        net: the supernet.
        alphas: leaves that require gradients; the step leaves its gradients in them.
        weights_batch, alphas_batch: of this step.
        optimizer: of the weights: its momentum and decay belong to the virtual step.
        rate: learning rate of the weights.
        moment: when.
        clip: largest norm of the weights' gradient, 0 for any.
    """

    task: Task
    space: Space
    net: Net
    alphas: Alphas
    weights_batch: Any
    alphas_batch: Any
    optimizer: torch.optim.Optimizer
    rate: float
    moment: Moment
    clip: float = 0.0


class Passes(NamedTuple):
    """Forward and backward passes that a step took.

    Attributes:
        passes: how many.
        samples: of all of them together.
        active: by cell, (E, O) operations that were computed; None for all that are alive.
        work: multiply-adds as a share of those of forward and backward passes: a third of forward ones alone.
        loss: of the weights' step where that was taken in the same pass, which counts as theirs alone; None
            where it is to follow.
    """

    passes: int
    samples: int
    active: Mapping[str, Mask] | None = None
    work: float = 1.0
    loss: float | None = None

    @property
    def learnt(self) -> bool:
        """Whether gradients were left in the alphas."""
        return bool(self.passes) or self.loss is not None


class Strategy(Protocol):
    """A frozen value: its settings, and pure functions of alphas and the moment.

    Attributes:
        name: as in the table of strategies.
        form: of the supernet: "fused" where all operations are mixed, "plain" where few are sampled.
        single_level: whether weights and alphas learn from the same samples, in one pass.
    """

    @property
    def name(self) -> str: ...

    @property
    def form(self) -> str: ...

    @property
    def single_level(self) -> bool: ...

    def begin(self, space: Space, seed: int) -> Alphas:
        """The alphas before the first step."""
        ...

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """How operations are weighed in a training pass at this moment; differentiable in alphas."""
        ...

    def settled(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """How they are weighed where the supernet is judged: without noise."""
        ...

    def step(self, turn: Turn) -> Passes:
        """Leave the gradient of the alphas in them; `Passes(0, 0)` where they do not learn at this moment."""
        ...

    def removals(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Sequence[Removal]:
        """What is pruned for good before this epoch begins."""
        ...

    def finished(self, space: Space, alive: Mapping[str, Mask], moment: Moment) -> bool:
        """Whether nothing is left to be decided."""
        ...

    def temperature(self, moment: Moment) -> float | None:
        """Of the relaxation, if it has one."""
        ...

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """The discrete architecture; deterministic in ties."""
        ...


@runtime_checkable
class Lengthening(Protocol):
    """A strategy that may ask for epochs after the planned ones; `moment.epoch` then is `epochs` or more.

    Attributes:
        extra: how many, at most.
        mean_cost: of an epoch, roughly, as a share of one in which nothing was pruned: a budget is planned
            by it.
    """

    @property
    def extra(self) -> int: ...

    @property
    def mean_cost(self) -> float: ...

    def more(self, space: Space, alive: Mapping[str, Mask], moment: Moment) -> bool:
        """Whether another epoch follows."""
        ...

    def undecided(self, space: Space, alive: Mapping[str, Mask]) -> list[str]:
        """What it has not decided yet, each in words."""
        ...


@runtime_checkable
class Repeating(Protocol):
    """A strategy that prunes within epochs, too."""

    def prunes(self, moment: Moment) -> bool:
        """Whether something may be pruned before this step; before the first of an epoch it always may."""
        ...


class Past(NamedTuple):
    """An epoch that is done: the strategy's own figures, and what would have been derived after it."""

    notes: Mapping[str, Any]
    genotype: Genotype


class Ending(NamedTuple):
    """What a strategy is given that chooses after the last epoch.

    Attributes:
        space, net, alphas: as the last epoch left them.
        moment: the epoch after the last.
        history: one an epoch.
        score: the supernet with these mixtures, on the alphas' samples. This, tuning and any other pass of
            `net` raises `rung.nas.hearing.Heard` after Ctrl-C: what was decided before is derived.
        prune: remove operations for good.
        tune: go on training the weights alone, mixed as a function of the moment says, for so many epochs.
        admits: whether a choice, by cell (edge, column), may be derived: False for one over a limit.
        task: the data and its loss, for a strategy that judges in a way of its own.
        more: whether there is time to try another: asked before each, and where there is none the strategy
            derives by what it knows.
        tell: what a reader should know of how it was derived, in a sentence.
        say: what is being tried, in a few words, for whom it is shown to while it lasts.
    """

    space: Space
    net: Net
    alphas: Alphas
    moment: Moment
    history: Sequence[Past]
    score: Callable[[Mixed], Scores]
    prune: Callable[[Sequence[Removal]], None]
    tune: Callable[[Callable[[Moment], Mixed], int], None]
    admits: Callable[[Mapping[str, Sequence[tuple[int, int]]]], bool] = lambda _: True
    task: Task | None = None
    more: Callable[[], bool] = lambda: True
    tell: Callable[[str], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None


@runtime_checkable
class Probable(Protocol):
    """A strategy whose settled mixtures are not the probabilities of operations."""

    def probabilities(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Mapping[str, Tensor]:
        """By cell, (E, O): differentiable; what operations are ranked by."""
        ...


@runtime_checkable
class Finishing(Protocol):
    """A strategy that derives by more than its alphas, once, after the last epoch."""

    def ahead(self, space: Space, steps: int) -> float:
        """What that takes, roughly, in epochs of the search.

        Args:
            steps: of an epoch.
        """
        ...

    def finish(self, ending: Ending) -> Genotype:
        """The discrete architecture; a function of the plan, as all else."""
        ...


@runtime_checkable
class Observing(Protocol):
    """A strategy with figures of its own, which may end a search."""

    def observe(self, turn: Turn) -> Mapping[str, Any]:
        """What is to be recorded of an epoch, after its last step."""
        ...

    def overstayed(self, notes: Sequence[Mapping[str, Any]]) -> int | None:
        """The number of epochs after which the search ought to have ended, None while it may go on.

        Args:
            notes: what was observed, one an epoch.
        """
        ...


def probabilities(
    strategy: Strategy, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
) -> Mapping[str, Tensor]:
    """By cell, (E, O): what a strategy ranks operations by, differentiable in the alphas."""
    if isinstance(strategy, Probable):
        return strategy.probabilities(space, alphas, alive, moment)
    return strategy.settled(space, alphas, alive, moment).mixtures


def small_alphas(space: Space, seed: int, scale: float = 1e-3) -> Alphas:
    """Normal with this deviation, as in the DARTS reference; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return {
        cell.name: (
            scale * torch.randn(len(cell.edges), len(cell.operations), generator=generator)
        ).requires_grad_()
        for cell in space.cells
    }


def softmax(logits: Tensor, alive: Mask) -> Tensor:
    """(E, O): softmax over each edge's operations that are alive; zeros elsewhere, and on empty edges."""
    mask = torch.from_numpy(alive).to(logits.device)
    weights = torch.softmax(logits.masked_fill(~mask, -1e30), dim=-1)  # finite: an empty edge's gradient, too
    return torch.where(mask, weights, torch.zeros((), dtype=logits.dtype, device=logits.device))


def ranked(cell: Cell) -> Mask:
    """(O,): the operations that a derivation ranks: all but the zero operation."""
    return np.array([name != "none" for name in cell.operations])


def best_edges(cell: Cell, weights: Tensor, alive: Mask) -> tuple[tuple[int, int], ...]:
    """The paper's derivation (section 2.4): of each node, the edges with the strongest operation.

    The zero operation competes in the softmax but is not ranked. Ties go to the lower source and the earlier
    operation. Where fewer edges than `cell.keep` are left, all that are left stay.

    Args:
        weights: (E, O).
        alive: (E, O).

    Returns:
        (edge, column) of what is kept.
    """
    values = weights.detach().cpu().double().numpy()
    values = np.where(alive & ranked(cell)[None, :], values, -np.inf)  # (E, O)
    kept = []
    for target in cell.targets:
        edges = [edge for edge in cell.entering(target) if np.isfinite(values[edge]).any()]
        order = sorted(edges, key=lambda edge: (-values[edge].max(), edge))
        chosen = order if cell.keep is None else order[: cell.keep]
        kept += [(edge, int(values[edge].argmax())) for edge in sorted(chosen)]
    return tuple(kept)


def derive_best(space: Space, weights: Mapping[str, Tensor], alive: Mapping[str, Mask]) -> Genotype:
    """The genotype of the strongest operations of every cell."""
    return space.genotype({c.name: best_edges(c, weights[c.name], alive[c.name]) for c in space.cells})


def merit(scores: Scores) -> tuple[float, float]:
    """What is greater for better scores: by accuracy where there is one, then by loss."""
    return (-scores.loss if scores.accuracy is None else scores.accuracy), -scores.loss
