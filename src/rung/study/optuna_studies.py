"""Studies of Optuna, read by Optuna's own package, as studies of ours.

| there | here |
| --- | --- |
| distributions | a search space, see `rung.study.optuna_space` |
| directions, metric names | "min" and "max"; "value", or "value_0", "value_1", ..., where no names were set |
| a complete trial | a result that was known before (as `study.tell(config, value)` makes), at its time |
| a failed one | the same, without a value; left out and counted, if it stopped before it had all parameters |
| a pruned one | with `resource`, a result at the resource of its last step; without, left out and counted |
| a running or waiting one | left out, and counted |
| a trial's user attributes, intermediate values | attributes |
| the study's user attributes | `history.records["imported"]` |
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from rung.errors import StudyError
from rung.executors.attributes import attribute
from rung.space import compile_space
from rung.space.changes import completed
from rung.space.compiled import CompiledSpace
from rung.space.values import INACTIVE
from rung.storage.base import Storage
from rung.study.identity import make_resource
from rung.study.optuna_space import Drawn, space_of
from rung.study.study import Study
from rung.trials.events import Event, Recorded, Told

TOPIC: Final = "imported"
INTERMEDIATE: Final = "intermediate_values"


class Imported(NamedTuple):
    """What came of it.

    Attributes:
        study: open for writing; close it, or go on with it.
        trials: how many came with a value.
        failed: how many came without one.
        pruned: how many of those with a value were pruned.
        left_out: how many did not come, by their state in Optuna.
        unruled: parameters that some trials lack, which have their default there.
    """

    study: Study
    trials: int
    failed: int
    pruned: int
    left_out: dict[str, int]
    unruled: tuple[str, ...]


def from_optuna(
    source: Any,
    *,
    metric: str | Sequence[str] | None = None,
    resource: Any = None,
    storage: str | os.PathLike[str] | Storage = "memory",
    study: str | None = None,
) -> Imported:
    """A study of ours with the trials of an `optuna.Study`.

    Args:
        source: the `optuna.Study`; none of its trials is changed.
        metric: the name of what it optimises, or the names; else those that it has.
        resource: (name, smallest, largest) of what its steps count, as in ("epoch", 1, 50): complete trials
            have their value at the largest, pruned ones at their last step (plus 1, where steps begin at 0).
        storage: where ours is kept: "memory", a path, or a URL such as "sqlite:///study.db".
        study: its name; else the other's.

    Raises:
        StudyError: it is no study of Optuna, has no finished trial, or the storage has a study of this name.
        SpaceError: a parameter has no counterpart.
    """
    trials = _finished(source, resource is not None)
    name = study or source.study_name
    found = space_of([Drawn(trial.params, trial.distributions, trial.state.name) for trial in trials])
    space = compile_space(found.space)
    trials = [trial for trial in trials if trial.state.name != "FAIL" or _has_all(space, trial.params)]
    metrics = _metrics(source, metric)
    amount = make_resource(resource)
    events = _events(trials, space, metrics, 1 if amount is None else amount.maximum)
    modes = ["max" if direction.name == "MAXIMIZE" else "min" for direction in source.directions]
    one = len(modes) == 1
    ours = Study(
        found.space,
        metric=metrics[0] if one else metrics,
        mode=modes[0] if one else modes,
        resource=resource,
        storage=storage,
        study=name,
    )
    with ExitStack() as undo:
        undo.callback(ours.close)
        if len(ours.history):
            raise StudyError(
                f"there is a study {name!r} with trials already: give the imported one another name"
            )
        about = {"from": "optuna", "study": source.study_name, "attributes": _plain(source.user_attrs)}
        events.insert(0, Recorded(TOPIC, about, None, time.time()))
        for event in events:
            ours.history.fold(event)
        ours.writer.commit_folded(events)  # folded first, so that the list of studies has them
        undo.pop_all()  # it stays open
    came = Counter(trial.state.name.lower() for trial in trials)
    states = Counter(trial.state.name.lower() for trial in source.get_trials(deepcopy=False))
    pruned = came["pruned"]
    return Imported(ours, came["complete"] + pruned, came["fail"], pruned, dict(states - came), found.unruled)


def _finished(source: Any, pruned: bool) -> list[Any]:
    """Its complete and failed trials, in order, and, if they are wanted, those pruned after a value.

    Raises:
        StudyError: it has none, or is no study of Optuna.
    """
    if not hasattr(source, "get_trials") or not hasattr(source, "directions"):
        raise StudyError(f"an optuna.Study was expected, not {source!r}")
    trials = source.get_trials(deepcopy=False)
    found = [
        each
        for each in trials
        if each.params
        and (
            each.state.name in ("COMPLETE", "FAIL")
            or (pruned and each.state.name == "PRUNED" and each.intermediate_values)
        )
    ]
    if not any(each.state.name == "COMPLETE" for each in found):
        raise StudyError(
            f"Optuna's study {source.study_name!r} has no complete trial: there is nothing to import"
        )
    return found


def _metrics(source: Any, named: str | Sequence[str] | None) -> list[str]:
    count = len(source.directions)
    if named is None:
        named = source.metric_names or (["value"] if count == 1 else [f"value_{i}" for i in range(count)])
    names = [named] if isinstance(named, str) else list(named)
    if len(names) != count:
        raise StudyError(
            f"Optuna's study {source.study_name!r} has {count} objectives, not {len(names)}: "
            "name each metric once"
        )
    return names


def _has_all(space: CompiledSpace, params: Mapping[str, Any]) -> bool:
    """Whether these are all parameters that are active with them."""
    values = completed(space, params).values
    return all(value is INACTIVE or name in params for name, value in zip(space.names, values, strict=True))


def _events(trials: Sequence[Any], space: CompiledSpace, metrics: Sequence[str], largest: int) -> list[Event]:
    """Every trial's result and attributes.

    Raises:
        StudyError: a value is not in its parameter's domain.
    """
    shift = int(min((step for trial in trials for step in trial.intermediate_values), default=1) < 1)
    events: list[Event] = []
    for number, trial in enumerate(trials):
        values, misfits = completed(space, trial.params)
        if misfits:
            raise StudyError(
                f"trial {trial.number}: the value of parameter {misfits[0]!r} is not in its range"
            )
        told, at = _result(trial, len(metrics), largest, shift)
        ended = trial.datetime_complete or trial.datetime_start
        when = 0.0 if ended is None else float(ended.timestamp())
        events.append(Told(number, values, dict(zip(metrics, told, strict=True)), at, when))
        kept = dict(trial.user_attrs)
        if trial.intermediate_values:
            kept.setdefault(INTERMEDIATE, trial.intermediate_values)
        events += [attribute(number, key, value, when) for key, value in _plain(kept).items()]
    return events


def _result(trial: Any, objectives: int, largest: int, shift: int) -> tuple[list[float], int]:
    """A trial's values, and the resource at which it has them."""
    match trial.state.name:
        case "COMPLETE":
            return [float(value) for value in trial.values], largest
        case "PRUNED":
            step = max(trial.intermediate_values)
            return [float(trial.intermediate_values[step])], min(max(step + shift, 1), largest)
    return [math.nan] * objectives, largest


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """As the log can keep them; of what is too long, or of another kind, the beginning of its text."""
    kept = {}
    for name, value in attributes.items():
        try:
            kept[name] = attribute(0, name, value, 0.0).data[name]
        except StudyError:
            text = repr(value)
            kept[name] = text if len(text) < _TEXT else f"{text[:_TEXT]}…"
    return kept


