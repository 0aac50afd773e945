"""Machines that lend slots: who they are, what they run, and which study's job each is given next.

Which study is served is the sharing policy's word (`rung.cluster.sharing`); this tells the policy what
happens and carries out what it decides. When the service restarts, all of it is made anew from the studies'
leases and the workers' polls; what studies got until then is in a ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rung.cluster.sharing import (
    Node,
    NodeJoined,
    NodeLeft,
    Passed,
    Policy,
    Task,
    TaskEnded,
    TaskSaved,
    TaskStarted,
)
from rung.errors import LeaseError, MissingError, StorageError, StudyError
from rung.service import machines, room
from rung.service.hosting import HostedStudy
from rung.service.hub import Hub
from rung.service.ledger import Ledger
from rung.service.lives import Life, Lives
from rung.service.machines import Fleet, Lender, Machine
from rung.service.plan import Plan
from rung.service.standing import Standing
from rung.service.views import lent_job_view

Job = tuple[str, int, int]  # study's key, trial, attempt


class Held(NamedTuple):
    """A job that a worker says it runs; `key` is its study's, "" where the worker does not say."""

    study: str
    trial: int
    attempt: int
    key: str = ""


class Polled(NamedTuple):
    """The answer to a poll: jobs to run, and jobs that are to stop."""

    jobs: list[dict[str, Any]]
    stop: list[dict[str, Any]]


