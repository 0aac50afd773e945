"""A small LSTM language model on WikiText-2's characters, in place of Penn Treebank: ASHA's third benchmark.

Li et al. (2020, 4.3 and appendix A.4) vary an LSTM's size, dropout and optimiser; here eight of these. The
loss is the mean negative log-likelihood of a character in nats, the logarithm of the perplexity. The text is
lower case, with the characters that are among the most frequent; all others are one more.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._together import trained
from benchmarks.given import given

if TYPE_CHECKING:
    from torch import Tensor

EPOCHS: Final = 27
CHARACTERS: Final = 40
TRAIN: Final = 8_000  # characters
HELD: Final = 2_000  # of validation and test, each
_SHAPE: Final = ("batch_size", "steps", "units")
_WORST: Final = 2.0 * math.log(CHARACTERS)


@cache
def text() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Characters as numbers, to train, to validate, to test; the last from WikiText-2's own test text."""
    whole = [given(f"text/wikitext2_{part}.txt").read_text().lower() for part in ("valid", "test")]
    known = [one for one, _ in Counter(whole[0]).most_common(CHARACTERS - 1)]
    numbers = {one: number for number, one in enumerate(known, 1)}
    first, last = (np.array([numbers.get(one, 0) for one in part[: 2 * TRAIN]]) for part in whole)
    return first[:TRAIN], first[TRAIN : TRAIN + HELD], last[:HELD]


def train(configs: Sequence[Mapping[str, Any]], seed: int) -> Curves:
    """Those of one shape together."""
    import torch

    torch.set_num_threads(1)
    return trained(configs, _SHAPE, EPOCHS, lambda some: _together(some, seed))


def _together(configs: Sequence[Mapping[str, Any]], seed: int) -> Curves:
    import torch

    k, first = len(configs), configs[0]
    generator = torch.Generator().manual_seed(seed)
    weights = first_weights(k, int(first["units"]), generator)
    moments = [torch.zeros_like(one) for one in weights]
    rates, dropout, clip, decay = (
        torch.tensor([float(config[name]) for config in configs])
        for name in ("learning_rate", "dropout", "clipping", "rate_decay")
    )
    parts = [torch.from_numpy(part) for part in text()]
    batches = parts[0].view(first["batch_size"], -1)
    found = np.full((3, k, EPOCHS), np.nan)
    for epoch in range(EPOCHS):
        began = time.perf_counter()
        state = None
        now = rates * decay ** (epoch / (EPOCHS - 1))
        for start in range(0, batches.shape[1] - 1, first["steps"]):
            piece = batches[:, start : start + first["steps"] + 1]
            losses, state = losses_of(weights, piece, state, dropout, generator)
            state = tuple(one.detach() for one in state)
            gradients = torch.autograd.grad(torch.nan_to_num(losses).sum(), weights)
            _step(weights, gradients, moments, now, clip)
        found[2, :, epoch] = (time.perf_counter() - began) / k
        with torch.no_grad():
            for part in (0, 1):
                held = parts[part + 1].view(20, -1)
                loss = losses_of(weights, held, None, None, generator)[0].numpy()
                found[part, :, epoch] = np.where(loss < _WORST, loss, np.nan)
    lost = np.logical_or.accumulate(np.isnan(found[0]), axis=1)
    found[:2, lost] = np.nan
    return Curves(*found)


def first_weights(k: int, units: int, generator: object) -> list[Tensor]:
    """Embedding (k, c, u), gates (k, 2 u, 4 u) and (k, 1, 4 u), output (k, u, c) and (k, 1, c)."""
    import torch

    recurrent = (2 * units, 4 * units), (1, 4 * units)
    shapes = ((CHARACTERS, units), *recurrent, (units, CHARACTERS), (1, CHARACTERS))
    bound = 1.0 / math.sqrt(units)
    found = []
    for shape in shapes:
        drawn = (torch.rand(shape, generator=generator) * 2.0 - 1.0) * bound  # type: ignore[call-overload]
        found.append(drawn.expand(k, *shape).clone().requires_grad_())
    return found


