"""Opening the writer of a study: of one that the storage has, or of one that begins."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from rung import __version__
from rung.errors import ConflictError, StudyError
from rung.samplers import make_sampler
from rung.schedulers import make_scheduler
from rung.storage import open_storage
from rung.storage.base import Storage, Summary
from rung.study.settings import Settings, make_identity
from rung.study.transfer import earlier_events
from rung.study.writer import Writer
from rung.trials import events as ev
from rung.trials.codec import damaged
from rung.trials.events import Identity

Place = str | os.PathLike[str] | Storage


class Opened(NamedTuple):
    storage: Storage
    writer: Writer


def open_or_begin(
    space: Any, settings: Settings, storage: Place, study: str | None, transfer: Sequence[Any] = ()
) -> Opened:
    """The study of this name with these settings, or a new one, which knows what those of `transfer` found.

    Raises:
        SpaceError, StudyError, StorageError: what was given cannot be used, or is not what the study has.
    """
    if study is not None and (not isinstance(study, str) or not study.strip()):
        raise StudyError(f"study must be a name, not {study!r}: leave it out, and one is made up")
    store = open_storage(storage) if isinstance(storage, str | os.PathLike) else storage
    if not hasattr(store, "create"):
        raise StudyError(f"storage must be 'memory', a path or a URL, not {storage!r}")
    name = study or _free_name(store)
    row = store.find(name)
    if row is not None:
        identity = make_identity(space, settings, stored_identity(store, name))
        log, state = store.open(name), row.summary.state
    else:
        identity = make_identity(space, settings)
        created = ev.StudyCreated(identity, __version__, time.time())
        earlier = earlier_events(transfer, store, created.time)  # refused before anything is written
        summary = Summary(
            door=identity.door, metric=identity.metric, created=created.time, updated=created.time
        )
        try:
            log, state = store.create(name, [created, *earlier], summary), "idle"
        except ConflictError:
            if store.find(name) is None:
                raise
            return open_or_begin(space, settings, store, study, transfer)  # somebody has just begun it
    sampler, scheduler = _methods(settings, identity)
    writer = Writer(name, log, sampler, scheduler, identity, state)
    writer.new = row is None
    return Opened(store, writer)


def open_stored(storage: Place, study: str) -> Opened:
    """An existing study, with the settings that its log holds.

    Raises:
        StudyError: there is none of this name.
        LeaseError: another process writes it.
    """
    store = open_storage(storage) if isinstance(storage, str | os.PathLike) else storage
    identity = stored_identity(store, study)
    sampler, scheduler = make_sampler(identity.sampler), make_scheduler(identity.scheduler)
    row = store.find(study)
    state = row.summary.state if row else "idle"
    return Opened(store, Writer(study, store.open(study), sampler, scheduler, state=state))


def _methods(settings: Settings, identity: Identity) -> tuple[Any, Any]:
    """The given objects themselves, where objects were given: they may be of a class that no name finds."""
    sampler, scheduler = settings.sampler, settings.scheduler
    if sampler is None or isinstance(sampler, str | ev.Spec) or identity.sampler.name == "transfer":
        sampler = make_sampler(identity.sampler)
    if scheduler is None or isinstance(scheduler, str | ev.Spec):
        scheduler = make_scheduler(identity.scheduler)
    return sampler, scheduler


def stored_identity(storage: Storage, name: str) -> Identity:
    """The identity of a stored study.

    Raises:
        StudyError: there is none of this name.
        StorageError: its log is damaged.
    """
    first = next(iter(storage.read(name)), None)
    if not isinstance(first, ev.StudyCreated):
        raise damaged(f"study {name!r} does not begin with its creation")
    return first.identity


def _free_name(storage: Storage) -> str:
    taken = {row.name for row in storage.list()}
    return next(name for number in range(1, len(taken) + 2) if (name := f"study-{number}") not in taken)
