"""The dominant Hessian eigenvalue of the validation loss in the alphas, and a stop before it grows.

RobustDARTS (Zela et al. 2020): an architecture in a sharp minimum suffers when it is derived (section 4);
the search is stopped when the eigenvalue, smoothed, grows fast, and an earlier architecture is taken
(section 5.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from rung.nas.devices import average
from rung.nas.genotype import Genotype
from rung.nas.strategies.base import Ending, Turn
from rung.nas.strategies.remedies import Wrapper
from rung.nas.supernet import frozen_statistics

EIGENVALUE: Final = "eigenvalue"
_FEWEST: Final = 5  # iterations, however few steps there are

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class EarlyStop(Wrapper):
    """Ends a search when the eigenvalue has grown, and takes the architecture of some epochs before.

    Attributes:
        window: epochs over which the eigenvalue is averaged, and how far back is looked, of those in which
            the alphas learn: the paper's k = 5 of 50 epochs, a third of those of a search under 15.
        ratio: the search ends when the average of `window` epochs ago is under `ratio` times today's (.75).
        iterations: of the power iteration, at most; with two passes each no more than an epoch has steps.
    """

    window: int = 5
    ratio: float = 0.75
    iterations: int = 30

    def observe(self, turn: Turn) -> Mapping[str, Any]:
        """The other's figures, and the eigenvalue on the epoch's last batch of the alphas.

        There is none before the alphas begin to learn: until then it moves because the weights do.
        """
        if all(alpha.grad is None for alpha in turn.alphas.values()):
            return super().observe(turn)
        iterations = min(self.iterations, max(turn.task.steps // 2, _FEWEST))
        found = average(alpha_eigenvalue(self.inner.mixed, turn, iterations))
        return {**super().observe(turn), EIGENVALUE: found}

    def overstayed(self, notes: Sequence[Mapping[str, Any]]) -> int | None:
        """The epoch `window` before the present one, when the average has grown since."""
        other = super().overstayed(notes)
        if other is not None:
            return other
        values = [float(note[EIGENVALUE]) for note in notes if EIGENVALUE in note]
        then = grown(values, self.window, self.ratio)
        return None if then is None else len(notes) - len(values) + then

    def finish(self, ending: Ending) -> Genotype:
        """The architecture of the epoch before the growth; without growth, the other's."""
        at = self.overstayed([past.notes for past in ending.history])
        return super().finish(ending) if at is None else ending.history[at - 1].genotype


def window_of(epochs: int | None) -> int:
    """The window of a search of so many epochs: the paper's five, or a third of them where they are few."""
    return EarlyStop.window if epochs is None else max(min(EarlyStop.window, epochs // 3), 1)


def grown(values: Sequence[float], window: int, ratio: float) -> int | None:
    """The number of epochs to go back to, if the eigenvalue has grown by the last epoch; else None.

    Averages are over the last `window` epochs, or as many as there are.
    """
    now = len(values)
    then = now - window
    if then < 1:
        return None

    def smoothed(epochs: int) -> float:
        some = values[max(epochs - window, 0) : epochs]
        return sum(some) / len(some)

    return then if smoothed(then) < ratio * smoothed(now) else None


def alpha_eigenvalue(mixed: Callable[..., Any], turn: Turn, iterations: int = 30) -> float:
    """The greatest eigenvalue of the Hessian of the validation loss in all alphas together.

    Args:
        mixed: a strategy's.
    """
    leaves = list(turn.alphas.values())
    if not leaves:
        return 0.0
    with frozen_statistics(turn.net):
        weights = mixed(turn.space, turn.alphas, turn.net.alive, turn.moment)
        loss = turn.task.loss(turn.net, weights, turn.alphas_batch)
    first = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
    gradient = _flat(first, leaves)
    if not gradient.requires_grad:
        return 0.0

    def product(v: Tensor) -> Tensor:
        parts = torch.autograd.grad(gradient @ v, leaves, retain_graph=True, allow_unused=True)
        return _flat(parts, leaves).detach()

    generator = turn.moment.generator("eigenvalue")
    start = torch.randn(gradient.numel(), generator=generator, dtype=torch.float64).to(gradient)
    return greatest_eigenvalue(product, start, iterations)


def greatest_eigenvalue(product: Product, start: Tensor, iterations: int, tolerance: float = 1e-4) -> float:
    """Of a symmetric matrix given by its products, by power iteration.

    The first iteration finds the eigenvalue of greatest magnitude; if it is negative, a second one on the
    matrix shifted by it finds the greatest.

    Args:
        start: (n,), not orthogonal to what is sought: a random one.
        tolerance: relative change at which an iteration ends.
    """
    largest = _power(product, start, iterations, tolerance)
    if largest >= 0.0:
        return largest
    return largest + _power(lambda v: product(v) - largest * v, start, iterations, tolerance)


def _power(product: Product, start: Tensor, iterations: int, tolerance: float) -> float:
    v, value = start / start.norm(), 0.0
    for _ in range(iterations):
        y = product(v)
        old, value = value, float(v @ y)
        norm = float(y.norm())
        if norm == 0.0 or abs(value - old) <= tolerance * abs(value):
            break
        v = y / norm
    return value


def _flat(parts: Sequence[Tensor | None], like: Sequence[Tensor]) -> Tensor:
    return torch.cat(
        [(torch.zeros_like(x) if p is None else p).flatten() for p, x in zip(parts, like, strict=True)]
    )