def losses_of(
    weights: Sequence[Tensor],
    piece: Tensor,
    state: tuple[Tensor, ...] | None,
    dropout: Tensor | None,
    generator: object,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Each model's mean loss on a piece of text (batch, steps + 1), (k,), and the state (k, batch, u) after.

    Args:
        dropout: (k,) of the embeddings and of what the output layer sees; None to evaluate.
    """
    import torch

    embedding, gates, bias, last, last_bias = weights
    k, units, batch = len(gates), gates.shape[1] // 2, len(piece)
    hidden, cell = state or (torch.zeros(k, batch, units),) * 2
    inputs = _dropped(embedding[:, piece[:, :-1]], dropout, generator)  # (k, batch, steps, u)
    outputs = []
    for step in range(inputs.shape[2]):
        both = torch.cat([inputs[:, :, step], hidden], dim=2)
        entry, forget, update, out = torch.baddbmm(bias, both, gates).chunk(4, dim=2)
        cell = torch.sigmoid(forget + 1.0) * cell + torch.sigmoid(entry) * torch.tanh(update)
        hidden = torch.sigmoid(out) * torch.tanh(cell)
        outputs.append(hidden)
    seen = _dropped(torch.stack(outputs, dim=2), dropout, generator).flatten(1, 2)
    scores = torch.baddbmm(last_bias, seen, last)  # (k, batch * steps, characters)
    targets = piece[:, 1:].reshape(-1)
    chosen = scores[:, torch.arange(len(targets)), targets]
    return (scores.logsumexp(dim=2) - chosen).mean(dim=1), (hidden, cell)


def _dropped(x: Tensor, share: Tensor | None, generator: object) -> Tensor:
    """With a share of the numbers at 0, each model its own; all models see the same uniform numbers."""
    import torch

    if share is None:
        return x
    drawn = torch.rand(x.shape[1:], generator=generator)  # type: ignore[call-overload]
    keep = 1.0 - share.view(-1, 1, 1, 1)
    return x * ((drawn < keep) / keep)


def _step(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    moments: Sequence[Tensor],
    rates: Tensor,
    clip: Tensor,
) -> None:
    """RMSprop (decay 0.99) on gradients whose norm, over a model's parameters, is at most `clip` (k,)."""
    import torch

    with torch.no_grad():
        norms = sum((one**2).flatten(1).sum(dim=1) for one in gradients).sqrt()
        factors = torch.nan_to_num((clip / (norms + 1e-9)).clamp(max=1.0))
        for one, gradient, moment in zip(weights, gradients, moments, strict=True):
            shape = (-1, *[1] * (one.ndim - 1))
            clipped = torch.nan_to_num(gradient) * factors.view(shape)
            moment.mul_(0.99).addcmul_(clipped, clipped, value=0.01)
            one.sub_(rates.view(shape) * clipped / (moment.sqrt() + 1e-8))


ENTRIES: Final = {
    "lstm": Recipe(
        {
            "batch_size": Axis((16, 64), "whole"),
            "steps": Axis((10, 40), "whole"),
            "units": Axis((12, 48), "whole"),
            "dropout": Axis((0.0, 0.2, 0.5), "linear"),
            "clipping": Axis((0.1, 1.0), "log"),
            "rate_decay": Axis((1e-2, 1.0), "log"),
            "learning_rate": Axis((2e-4, 1e-3, 5e-3, 2.5e-2, 1.2e-1), "log"),
        },
        "epoch",
        tuple(range(1, EPOCHS + 1)),
        train,
        60,
        f"an LSTM on characters of WikiText-2 (Merity et al. 2016, CC BY-SA): {TRAIN:,} for training, "
        f"{HELD:,} each for validation and testing; negative log-likelihood in nats",
    ),
}
