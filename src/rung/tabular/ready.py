"""From a frame and a request to what a search works on: task, columns, arrays, folds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError, StudyError
from rung.study.opening import stored_identity
from rung.tabular.columns import Column, Kind, infer_columns, prepare
from rung.tabular.dataset import Dataset
from rung.tabular.encode import Encoder, Table, encode
from rung.tabular.grouping import Rows, duplicates, rows_of
from rung.tabular.metrics import Metric, get_metric, named_metric
from rung.tabular.plan import LARGE, Scheme, make_scheme
from rung.tabular.pretrained.embedder import Embedder, Labels, identity, make_embedder, plain_numbers
from rung.tabular.request import Request
from rung.tabular.scoring import try_out
from rung.tabular.splits import ALWAYS, Split
from rung.tabular.task import Task, guess_task

if TYPE_CHECKING:
    import pandas as pd

    from rung.storage.base import Storage

_JUDGES = 0.2  # of the rows are held out where a pretrained model is tuned on the others
_LEAST = 0.1  # of the budget is planned with, however late it is
SchemeOf = Callable[[int, int, int], Scheme]
"""How data of so many rows, columns and classes is laid out."""


class Ready(NamedTuple):
    """The frame, made ready.

    Attributes:
        train, test: where the rows stand in the frame; nothing but the last score sees `test`.
        weight: (n,) of all the frame's rows, None if they count the same.
        notes: sentences about embedded columns.
    """

    task: Task
    columns: tuple[Column, ...]
    encoder: Encoder
    dataset: Dataset
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    scheme: Scheme
    weight: NDArray[np.float64] | None
    notes: tuple[str, ...] = ()

    def test_weight(self) -> NDArray[np.float64] | None:
        """Of the rows held out."""
        return None if self.weight is None else self.weight[self.test]


def make_ready(
    frame: pd.DataFrame,
    target: str,
    request: Request,
    seed: int,
    holdout: float | None,
    scheme_of: SchemeOf,
    embedder: Embedder | None = None,
) -> Ready:
    """Guess what was not said, encode, and split.

    Raises:
        DataError: the request does not fit the table, or the table cannot be learned from.
    """
    request.check(frame, target)
    task = guess_task(frame[target], request.task, request.positive)
    judge = get_metric(request.metric, task)
    y, classes = task.encode(frame[target]), len(task.classes)
    judge.check(y, target)
    try_out(judge, y, classes)
    rows = rows_of(frame, request)
    weight = request.row_weights(frame)
    _check_weights(y, task, weight, request)
    apart = _copies(frame, target, request) if holdout and rows.plain else rows
    train, test = _held_out(y, classes, apart, holdout, seed)
    some = frame if not len(test) else frame.iloc[train]
    columns = infer_columns(some, target, request.asked_kinds(), request.left_out())
    if embedder is None:
        encoder, table = encode(some, columns)
    else:
        columns, encoder, table = embedder.encode(frame, train, columns, Labels(y[train], classes))
    rows = rows.take(train)
    if rows.plain:
        own = Table(plain_numbers(encoder, table), table.codes)
        rows = Rows(groups=duplicates(own, _texts(some, columns)))
    width = table.numbers.shape[1] + sum(min(x, 4) for x in encoder.sizes)
    scheme = scheme_of(len(train), width, classes)
    split = rows.split(y[train], classes, scheme, seed)
    _check_folds(y[train], task, split, request)
    if embedder is not None and embedder.wants_tuning() and rows.folds is None:
        single = replace(scheme, folds=1, share=max(scheme.share, _JUDGES))
        other = rows.split(y[train], classes, single, seed)
        tuned = embedder.tune(encoder, frame, train, other.folds, Labels(y[train], classes))
        if tuned is not None:
            (encoder, table), scheme, split = tuned, single, other
    dataset = Dataset(
        table,
        y[train],
        classes,
        encoder.sizes,
        split,
        judge.name,
        seed,
        None if weight is None else weight[train],
        task.quantile,
        judge if _is_own(judge) else None,
    )
    notes = () if embedder is None else tuple(embedder.notes)
    return Ready(task, columns, encoder, dataset, train, test, scheme, weight, notes)


def _check_weights(y: NDArray[Any], task: Task, weight: NDArray[np.float64] | None, request: Request) -> None:
    """Refuse weights that leave a class out.

    Raises:
        DataError: names the class.
    """
    if weight is None or not task.is_classification:
        return
    of_classes = np.bincount(y.astype(np.intp), weights=weight, minlength=len(task.classes))
    if not of_classes.all():
        label = str(task.classes[int(np.argmin(of_classes))])
        raise DataError(
            f"column {request.weights!r} gives every row of class {label!r} the weight 0: give some of them "
            "more, or remove these rows"
        )


def _check_folds(y: NDArray[Any], task: Task, split: Split, request: Request) -> None:
    """Refuse a split of the user's that trains on a single class in every fold: nothing could be told apart.

    Raises:
        DataError: names the class.
    """
    if not task.is_classification or request.splitting()[1] is None:
        return
    folds = [fold for fold in range(split.number) if len(split.held_out(fold))]
    seen = [np.unique(y[split.training(fold, len(y))]) for fold in folds]
    if seen and all(len(classes) == 1 for classes in seen):
        raise DataError(
            f"split {request.split!r} would train a model on rows of class "
            f"{str(task.classes[int(seen[0][0])])!r} alone and judge it on the others: choose another split"
        )


def _is_own(judge: Metric) -> bool:
    """Whether a worker could not find the metric by its name."""
    try:
        return named_metric(judge.name) is not judge and not judge.name.startswith("pinball_")
    except KeyError:
        return True


def _copies(frame: pd.DataFrame, target: str, request: Request) -> Rows:
    """What is known of rows of which nothing is asked: which are the same."""
    columns = infer_columns(frame, target, request.asked_kinds(), request.left_out())
    plain = tuple(column for column in columns if column.kind != Kind.TEXT)
    return Rows(groups=duplicates(encode(frame, plain)[1], _texts(frame, columns)))


def _texts(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame:
    """The cells of texts, and of what is embedded: (n, t)."""
    return prepare(frame, [column for column in columns if column.kind == Kind.TEXT])


def _held_out(
    y: NDArray[Any], classes: int, rows: Rows, share: float | None, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows for the search, and rows that nothing sees: whole groups, or the latest, as the split says."""
    if not share:
        return np.arange(len(y)), np.empty(0, dtype=np.intp)
    single = Scheme(1, share, len(y), {})
    folds = rows._replace(folds=None).split(y, classes, single, seed + 1).folds
    return np.flatnonzero(folds == ALWAYS), np.flatnonzero(folds == 0)


