"""The training loop that all strategies with a supernet share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch

from rung.errors import RungError
from rung.nas.devices import average_gradients, average_statistics, world
from rung.nas.genotype import Genotype
from rung.nas.ledger import Ledger
from rung.nas.moment import Moment, cosine
from rung.nas.plain import Mask
from rung.nas.recipe import Recipe
from rung.nas.space import Space
from rung.nas.strategies.base import (
    Alphas,
    Ending,
    Finishing,
    Lengthening,
    Observing,
    Past,
    Removal,
    Repeating,
    Strategy,
    Turn,
    probabilities,
)
from rung.nas.task import Mixed, Net, Scores, Task
from rung.nas.training import forget, weight_step


class Diverged(RungError):  # noqa: N818  # what happened
    """The loss of the weights is not finite: nothing of this epoch is kept."""


class Plan(NamedTuple):
    """What a search is made of; with the seed, all that its result depends on."""

    task: Task
    space: Space
    strategy: Strategy
    recipe: Recipe
    seed: int


@dataclass(frozen=True)
class Record:
    """What is known after an epoch: what a terminal, a log and a page show.

    Attributes:
        epoch: number of epochs done.
        train_loss: mean over the steps of the weights, in nats.
        loss, accuracy: of the supernet on the alphas' samples.
        temperature: of the relaxation, if it has one.
        operations: that are left, of all edges of all kinds of cells.
        alphas: by name, the values after the epoch of those that belong to a cell: (E, O), or others.
        mixtures: by cell, the (E, O) weights after the epoch; of a strategy that samples, the probabilities.
        removed: what was pruned before it: [cell, edge, operation].
        genotype: what would be derived now.
        seconds: since the search began.
        ledger: the cost so far.
        notes: the strategy's own figures, such as how the hypergradient was taken.
    """

    epoch: int
    train_loss: float
    loss: float
    accuracy: float | None
    temperature: float | None
    operations: int
    alphas: dict[str, list[Any]]
    mixtures: dict[str, list[list[float]]]
    removed: list[list[Any]]
    genotype: dict[str, Any]
    seconds: float
    ledger: dict[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For files."""
        return asdict(self)


@dataclass
class State:
    """A search under way.

    Attributes:
        net: the supernet.
        alphas: what the strategy learns.
        weights, architecture: their optimisers.
        epoch: epochs done.
        ledger: the cost so far.
        records: one an epoch.
        tuned: further epochs of the weights alone; no checkpoint follows them.
    """

    net: Net
    alphas: Alphas
    weights: torch.optim.Optimizer
    architecture: torch.optim.Optimizer
    epoch: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    records: list[Record] = field(default_factory=list)
    tuned: int = 0


def start(plan: Plan) -> State:
    """A search before its first step: a function of the plan alone."""
    recipe, strategy = plan.recipe, plan.strategy
    net = plan.task.supernet(plan.space, strategy.form, plan.seed)
    alphas = strategy.begin(plan.space, plan.seed)
    return State(net, alphas, sgd(net, recipe), adam(alphas, recipe))


def sgd(net: Net, recipe: Recipe) -> torch.optim.SGD:
    """Of the weights."""
    return torch.optim.SGD(
        net.parameters(), lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.decay
    )


def adam(alphas: Alphas, recipe: Recipe) -> torch.optim.Optimizer:
    """Of the alphas."""
    leaves = list(alphas.values()) or [torch.zeros((), requires_grad=True)]
    return torch.optim.Adam(
        leaves, lr=recipe.alpha_rate, betas=recipe.alpha_betas, weight_decay=recipe.alpha_decay
    )


def run(plan: Plan, state: State, watch: Callable[[State, Record], bool]) -> State:
    """Go on from a state to the last epoch, or to where the strategy has decided everything.

    Args:
        watch: called after each epoch; its answer says whether to go on.

    Raises:
        Diverged: a loss is not finite; `state` is of no use any more, the last checkpoint is.
    """
    while unfinished(plan, state):
        record = one_epoch(plan, state)
        if not watch(state, record):
            break
    return state


def unfinished(plan: Plan, state: State) -> bool:
    """Whether another epoch follows: the strategy may end before the last of the plan, or ask for more."""
    strategy, space, alive = plan.strategy, plan.space, state.net.alive
    moment = Moment(plan.seed, state.epoch, plan.recipe.epochs)
    if state.epoch and (strategy.finished(space, alive, moment) or overstayed(strategy, state) is not None):
        return False
    return state.epoch < plan.recipe.epochs or (
        isinstance(strategy, Lengthening) and strategy.more(space, alive, moment)
    )