_TEXT: Final = 10_000


# -- where Optuna keeps them ------------------------------------------------------------------------------


@contextmanager
def optuna_studies(place: str) -> Iterator[list[Any]]:
    """All studies (`optuna.Study`) of a storage of Optuna, by name; it is only read.

    Args:
        place: a SQLite file, a file of Optuna's `JournalStorage`, or a URL that SQLAlchemy knows.

    Raises:
        StudyError: Optuna is not installed, there is no such file, or what is there is no storage of Optuna.
    """
    try:
        import optuna
    except ImportError:
        raise StudyError("Optuna is not installed; install it with: pip install 'rung[optuna]'") from None
    from sqlalchemy.exc import SQLAlchemyError

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = _opened(place, optuna)
        names = sorted(optuna.get_all_study_names(storage))
        yield [optuna.load_study(study_name=name, storage=storage) for name in names]
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError, RuntimeError) as error:
        why = str(error).splitlines()[0] if isinstance(error, ImportError) else type(error).__name__
        raise StudyError(
            f"{_shown(place)} cannot be read as a storage of Optuna ({why}); one of an older version is "
            "brought up to date by `optuna storage upgrade`"
        ) from error
    finally:
        optuna.logging.set_verbosity(before)


def _shown(place: str) -> str:
    """A place as messages may show it: without a password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if "://" not in place:
        return place
    try:
        return make_url(place).render_as_string(hide_password=True)
    except ArgumentError:
        return f"{place.partition('://')[0]}://..."


def _opened(place: str, optuna: Any) -> Any:
    """Optuna's storage; never one that opening it would make."""
    if "://" in place and not place.startswith("sqlite:///"):
        return optuna.storages.RDBStorage(place, skip_table_creation=True)
    path = Path(place.removeprefix("sqlite:///").partition("?")[0])
    if not path.is_file():
        raise StudyError(
            f"there is no file {path}: name the file or the URL in which Optuna keeps its studies"
        )
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    if head == b"SQLite format 3\x00":
        _check_tables(path)
        return optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}", skip_table_creation=True)
    if head[:1] != b"{":  # of a journal each line is an object
        raise StudyError(f"{path} is no storage of Optuna: neither a SQLite file nor a journal")
    journal = optuna.storages.journal
    return optuna.storages.JournalStorage(journal.JournalFileBackend(str(path)))


def _check_tables(path: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    tables = {name for (name,) in rows}
    if not {"studies", "trials", "trial_params", "version_info"} <= tables:
        ours = ": it is a storage of rung's" if {"studies", "events"} <= tables else ""
        raise StudyError(f"{path} is no storage of Optuna{ours}")
