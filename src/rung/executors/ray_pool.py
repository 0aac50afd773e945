"""Jobs in slots of a cluster that grows and shrinks: all of it but the calls of Ray itself.

Slots are made when jobs need them, kept for the next job, and given back after a minute without one. A slot
answers a `turn` (see `rung.executors.ray_host`) as soon as its job tells something; the next turn is asked
for in the next `poll`, which is what a report at a gate waits for. Nothing is retried here: what is lost with
a worker or a node is `JobFailed(LOST)`, and only the study decides on another try.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

import msgspec

import rung
from rung.errors import StudyError
from rung.executors.base import Job
from rung.executors.logs import adopt
from rung.executors.needs import Needs
from rung.executors.pipes import Run
from rung.executors.ray_host import ENDS, Hello, decode, encode
from rung.executors.ray_places import Cluster, Gone, Member, Slot
from rung.executors.ray_room import Room
from rung.executors.ray_slots import Place, Wish, arrange
from rung.executors.setup import Setup
from rung.trials.events import Event, Failure, JobFailed, JobStopped

_TICK = 1.0  # seconds between two looks at the queue
_IDLE = 60.0  # seconds after which a slot without a job is given back
_FAREWELL = 10.0  # seconds that the other nodes of a trial have to end after its first
_TRIES = 3  # at starting a slot, one after the other, before the study is told that it cannot be:
_TRIES_IN_ALL = 30  # of such that were lost with their nodes, which are killed more often than wrong


class PoolExecutor:
    """Runs jobs in as many slots as the cluster has room for, up to `setup.workers` unless `setup.elastic`.

    Args:
        cluster: makes and asks slots.
        patience: seconds to wait for nodes that can hold a trial, when there is none.

    Raises:
        StudyError: no node can hold a trial, and none comes in time.
    """

    name = "ray"

    def __init__(self, setup: Setup, cluster: Cluster, *, patience: float = 60.0) -> None:
        self._setup = setup
        self._cluster = cluster
        self._needs = setup.needs or Needs()
        self._room = Room(cluster, self._needs, patience)
        self._slots: list[Slot] = []
        self._queue: list[Job] = []
        self._asked: dict[Any, tuple[Slot, Member]] = {}
        self._events: list[Event] = []
        self._number = self._serial = self._failures = 0
        self._closed = False

    # -- the executor's promises ----------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """Devices that trials may take at once, as the cluster is now."""
        if self._closed:
            return 0
        held = self._room.devices(self._slots)
        return held if self._setup.elastic else min(held, self._setup.workers)

    @property
    def free_slots(self) -> int:
        used = sum(slot.devices for slot in self._slots if slot.state == "busy")
        return max(0, self.workers - used - sum(job.devices for job in self._queue))

    def submit(self, jobs: Sequence[Job]) -> None:
        if sum(job.devices for job in jobs) > self.free_slots:
            raise ValueError(f"{len(jobs)} jobs for {self.free_slots} free slots")
        self._queue.extend(jobs)
        self._arrange()

    def poll(self, timeout: float | None) -> list[Event]:
        if not self._closed:
            self._go_on()
            until = None if timeout is None else time.monotonic() + timeout
            self._step(0.0 if self._events else self._left(until))
            while not self._events and self._working and (until is None or time.monotonic() < until):
                self._step(self._left(until))
        events, self._events = self._events, []
        return events

    @property
    def _working(self) -> bool:
        return bool(self._queue) or any(slot.state == "busy" for slot in self._slots)

    def _left(self, until: float | None) -> float:
        if not self._working:
            return 0.0
        return _TICK if until is None else max(0.0, min(_TICK, until - time.monotonic()))

    def cancel(self, trial: int) -> None:
        for job in self._queue:
            if job.trial == trial:
                self._queue.remove(job)
                self._events.append(JobStopped(trial, job.attempt, self.now()))
                return
        for slot in self._slots:
            if slot.job is not None and slot.job.trial == trial and not slot.cancelled:
                _stop(slot, self._cluster)

    def now(self) -> float:
        return time.time()

    def close(self, *, grace: float = 0.0) -> None:
        if self._closed:
            return
        until = time.monotonic() + grace
        running = [slot.job for slot in self._slots if slot.job is not None]
        for job in [*self._queue, *running]:
            self.cancel(job.trial)
        while self._working and (left := until - time.monotonic()) > 0:
            self._go_on()
            self._step(min(left, 0.1))
        self._closed = True
        for slot in list(self._slots):
            self._drop(slot, Failure.INTERRUPTED, "the executor was closed")
        self._cluster.close()
        _tidy(os.path.join(self._setup.folder, "logs"), self._number)

    # -- one step -------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Ask for the next turn of each job whose last one was told."""
        for slot in self._slots:
            for member in slot.members:
                if member.runs and member.reference is None:
                    self._ask(slot, member, "turn", slot.serial, None, slot.cancelled)

    def _ask(self, slot: Slot, member: Member, method: str, *arguments: Any) -> None:
        member.reference = self._cluster.ask(member.worker, method, *arguments)
        self._asked[member.reference] = (slot, member)

    def _step(self, wait: float) -> None:
        """Take in what has come, waiting for it up to `wait` seconds; then serve the queue."""
        if self._room.due:
            self._look()
            self._give_back()
            self._give_up()
            self._arrange()
        if self._asked:
            for reference in self._cluster.wait(list(self._asked), wait):
                if reference in self._asked:  # not of a slot that has just been dropped
                    self._take(reference)
            self._arrange()
        elif wait:
            time.sleep(wait)

    def _take(self, reference: Any) -> None:
        slot, member = self._asked.pop(reference)
        member.reference = None
        try:
            answer = self._cluster.answer(reference)
        except Gone as error:
            self._lost(slot, error)
            return
        if not slot.joined:
            self._welcome(slot, member, answer)
        elif member.runs:
            self._tell(slot, member, decode(answer))

    def _lost(self, slot: Slot, error: Gone) -> None:
        if not slot.joined:
            self._failures += _TRIES_IN_ALL if error.raised else _TRIES
            if self._failures >= _TRIES * _TRIES_IN_ALL:
                raise StudyError(f"a worker cannot be started on the cluster: {error}")
        for member in slot.members:
            if member.hello is not None:
                self._room.doubt(member.hello.node)
        self._drop(slot, Failure.LOST, f"{error} ({slot.where})")

    def _drop(self, slot: Slot, failure: Failure, why: str) -> None:
        """A slot is no more; a job in it ends."""
        self._slots.remove(slot)
        for member in slot.members:
            self._asked.pop(member.reference, None)
        self._cluster.end([member.worker for member in slot.members], slot.group)
        job = slot.job
        if job is not None and not slot.ended:
            _keep_log(self._setup, slot.number, job.trial)
            self._events.append(JobFailed(job.trial, failure, why, job.attempt, self.now()))

    def _tell(self, slot: Slot, member: Member, events: list[Any]) -> None:
        """Pass on what the first member tells; the others' ends only."""
        end = events[-1] if events and isinstance(events[-1], ENDS) else None
        member.runs = end is None
        if member.rank == 0 and not slot.ended:
            self._events.extend(_timed(slot, event, self.now()) for event in events)
            if end is not None:
                slot.ended = True
                slot.since = time.monotonic()
                if len(slot.members) > 1:
                    _stop(slot, self._cluster)
        elif isinstance(end, JobFailed) and not slot.ended:
            self._drop(slot, end.failure, f"on its node {member.rank}: {end.message}")
            return
        elif end is None:
            self._ask(slot, member, "turn", slot.serial, None, slot.cancelled)
        if not any(one.runs for one in slot.members):
            slot.job, slot.since = None, time.monotonic()

    # -- slots ----------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._room.look()
        for slot in list(self._slots):  # nothing is asked of them, so nothing would tell that they are gone
            known = all(m.hello and m.hello.node in self._room.nodes for m in slot.members)
            if slot.state == "idle" and not known:
                self._drop(slot, Failure.LOST, "")

    def _arrange(self) -> None:
        """Give jobs to slots, make those that are missing, give others back."""
        if not self._queue or self._closed:
            return
        places = [Place(slot.devices, slot.state, slot.node) for slot in self._slots]
        queue = [Wish(job.devices, self._room.home(job.trial)) for job in self._queue]
        plan = arrange(queue, places, self.workers, gang=self._needs.nodes > 1)
        slots = list(self._slots)
        for job, slot in [(self._queue[number], slots[place]) for number, place in plan.assign]:
            self._begin(slot, job)
            self._queue.remove(job)
        for place in plan.release:
            self._drop(slots[place], Failure.LOST, "")
        for wish in plan.create:
            self._create(wish)

    def _create(self, wish: Wish) -> None:
        needs = self._needs.times(wish.devices)
        if not self._room.holds(needs):
            return  # no node can hold it now; see `_give_up`
        workers, group = self._cluster.start(
            self._number, needs, self._room.preferred(wish, needs, self._slots)
        )
        members = [Member(worker, rank) for rank, worker in enumerate(workers)]
        slot = Slot(self._number, wish.devices, members, group)
        self._number += 1
        self._slots.append(slot)
        for member in members:
            self._ask(slot, member, "hello")

    def _welcome(self, slot: Slot, member: Member, answer: Any) -> None:
        """A member is up; one of several starts its worker when all of them are known."""
        if member.hello is None:
            _check(answer, self._setup)
            member.hello = answer
            known = [one.hello for one in slot.members if one.hello is not None]
            if len(slot.members) > 1 and len(known) == len(slot.members):
                shared = _shared(known)
                for one in slot.members:
                    self._ask(slot, one, "join", {**shared, "RUNG_NODE": str(one.rank)})
        else:
            member.runs = True  # its worker is started; until the first job it stands for "joined"
        alone = len(slot.members) == 1
        if alone or all(one.runs for one in slot.members):
            for one in slot.members:
                one.runs = False
            slot.joined, slot.since, self._failures = True, time.monotonic(), 0

    def _begin(self, slot: Slot, job: Job) -> None:
        self._serial += 1
        slot.job, slot.serial, slot.cancelled, slot.ended = job, self._serial, False, False
        slot.since, slot.began = time.monotonic(), self.now()
        self._room.ran(job.trial, slot.node)
        for member in slot.members:
            member.runs = True
            own = job if member.rank == 0 else job._replace(gates=())
            self._ask(slot, member, "turn", slot.serial, encode([Run(own)]), False)

    def _give_back(self) -> None:
        """Let go of slots that stand idle, and end the nodes of a trial that do not end with the first."""
        now = time.monotonic()
        for slot in list(self._slots):
            idle = slot.state == "idle" and now - slot.since > _IDLE
            unwanted = not self._queue and self._room.unwanted(slot)
            if idle or unwanted or (slot.ended and slot.state == "busy" and now - slot.since > _FAREWELL):
                self._drop(slot, Failure.LOST, "")

    def _give_up(self) -> None:
        """End the first job of the queue when no node has been able to hold it for too long."""
        job = self._queue[0] if self._queue else None
        needs = None if job is None else self._needs.times(job.devices)
        if self._room.in_vain(needs) and job is not None and needs is not None:
            self._queue.remove(job)
            why = self._room.too_large(needs)
            self._events.append(JobFailed(job.trial, Failure.LOST, why, job.attempt, self.now()))


