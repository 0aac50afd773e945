"""A study whose log this process writes for others: its leases, its checkpoints, commits that are shared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rung.executors.checkpoint_files import Saved
from rung.service.leases import Lease, Leases
from rung.service.lives import Life
from rung.study.checkpoints import Keeper
from rung.study.decide import why_over
from rung.study.ready import ready
from rung.study.writer import Writer
from rung.trials import events as ev
from rung.trials.events import Event, Failure


class OpenStudy:
    """The log's side of a study that is asked and told; see `HostedStudy`.

    Args:
        writer: the study's, which this takes over.
        lease_seconds: how long a job may be silent before it is lost.
        now: the time at which it is taken up, seconds since the epoch.
        changed: called after each commit, from the thread that made it.
    """

    def __init__(
        self,
        writer: Writer,
        lease_seconds: float,
        now: float,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._changed = changed
        self._lock = threading.RLock()
        self._news: list[Event] | None = None  # of calls that commit together
        self.leases = Leases(lease_seconds)
        self.leases.fold(writer.log.read(), now)
        self.closed = False
        self._stopping_since: float | None = None
        self._uploaded: dict[str, Saved] = {}  # by path, until their jobs tell of them
        self._keeper = Keeper(writer)
        writer.begin(ev.SERVICE, 0, None, now, adopt=True)
        self.ready = ready(writer.history, writer.scheduler)  # jobs that it could hand out, as far as known
        self._keeper.tidy(writer.history.running)
        self._end_if_done(now)  # its last service may have died before it knew

    @property
    def name(self) -> str:
        return self._writer.name

    @property
    def key(self) -> str:
        return self._writer.log.key

    @property
    def writer(self) -> Writer:
        """For reading what it is and what it knows."""
        return self._writer

    def begun_anew(self, life: Life, now: float) -> None:
        """Give up the jobs of a worker's earlier processes at once, not when their leases end.

        Raises:
            StorageError: the study is to be taken up anew.
        """
        with self._current(now):
            if not self.closed:
                for lease in self.leases.before(life):
                    self._lose(lease, f"its worker {life.name} was begun anew", now)

    # -- together -------------------------------------------------------------------------------------

    @contextmanager
    def together(self, now: float) -> Iterator[None]:
        """Calls in this block are made durable in one go, at its end: they may be answered only then.

        Raises:
            StorageError: nothing of them is in the log.
        """
        with self._current(now):
            self._news = []
            try:
                with self._writer.together():
                    yield
            finally:
                news, self._news = self._news, None
            self._swept(news, now)

    @contextmanager
    def _current(self, now: float) -> Iterator[None]:
        """Alone with what the log says: what could not be made durable is forgotten first."""
        with self._lock:
            if not self.closed and self._writer.catch_up():
                self.leases = Leases(self.leases.seconds)
                self.leases.fold(self._writer.log.read(), now)
                self.ready = ready(self._writer.history, self._writer.scheduler)
            yield

    def _end_if_done(self, now: float) -> None:
        if not self.closed and not self.leases.running and self._writer.done:
            self._writer.commit_folded(self._keeper.give_up(now))
            self._writer.flush()
            self._keeper.delete()
            self._writer.end(why_over(self._writer.history, self._writer.scheduler), now)
            self._shut()

    def close(self) -> None:
        """Let go of the study as it is: jobs go on, and whoever opens it next adopts them."""
        with self._lock:
            if not self.closed:
                self._shut()

    def _shut(self) -> None:
        self._writer.flush()
        self.closed = True
        self._writer.log.close()
        self._changed()

    def _commit(self, events: Sequence[Event], now: float) -> None:
        if not events:
            return
        self._writer.commit(events)
        self.leases.fold(events, now)
        self._writer.stop_trials(now)
        self.ready = ready(self._writer.history, self._writer.scheduler)
        if self._news is None:
            self._swept(events, now)
        else:
            self._news += events

    def _lose(self, lease: Lease, why: str, now: float) -> None:
        self._commit([ev.JobFailed(lease.trial, Failure.LOST, why, lease.attempt, now)], now)

    def _swept(self, news: Sequence[Event], now: float) -> None:
        """Delete what nothing needs any more, now that these are in the log, and tell who waits for them."""
        if news:
            for event in news:
                if isinstance(event, ev.CheckpointSaved):
                    self._uploaded.pop(event.path, None)
            if not self.closed:
                self._writer.commit_folded(self._keeper.sweep(news, now))
            self._changed()
