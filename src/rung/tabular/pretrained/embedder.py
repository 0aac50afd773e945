"""The start of a fit with pretrained models: embed each column once, if it fits the time, and score it."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Column, Kind, prepare
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Encoder, Table, encode
from rung.tabular.pretrained import memory
from rung.tabular.pretrained.cells import open_image
from rung.tabular.pretrained.embedding import Embedding, TooSlow, what_is_in
from rung.tabular.pretrained.encoder import EmbeddingEncoder
from rung.tabular.pretrained.network import IMAGE
from rung.tabular.pretrained.networks import load
from rung.tabular.pretrained.source import Source, locate
from rung.tabular.pretrained.transfer import Score, explained, leep, logme, some_rows
from rung.tabular.pretrained.tuner import Made, Rows, Tuner
from rung.tabular.pretrained.tuning import digest_of

if TYPE_CHECKING:
    import pandas as pd

PART: Final = 0.5
"""Of the time that is left when the libraries and the first model are loaded: what embedding may take."""
_MOST_HEAD: Final = 200  # rows on which a source model's classes are looked at, for LEEP
_GONE: Final = "left out"
_FEW: Final = 10  # rows below which nothing is scored


class Labels(NamedTuple):
    """The training rows' target: (m,) codes or values, and the number of classes (0 for values)."""

    y: NDArray[Any]
    classes: int


