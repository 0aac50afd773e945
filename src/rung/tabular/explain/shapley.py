"""Why this prediction: what each column's cell contributed, by Shapley values (Shapley 1953).

The game: the value of a set of columns is the mean prediction over background rows whose cells in these
columns are replaced by the explained row's ("interventional" Shapley values; Štrumbelj and Kononenko 2014,
Lundberg and Lee 2017). With few columns all sets are computed, which is exact; otherwise pairs of a random
order of the columns and its reverse are followed, each against one background row (Štrumbelj and Kononenko
2014, algorithm 1; antithetic pairs: Mitchell, Cooper, Frank, Holmes 2022). Contributions telescope within an
order, so that they sum to the prediction minus the mean prediction of the very background rows that were
used: additivity is exact, whatever the number of samples; what sampling leaves uncertain is said as an error.

A column is one player, whatever it becomes inside the model: a date is not six, a text not a thousand.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.columns import prepare

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Model

Floats = NDArray[np.float64]

MOST_EXACT: Final = 8  # columns of which all 2^n sets are computed
BACKGROUND: Final = 200  # rows
PAIRS: Final = 200  # of orders
BATCH: Final = 20_000  # rows predicted at once


class Effort(NamedTuple):
    """How many pairs of orders are followed where not all sets are computed, at least 1.

    Attributes:
        deadline: monotonic time after which no further pair is; some always are.
        exact: whether to compute all sets where the columns are few.
    """

    pairs: int = PAIRS
    deadline: float = float("inf")
    exact: bool = True


USUAL: Final = Effort()


class Contribution(NamedTuple):
    """What one column's cell added to the prediction.

    Attributes:
        value: the cell, as the model reads it; None where it is missing.
        error: standard error from sampling, 0 where the value is exact.
    """

    column: str
    value: Any
    amount: float
    error: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a row's prediction differs from the usual one: `base` plus all amounts is `prediction`.

    Attributes:
        what: what is explained: "P(yes)", or the target's name.
        base: mean prediction of the background.
        contributions: of all columns that the model reads, the largest first.
        exact: whether all sets of columns were computed.
        samples: orders of the columns that were followed, or sets that were computed.
        background: rows that the row was compared with.
    """

    what: str
    base: float
    prediction: float
    contributions: tuple[Contribution, ...]
    exact: bool
    samples: int
    background: int


class _Game(NamedTuple):
    """Row 0 is explained, the others are the background.

    Attributes:
        cells: as `prepare` returns them, (1 + background) rows.
        players: columns in which the row differs from at least one row of the background.
        output: of the raw prediction, which number; None for values.
    """

    model: Model
    cells: pd.DataFrame
    players: list[str]
    output: int | None

    def worth(self, places: dict[str, NDArray[np.intp]], rows: NDArray[np.intp]) -> Floats:
        """Predictions of rows made of the cells at these places; those not named stand at `rows`: (n,)."""
        import pandas as pd

        columns = {
            name: self.cells[name].array.take(places.get(name, rows))  # keeps the column's type
            for name in self.cells.columns
        }
        raw = self.model.raw(pd.DataFrame(columns, index=pd.RangeIndex(len(rows))))  # there may be no column
        return raw if self.output is None else raw[:, self.output]


def explain_row(
    model: Model,
    frame: pd.DataFrame,
    row: int,
    background: pd.DataFrame | None = None,
    *,
    output: int | None = None,
    effort: Effort = USUAL,
    seed: int = 0,
) -> Explanation:
    """Why `model` predicts what it does for the row at place `row` of `frame`, counted from 0.

    Args:
        background: rows to compare with; at most 200 of `frame`'s unless given.
        output: code of the class whose probability is explained; the predicted one unless given.

    Raises:
        DataError: the row is not there, or a column is missing.
    """
    from rung.tabular.evaluate import quietly

    check_row(row, len(frame))
    rng = np.random.default_rng([seed, 53])
    others = frame if background is None else background
    cells = _stacked(model, frame, row, others, BACKGROUND, rng)
    with quietly():
        game = _game(model, cells, output)
        if (effort.exact and len(game.players) <= MOST_EXACT) or not game.players:
            fewer = cells.iloc[: 1 + BATCH // 2 ** len(game.players)].reset_index(drop=True)
            return _explanation(_exact(game._replace(cells=fewer)), game._replace(cells=fewer))
        return _explanation(_sampled(game, effort, rng), game)


def check_row(row: int, rows: int) -> None:
    """Refuse a row that is not there; the sentence counts from 1, as people do.

    Raises:
        DataError: saying which rows there are.
    """
    if not 0 <= row < rows:
        raise DataError(
            f"there is no row {row + 1:,}: the table has rows 1 to {rows:,}, its header not counted"
        )


def _stacked(
    model: Model, frame: pd.DataFrame, row: int, others: pd.DataFrame, most: int, rng: np.random.Generator
) -> pd.DataFrame:
    """The row, then the background in random order, as the model reads them."""
    import pandas as pd

    rows = rng.permutation(len(others))[:most]
    parts = [prepare(frame.iloc[[row]], model.columns), prepare(others.iloc[rows], model.columns)]
    return pd.DataFrame(
        {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0].columns},
        index=pd.RangeIndex(1 + len(rows)),
    )


