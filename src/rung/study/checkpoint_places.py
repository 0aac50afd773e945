"""Where a study's checkpoints lie, and how many bytes they may be: recorded in its log, read from there.

Unless told otherwise they lie in the study's own folder, and the log has their paths relative to it, so that
storage and folder can be copied together. Elsewhere (a shared folder, a store by URL) the study has a place
of its own below what was named, `<named>/<key of the study>`, and the log has whole paths.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from rung.errors import StorageError, StudyError
from rung.executors.remote import RemoteCheckpoints, check_url, is_url, probe
from rung.storage.base import Log
from rung.storage.checkpoints import CheckpointStore
from rung.study.identity import count
from rung.trials.events import Event, Recorded
from rung.trials.history import History

TOPIC: Final = "checkpoints"
OWN: Final = "study"  # names the study's own folder, where a place was named before


class Wanted(NamedTuple):
    """What the log says of a study's checkpoints.

    Attributes:
        place: a folder or a URL; None: the study's own folder.
        limit: bytes, None without one.
    """

    place: str | None = None
    limit: int | None = None


def wanted(history: History) -> Wanted:
    """What was asked for last."""
    recorded = history.records.get(TOPIC)
    if not recorded:
        return Wanted()
    data = recorded[-1].data
    return Wanted(data.get("place"), data.get("limit"))


def changed(
    log: Log, history: History, checkpoints: str | os.PathLike[str] | None, limit: int | None, now: float
) -> list[Recorded]:
    """The event of another place or another limit, if these are others; the place must take a file.

    Args:
        checkpoints: a folder, a URL, or "study" for the study's own folder; None: where they lie now.
        limit: bytes; 0 for none; None: as it is now.

    Raises:
        UserError: they cannot be used.
    """
    before = wanted(history)
    place = before.place if checkpoints is None else place_of(os.fspath(checkpoints), log.key)
    most = before.limit if limit is None else count("checkpoint_limit", limit, least=0) or None
    if place is not None:
        _try(place)
    if (place, most) == before:
        return []
    return [Recorded(TOPIC, {"place": place, "limit": most}, None, now)]


def place_of(named: str, key: str) -> str | None:
    """This study's place below what was named; None for its own folder.

    Raises:
        StudyError: it cannot be used.
    """
    if named == OWN:
        return None
    if not named.strip():
        raise StudyError("checkpoints must be a folder or a URL such as s3://bucket/prefix, not ''")
    if named.startswith("file://"):
        named = named.removeprefix("file://")
    if is_url(named):
        check_url(named)
        return f"{named.rstrip('/')}/{key}"
    return os.path.join(os.path.abspath(os.path.expanduser(named)), key)


def _try(place: str) -> None:
    if is_url(place):
        probe(place)
        return
    try:
        os.makedirs(place, exist_ok=True)
    except OSError as error:
        raise StorageError(f"checkpoints cannot be written to {place}: {error.strerror or error}") from error
    if not os.access(place, os.W_OK | os.X_OK):
        raise StorageError(f"checkpoints cannot be written to {place}: permission denied")


def resolved(folder: Path, path: str) -> str:
    """A checkpoint's path as the log has it, made whole."""
    return path if is_url(path) else str(folder / path)


def places_of(events: Iterable[Event]) -> tuple[str, ...]:
    """All places beside its own folder that a study's log names."""
    named = (event.data["place"] for event in events if isinstance(event, Recorded) and event.topic == TOPIC)
    return tuple(dict.fromkeys(str(place) for place in named if place))


def clear(place: str) -> None:
    """Delete all checkpoints of a study that is no more, at one of its places.

    Raises:
        StorageError: a store does not answer.
    """
    if is_url(place):
        store = RemoteCheckpoints(place)
        for path in store.paths():
            store.delete(path)
        return
    CheckpointStore(Path(place)).keep_only(())
    for home in (*Path(place).glob("trial-*"), Path(place)):
        with suppress(OSError):  # somebody keeps something else there
            home.rmdir()


class Places:
    """All places in which a study's checkpoints lie or lay: each path goes to the one that it belongs to."""

    def __init__(self, folder: Path, history: History) -> None:
        self._folder = folder
        self._own = CheckpointStore(folder)
        roots = places_of(history.records.get(TOPIC, ()))
        self._stores: dict[str, CheckpointStore | RemoteCheckpoints] = {
            root: RemoteCheckpoints(root) if is_url(root) else CheckpointStore(Path(root))
            for root in sorted(roots)
        }

    def knows(self, history: History) -> bool:
        """Whether no other place was named since."""
        recorded = history.records.get(TOPIC, ())
        return all(not event.data["place"] or event.data["place"] in self._stores for event in recorded[-1:])

    def delete(self, path: str) -> None:
        """Delete one checkpoint; what is not ours, such as a path that the caller told, is left alone.

        Raises:
            StorageError: its store does not answer.
        """
        for root, store in self._stores.items():
            if path.startswith(f"{root}/"):
                store.delete(path if is_url(root) else path[len(root) + 1 :])
                return
        if not is_url(path):
            self._own.delete(path.removeprefix(f"{self._folder}/"))

    def others(self, kept: Collection[str]) -> Iterator[str]:
        """The paths of all checkpoints but these.

        Raises:
            StorageError: a store does not answer.
        """
        spared = {path.removeprefix(f"{self._folder}/") for path in kept}
        yield from (path for path in self._own.paths() if path not in spared)
        for root, store in self._stores.items():
            prefix = "" if is_url(root) else f"{root}/"
            yield from (prefix + path for path in store.paths() if prefix + path not in spared)
