"""A column's embedding as the fitted model keeps it, and how cells are embedded: once each, in batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.deadline import Deadline
from rung.tabular.pretrained import memory
from rung.tabular.pretrained.cells import holds_images, image_key, open_image
from rung.tabular.pretrained.libraries import first_line
from rung.tabular.pretrained.network import IMAGE, TEXT, Network
from rung.tabular.pretrained.networks import load
from rung.tabular.pretrained.source import Source
from rung.tabular.pretrained.tuning import Weights, digest_of
from rung.tabular.saying import say

Floats = NDArray[np.float64]

COMPONENTS: Final = 64
"""Numbers that a column becomes, at most."""
_BATCH: Final = 32
_NOTHING: Final = 0.1  # seconds in which nothing can be embedded
_PROBE: Final = 8  # cells in each of the batches that tell how long all of them will take
_PATIENCE: Final = 2.0  # seconds without a word
_PAUSE: Final = 5.0  # seconds between two words
_START: Final = 50  # characters that would take as long as what is the same for each text
_HOPELESS: Final = 2.5  # times the time that is left: what takes longer is given up at once, and
_LATE: Final = 1.2  # what takes longer than this, when
_SURE: Final = 0.25  # of the time has shown it
_DIGITS: Final = 4  # a row's embedding hangs on its batch by a millionth: not after rounding


class TooSlow(Exception):  # noqa: N818  # no error: the caller goes on without
    """Embedding does not fit the time."""


@dataclass
class Embedding:
    """How a column becomes numbers.

    Attributes:
        what: of the cells, "text" or "image".
        center: (d,) that is subtracted.
        components: (d, c) the principal components that are kept, scaled.
        tuned: what fine-tuning changed in the model; None if it is used frozen.
    """

    column: str
    source: Source
    what: str
    center: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    components: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))
    tuned: Weights | None = None  # files of earlier versions have none

    @property
    def model(self) -> str:
        """By which the model is known: its fingerprint, and with a plus that of what is tuned in it."""
        return self.source.fingerprint + (f"+{digest_of(self.tuned)}" if self.tuned else "")

    @property
    def width(self) -> int:
        """Numbers a cell."""
        return int(self.components.shape[1])

    def fit(self, vectors: NDArray[np.float32]) -> None:
        """Find the principal components of the training rows' embeddings (m, d), none of them missing."""
        self.center = vectors.mean(axis=0).astype(np.float32)
        centred = (vectors - self.center).astype(np.float64)
        d = centred.shape[1]
        kept = min(COMPONENTS, d)
        if d <= kept:
            axes = np.eye(d)
        else:
            axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :kept]
            axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(kept)])
        spread = float(np.sqrt((centred**2).sum(axis=1).mean() / max(1, d))) or 1.0
        self.components = (axes / spread).astype(np.float32)

    def reduce(self, vectors: NDArray[np.float32]) -> Floats:
        """(n, c) of embeddings (n, d); missing rows stay missing."""
        found = (vectors - self.center).astype(np.float64) @ self.components.astype(np.float64)
        return np.round(found, _DIGITS)

    def vectors(self, cells: Sequence[Any], folder: str, deadline: Deadline | None = None) -> Any:
        """(n, d) embeddings of cells, NaN where one is missing; None where all are.

        Args:
            folder: where images with a relative path are looked for first.

        Raises:
            DataError: the model is not where it was, or a cell is no image.
            TooSlow: it would not be done by the deadline.
        """
        work = _Work(self, list(cells), folder)
        work.run(deadline)
        return work.gathered()


def what_is_in(network: Network, cells: Sequence[Any], folder: str) -> str:
    """Whether the network is to read the cells as texts or to see them as images."""
    if len(network.runs) == 1:
        return next(iter(network.runs))
    return IMAGE if holds_images((x for x in cells if not _missing(x)), folder) else TEXT


def _missing(cell: Any) -> bool:
    return not isinstance(cell, str)


class _Pace:
    """How fast cells are embedded, and whether the others will be done in time."""

    def __init__(self, deadline: Deadline) -> None:
        self.given = deadline.remaining  # seconds
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self.began, self.size = time.monotonic(), 0

    @property
    def spent(self) -> float:
        """Seconds."""
        return time.monotonic() - self.began

    def add(self, size: int) -> None:
        """So much is done."""
        self.size += size

    def check(self, size: int, left: int, cells: int, most: float | None = None) -> None:
        """Add what was done, and give up where the rest will take too long.

        A machine that is busy for a moment makes the first batches slow: so a quick look gives up only where
        there is no hope, and a part of the time must be spent before less than that is enough.

        Args:
            left: the size of what is left, and `cells` their number.
            most: times the time that is left that the rest may take.
        """
        self.add(size)
        if not cells:
            return
        needed = self.spent / max(1, self.size) * left
        if most is None:
            most = _LATE if self.spent > _SURE * self.given else _HOPELESS
        if needed > most * max(0.0, self.given - self.spent):
            if self.given <= _NOTHING:
                raise TooSlow("loading the libraries and its model took the time for it")
            raise TooSlow(
                f"embedding {cells:,} more cells would take about {max(needed, 1):,.0f} s, over half of the "
                "time that is left"
            )


