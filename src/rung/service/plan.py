"""What the sharing policy knows of the studies, and what it decided, as long as nothing outdates that."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from rung.cluster.sharing import (
    Account,
    Claim,
    ClaimChanged,
    Launch,
    Passed,
    Policy,
    Preempt,
    PreemptionAsked,
    SharingEvent,
    StudyLeft,
    decide,
    fold,
    initial,
)
from rung.service.hosting import HostedStudy
from rung.service.ledger import Books, Ledger, MemoryLedger

_log = logging.getLogger("rung.service")


class Plan:
    """The policy's state, and its latest decision. Not for several threads at once.

    Args:
        policy: how workers are shared.
        ledger: where it is kept what studies got.

    Attributes:
        sharing: the state; for reading.
        claims: keys of the studies that it knows.
        preempted: jobs that were asked to stop for another study, so far.
    """

    def __init__(self, policy: Policy | None = None, ledger: Ledger | None = None) -> None:
        self.sharing = initial(policy)
        self._books = Books(ledger or MemoryLedger())
        self.claims: set[str] = set()
        self._asked: dict[str, dict[int, int]] = {}  # where jobs began that had to stop, by key and trial
        self.preempted = 0
        self._launches: list[Launch] | None = None  # None: to be decided anew

    def fold(self, event: SharingEvent) -> None:
        """Something happened; what was decided before may be wrong now."""
        self.sharing = fold(self.sharing, event)
        self._launches = None

    def outdate(self) -> None:
        """Decide anew next time."""
        self._launches = None

    def look(self, now: float) -> None:
        """Bring accounts up to this time; what was decided stands."""
        self.sharing = fold(self.sharing, Passed(time=now))

    # -- studies --------------------------------------------------------------------------------------

    def claim(self, claim: Claim, now: float) -> None:
        """A study wants this now; what became of it before is remembered when it comes."""
        if claim.study not in self.claims:
            past = self._books.came(claim.study, now)
            self.claims.add(claim.study)
            if past is not None:
                self.fold(past)
        share = self.sharing.shares.get(claim.study)
        if share is None or share.claim != claim:  # each job that starts makes what it claims one less
            self.fold(ClaimChanged(time=now, claim=claim))

    def leave(self, key: str, now: float, *, forever: bool) -> None:
        """A study went, and may come again unless it is no more."""
        self.claims.remove(key)
        self._asked.pop(key, None)
        self.look(now)
        self._books.went(key, None if forever else self.sharing.account(key))
        self.fold(StudyLeft(time=now, study=key))

    def account(self, key: str) -> Account:
        """What became of a study's share, whether it is here or not.

        Raises:
            StorageError: the ledger cannot be read.
        """
        return self.sharing.account(key) if key in self.claims else self._books.known(key)

    def keep(self, now: float, *, anyway: bool = False) -> None:
        """Note what studies got, if it is time to.

        Raises:
            StorageError: it cannot be kept.
        """
        if anyway or self._books.due(now):
            self._books.keep({key: self.sharing.account(key) for key in self.claims}, now)

    def may_stop(self, key: str, trial: int, start: int) -> bool:
        """Whether a job that begins there may be asked to stop: not if the one before it had to, for nothing.

        Without a checkpoint it would begin anew each time, and never end where studies take turns.
        """
        return start > self._asked.get(key, {}).get(trial, -1)

    # -- decisions ------------------------------------------------------------------------------------

    def decided(self, studies: Mapping[str, HostedStudy], now: float) -> list[Launch]:
        """The jobs to start now; those that are to stop have been told so.

        Args:
            studies: those that run, by key.
        """
        if self._launches is None:
            self._launches = []
            for decision in decide(self.sharing):
                if isinstance(decision, Launch):
                    self._launches.append(decision)
                else:
                    self._preempt(decision, studies, now)
        return self._launches

    def began(self, launch: Launch, decided: list[Launch], slots: int) -> None:
        """A launch was carried out, by a job that takes so many slots; after its `TaskStarted` was folded.

        As long as jobs take what was decided the other launches stand: after a start with many free slots
        nothing is to be decided anew for each of them.
        """
        if slots <= launch.slots:
            self._launches = [other for other in decided if other is not launch] or None

    def _preempt(self, stop: Preempt, studies: Mapping[str, HostedStudy], now: float) -> None:
        study, taker = studies.get(stop.study), studies.get(stop.taker)
        if study is not None:
            study.preempt(stop.trial)
            self.preempted += 1
            running = study.writer.history.running.get(stop.trial)
            if running is not None:
                self._asked.setdefault(stop.study, {})[stop.trial] = running.job.start
            whose = stop.taker if taker is None else taker.name
            _log.info("%s: the job of trial %d is to stop: %s %s", study.name, stop.trial, whose, stop.why)
        self.sharing = fold(self.sharing, PreemptionAsked(time=now, study=stop.study, trial=stop.trial))
