"""All studies of a service: those that run, open for outside workers, and those that lie in the storage."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rung.errors import ConflictError, LeaseError, MissingError, StorageError, UserError
from rung.service.asking import asked_for, begin, changed_limits, hosted_as, limits_of
from rung.service.hosting import HostedStudy, Told
from rung.service.leases import was_told
from rung.service.register import Hosted, Known, Register, checked
from rung.service.running import Running
from rung.service.shared import ElsewhereError, check_address
from rung.storage.base import Storage, StudyRow
from rung.study.opening import open_or_begin, open_stored
from rung.trials.events import Event
from rung.trials.history import History

if TYPE_CHECKING:
    from rung.service.models import NewStudy, StudyChange

LEASE: Final = 60.0  # seconds that a job may be silent
_LOOK: Final = 5.0  # seconds between two looks at what other services over this storage do
_SHARES: Final = ("weight", "priority", "min_slots", "max_slots")
_log = logging.getLogger("rung.service")


class Hub:
    """The studies of one storage, of which this process writes those that run.

    Args:
        storage: where they lie.
        register: where it is kept whose they are.
        lease: seconds that a job may be silent before it is lost.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        storage: Storage,
        register: Register,
        lease: float = LEASE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.storage = storage
        self.lease = lease
        self.now = clock
        self._lock = threading.RLock()
        self._running = Running()
        self._waiting: set[str] = set()  # names: somebody else writes them, or they cannot be read now
        self._known = Known(register)
        self._looked = -_LOOK  # when it was looked for what other services left behind
        self.listeners: list[Callable[[], None]] = []
        self.commits = self.lost = 0  # and leases lost of studies that run no more

    # -- coming and going -----------------------------------------------------------------------------

    def start(self) -> None:
        """Take up every study that is wanted running and that nobody writes."""
        self._looked = self.now()
        for row in _left(self.storage, self._known, self._running):
            self._try_open(row.name)

    def _look_around(self, now: float) -> None:
        """See what another service over this storage did, and take up what it left behind."""
        if not 0.0 <= now - self._looked < _LOOK:
            self._looked = now
            self._known.look()
            for row in _left(self.storage, self._known, self._running):
                if row.summary.state == "running" and row.name not in self._waiting:  # else it has ended
                    self._try_open(row.name)

    def _try_open(self, name: str) -> None:
        """Take a study up if nobody else writes it, else at a later `tick`."""
        try:
            self._open(name)
        except UserError as error:
            if not isinstance(error, MissingError):  # else it was deleted or renamed meanwhile
                if name not in self._waiting:
                    _log.warning("study %s waits: %s", name, error)
                self._waiting.add(name)
                return
        self._waiting.discard(name)

    def _open(self, name: str) -> HostedStudy:
        with self._lock:
            return self._host(open_stored(self.storage, name).writer)

    def _host(self, writer: Any) -> HostedStudy:
        study = HostedStudy(writer, self.lease, self.now(), self._changed)
        self._running.add(study)
        self._changed()
        return study

    def _changed(self) -> None:
        self.commits += 1
        for listener in self.listeners:
            listener()

    def close(self) -> None:
        """Let go of all studies as they are: their jobs go on, and the next service adopts them."""
        with self._lock:
            for study in self._running.all():
                study.close()
                self._running.drop(study.key)

    # -- finding --------------------------------------------------------------------------------------

    @property
    def active(self) -> Sequence[HostedStudy]:
        """Studies that run now."""
        return [study for study in self._running.all() if not study.closed]

    def row(self, name: str) -> StudyRow:
        """A study as the storage has it.

        Raises:
            StudyError: there is none of this name.
        """
        if (row := self.storage.find(name)) is None:
            self.storage.read(name)  # says so, with the closest name
            raise MissingError(f"there is no study {name!r}")
        return row

    def hosted(self, key: str) -> Hosted | None:
        """What is known of it beside its log; None if it was made without the service."""
        return self._known.get(key)

    def running(self, key: str) -> HostedStudy | None:
        """The study, if it runs now."""
        return self._running.get(key)

    def study(self, name: str) -> HostedStudy:
        """A study that runs now.

        Raises:
            StudyError: there is none of this name, or it does not run.
        """
        if (study := self.named(name)) is not None:
            return study
        row = self.row(name)
        raise _left_behind(row, self._known) or _not_running(row)

    def named(self, name: str) -> HostedStudy | None:
        """The study that runs and has, or had, this name; the storage is not asked, and nothing waited for.

        Raises:
            StorageError: it is to be taken up anew.
        """
        if name in self._waiting:
            raise StorageError(f"study {name!r} is being taken up: try again")
        return self._running.named(name)

    def full(self, owner: str, key: str, most: int) -> bool:
        """Whether this user has so many studies, none of which a request of the same `key` has begun."""
        return self._known.owned(owner) >= most and self._known.made_by(owner, key) is None

    # -- owners' wishes -------------------------------------------------------------------------------

    def create(self, new: NewStudy, owner: str, key: str = "") -> StudyRow:
        """Begin a study; the one that this owner began by a request of the same `key`, if there is one.

        Raises:
            ConflictError: the name is taken, or the key was another request's.
            UserError: what was given makes no study.
        """
        settings, limits, space = asked_for(new)
        hosted = checked(hosted_as(new, owner, key))
        with self._lock:
            if key:
                self._known.look()  # another service may have answered the same request
            made = self._known.made_by(owner, key, hosted.digest)
            for row in self.storage.list() if made is not None else ():
                if row.key == made:  # else it was deleted since, by somebody at the storage
                    return row
            if new.name is not None and self.storage.find(new.name) is not None:
                raise ConflictError(f"the name {new.name!r} is taken: choose another, or delete that study")
            writer = open_or_begin(space, settings, self.storage, new.name).writer
            try:
                begin(writer, new, limits, self.now())
                self._known.keep(writer.log.key, hosted)
            except BaseException:
                writer.log.close()
                raise
            study = self._host(writer)
        return self.row(study.name)

    def wind_down(self, name: str, wanted: str) -> None:
        """Have a study "paused" or "stopped": jobs that run save at their next report."""
        with self._lock:
            row = self.row(name)
            self._known.look()
            self._known.want(row.key, wanted)
            study = self.running(row.key)
        if study is not None:
            study.wind_down(wanted, self.now())
        elif row.writer is not None:  # another process runs it
            self.storage.request(name, "pause" if wanted == "paused" else "stop", {})

    def resume(self, name: str, owner: str) -> None:
        """Go on with a study; one that was made without the service becomes this user's."""
        with self._lock:
            row = self.row(name)
            self._known.look()
            if (study := self.running(row.key)) is None or not study.go_on(self.now()):
                self._open(name)
            if self._known.get(row.key) is None:
                self._known.keep(row.key, Hosted(owner))
            self._known.want(row.key, "running")

    def change(self, name: str, change: StudyChange) -> StudyRow:
        """Change a study's limits, shares or name; what is None stays, and all where the name is taken."""
        with self._lock:
            row = self.row(name)
            self._known.look()
            shares, hosted = _shares(change), self._known.get(row.key)
            shared = checked(msgspec.structs.replace(hosted, **shares)) if shares and hosted else None
            limits, called = limits_of(change), change.name or name
            if called != name:  # first: the name may be taken
                self.storage.rename(name, check_address(called))
                self._running.rename(row.key, name, called)
            if shared is not None:
                self._known.keep(row.key, shared)
            if limits:
                self.add(called, lambda history: [changed_limits(history, limits, self.now())])
        self._changed()
        return self.row(called)

    def add(self, name: str, made: Callable[[History], Sequence[Event]]) -> None:
        """Add events to a study's log, whether it runs or not; they are made from its history.

        Raises:
            UserError: they cannot be made, or another process writes the study.
        """
        row = self.row(name)
        study = self.running(row.key)
        if study is not None:
            study.add(made, self.now())
            return
        _add_to_stored(self.storage, name, made)

    def tell(self, name: str, trial: int, attempt: int, told: Told) -> bool:
        """Take in how a job ended; whether that was known already, be the study over by now.

        Raises:
            LeaseError: the job's lease was lost.
        """
        study = self.named(name)
        if study is not None:
            return study.tell(trial, attempt, told, self.now())
        row = self.row(name)
        if was_told(self.storage.read(name), trial, attempt):
            return True
        raise _left_behind(row, self._known) or _over(row, trial, attempt)

    def delete(self, name: str) -> None:
        """Remove a study with all that it has; its jobs are told that their lease is lost."""
        with self._lock:
            row = self.row(name)
            if (study := self._running.drop(row.key)) is not None:
                study.close()
            self.storage.delete(name)
            self._known.forget(row.key)
            self._waiting.discard(name)
        self._changed()

    # -- time -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look after all studies; called every second or so."""
        now = self.now()
        for study in self.active:
            if not _looked_after(study, now):
                self._waiting.add(study.name)
                study.close()
        for name in sorted(self._waiting):
            self._try_open(name)
        with self._lock:
            for study in [study for study in self._running.all() if study.closed]:
                self._running.drop(study.key)
                self.lost += study.leases.lost
                hosted = self._known.get(study.key)
                if hosted is not None and hosted.wanted == "running" and study.name not in self._waiting:
                    self._known.want(study.key, "done")  # by itself: not to be taken up at the next start
        self._look_around(now)