def one_epoch(plan: Plan, state: State) -> Record:
    """One epoch: for each pair of batches prune if it is time, then a step of alphas and one of weights."""
    began = time.perf_counter()
    task, space, strategy, recipe = plan.task, plan.space, plan.strategy, plan.recipe
    first = Moment(plan.seed, state.epoch, recipe.epochs, 0, task.steps)
    torch.manual_seed(first.number("dropout"))  # what layers draw is a function of seed and epoch
    removed: list[Removal] = []
    rate = cosine(recipe.rate, recipe.rate_min, min(state.epoch, recipe.epochs), recipe.epochs)
    losses: list[float] = []
    notes: dict[str, Any] = {}
    state.net.train()
    for step, (for_weights, for_alphas) in enumerate(task.pairs(state.epoch)):
        moment = first._replace(step=step)
        if not step or (isinstance(strategy, Repeating) and strategy.prunes(moment)):
            removed += prune(plan, state, moment)
        _set_rate(state.weights, rate * for_weights.pace)
        turn = Turn(
            task,
            space,
            state.net,
            state.alphas,
            for_weights,
            for_alphas,
            state.weights,
            rate * for_weights.pace,
            moment,
            recipe.clip,
        )
        losses.append(_learn(plan, state, turn))
        if not math.isfinite(losses[-1]):
            raise Diverged(f"the training loss is {losses[-1]} in epoch {state.epoch + 1}, step {step + 1}")
        if step + 1 == task.steps and isinstance(strategy, Observing):
            notes = dict(strategy.observe(turn))
    state.epoch += 1
    average_statistics(state.net)
    scores = judge(plan, state)
    state.ledger.seconds += time.perf_counter() - began
    record = _record(plan, state, sum(losses) / max(len(losses), 1), scores, removed, notes)
    state.records.append(record)
    return record


def _learn(plan: Plan, state: State, turn: Turn) -> float:
    """A step of alphas and one of weights, in one pass or one after the other; the weights' loss."""
    passes = plan.strategy.step(turn)
    if passes.learnt:
        average_gradients(state.alphas.values())
        state.architecture.step()
    if passes.passes:
        macs = passes.work * macs_of(plan, state, passes.active)
        state.ledger.architecture(passes.passes, world() * passes.samples, macs)
    active, loss = passes.active, passes.loss
    if loss is None:
        with torch.no_grad():
            mixed = plan.strategy.mixed(plan.space, state.alphas, state.net.alive, turn.moment)
        active = mixed.active
        loss = weight_step(plan.task, state.net, mixed, turn.weights_batch, state.weights, turn.clip)
    state.ledger.weights(world() * turn.weights_batch.size, macs_of(plan, state, active))
    return loss


def macs_of(plan: Plan, state: State, active: Mapping[str, Mask] | None) -> float:
    """Multiply-adds of a sample's forward pass through what is alive and, unless all of it is, active."""
    net: Any = state.net
    if active is not None:
        net = SimpleNamespace(alive={name: mask & active[name] for name, mask in state.net.alive.items()})
    return plan.task.macs(net, plan.space, plan.strategy.form)


def prune(plan: Plan, state: State, moment: Moment) -> list[Removal]:
    """Remove what the strategy prunes at this moment: modules, weights, and the optimiser's state of them."""
    removed = list(plan.strategy.removals(plan.space, state.alphas, state.net.alive, moment))
    remove(state, removed)
    return removed


def remove(state: State, removals: Sequence[Removal]) -> None:
    """Take operations out of the supernet, and the state of their weights out of the optimiser."""
    for cell, edge, column in removals:
        state.net.prune(cell, edge, column)
    if removals:
        forget(state.weights, state.net)


def judge(plan: Plan, state: State) -> Scores:
    """The supernet, as the last step had it, on samples that its weights have not seen."""
    moment = _last(plan, state)
    with torch.no_grad():
        mixed = plan.strategy.settled(plan.space, state.alphas, state.net.alive, moment)
        return plan.task.evaluate(state.net, mixed)


