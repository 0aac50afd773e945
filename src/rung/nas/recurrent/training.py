"""Training of a language model from scratch: SGD, and averaged SGD once it no longer improves.

Merity, Keskar, Socher 2018, "Regularizing and Optimizing LSTM Language Models", algorithm 1 (NT-ASGD); the
settings of DARTS' appendix A.1.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rung.errors import RungError
from rung.nas.data.keys import seed_of
from rung.nas.data.text import Window, batchify, evaluation_windows, windows
from rung.nas.devices import average, average_gradients, part, rank
from rung.nas.recurrent.language import LanguageModel, activation_penalty, perplexity
from rung.nas.recurrent.masks import draw
from rung.nas.recurrent.presets import TrainingRecipe


class Diverged(RungError):  # noqa: N818  # what happened
    """The training loss is not finite."""


class Epoch(NamedTuple):
    """What is known after an epoch.

    Attributes:
        number: of epochs done.
        train_loss: mean of the windows, in nats a word, with dropout and without penalties.
        valid_loss: of the weights that count: averaged ones, once averaging has begun.
        averaged: whether they are.
    """

    number: int
    train_loss: float
    valid_loss: float
    averaged: bool

    @property
    def valid_perplexity(self) -> float:
        """exp(valid_loss)."""
        return perplexity(self.valid_loss)


class Average:
    """The mean of a model's weights over all steps since it began (Polyak and Juditsky 1992).

    Args:
        model: whose weights are averaged; of the present ones nothing is kept yet.
    """

    def __init__(self, model: nn.Module) -> None:
        self.count = 0
        self.means = {name: torch.zeros_like(p) for name, p in model.named_parameters()}

    def add(self, model: nn.Module) -> None:
        """Take the present weights in."""
        self.count += 1
        with torch.no_grad():
            for name, weight in model.named_parameters():
                self.means[name].lerp_(weight, 1.0 / self.count)

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Let the model have the mean for a while; its own weights, if there is no mean yet."""
        own = {name: p.detach().clone() for name, p in model.named_parameters()}
        try:
            if self.count:
                _set(model, self.means)
            yield
        finally:
            _set(model, own)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"count": self.count, "means": self.means}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.count = state["count"]
        self.means = {name: value.clone() for name, value in state["means"].items()}


