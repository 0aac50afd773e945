"""What a pretrained model is to the rest: something that embeds batches of texts or of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.pretrained.libraries import library, quietly

Vectors = NDArray[np.float32]
Run = Callable[[Sequence[Any]], Any]
"""From a batch of texts, or of PIL images, to a tensor (n, d)."""

TEXT: Final = "text"
IMAGE: Final = "image"


@dataclass(frozen=True)
class Network:
    """A pretrained model that embeds cells.

    Attributes:
        runs: how batches are embedded, by what the cells are, `TEXT` or `IMAGE`.
        classify: from a batch to the probabilities of the source's classes, where it has a classifier's head.
        module: the PyTorch module that the runs go through, where gradients do too; else None.
    """

    runs: dict[str, Run]
    classify: Run | None = None
    module: Any = None

    def embed(self, batch: Sequence[Any], what: str) -> Vectors:
        """(n, d) of texts or images."""
        return _numbers(self.runs[what], batch)

    def source_classes(self, batch: Sequence[Any]) -> NDArray[np.float64] | None:
        """(n, z) probabilities of the classes that the source model was trained for."""
        return None if self.classify is None else _numbers(self.classify, batch).astype(np.float64)


def _numbers(run: Run, batch: Sequence[Any]) -> Vectors:
    torch = library("torch")
    with torch.inference_mode(), quietly():
        found = run(batch).float().cpu().numpy()
    return np.asarray(found, dtype=np.float32)