@dataclass
class Embedder:
    """What is to be embedded, and in which time.

    Attributes:
        sources: the model of each column.
        budget: seconds of the whole fit.
        began: when they began (monotonic).
        folder: of an earlier session of the study; None if there is none.
        gone: columns that the earlier session left out, for want of time.
        notes: sentences about what was done, filled by `encode` and `tune`.
        stored: by column, what that session tuned, "" if nothing.
    """

    sources: Mapping[str, Source]
    budget: float
    began: float
    folder: Path | None = None
    seed: int = 0
    gone: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    stored: dict[str, str] | None = None
    _end: Deadline | None = None
    _made: list[Made] = field(default_factory=list)

    def encode(
        self, frame: pd.DataFrame, train: NDArray[np.intp], columns: tuple[Column, ...], labels: Labels
    ) -> tuple[tuple[Column, ...], Encoder, Table]:
        """As `rung.tabular.encode.encode` of the training rows, with embeddings where they fit the time.

        All rows are embedded, so that those held out cost nothing at the end; principal components and
        scores see the training rows only.

        Raises:
            DataError: a model cannot be loaded, or a cell is no image.
        """
        folder = str(frame.attrs.get("folder", ""))
        found: list[Embedding] = []
        columns = tuple(_dropped(column) if column.name in self.gone else column for column in columns)
        used = {column.name for column in columns if column.used}
        for name, source in self.sources.items():
            if name not in used:
                continue
            made, columns = self._embedded(frame, train, columns, (name, source, folder), labels)
            found += made
        some = frame if len(train) == len(frame) else frame.iloc[train]
        plain, table = encode(some, columns)
        if not found:
            return columns, plain, table
        schema = json.dumps([asdict(column) for column in columns])
        encoder = EmbeddingEncoder(schema, plain.levels, found, folder, counted=True)
        return columns, encoder, encoder.transform(some)

    def wants_tuning(self) -> bool:
        """Whether a model is to be fine-tuned, for which rows must be held out."""
        return bool(self._tuner("").wishes(self._made))

    def tune(
        self,
        encoder: Encoder,
        frame: pd.DataFrame,
        train: NDArray[np.intp],
        folds: NDArray[Any],
        labels: Labels,
    ) -> tuple[Encoder, Table] | None:
        """The encoder and the training rows with fine-tuned models; None where none is worth it.

        Args:
            folds: (m,) of the training rows: 0 where a row is held out.
            labels: (m,) of the training rows.
        """
        assert isinstance(encoder, EmbeddingEncoder)
        tuner, budget = self._tuner(encoder.folder), Deadline.after(self.budget, self.began)
        y = np.zeros(len(frame), dtype=labels.y.dtype)
        y[train] = labels.y
        rows = Rows(train[folds != 0], train[folds == 0], train, y, labels.classes)
        wished, fresh = tuner.wishes(self._made), {}
        for one in wished:
            found, how = tuner.tuned(one, rows, budget)
            self.notes[self.notes.index(one.said)] = f"{one.said.rpartition(': ')[0]}: {how}"
            if found is not None:
                fresh[found.column] = found
        if not fresh:
            return None
        encoder.embeddings = [fresh.get(one.column, one) for one in encoder.embeddings]
        return encoder, encoder.transform(frame if len(train) == len(frame) else frame.iloc[train])

    def _tuner(self, folder: str) -> Tuner:
        return Tuner(folder, self.seed, self.stored, self.folder)

    def keep(self, folder: Path, encoder: Encoder) -> None:
        """Write what was computed into the study's folder, for its next session."""
        memory.write(folder, list(self.sources.values()))
        for one in getattr(encoder, "embeddings", ()):
            if one.tuned:
                memory.write_tuned(folder, digest_of(one.tuned), one.tuned)

    def _embedded(
        self,
        frame: pd.DataFrame,
        train: NDArray[np.intp],
        columns: tuple[Column, ...],
        what: tuple[str, Source, str],
        labels: Labels,
    ) -> tuple[list[Embedding], tuple[Column, ...]]:
        """The column's embedding, none where it takes too long; and the columns as they are used then."""
        name, source, folder = what
        if self.folder is not None:
            memory.read(self.folder, source)
        network = load(source, name)
        one = tuple(column for column in columns if column.name == name)
        cells = list(prepare(frame, one)[name])
        embedding = Embedding(name, source, what_is_in(network, cells, folder))
        by, before = self._by(), time.monotonic()
        try:
            vectors = embedding.vectors(cells, folder, by)
        except TooSlow as slow:
            return [], self._without(embedding, columns, slow)
        if vectors is None:
            return [], columns
        here = np.flatnonzero(~np.isnan(vectors[train, 0]))
        if not len(here):
            return [], columns
        seen = vectors[train[here]]
        embedding.fit(seen)
        known = Labels(labels.y[here], labels.classes)
        score = self._score(embedding, seen, ([cells[row] for row in train[here]], folder), known)
        self.notes.append(_told(embedding, seen.shape[1], score))
        took = time.monotonic() - before
        self._made.append(Made(embedding, cells, vectors, score, took, self.notes[-1]))
        return [embedding], columns

    def _by(self) -> Deadline:
        """When all embedding is to be done."""
        if self._end is None:
            left = Deadline.after(self.budget, self.began).remaining
            self._end = Deadline.after(PART * left)
        return self._end

    def _without(
        self, embedding: Embedding, columns: tuple[Column, ...], slow: TooSlow
    ) -> tuple[Column, ...]:
        """Say that a column is not embedded; its texts are used as they are, its images are left out."""
        name, images = embedding.column, embedding.what == IMAGE
        instead = "is left out" if images else "is used as plain text"
        self.notes.append(f"column {name!r} {instead}: {slow}; give a larger --budget")
        if not images:
            return columns
        return tuple(_dropped(column) if column.name == name else column for column in columns)

    def _score(
        self,
        embedding: Embedding,
        seen: NDArray[np.float32],
        where: tuple[Sequence[Any], str],
        labels: Labels,
    ) -> Score | None:
        """LogME and the like of the training rows; None where there are too few."""
        if len(seen) < _FEW:
            return None
        left = self._by().remaining
        rows = some_rows(len(seen), self.seed, 4000 if left > 20 else 500)
        features, y = seen[rows].astype(np.float64), labels.y[rows]
        head = self._leep(embedding, where, labels, rows) if labels.classes and left > 1 else None
        return Score(logme(features, y, labels.classes), head, explained(features, y, labels.classes))

    def _leep(
        self, embedding: Embedding, where: tuple[Sequence[Any], str], labels: Labels, rows: NDArray[np.intp]
    ) -> float | None:
        network = load(embedding.source, embedding.column)
        if network.classify is None:
            return None
        cells, folder = where
        few = rows[:: max(1, len(rows) // _MOST_HEAD)][:_MOST_HEAD]
        parts = []
        for start in range(0, len(few), 32):
            batch = [cells[row] for row in few[start : start + 32]]
            if embedding.what == IMAGE:
                batch = [open_image(cell, folder, f"column {embedding.column!r}") for cell in batch]
            parts.append(network.source_classes(batch))
        return leep(np.vstack([part for part in parts if part is not None]), labels.y[few])


def make_embedder(
    embed: Mapping[str, str], budget: float, began: float, seed: int, stored: tuple[Any, Path] | None = None
) -> Embedder | None:
    """The embedder that a user asked for; None where nothing is to be embedded.

    Args:
        embed: the folder of each column's pretrained model.
        stored: of a study that goes on: its `identity`, and its folder.

    Raises:
        DataError: a folder is missing, or holds no model.
    """
    sources = {name: locate(folder, name) for name, folder in embed.items()}
    if stored is None:
        return Embedder(sources, budget, began, None, seed) if sources else None
    known = dict(stored[0] or {})
    gone = tuple(name for name, model in known.items() if model == _GONE)
    sources = {name: source for name, source in sources.items() if name in set(known) - set(gone)}
    tuned = {name: model.partition("+")[2] for name, model in known.items()}
    return Embedder(sources, budget, began, stored[1], seed, gone, stored=tuned) if known else None


def identity(encoder: Encoder, columns: Iterable[Column], embed: Collection[str]) -> dict[str, str]:
    """The columns that were to be embedded, those used as plain text left out: by which models."""
    found = {c.name: _GONE for c in columns if c.name in embed and c.kind == Kind.DROPPED}
    if isinstance(encoder, EmbeddingEncoder):
        found |= {one.column: one.model for one in encoder.embeddings}
    return found


def _dropped(column: Column) -> Column:
    return replace(column, kind=str(Kind.DROPPED))


def plain_numbers(encoder: Encoder, table: Table) -> NDArray[np.float64]:
    """The numbers that come from the table's own cells: (n, a)."""
    if not isinstance(encoder, EmbeddingEncoder):
        return table.numbers
    return table.numbers[:, : table.numbers.shape[1] - sum(one.width for one in encoder.embeddings)]


def _told(embedding: Embedding, width: int, score: Score | None) -> str:
    shape = f"{width} numbers" if width == embedding.width else f"{embedding.width} of {width} dimensions"
    start = f"column {embedding.column!r} is embedded with {embedding.source.name} ({shape})"
    if score is None:
        return f"{start}, frozen"
    share = f"{start}: {score.said()}, it accounts for {score.explained:.0%} of the target"
    if score.frozen:
        return f"{share}: used frozen"
    return f"{share}: used frozen, though a model fine-tuned to this target would suit it better"
