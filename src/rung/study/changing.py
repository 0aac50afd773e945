"""What a user changes in a study under way, as events: known results, fixed parameters, another space."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rung.errors import SpaceError, StudyError
from rung.space import compile_space, to_json
from rung.space.beside import drawn_beside
from rung.space.changes import completed
from rung.study.asked import metrics_of, whole
from rung.study.enqueued import check_values, misfits
from rung.study.settings import ours
from rung.trials.codec import as_kept
from rung.trials.events import Event, Recorded, Requested, SpaceChanged, Told
from rung.trials.history import History

if TYPE_CHECKING:
    from rung.study.writer import Writer


def known_result(
    history: History,
    config: Mapping[str, Any],
    value: float | Mapping[str, Any] | None,
    resource: int | None,
    now: float,
) -> Told:
    """The event of a result that the user knew.

    Raises:
        SpaceError: the configuration is not in the space.
        StudyError: no value, or a resource beyond the study's largest.
    """
    if value is None:
        raise StudyError("a known result needs a value: tell(config, 0.31)")
    amount = history.identity.resource
    largest = amount.maximum if amount is not None else 1
    at = largest if resource is None else whole("a known result", resource)
    if at > largest:
        raise StudyError(f"a known result at resource {at}, but the study's largest is {largest}")
    values, metrics = history.space.from_mapping(config), metrics_of(history.identity.metric, value)
    for goal in history.identity.goals or (history.identity,):
        if goal.metric not in metrics:
            raise StudyError(
                f"a known result needs {goal.metric!r}; it has {', '.join(metrics) or 'nothing'}"
            )
    return Told(len(history.values), values, metrics, at, now)


def add_known(
    writer: Writer, config: Mapping[str, Any], value: float | Mapping[str, Any] | None, resource: int | None
) -> None:
    """Log a result that the user knew, after it is folded: so its line in the list of studies counts it."""
    with writer.together():
        writer.commit([known_result(writer.history, config, value, resource, time.time())])


def fixed_events(history: History, values: Mapping[str, Any], now: float) -> list[Event]:
    """The event that fixes parameters, by name, for all configurations to come; none if they are so already.

    Raises:
        SpaceError: a name or a value is not in the space, or no legal configuration has them.
    """
    space = history.space
    if not isinstance(values, Mapping):
        raise StudyError(f"what is fixed is a mapping from names to values, not {values!r}")
    check_values(space, values)
    if next(drawn_beside(space, values, history.identity.seed), None) is None:
        raise SpaceError(f"no configuration with {dict(values)!r} is legal in this space")
    kept = as_kept(values)
    return [] if kept == dict(history.fixed) else [Requested("fix", kept, now)]


def record_event(topic: str, data: Mapping[str, Any], trial: int | None, now: float) -> Recorded:
    """The event that keeps something of the user's.

    Raises:
        StudyError: the topic is no text, or the data no mapping that the log can keep.
    """
    if not isinstance(topic, str) or not isinstance(data, Mapping):
        raise StudyError(f"a record is a topic and a mapping, not {topic!r} and {data!r}")
    return Recorded(topic, as_kept(data), trial, now)


def space_events(history: History, space: Any, given: Mapping[str, Any], now: float) -> list[Event]:
    """The event that changes the space; none if it is the one that the study has.

    Raises:
        SpaceError: it is not valid, or a value of `given` is not in it.
    """
    compiled = compile_space(ours(space))
    form = to_json(compiled.space)
    for name in misfits(compiled, history.fixed):  # one that is gone may have any value
        raise SpaceError(
            f"{name!r} is fixed at {history.fixed[name]!r}, which is not in the new space: "
            "fix another value first"
        )
    if history.fixed and next(drawn_beside(compiled, history.fixed, history.identity.seed), None) is None:
        raise SpaceError(
            f"no configuration with {dict(history.fixed)!r}, which is fixed, is legal in the new space: "
            "fix other values first"
        )
    wrong = completed(compiled, given).misfits
    unknown = [name for name in given if name not in compiled.keys and name not in compiled.names]
    if wrong or unknown:
        raise SpaceError(f"{(*unknown, *wrong)[0]!r} among the given values does not fit the new space")
    return [] if form == history.identity.space else [SpaceChanged(form, as_kept(given), now)]
