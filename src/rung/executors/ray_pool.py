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
from collections import Counter
from collections.abc import Mapping, Sequence
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
from rung.executors.ray_slots import Place, Wish, arrange, describe
from rung.executors.setup import Setup
from rung.trials.events import Event, Failure, JobFailed, JobStopped

_TICK = 1.0  # seconds between two looks at the cluster's nodes
_IDLE = 60.0  # seconds after which a slot without a job is given back
_SLOW = 10.0  # seconds in which a slot starts where there is room for it: else others use the cluster too
_FAREWELL = 10.0  # seconds that the other nodes of a trial have to end after its first
_DOUBT = 30.0  # seconds in which slots are made elsewhere than on a node that lost one: it may be gone
_TRIES = 3  # at starting a slot, one after the other, before the study is told that it cannot be


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
        self._patience = patience
        self._needs = setup.needs or Needs()
        self._nodes: Mapping[str, Mapping[str, float]] = {}
        self._slots: list[Slot] = []
        self._held = 0  # devices that the nodes have room for
        self._queue: list[Job] = []
        self._asked: dict[Any, tuple[Slot, Member]] = {}
        self._homes: dict[int, str] = {}  # the node where a trial ran last
        self._doubted: dict[str, float] = {}  # nodes on which a slot was lost, and when
        self._events: list[Event] = []
        self._number = self._serial = self._failures = 0
        self._looked = 0.0
        self._hopeless: float | None = None  # since when the first of the queue fits on no node
        self._closed = False
        self._await_room()

    def _await_room(self) -> None:
        until = time.monotonic() + self._patience
        self._look()
        while self._held < 1:
            if time.monotonic() >= until:
                self._cluster.close()
                raise StudyError(f"no trial can run on this cluster: {self._too_large(self._needs)}")
            time.sleep(min(_TICK, self._patience))
            self._look()

    def _too_large(self, needs: Needs) -> str:
        have = describe(self._nodes, list(needs.resources()))
        return f"it needs {needs}, but {have}; change what it needs, or add nodes"

    # -- the executor's promises ----------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """Devices that trials may take at once, as the cluster is now."""
        if self._closed:
            return 0
        held, now = self._held, time.monotonic()
        if any(slot.state == "starting" and now - slot.since > _SLOW for slot in self._slots):
            held = min(held, sum(slot.devices for slot in self._slots))  # others use the rest
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
                self._stop(slot)

    def _stop(self, slot: Slot) -> None:
        slot.cancelled = True
        for member in slot.members:
            if member.reference is not None:  # else its next turn says it
                self._cluster.ask(member.worker, "cancel", slot.serial)

    def now(self) -> float:
        return time.time()

    def close(self, *, grace: float = 0.0) -> None:
        if self._closed:
            return
        until = time.monotonic() + grace
        for trial in [job.trial for job in self._queue] + [
            s.job.trial for s in self._slots if s.job is not None
        ]:
            self.cancel(trial)
        while self._working and (left := until - time.monotonic()) > 0:
            self._go_on()
            self._step(min(left, 0.1))
        self._closed = True
        for slot in list(self._slots):
            self._drop(slot, Failure.INTERRUPTED, "the executor was closed")
        self._cluster.close()
        logs = os.path.join(self._setup.folder, "logs")
        for number in range(self._number):
            path = os.path.join(logs, f"worker-{number}.log")
            if os.path.exists(path) and os.path.getsize(path) == 0:
                os.remove(path)

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
        if time.monotonic() - self._looked >= _TICK:
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
            self._lost(slot, str(error))
            return
        if not slot.joined:
            self._welcome(slot, member, answer)
        elif member.runs:
            self._tell(slot, member, decode(answer))

    def _lost(self, slot: Slot, why: str) -> None:
        if not slot.joined:
            self._failures += 1
            if self._failures >= _TRIES:
                raise StudyError(f"a worker cannot be started on the cluster: {why}")
        for member in slot.members:
            if member.hello is not None:
                self._doubted[member.hello.node] = time.monotonic()
        self._drop(slot, Failure.LOST, why)

    def _drop(self, slot: Slot, failure: Failure, why: str) -> None:
        """A slot is no more; a job in it ends."""
        self._slots.remove(slot)
        for member in slot.members:
            self._asked.pop(member.reference, None)
        self._cluster.end([member.worker for member in slot.members], slot.group)
        job = slot.job
        if job is not None and not slot.ended:
            if os.path.isdir(os.path.join(self._setup.folder, "logs")):
                spool = os.path.join(self._setup.folder, "logs", f"worker-{slot.number}.log")
                adopt(spool, str(self._setup.folder), job.trial)
            self._events.append(JobFailed(job.trial, failure, why, job.attempt, self.now()))

    def _tell(self, slot: Slot, member: Member, events: list[Any]) -> None:
        """Pass on what the first member tells; the others' ends only."""
        job = slot.job
        assert job is not None
        end = events[-1] if events and isinstance(events[-1], ENDS) else None
        member.runs = end is None
        if member.rank == 0 and not slot.ended:
            self._events.extend(self._timed(slot, event) for event in events)
            if end is not None:
                slot.ended = True
                slot.since = time.monotonic()
                if len(slot.members) > 1:
                    self._stop(slot)
        elif isinstance(end, JobFailed) and not slot.ended:
            self._drop(slot, end.failure, f"on its node {member.rank}: {end.message}")
            return
        elif end is None:
            self._ask(slot, member, "turn", slot.serial, None, slot.cancelled)
        if not any(one.runs for one in slot.members):
            slot.job, slot.since = None, time.monotonic()

    def _timed(self, slot: Slot, event: Any) -> Any:
        """The event, not before its job began nor after now, whatever the clock of its machine says."""
        time_ = min(max(event.time, slot.began), self.now())
        return event if time_ == event.time else msgspec.structs.replace(event, time=time_)

    # -- slots ----------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._looked = time.monotonic()
        self._nodes = self._cluster.nodes()
        self._held = self._needs.capacity(self._nodes.values())
        for slot in list(self._slots):  # nothing is asked of them, so nothing would tell that they are gone
            if slot.state == "idle" and not all(
                m.hello and m.hello.node in self._nodes for m in slot.members
            ):
                self._drop(slot, Failure.LOST, "")

    def _arrange(self) -> None:
        """Give jobs to slots, make those that are missing, give others back."""
        if not self._queue or self._closed:
            return
        places = [Place(slot.devices, slot.state, slot.node) for slot in self._slots]
        queue = [Wish(job.devices, self._homes.get(job.trial)) for job in self._queue]
        plan = arrange(queue, places, self.workers, gang=self._needs.nodes > 1)
        slots = list(self._slots)
        jobs = [self._queue[number] for number, _ in plan.assign]
        for job, (_, place) in zip(jobs, plan.assign, strict=True):
            self._begin(slots[place], job)
            self._queue.remove(job)
        for place in plan.release:
            self._drop(slots[place], Failure.LOST, "")
        for wish in plan.create:
            self._create(wish)

    def _create(self, wish: Wish) -> None:
        needs = self._needs.times(wish.devices)
        if needs.capacity(self._nodes.values()) < 1:
            return  # no node can hold it now; see `_give_up`
        workers, group = self._cluster.start(self._number, needs, self._preferred(wish, needs))
        members = [Member(worker, rank) for rank, worker in enumerate(workers)]
        slot = Slot(self._number, wish.devices, members, group)
        self._number += 1
        self._slots.append(slot)
        for member in members:
            self._ask(slot, member, "hello")

    def _preferred(self, wish: Wish, needs: Needs) -> str | None:
        """The trial's own node; or, where one was lost a moment ago, one that is known to live.

        The cluster itself learns of a node's death late, and would place the slot there until then.
        """
        now = time.monotonic()
        self._doubted = {node: when for node, when in self._doubted.items() if now - when < _DOUBT}
        if not self._doubted or (wish.home is not None and wish.home not in self._doubted):
            return wish.home
        held = Counter(slot.node for slot in self._slots)
        trusted = [node for node in self._nodes if node not in self._doubted]
        return max(trusted, key=lambda node: needs.on(self._nodes[node]) - held[node], default=None)

    def _welcome(self, slot: Slot, member: Member, answer: Any) -> None:
        """A member is up; one of several starts its worker when all of them are known."""
        if member.hello is None:
            self._check(answer)
            member.hello = answer
            known = [one.hello for one in slot.members if one.hello is not None]
            if len(slot.members) > 1 and len(known) == len(slot.members):
                self._join(slot, known)
        else:
            member.runs = True  # its worker is started; until the first job it stands for "joined"
        alone = len(slot.members) == 1
        if alone or all(one.runs for one in slot.members):
            for one in slot.members:
                one.runs = False
            slot.joined, slot.since, self._failures = True, time.monotonic(), 0

    def _join(self, slot: Slot, known: Sequence[Hello]) -> None:
        shared = {
            "RUNG_NODES": ",".join(hello.address for hello in known),
            "RUNG_PORT": str(known[0].port),
        }
        for one in slot.members:
            self._ask(slot, one, "join", {**shared, "RUNG_NODE": str(one.rank)})

    def _check(self, hello: Hello) -> None:
        if hello.version != rung.__version__:
            raise StudyError(
                f"the node {hello.address} has rung {hello.version}, but this process {rung.__version__}: "
                "install the same version everywhere"
            )
        if not hello.shares and self._setup.checkpoints is None and hello.host != socket.gethostname():
            raise StudyError(
                f"the node {hello.address} ({hello.host}) does not see the study's folder "
                f"{self._setup.folder}: use a storage in a folder that all nodes share, or --checkpoints URL"
            )

    def _begin(self, slot: Slot, job: Job) -> None:
        self._serial += 1
        slot.job, slot.serial, slot.cancelled, slot.ended = job, self._serial, False, False
        slot.since, slot.began = time.monotonic(), self.now()
        if slot.node is not None:
            self._homes[job.trial] = slot.node
        for member in slot.members:
            member.runs = True
            own = job if member.rank == 0 else job._replace(gates=())
            self._ask(slot, member, "turn", slot.serial, encode([Run(own)]), False)

    def _give_back(self) -> None:
        """Let go of slots that stand idle, and end the nodes of a trial that do not end with the first."""
        now = time.monotonic()
        for slot in list(self._slots):
            idle = slot.state == "idle" and now - slot.since > _IDLE
            if idle or (slot.ended and slot.state == "busy" and now - slot.since > _FAREWELL):
                self._drop(slot, Failure.LOST, "")

    def _give_up(self) -> None:
        """End the first job of the queue when no node has been able to hold it for too long."""
        job = self._queue[0] if self._queue else None
        needs = None if job is None else self._needs.times(job.devices)
        if job is None or needs is None or needs.capacity(self._nodes.values()) > 0:
            self._hopeless = None
            return
        now = time.monotonic()
        self._hopeless = self._hopeless or now
        if now - self._hopeless >= self._patience:
            self._queue.remove(job)
            self._hopeless = None
            why = self._too_large(needs)
            self._events.append(JobFailed(job.trial, Failure.LOST, why, job.attempt, self.now()))