def _game(model: Model, cells: pd.DataFrame, output: int | None) -> _Game:
    if model.task.is_classification and output is None:
        output = int(model.codes(model.raw(cells.iloc[[0]]))[0])
    elif not model.task.is_classification:
        output = None
    return _Game(model, cells, [name for name in cells.columns if _differs(cells[name])], output)


def _differs(values: pd.Series[Any]) -> bool:
    """Whether the first cell is another than any of the others."""
    first, gone = values.iloc[0], values.isna().to_numpy()
    if gone[0]:
        return not bool(gone.all())
    return bool(gone.any() or (values != first).any())


class _Found(NamedTuple):
    """Amounts and their errors (players,), of how many samples, and the two ends."""

    amounts: Floats
    errors: Floats
    samples: int
    base: float
    prediction: float
    exact: bool


def _exact(game: _Game) -> _Found:
    """All sets of players, each the mean over the whole background."""
    n, rows = len(game.players), len(game.cells) - 1
    masks = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 > 0  # (2^n, n) who is in
    background = np.tile(np.arange(1, rows + 1), len(masks))
    repeated = np.repeat(masks, rows, axis=0)
    worth = np.concatenate(
        [
            game.worth(_places(game.players, repeated[part], background[part]), background[part])
            for part in _parts(len(background))
        ]
    )
    value = worth.reshape(len(masks), rows).mean(axis=1)  # (2^n,)
    size = masks.sum(axis=1)
    amounts = np.zeros(n)
    for j in range(n):
        without = np.flatnonzero(~masks[:, j])
        weight = 1.0 / (n * np.array([comb(n - 1, int(s)) for s in size[without]]))
        amounts[j] = weight @ (value[without + (1 << j)] - value[without])
    return _Found(amounts, np.zeros(n), len(masks), float(value[0]), float(value[-1]), exact=True)


def _sampled(game: _Game, effort: Effort, rng: np.random.Generator) -> _Found:
    """Random orders with their reverses, in batches of as many as are predicted at once."""
    pairs, deadline, _ = effort
    n, rows = len(game.players), len(game.cells) - 1
    each = max(1, BATCH // (2 * (n + 1)))
    sums: list[Floats] = []
    ends: list[Floats] = []
    done = 0
    while done < pairs and (not sums or time.monotonic() < deadline):
        count = min(each, pairs - done) if sums or deadline == float("inf") else min(20, each, pairs)
        orders = rng.permuted(np.tile(np.arange(n), (count, 1)), axis=1)
        against = 1 + (done + np.arange(count)) % rows
        forward, base, whole = _followed(game, orders, against)
        backward, _, _ = _followed(game, orders[:, ::-1], against)
        sums.append((forward + backward) / 2)
        ends.append(np.column_stack([base, whole]))
        done += count
    pairwise, both = np.vstack(sums), np.vstack(ends)
    errors = pairwise.std(axis=0, ddof=1) / np.sqrt(done) if done > 1 else np.full(n, np.nan)
    base, prediction = both.mean(axis=0)
    return _Found(pairwise.mean(axis=0), errors, 2 * done, float(base), float(prediction), exact=False)


def _followed(
    game: _Game, orders: NDArray[np.intp], against: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Each player's gain when it joins, (count, n), and the worth of nobody and of all, (count,) each."""
    count, n = orders.shape
    joins = np.argsort(orders, axis=1)  # (count, n) when each player joins
    masks = joins[:, None, :] < np.arange(n + 1)[None, :, None]  # (count, n + 1, n)
    background = np.repeat(against, n + 1)
    worth = game.worth(_places(game.players, masks.reshape(-1, n), background), background)
    path = worth.reshape(count, n + 1)
    gains = np.take_along_axis(np.diff(path, axis=1), joins, axis=1)
    return gains, path[:, 0], path[:, -1]


def _places(
    players: list[str], masks: NDArray[np.bool_], background: NDArray[np.intp]
) -> dict[str, NDArray[np.intp]]:
    """Where each player's cell comes from: the explained row (0) where it is in, else the background row."""
    return {name: np.where(masks[:, j], 0, background) for j, name in enumerate(players)}


def _parts(rows: int) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, rows, BATCH)]


def _explanation(found: _Found, game: _Game) -> Explanation:
    """All columns, also those without a part in it, the largest amount first."""
    by_name = dict(zip(game.players, zip(found.amounts, found.errors, strict=True), strict=True))
    parts = [
        Contribution(name, plain_cell(game.cells[name].iloc[0]), *map(float, by_name.get(name, (0.0, 0.0))))
        for name in game.cells.columns
    ]
    task = game.model.task
    what = game.model.target if game.output is None else f"P({task.classes[game.output]})"
    return Explanation(
        what,
        found.base,
        found.prediction,
        tuple(sorted(parts, key=lambda part: -abs(part.amount))),
        found.exact,
        found.samples,
        len(game.cells) - 1,
    )


def plain_cell(cell: Any) -> Any:
    """The cell as JSON has it; None where it is missing."""
    import pandas as pd

    if pd.isna(cell):
        return None
    if isinstance(cell, float | np.floating):
        return float(cell)
    return cell if isinstance(cell, bool | int) else str(cell)
