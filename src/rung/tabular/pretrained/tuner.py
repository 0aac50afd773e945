"""Whether a column's model is fine-tuned, on which rows, and whether it was worth it.

Embeddings that LogME finds good are used frozen. Where one says little about the target, its model is tuned
on the training rows of one holdout (`rung.tabular.pretrained.tuning`), which the whole search then keeps to:
the network has not seen its held-out rows, so that every score stays honest. What is tuned is used if it
accounts for more of the target on these rows than the frozen one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.pretrained import memory
from rung.tabular.pretrained.cells import open_image
from rung.tabular.pretrained.embedding import Embedding, TooSlow
from rung.tabular.pretrained.network import IMAGE
from rung.tabular.pretrained.networks import load
from rung.tabular.pretrained.transfer import Score, explained, some_rows
from rung.tabular.pretrained.tuning import LEAST, Lesson, Tuning, tunable, tune

_PART: Final = 0.5  # of the time that is left then
_HELD: Final = 20  # held-out rows below which nothing can be compared
_BETTER: Final = 0.02  # more of the target must be accounted for: less may be chance


@dataclass
class Made:
    """A column that was embedded frozen.

    Attributes:
        cells: (n,) of all rows, training rows and others.
        vectors: (n, d) their frozen embedding, NaN where a cell is missing.
        seconds: that embedding them took, 0 if they were known.
        said: the start of its sentence.
    """

    embedding: Embedding
    cells: Sequence[Any]
    vectors: NDArray[np.float32]
    score: Score | None
    seconds: float
    said: str


class Rows(NamedTuple):
    """Rows of the frame, by number: those that are learned from, those that judge, and both.

    Attributes:
        y: (n,) of all the frame's rows, NaN or anything where a row is in none of these.
    """

    learned: NDArray[np.intp]
    held: NDArray[np.intp]
    train: NDArray[np.intp]
    y: NDArray[Any]
    classes: int


@dataclass(frozen=True)
class Tuner:
    """How columns are tuned.

    Attributes:
        folder: where images are looked for.
        stored: by column, what an earlier session of the study tuned, "" if it used the model frozen; None if
            there was none.
        study: that session's folder.
    """

    folder: str
    seed: int
    stored: dict[str, str] | None = None
    study: Path | None = None

    def wishes(self, made: Sequence[Made]) -> list[Made]:
        """The columns whose model is to be tuned."""
        if self.stored is not None:
            return [one for one in made if self.stored.get(one.embedding.column)]
        return [one for one in made if one.score is not None and not one.score.frozen and _can(one)]

    def tuned(self, one: Made, rows: Rows, budget: Deadline) -> tuple[Embedding | None, str]:
        """The column's embedding by the tuned model, None if it stays frozen; and how that is said.

        Raises:
            DataError: the model is no longer where it was.
        """
        if self.stored is not None:
            weights = memory.read_tuned(self.study, self.stored[one.embedding.column])
            if weights is None:
                return None, "what was tuned before is gone: used frozen"
            found = self._fitted(one, replace(one.embedding, tuned=weights), rows, None)
            return found, "used as it was tuned before"
        by = Deadline.after(_PART * budget.remaining)
        learned, held = (_there(one, some) for some in (rows.learned, rows.held))
        if len(learned) < LEAST or len(held) < _HELD:
            return None, "too few rows to fine-tune it: used frozen"
        done = self._course(one, learned, rows, by.earlier(1.5 * one.seconds))
        if done.weights is None:
            return None, _why_not(done)
        try:
            found = self._fitted(one, replace(one.embedding, tuned=done.weights), rows, by)
        except TooSlow:
            return None, _why_not(done._replace(epochs=0))
        now, before = self._explained(found, one, held, rows)
        figures = f"{now:.0%} of it on {len(held):,} other rows, frozen {before:.0%}"
        if now < before + _BETTER:
            return None, f"a model fine-tuned to it is no better ({figures}): used frozen"
        epochs = "1 epoch" if done.epochs == 1 else f"{done.epochs} epochs"
        return found, (
            f"fine-tuned to it on {done.rows:,} rows in {epochs} (its biases and normalisations; {figures}); "
            f"the {len(held):,} rows judge all trials, in place of folds"
        )

    def _course(self, one: Made, learned: NDArray[np.intp], rows: Rows, by: Deadline) -> Tuning:
        network, what = load(one.embedding.source, one.embedding.column), one.embedding.what

        def batch(chosen: Sequence[int]) -> Sequence[Any]:
            cells = [one.cells[learned[i]] for i in chosen]
            if what != IMAGE:
                return cells
            return [open_image(cell, self.folder, f"column {one.embedding.column!r}") for cell in cells]

        lesson = Lesson(batch, one.vectors[learned], rows.y[learned], rows.classes)
        return tune(network, what, lesson, by, self.seed)

    def _fitted(self, one: Made, fresh: Embedding, rows: Rows, by: Deadline | None) -> Embedding:
        """The new embedding with its components; all rows are embedded, so that it is done once."""
        vectors = fresh.vectors(one.cells, self.folder, by)
        fresh.fit(vectors[_there(one, rows.train)])
        return fresh

    def _explained(
        self, fresh: Embedding, one: Made, held: NDArray[np.intp], rows: Rows
    ) -> tuple[float, float]:
        """Of the target, on the rows held out: by the tuned embedding, and by the frozen one."""
        held = held[some_rows(len(held), self.seed, 2000)]
        tuned = fresh.reduce(fresh.vectors([one.cells[row] for row in held], self.folder))
        frozen = one.embedding.reduce(one.vectors[held])
        y = rows.y[held]
        return explained(tuned, y, rows.classes), explained(frozen, y, rows.classes)


def _can(one: Made) -> bool:
    return tunable(load(one.embedding.source, one.embedding.column))


def _there(one: Made, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the rows whose cell is not missing."""
    missing = np.isnan(one.vectors[rows, 0])
    return np.asarray(rows[~missing])


def _why_not(done: Tuning) -> str:
    if done.epochs:
        return "fine-tuning made nothing better: used frozen"
    return (
        f"to fine-tune it would take about {max(done.seconds, 1):,.0f} s an epoch, for which there is no "
        "time: used frozen; give a larger --budget"
    )