def scheme_for(
    storage: Storage, name: str | None, time: tuple[float, float | None], workers: int
) -> SchemeOf:
    """How the data is laid out: as the stored study has it, else as the budget asks.

    Of large tables, which take time to be made ready, the budget is what is left of it by then.

    Args:
        time: the budget in seconds, and when it began (monotonic); None: no clock has a say.
    """
    stored = None
    if name is not None and storage.find(name) is not None:
        stored = stored_identity(storage, name).task.get("scheme")

    def made(rows: int, width: int, classes: int) -> Scheme:
        if isinstance(stored, Mapping) and stored["smallest"] <= rows:  # else it is another table's, which
            return Scheme(**stored)  # opening the study says
        budget, began = time
        if rows >= LARGE and began is not None:
            budget = max(budget - (monotonic() - began), _LEAST * budget)
        return make_scheme(rows, width, classes, budget, workers)

    return made


def refuse_another_table(storage: Storage, name: str | None, told: Mapping[str, Any]) -> None:
    """Say that a study is of other data, which its identity would say by the details of the search space.

    Args:
        told: the `facts` about the table at hand.

    Raises:
        StudyError: the study exists, and is of another table, target or kind of task.
    """
    if name is None or storage.find(name) is None:
        return
    stored = stored_identity(storage, name).task
    if "table" not in stored or all(
        stored.get(key) == told[key] for key in ("target", "kind", "rows", "table")
    ):
        return
    was, now = (
        f"{one.get('kind')} of {one.get('target')!r}, {one.get('rows', 0):,} rows" for one in (stored, told)
    )
    other = (
        f"was begun with {was}, and this is {now}"
        if was != now
        else ("was begun with other cells, or with others of its columns (--drop, --kinds)")
    )
    raise StudyError(
        f"study {name!r} is of another table: it {other}; give the new study another name, or go on with "
        "the table that it was begun with"
    )


def embedder_for(
    storage: Storage, name: str | None, request: Request, time: tuple[float, float], seed: int
) -> Embedder | None:
    """What embeds the columns that the request names; a stored study goes on with those that it began with.

    Args:
        time: the budget in seconds, and when it began (monotonic).
    """
    stored = None
    if request.embed and name is not None and storage.find(name) is not None:
        stored = stored_identity(storage, name).task.get("embed"), storage.folder(name)
    return make_embedder(request.embed, *time, seed, stored)


def facts(ready: Ready, target: str, request: Request, holdout: float | None) -> dict[str, Any]:
    """What makes a table's study this table's study."""
    dataset, scheme = ready.dataset, ready.scheme
    digest = hashlib.sha256()
    numbers = plain_numbers(ready.encoder, dataset.table)  # embeddings differ in their last digits
    for array in (numbers, dataset.table.codes, dataset.y, dataset.weight):
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    asked: dict[str, Any] = {
        "split": request.split,
        "include": list(request.include),
        "exclude": list(request.exclude),
    }
    asked["embed"] = identity(ready.encoder, ready.columns, request.embed)
    return {
        "target": target,
        "kind": ready.task.kind,
        "rows": len(dataset),
        "columns": len(ready.columns),
        "table": digest.hexdigest()[:16],
        "holdout": holdout or 0.0,
        "scheme": {**vars(scheme), "rungs": dict(scheme.rungs)},
        **{name: value for name, value in asked.items() if value},
    }