def _stop(slot: Slot, cluster: Cluster) -> None:
    """Tell all nodes of a trial to stop."""
    slot.cancelled = True
    for member in slot.members:
        if member.reference is not None:  # else its next turn says it
            cluster.ask(member.worker, "cancel", slot.serial)


def _keep_log(setup: Setup, slot: int, trial: int) -> None:
    """What a slot that is gone had printed goes to its trial's log."""
    folder = str(setup.folder)
    spool = os.path.join(folder, "logs", f"worker-{slot}.log")
    if os.path.isdir(os.path.dirname(spool)):
        adopt(spool, folder, trial, setup.log_size)


def _tidy(logs: str, count: int) -> None:
    """Remove the slots' logs in which nothing stands."""
    for number in range(count):
        path = os.path.join(logs, f"worker-{number}.log")
        if os.path.exists(path) and os.path.getsize(path) == 0:
            os.remove(path)


def _timed(slot: Slot, event: Any, now: float) -> Any:
    """The event, not before its job began nor after now, whatever the clock of its machine says."""
    time_ = min(max(event.time, slot.began), now)
    return event if time_ == event.time else msgspec.structs.replace(event, time=time_)


def _shared(known: Sequence[Hello]) -> dict[str, str]:
    """What the nodes of a trial are told of each other."""
    return {"RUNG_NODES": ",".join(hello.address for hello in known), "RUNG_PORT": str(known[0].port)}


def _check(hello: Hello, setup: Setup) -> None:
    """Refuse a node that cannot run the study's jobs.

    Raises:
        StudyError: says why.
    """
    if hello.version != rung.__version__:
        raise StudyError(
            f"the node {hello.address} has rung {hello.version}, but this process {rung.__version__}: "
            "install the same version everywhere"
        )
    if not hello.shares and setup.checkpoints is None and hello.host != socket.gethostname():
        raise StudyError(
            f"the node {hello.address} ({hello.host}) does not see the study's folder "
            f"{setup.folder}: use a storage in a folder that all nodes share, or --checkpoints URL"
        )
