"""Fine-tuning of a pretrained model to a target: its biases and normalisations, after a linear probe.

What is trained is every parameter with one axis (biases, and the weights of layer and batch normalisation),
about a thousandth of the model, so that a model file can keep it: BitFit (Ben Zaken, Goldberg and Ravfogel,
"BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models", ACL 2022). A
linear head is fitted on the frozen embedding first, so that the first steps spoil nothing of what the model
knows: LP-FT (Kumar, Raghunathan, Jones, Ma and Liang, "Fine-Tuning can Distort Pretrained Features and
Underperform Out-of-Distribution", ICLR 2022). The loss on a fifth of the rows says which epoch is kept.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.pretrained.libraries import library, quietly
from rung.tabular.pretrained.network import Network

Weights = Mapping[str, NDArray[np.float32]]
"""What was trained, by the parameter's name."""

LEAST: Final = 60
"""Rows below which nothing is tuned."""
_EPOCHS: Final = 30
_PATIENCE: Final = 4  # epochs without a better loss
_FEWEST: Final = 3  # epochs that must fit the time; rows are left out for it
_BATCH: Final = 16
_RATE: Final = 1e-3
_PROBE_STEPS: Final = 200
_PROBE_RATE: Final = 0.02
_ASIDE: Final = 0.2  # of the rows choose the epoch


class Lesson(NamedTuple):
    """What a network is tuned to.

    Attributes:
        batch: from row numbers to what the network reads: texts, or images.
        vectors: (n, d) the frozen embedding of the rows.
        y: (n,) codes, or values.
        classes: 0 for values.
    """

    batch: Callable[[Sequence[int]], Sequence[Any]]
    vectors: NDArray[np.float32]
    y: NDArray[Any]
    classes: int


class Tuning(NamedTuple):
    """What came of it.

    Attributes:
        weights: of the best epoch; None where none was better than the frozen model, or there was no time.
        rows: that were looked at.
        epochs: that were run.
        seconds: that one epoch over all rows takes.
    """

    weights: Weights | None
    rows: int
    epochs: int
    seconds: float


def digest_of(weights: Weights) -> str:
    """By which tuned weights are known, in hex."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(weights[name], dtype=np.float32).tobytes())
    return found.hexdigest()[:16]


def put(network: Network, weights: Weights) -> None:
    """Set what was tuned in a network that was loaded as it was before."""
    torch = library("torch")
    own = dict(network.module.named_parameters())
    with torch.no_grad():
        for name, value in weights.items():
            own[name].copy_(torch.from_numpy(np.array(value, dtype=np.float32)))


def tunable(network: Network) -> bool:
    """Whether the network has anything that can be trained."""
    return network.module is not None and bool(_chosen(network.module))


def tune(network: Network, what: str, lesson: Lesson, deadline: Deadline, seed: int) -> Tuning:
    """Tune a network, which is afterwards as it was before.

    Args:
        what: the cells are, "text" or "image".
    """
    chosen = _chosen(network.module)
    before = _copied(chosen)
    course = _Course(network, what, lesson, seed)
    try:
        with quietly():
            for parameter in network.module.parameters():
                parameter.requires_grad_(False)
            for parameter in chosen.values():
                parameter.requires_grad_(True)
            return course.run(chosen, deadline)
    finally:
        for parameter in chosen.values():
            parameter.requires_grad_(False)
            parameter.grad = None
        put(network, before)


def _chosen(module: Any) -> dict[str, Any]:
    return {name: p for name, p in module.named_parameters() if p.ndim == 1 and p.is_floating_point()}


def _copied(parameters: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    return {name: np.array(p.detach().cpu().numpy(), dtype=np.float32) for name, p in parameters.items()}


class _Course:
    """One tuning: the head, the rows, and the loss."""

    def __init__(self, network: Network, what: str, lesson: Lesson, seed: int) -> None:
        torch = library("torch")
        self.run_batch, self.lesson = network.runs[what], lesson
        self.rng = np.random.default_rng([seed, 91])
        self.center = torch.from_numpy(lesson.vectors.mean(axis=0))
        self.spread = float(lesson.vectors.std()) or 1.0
        if lesson.classes:
            self.y = torch.from_numpy(np.asarray(lesson.y, dtype=np.int64))
            self.loss = torch.nn.functional.cross_entropy
        else:
            values = np.asarray(lesson.y, dtype=np.float64)
            values = (values - values.mean()) / (values.std() or 1.0)
            self.y = torch.from_numpy(values.astype(np.float32)[:, None])
            self.loss = torch.nn.functional.mse_loss
        self.head = torch.nn.Linear(lesson.vectors.shape[1], lesson.classes or 1)
        for parameter in self.head.parameters():
            torch.nn.init.zeros_(parameter)

    def run(self, chosen: Mapping[str, Any], deadline: Deadline) -> Tuning:
        """The probe, then epochs while they help and there is time."""
        torch = library("torch")
        order = self.rng.permutation(len(self.lesson.y))
        one = self._seconds_of_one(order)
        rows = min(len(order), int(deadline.remaining / (_FEWEST * one)))
        if rows < LEAST:
            return Tuning(None, rows, 0, one * len(order))
        aside = int(_ASIDE * rows)
        held, learned = order[:aside], order[aside:rows]
        self._probe(learned)
        optimizer = torch.optim.AdamW([*chosen.values(), *self.head.parameters()], lr=_RATE)
        best, found, since, epoch = self._held(held), None, 0, 0
        while epoch < _EPOCHS and since < _PATIENCE and deadline.remaining > one * rows:
            self._epoch(learned, optimizer)
            epoch, since, now = epoch + 1, since + 1, self._held(held)
            if now < best:
                best, found, since = now, _copied(chosen), 0
        return Tuning(found, rows, epoch, one * len(order))

    def _of(self, rows: NDArray[np.intp]) -> Any:
        """The loss of a batch."""
        found = self.run_batch(self.lesson.batch(rows.tolist())).float()
        return self.loss(self.head((found - self.center) / self.spread), self.y[rows])

    def _seconds_of_one(self, order: NDArray[np.intp]) -> float:
        """Of a row's share of an epoch, the loss of the rows aside with it."""
        for _ in range(2):  # the first one starts threads
            began = time.monotonic()
            self._of(order[:_BATCH]).backward()
        return (time.monotonic() - began) / min(_BATCH, len(order))

    def _probe(self, rows: NDArray[np.intp]) -> None:
        """The head on the frozen embedding, all rows at once."""
        torch = library("torch")
        features = (torch.from_numpy(self.lesson.vectors[rows]) - self.center) / self.spread
        optimizer = torch.optim.AdamW(self.head.parameters(), lr=_PROBE_RATE, weight_decay=0.1)
        for _ in range(_PROBE_STEPS):
            optimizer.zero_grad()
            self.loss(self.head(features), self.y[rows]).backward()
            optimizer.step()

    def _epoch(self, rows: NDArray[np.intp], optimizer: Any) -> None:
        shuffled = self.rng.permutation(rows)
        for start in range(0, len(shuffled), _BATCH):
            optimizer.zero_grad()
            self._of(shuffled[start : start + _BATCH]).backward()
            optimizer.step()

    def _held(self, rows: NDArray[np.intp]) -> float:
        """The mean loss of rows that are not trained on."""
        torch = library("torch")
        with torch.no_grad():
            parts = [rows[start : start + 2 * _BATCH] for start in range(0, len(rows), 2 * _BATCH)]
            return float(
                np.average([float(self._of(part)) for part in parts], weights=[len(p) for p in parts])
            )