def _shares(change: StudyChange) -> dict[str, Any]:
    """How the study is to share the workers, as far as that changes."""
    return {key: value for key in _SHARES if (value := getattr(change, key)) is not None}


def _looked_after(study: HostedStudy, now: float) -> bool:
    """Whether all is well: it was not taken over, and its storage answers. If not, it is opened anew."""
    try:
        study.tick(now)
    except StorageError as error:
        _log.warning("study %s: %s", study.name, error)
        return False
    return True


def _left(storage: Storage, known: Known, running: Running) -> list[StudyRow]:
    """Studies that are wanted running, and that nobody writes."""
    missing = known.wanted() - {study.key for study in running.all()}
    rows = storage.list() if missing else ()
    return [row for row in rows if row.key in missing and row.writer is None]


def _add_to_stored(storage: Storage, name: str, made: Callable[[History], Sequence[Event]]) -> None:
    """Add events to the log of a study that does not run."""
    writer = open_stored(storage, name).writer
    try:
        with writer.together():  # so that the list of studies has what they change, too
            writer.commit(made(writer.history))
    finally:
        writer.log.close()


def _left_behind(row: StudyRow, known: Known) -> StorageError | None:
    """That a study will be taken up in a moment, if another service left it behind."""
    if row.writer is not None or row.summary.state != "running":
        return None
    known.look()
    if row.key not in known.wanted():
        return None
    return StorageError(f"study {row.name!r} is being taken up: try again")


def _not_running(row: StudyRow) -> ConflictError:
    """Why a study cannot be asked."""
    if row.writer is not None:
        return ElsewhereError(f"study {row.name!r} is run by {row.writer}: ask the service there")
    return ConflictError(f"study {row.name!r} does not run here (it is {row.summary.state}): resume it first")


def _over(row: StudyRow, trial: int, attempt: int) -> UserError:
    """Why nothing can be told of a job of a study that does not run here."""
    if row.writer is not None:
        return ElsewhereError(f"study {row.name!r} is run by {row.writer}: tell the service there")
    return LeaseError(
        f"study {row.name!r} runs no more: the job of trial {trial}, attempt {attempt}, is over"
    )