class Workers:
    """The workers of a service. May be used from several threads.

    Args:
        hub: the studies.
        policy: how workers are shared.
        ledger: where it is kept what studies got.
    """

    def __init__(self, hub: Hub, policy: Policy | None = None, ledger: Ledger | None = None) -> None:
        self._hub = hub
        self._lock = threading.RLock()
        self._fleet = Fleet()
        self._lives = Lives()
        self._plan = Plan(policy, ledger)
        self._tasks: dict[tuple[str, int], tuple[str, float]] = {}  # node and time saved, by key and trial

    # -- coming and going -----------------------------------------------------------------------------

    def join(self, name: str, slots: int, labels: Mapping[str, str], owner: str, run: str = "") -> str:
        """Register a worker, in the place of its owner's of this name; returns the id that it polls with.

        Args:
            run: which process it is: jobs of earlier ones of this name are given up at once; "": unknown.

        Raises:
            ConflictError: another process has taken its name since.
        """
        now, life = self._hub.now(), Life(owner, name, run)
        with self._lock:
            self._lives.begin(life)
            for other in self._fleet.named(life):
                self._drop(other, now)
            machines.give_up_before(life, self._hub, now)
            worker = Machine(life, slots, labels, now)
            self._fleet.add(worker)
            self._plan.fold(NodeJoined(time=now, node=Node(worker.id, slots)))
            return worker.id

    def leave(self, number: str, owner: str | None = None) -> None:
        """A worker lends nothing any more. Jobs that it has not told of are lost when their leases end.

        Raises:
            MissingError: there is none of this id.
        """
        with self._lock:
            self._drop(self._known(number, owner), self._hub.now())

    def _drop(self, worker: Machine, now: float) -> None:
        """It lends nothing, and its jobs take no share: one that does go on is adopted when it is named."""
        for (key, trial), (node, _) in list(self._tasks.items()):
            if node == worker.id:
                del self._tasks[key, trial]
                self._plan.fold(TaskEnded(time=now, study=key, trial=trial))
        self._fleet.drop(worker.id)
        self._plan.fold(NodeLeft(time=now, name=worker.id))

    def _known(self, number: str, owner: str | None) -> Machine:
        worker = self._fleet.get(number)
        if worker is None or owner not in (None, worker.life.owner):
            raise MissingError(f"there is no worker {number!r} here: register again")
        return worker

    def lenders(self) -> list[Lender]:
        """All workers, by name."""
        with self._lock:
            return machines.lenders(self._fleet.all(), self._tasks, self._hub)

    @property
    def preempted(self) -> int:
        """Jobs that were asked to stop for another study, since the process started."""
        return self._plan.preempted

    def standing(self, key: str) -> Standing:
        """What a study has of the workers now, and got over its life."""
        with self._lock:
            if key in self._plan.claims:
                self._plan.look(self._hub.now())
            state, account = self._plan.sharing, self._plan.account(key)
            lacks = machines.lacks(self._hub.hosted(key), self._hub.running(key), self._fleet)
            return Standing(state.held(key), state.ideal(key), account.got, account.due, lacks)

    # -- polling --------------------------------------------------------------------------------------

    def next_turn(self, number: str) -> int:
        """Begin a poll: the ones before of the same worker, which know less, wait no longer."""
        with self._lock:
            worker = self._fleet.get(number)
            if worker is None:
                return 0
            worker.polls += 1
            return worker.polls

    def turn(self, number: str) -> int:
        """The turn of the worker's latest poll."""
        worker = self._fleet.get(number)
        return 0 if worker is None else worker.polls

    def poll(
        self,
        number: str,
        running: Sequence[Held],
        free: int,
        refuse: Mapping[str, str],
        owner: str | None = None,
        *,
        lends: int | None = None,
    ) -> Polled:
        """A worker's sign of life for itself and its jobs; what it is to start and to stop.

        A job that it was given and does not name, because the answer was lost, is given again. The studies
        that it refuses, and why, are to be said once: another study may have such a name later.

        Args:
            running: what it says that it runs.
            free: slots that want a job now.
            lends: slots that it could fill now, busy ones too, such as 0 where its disk is full; None: all.

        Raises:
            MissingError: there is no worker of this id, as after a restart of the service: register again.
        """
        now = self._hub.now()
        with self._lock:
            worker = self._known(number, owner)
            worker.seen = now
            active = {study.name: study for study in self._hub.active}
            for name in refuse.keys() & active.keys():
                self._fleet.refuse(worker, active[name].key, refuse[name])
            if refuse:
                self._plan.outdate()
            self._resize(worker, worker.slots if lends is None else min(lends, worker.slots), now)
            stop, held = self._renewed(worker, running, now)
            self._catch_up(active, now)
            jobs = _given_again(worker, held, active, self._hub)
            jobs += self._launched(worker, free - sum(job["devices"] for job in jobs), active, now)
        return Polled(jobs, stop)

    def _resize(self, worker: Machine, slots: int, now: float) -> None:
        """Nothing is planned for slots that a worker cannot fill."""
        if worker.usable != slots:
            worker.usable = slots
            self._plan.fold(NodeJoined(time=now, node=Node(worker.id, slots)))

    def _renewed(
        self, worker: Machine, running: Sequence[Held], now: float
    ) -> tuple[list[dict[str, Any]], set[Job]]:
        """Renew the leases of a worker's jobs: those that are to stop, and all, by their studies' keys."""
        stop: list[dict[str, Any]] = []
        held: set[Job] = set()
        for job in running:
            study, why = _renewal(self._hub, job, worker.life.name, now)
            if study is not None:
                held.add((study.key, job.trial, job.attempt))
                self._adopt(worker, study, job.trial, now)
            if why is not None:
                stop.append({"study": job.study, "trial": job.trial, "attempt": job.attempt, "why": why})
        return stop, held

    def _adopt(self, worker: Machine, study: HostedStudy, trial: int, now: float) -> None:
        """A job that ran before the service restarted, or the worker registered anew, becomes known."""
        node, _ = self._tasks.get((study.key, trial), (None, 0.0))
        if node == worker.id:
            return
        if node is not None:
            self._plan.fold(TaskEnded(time=now, study=study.key, trial=trial))
        self._began(worker, study, trial, now)

    def _began(self, worker: Machine, study: HostedStudy, trial: int, now: float) -> None:
        lease = study.leases.running.get(trial)
        hosted = self._hub.hosted(study.key)
        if lease is None or hosted is None:
            return
        running = study.writer.history.running[trial]
        slots = room.taken(hosted, study, trial)
        may_stop = self._plan.may_stop(study.key, trial, running.job.start)
        task = Task(study.key, trial, worker.id, slots, running.job.until, lease.saved, may_stop)
        self._tasks[study.key, trial] = (worker.id, lease.saved)
        self._plan.fold(TaskStarted(time=now, task=task))

    def _launched(
        self, worker: Machine, free: int, active: Mapping[str, HostedStudy], now: float
    ) -> list[dict[str, Any]]:
        """Carry out what the policy decides for this worker."""
        by_key = {study.key: study for study in active.values()}
        jobs: list[dict[str, Any]] = []
        asked: set[str] = set()  # studies that had none, whatever they claim: each is asked once
        while free > 0:
            decided = self._plan.decided(by_key, now)
            launch = next((x for x in decided if x.node == worker.id and x.study not in asked), None)
            if launch is None or launch.slots > free:
                break
            study = by_key[launch.study]
            most = room.most(launch, decided, free, self._hub.hosted(study.key), self._plan.sharing)
            grant = study.ask(worker.life.name, "", now, most, worker.life)
            if grant is None:
                asked.add(study.key)
                self._claim(study, now)  # it has none ready after all
                self._plan.outdate()
                continue
            worker.given[study.key, grant.trial] = grant
            self._began(worker, study, grant.trial, now)
            self._plan.began(launch, decided, grant.devices)
            jobs.append(lent_job_view(study, grant, self._hub.hosted(study.key)))
            free -= max(launch.slots, grant.devices)
        return jobs

    # -- what the policy is told ----------------------------------------------------------------------

    def _catch_up(self, active: Mapping[str, HostedStudy], now: float) -> None:
        """Tell the policy which jobs ended or saved, and what studies want."""
        by_key = {study.key: study for study in active.values()}
        for (key, trial), (node, saved) in list(self._tasks.items()):
            study = by_key.get(key)
            lease = study.leases.running.get(trial) if study is not None else None
            if lease is None:
                del self._tasks[key, trial]
                self._plan.fold(TaskEnded(time=now, study=key, trial=trial))
            elif lease.saved != saved:
                self._tasks[key, trial] = (node, lease.saved)
                self._plan.fold(TaskSaved(time=now, study=key, trial=trial))
        for study in active.values():
            self._claim(study, now)
        for key in sorted(self._plan.claims - by_key.keys()):
            self._fleet.forget(key)
            self._plan.leave(key, now, forever=self._hub.hosted(key) is None)

    def _claim(self, study: HostedStudy, now: float) -> None:
        hosted = self._hub.hosted(study.key)
        if hosted is not None and hosted.objective is not None:
            self._plan.claim(machines.claim_of(study, hosted, self._fleet), now)

    def tick(self) -> None:
        """Notice workers that are gone and jobs that ended; called every second or so."""
        now = self._hub.now()
        with self._lock:
            for worker in self._fleet.all():
                if now - worker.seen > self._hub.lease:
                    self._drop(worker, now)
            self._look(now)
            active = {study.key: study for study in self._hub.active}
            self._plan.decided(active, now)  # where no slot is free, too
            self._plan.keep(now)

    def close(self) -> None:
        """Note what studies got.

        Raises:
            StorageError: it cannot be kept.
        """
        now = self._hub.now()
        with self._lock:
            self._look(now)
            self._plan.keep(now, anyway=True)

    def _look(self, now: float) -> None:
        self._catch_up({study.name: study for study in self._hub.active}, now)
        self._plan.fold(Passed(time=now))  # time alone changes what is fair


def _renewal(hub: Hub, job: Held, worker: str, now: float) -> tuple[HostedStudy | None, str | None]:
    """Renew the lease of a worker's job: its study, if it has one, and why it is to stop, if it is."""
    try:
        study = hub.study(job.study)
        if job.key not in ("", study.key):
            raise LeaseError(f"this job is of another study {job.study!r}, which is no more")
        return study, study.renew(job.trial, job.attempt, now, worker).why
    except (LeaseError, StudyError):
        return None, "lost"
    except StorageError:  # the study is to be taken up anew: the job goes on meanwhile
        return None, None


def _given_again(
    worker: Machine, held: set[Job], active: Mapping[str, HostedStudy], hub: Hub
) -> list[dict[str, Any]]:
    """Jobs that a worker was given and does not hold, because the answer was lost."""
    by_key = {study.key: study for study in active.values()}
    jobs = []
    for (key, trial), grant in list(worker.given.items()):
        study = by_key.get(key)
        if study is None or study.leases.holder(trial, grant.attempt) is None:
            del worker.given[key, trial]
        elif (key, trial, grant.attempt) not in held:
            jobs.append(lent_job_view(study, grant, hub.hosted(study.key)))
    return jobs