def derive(
    plan: Plan,
    state: State,
    more: Callable[[], bool] = lambda: True,
    tell: Callable[[str], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Genotype:
    """The architecture that a search ends with; a strategy that finishes it may train the weights on.

    Where their loss is not finite then, what it has decided stays, and the rest is by the alphas.

    Args:
        more: whether such a strategy has time to try another.
        tell: what a reader should know of how it was derived, in a sentence.
        say: what is being tried, in a few words.
    """
    strategy = plan.strategy
    if not isinstance(strategy, Finishing):
        return strategy.derive(plan.space, state.alphas, state.net.alive)
    began = time.perf_counter()
    history = [Past(record.notes, Genotype.from_dict(record.genotype)) for record in state.records]
    ending = Ending(
        plan.space,
        state.net,
        state.alphas,
        Moment(plan.seed, state.epoch, plan.recipe.epochs, 0, plan.task.steps),
        history,
        score=lambda mixed: plan.task.evaluate(state.net, mixed),
        prune=lambda removals: remove(state, removals),
        tune=lambda mixed, epochs: tune(plan, state, mixed, epochs),
        task=plan.task,
        more=more,
        tell=tell,
        say=say,
    )
    try:
        found = strategy.finish(ending)
    except Diverged as why:
        tell(f"{why}: what was decided before stays, and the rest is by alphas")
        found = strategy.derive(plan.space, state.alphas, state.net.alive)
    state.ledger.seconds += time.perf_counter() - began
    return found


def tune(plan: Plan, state: State, mixed: Callable[[Moment], Mixed], epochs: int) -> None:
    """Go on training the weights alone, at a tenth of the first learning rate.

    Args:
        mixed: how the operations are weighed at a moment.
    """
    task, recipe = plan.task, plan.recipe
    state.net.train()
    for _ in range(epochs):
        epoch = state.epoch + state.tuned  # each has batches of its own
        state.tuned += 1
        first = Moment(plan.seed, epoch, recipe.epochs, 0, task.steps)
        torch.manual_seed(first.number("dropout"))
        for step, (batch, _) in enumerate(task.pairs(epoch)):
            _set_rate(state.weights, recipe.rate / 10.0 * batch.pace)
            with torch.no_grad():
                weights = mixed(first._replace(step=step))
            loss = weight_step(task, state.net, weights, batch, state.weights, recipe.clip)
            state.ledger.weights(world() * batch.size, macs_of(plan, state, weights.active))
            if not math.isfinite(loss):
                raise Diverged(f"the training loss is {loss} while the supernet is tuned")
        average_statistics(state.net)


def overstayed(strategy: Strategy, state: State) -> int | None:
    """The number of epochs after which the search ought to have ended, None while it may go on."""
    if not isinstance(strategy, Observing):
        return None
    return strategy.overstayed([record.notes for record in state.records])


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _last(plan: Plan, state: State) -> Moment:
    """The last step that was done."""
    steps = plan.task.steps
    return Moment(plan.seed, max(state.epoch - 1, 0), plan.recipe.epochs, steps - 1, steps)


def _record(
    plan: Plan,
    state: State,
    train_loss: float,
    scores: Scores,
    removed: list[Removal],
    notes: dict[str, Any],
) -> Record:
    moment = _last(plan, state)
    with torch.no_grad():
        mixed = plan.strategy.settled(plan.space, state.alphas, state.net.alive, moment)
        mixtures = mixed.mixtures
        if mixed.active is not None:
            mixtures = probabilities(plan.strategy, plan.space, state.alphas, state.net.alive, moment)
    names = {cell.name: cell.operations for cell in plan.space.cells}
    return Record(
        epoch=state.epoch,
        train_loss=train_loss,
        loss=scores.loss,
        accuracy=scores.accuracy,
        temperature=plan.strategy.temperature(moment),
        operations=int(sum(mask.sum() for mask in state.net.alive.values())),
        alphas={n: value.detach().tolist() for n, value in state.alphas.items() if n.split("/")[0] in names},
        mixtures={name: value.detach().tolist() for name, value in mixtures.items()},
        removed=[[cell, edge, names[cell][column]] for cell, edge, column in removed],
        genotype=plan.strategy.derive(plan.space, state.alphas, state.net.alive).to_dict(),
        seconds=state.ledger.seconds,
        ledger=state.ledger.to_dict(),
        notes=notes,
    )
