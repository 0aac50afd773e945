"""The study that a search is: one trial, whose resource is epochs, and what its log keeps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rung.errors import StudyError, UserError
from rung.nas.checkpoint import load
from rung.nas.costs import Costs
from rung.nas.loop import Plan, Record
from rung.nas.strategies.base import Lengthening
from rung.nas.strategies.remedies import Wrapper
from rung.space.domains import Constant
from rung.storage import open_storage
from rung.study import Study
from rung.study.result import Result
from rung.trials.history import History

METRIC: Final = "error"  # of the supernet on held-out pictures, or the loss of words in nats
PERPLEXITY: Final = "perplexity"  # of language models that are each trained on their own, on held-out words
EPOCH: Final = "epoch"  # the topic of an epoch's record in the study's log
PLANNED: Final = "planned"  # of how many epochs were planned, and with which latencies
RESULT: Final = "result"
LAST: Final = "last.pt"  # in a study's folder: the training of what was found, while it is under way


def opened(plan: Plan, storage: Any, study: str | None) -> Study:
    """The study of a search, begun or gone on with.

    Args:
        storage, study: where, and under which name.
    """
    extra = plan.strategy.extra if isinstance(plan.strategy, Lengthening) else 0
    try:
        return _study(plan, extra, storage, study)
    except StudyError:
        if isinstance(plan.strategy, Wrapper):  # studies that are older than what it hands on of these
            with suppress(StudyError):
                return _study(plan, 0, storage, study)
        raise


def _study(plan: Plan, extra: int, storage: Any, study: str | None) -> Study:
    return Study(
        {"strategy": Constant(plan.strategy.name)},
        metric=METRIC,
        resource=(EPOCH, 1, plan.recipe.epochs + extra + 1),
        door="search",
        sampler="random",
        scheduler="plain",
        trials=1,
        seed=plan.seed,
        storage=storage,
        study=study,
    )


def latency_record(latencies: Mapping[str, Costs]) -> dict[str, Any]:
    """For the log: measured anew they would be others, and the search would not go on as it began."""
    return {"latency": {name: costs.to_dict() for name, costs in latencies.items()}} if latencies else {}


def latencies_of(storage: Any, study: str | None) -> dict[str, Costs]:
    """What `latency_record` kept when a study's search was planned; empty if there is none."""
    if study is None:
        return {}
    store = open_storage(storage) if isinstance(storage, str | os.PathLike) else storage
    try:
        events = list(store.read(study)) if store.find(study) is not None else []
    finally:
        if store is not storage:
            store.close()
    planned = History().fold_all(events).records.get(PLANNED)
    kept = planned[-1].data.get("latency", {}) if planned else {}
    return {name: Costs.from_dict(table) for name, table in kept.items()}


def check_checkpoints(plan: Plan, study: Study | None) -> None:
    """Before a study is touched: that its checkpoints, if it has any, are of this search.

    Raises:
        SpaceError: they are not.
    """
    if study is not None:
        for kept in study.history.checkpoints.values():
            load(plan, study.folder / kept.path)


def last_checkpoint(found: Result) -> Path:
    """Of a search that had ended before.

    Raises:
        UserError: it has none.
    """
    checkpoint = found.trials[0].checkpoint if found.trials else None
    if checkpoint is None:
        why = found.trials[0].timing.message if found.trials else "no trial was begun"
        raise UserError(f"the search {found.study!r} has no checkpoint: {why}")
    return Path(checkpoint)


def metrics(record: Record) -> dict[str, float]:
    """What an epoch reports."""
    found = {METRIC: objective_of(record), "train_loss": record.train_loss, "loss": record.loss}
    if record.accuracy is not None:
        found["accuracy"] = record.accuracy
    if record.temperature is not None:
        found["temperature"] = record.temperature
    return {**found, "operations": float(record.operations)}


def objective_of(record: Record) -> float:
    """What is made small."""
    return record.loss if record.accuracy is None else 1.0 - record.accuracy