class _Work:
    """The cells of one column that are to be embedded, each once."""

    def __init__(self, embedding: Embedding, cells: list[Any], folder: str) -> None:
        self.embedding, self.cells, self.folder = embedding, cells, folder
        self.known = memory.known(embedding.model)
        self.keys = self._keys()
        first: dict[bytes, int] = {}
        for row, key in enumerate(self.keys):
            if key is not None and key not in self.known:
                first.setdefault(key, row)
        self.waiting = sorted(first.values(), key=lambda row: len(cells[row]))  # batches of like length
        self.mine = {key: self.known[key] for key in self.keys if key is not None and key in self.known}

    def _keys(self) -> list[bytes | None]:
        what = self.embedding.what
        seen: dict[str, bytes] = {}
        for cell in self.cells:
            if not self._gone(cell) and cell not in seen:
                text = image_key(cell, self.folder) if what == IMAGE else cell
                seen[cell] = memory.key_of(f"{what}\0{text}")
        return [None if self._gone(cell) else seen[cell] for cell in self.cells]

    def _gone(self, cell: Any) -> bool:
        return _missing(cell) or (self.embedding.what == IMAGE and not cell.strip())

    def run(self, deadline: Deadline | None) -> None:
        """Embed what is not known yet."""
        if not self.waiting:
            return
        network = load(self.embedding.source, self.embedding.column, self.embedding.tuned)
        pace = None if deadline is None else _Pace(deadline)
        if pace is not None:
            self._try(network, pace)
        began = said = time.monotonic()
        while self.waiting:
            batch, self.waiting = self.waiting[-_BATCH:], self.waiting[:-_BATCH]  # the longest first
            self._embed(network, batch)
            now = time.monotonic()
            if pace is not None:
                pace.check(self._size(batch), self._size(self.waiting), len(self.waiting))
            if self.waiting and now - began > _PATIENCE and now - said > (_PAUSE if said > began else 0):
                said = now
                say(self._progress(now - began))
        memory.trim()

    def _size(self, rows: Sequence[int]) -> int:
        """What embedding these takes, in characters; an image is as good as another."""
        if self.embedding.what == IMAGE:
            return len(rows)
        return sum(_START + len(self.cells[row]) for row in rows)

    def _progress(self, seconds: float) -> str:
        total = len(self.mine) + len(self.waiting)
        return (
            f"{self.embedding.column}: {len(self.mine):,} of {total:,} {self.embedding.what}s embedded with "
            f"{self.embedding.source.name}, {seconds:.0f} s"
        )

    def _try(self, network: Network, pace: _Pace) -> None:
        """Embed a few cells, drawn at random, and give up where all of them would take too long."""
        middle = len(self.waiting) // 2  # `waiting` is in order of length
        self._embed(network, [self.waiting.pop(middle)])  # the first run starts threads, and tells nothing
        drawn = np.sort(np.random.default_rng(0).permutation(len(self.waiting))[: 3 * _PROBE])
        parts = [drawn[_PROBE : 2 * _PROBE], drawn[2 * _PROBE :], drawn[:_PROBE]]  # middling, long, short
        pace.begin()
        done: set[int] = set()
        for part in parts:
            if len(part) and pace.spent < _PATIENCE:
                rows = [self.waiting[i] for i in part]
                self._embed(network, rows)
                pace.add(self._size(rows))
                done.update(part.tolist())
        self.waiting = [row for i, row in enumerate(self.waiting) if i not in done]
        pace.check(0, self._size(self.waiting), len(self.waiting), _HOPELESS)

    def _embed(self, network: Network, rows: Sequence[int]) -> None:
        what = self.embedding.what
        batch = [self._cell(row) for row in rows] if what == IMAGE else [self.cells[row] for row in rows]
        try:
            vectors = network.embed(batch, what)
        except (RuntimeError, ValueError, IndexError) as error:  # as PyTorch and transformers say it
            one = self.embedding
            raise DataError(
                f"the pretrained model {one.source.name} fails on column {one.column!r} "
                f"({first_line(error)}); see that its tokenizer and weights belong together"
            ) from error
        for row, vector in zip(rows, vectors, strict=True):
            key = self.keys[row]
            assert key is not None  # rows without a key do not wait
            self.mine[key] = self.known[key] = vector

    def _cell(self, row: int) -> Any:
        return open_image(self.cells[row], self.folder, f"column {self.embedding.column!r}, row {row + 1}")

    def gathered(self) -> Any:
        """(n, d), None where nothing is there."""
        if not self.mine:
            return None
        width = len(next(iter(self.mine.values())))
        nothing = np.full(width, np.nan, dtype=np.float32)
        return np.stack([nothing if key is None else self.mine[key] for key in self.keys])