def _set(model: nn.Module, weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(weights[name])


def stalled(losses: Sequence[float], patience: int) -> bool:
    """Whether the last validation loss is worse than the best before the last `patience` ones.

    The non-monotonic criterion: losses go up and down, and one bad epoch is no reason to begin averaging.
    """
    earlier = losses[: len(losses) - 1 - patience] if len(losses) > patience + 1 else ()
    return bool(earlier) and losses[-1] > min(earlier)


@dataclass
class Training:
    """A training under way: a function of model, data, recipe and seed, resumable after each epoch.

    Attributes:
        model: with the weights of the last step.
        recipe: its settings.
        seed: of windows and dropout.
        average: of the weights, once averaging has begun.
        epochs: what was seen so far.
        best: the weights that did best on the validation part: averaged ones, if they were.
    """

    model: LanguageModel
    recipe: TrainingRecipe
    seed: int
    average: Average | None = None
    epochs: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def epoch(self, train: Tensor, valid: Tensor) -> Epoch:
        """Train for one epoch.

        Args:
            train: (n, rows) of `rung.nas.data.text.batchify`, on the model's device.
            valid: (n, rows) of its own number of rows.

        Raises:
            Diverged: a loss is not finite.
        """
        train_loss = self._steps(train)
        if self.average is None:
            valid_loss = evaluated(self.model, valid, self.recipe.bptt)
        else:
            with self.average.in_place(self.model):
                valid_loss = evaluated(self.model, valid, self.recipe.bptt)
        if not math.isfinite(valid_loss):  # as after a last step that was too large
            raise Diverged(
                f"the loss of the validation part is {valid_loss} after epoch {len(self.epochs) + 1}: "
                "lower the rate"
            )
        done = Epoch(len(self.epochs) + 1, train_loss, valid_loss, self.average is not None)
        if not self.epochs or valid_loss < min(epoch.valid_loss for epoch in self.epochs):
            self.best = self._weights()
        self.epochs.append(done)
        plain = [epoch.valid_loss for epoch in self.epochs if not epoch.averaged]
        if self.average is None and stalled(plain, self.recipe.patience):
            self.average = Average(self.model)
        return done

    def _steps(self, train: Tensor) -> float:
        recipe, number = self.recipe, len(self.epochs)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        self.model.train()
        state, total, words = None, 0.0, 0
        spans = windows(train, recipe.bptt, seed=self.seed, epoch=number, spread=recipe.spread)
        for step, window in enumerate(spans):
            loss, state = self._step(window, state, optimizer, seed_of(self.seed, number, step, "dropout"))
            if self.average is not None:
                self.average.add(self.model)
            total, words = total + loss * window.y.numel(), words + window.y.numel()
        return total / words

    def _step(
        self, window: Window, state: Tensor | None, optimizer: torch.optim.Optimizer, seed: int
    ) -> tuple[float, Tensor]:
        """One step, and the state that the next window begins with."""
        recipe, model = self.recipe, self.model
        x, y = part(window.x.T).T, part(window.y.T).T  # of several processes, each has some of the rows
        generator = torch.Generator().manual_seed(seed + rank())
        masks = draw(model.dropouts, model.sizes, x.shape[1], generator)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * window.pace
        optimizer.zero_grad(set_to_none=True)
        spoken = model(x, state, masks)
        loss = nn.functional.cross_entropy(spoken.logits.flatten(0, 1), y.flatten())
        value = average(float(loss.detach()))
        if not math.isfinite(value):
            raise Diverged(f"the training loss is {value} in epoch {len(self.epochs) + 1}: lower the rate")
        torch.autograd.backward(loss + activation_penalty(spoken, recipe.activation, recipe.temporal))
        average_gradients(model.parameters())
        if recipe.clip > 0:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        return value, spoken.state.detach()

    def _weights(self) -> dict[str, Tensor]:
        kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        if self.average is not None and self.average.count:
            kept |= {name: value.clone() for name, value in self.average.means.items()}
        return kept

    def restore_best(self) -> LanguageModel:
        """The model, with the weights that did best on the validation part."""
        if self.best:
            self.model.load_state_dict(self.best)
        return self.model

    def state(self) -> dict[str, Any]:
        """For a checkpoint: tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "epochs": [tuple(epoch) for epoch in self.epochs],
            "best": self.best,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.model.load_state_dict(state["model"])
        self.average = None
        if state["average"] is not None:
            self.average = Average(self.model)
            self.average.load(state["average"])
        self.epochs = [Epoch(*epoch) for epoch in state["epochs"]]
        self.best = dict(state["best"])


def evaluated(model: LanguageModel, data: Tensor, bptt: int) -> float:
    """Mean loss in nats a word, over all words, in evaluation mode; the mode is left as it was.

    Args:
        data: (n, rows) of `rung.nas.data.text.batchify`: each row begins with a state of zeros.
        bptt: words at a time; the result does not depend on it.
    """
    training = model.training
    model.eval()
    total, words, state = 0.0, 0, None
    with torch.no_grad():
        for window in evaluation_windows(data, bptt):
            spoken = model(window.x, state)
            state = spoken.state
            total += float(summed_loss(spoken.logits, window.y))
            words += window.y.numel()
    model.train(training)
    return total / words


def summed_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Cross entropy in nats, summed over the words of a window."""
    return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum")


def train(  # one training, all that it depends on
    model: LanguageModel,
    train_ids: Any,
    valid_ids: Any,
    recipe: TrainingRecipe,
    *,
    seed: int,
    valid_rows: int = 10,
    going_on: Callable[[Epoch], bool] = lambda _: True,
) -> Training:
    """Train from scratch until the last epoch, or until `going_on` says no; weights are left at their best.

    Args:
        model: on its device, with fresh weights.
        train_ids, valid_ids: (n,) ids of words.
        valid_rows: side by side in the validation part; as the reference, 10.
        going_on: asked after each epoch.

    Raises:
        Diverged: a loss is not finite.
        DataError: a text is too short for so many rows.
    """
    training = Training(model, recipe, seed)
    go_on(training, train_ids, valid_ids, valid_rows=valid_rows, going_on=going_on)
    return training


def go_on(
    training: Training,
    train_ids: Any,
    valid_ids: Any,
    *,
    valid_rows: int = 10,
    going_on: Callable[[Epoch], bool] = lambda _: True,
) -> None:
    """The rest of a training, as `train` does it.

    Raises:
        Diverged: a loss is not finite.
        DataError: a text is too short for so many rows.
    """
    device = training.model.frame.embedding.device
    rows = batchify(train_ids, training.recipe.rows).to(device)
    held_out = batchify(valid_ids, valid_rows).to(device)
    while len(training.epochs) < training.recipe.epochs:
        if not going_on(training.epoch(rows, held_out)):
            break
    training.restore_best()
