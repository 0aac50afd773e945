"""What people ask of a study, as the events that say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rung.errors import StudyError
from rung.service.shared import check_same
from rung.study.changing import fixed_events, space_events
from rung.trials import events as ev
from rung.trials.events import Event
from rung.trials.history import History

ANSWERED: Final = "answered"  # the topic under which a log keeps the keys of requests that changed it


def once(
    made: Callable[[History], Sequence[Event]], key: str, now: float, digest: str = ""
) -> Callable[[History], Sequence[Event]]:
    """`made`, but for a request whose key the log has already: then nothing.

    Args:
        digest: of what is asked, see `rung.service.shared.digest_of`. With another one before, under the same
            key, the events raise ConflictError.
    """
    if not key:
        return made

    def events(history: History) -> Sequence[Event]:
        for each in history.records.get(ANSWERED, ()):
            if each.data["key"] == key:
                check_same(key, str(each.data.get("digest", "")), digest)
                return ()
        return [*made(history), ev.Recorded(ANSWERED, {"key": key, "digest": digest}, None, now)]

    return events


def wished(history: History, request: str, data: Mapping[str, Any], now: float) -> list[Event]:
    """The events of a request: "enqueue" a configuration, a "note", "fix" values, "change_space".

    Raises:
        SpaceError: a configuration, a value or the space is not valid.
        StudyError: there is no such request.
    """
    match request:
        case "enqueue":
            history.space.from_mapping(data)
            return [ev.Requested("enqueue", dict(data), now)]
        case "note":
            return [ev.Recorded("note", {"text": str(data.get("text", ""))}, None, now)]
        case "fix":
            return list(fixed_events(history, data, now))
        case "change_space":
            from rung.space import from_json

            return list(space_events(history, from_json(data.get("space", {})), data.get("given", {}), now))
    raise StudyError(f"nobody can ask {request!r} of a study: say enqueue, note, fix or change_space")
