"""Slots of a cluster as the executor holds them, and the calls by which an engine makes and asks them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rung.executors.base import Job
from rung.executors.needs import Needs
from rung.executors.ray_host import Hello
from rung.executors.ray_slots import State


class Gone(Exception):  # noqa: N818  # what a member is, no mistake
    """A worker that answers no more; the text says why.

    Attributes:
        raised: it ended of an exception of its own, and the next one would too.
    """

    def __init__(self, why: str, *, raised: bool = False) -> None:
        super().__init__(why)
        self.raised = raised


class Cluster(Protocol):
    """The calls of an engine. A reference stands for an answer that comes later."""

    def nodes(self) -> Mapping[str, Mapping[str, float]]:
        """The resources of each node that is alive, by its identifier."""

    def start(self, number: int, needs: Needs, home: str | None) -> tuple[list[Any], Any]:
        """Begin to start a slot, on `home` if possible: its members, one a node, and their group."""

    def ask(self, member: Any, method: str, *arguments: Any) -> Any:
        """Call a method of `Host`; a reference to the answer."""

    def wait(self, references: Sequence[Any], timeout: float) -> list[Any]:
        """Those of the references whose answers are there: at least one, unless the time runs out."""

    def answer(self, reference: Any) -> Any:
        """The answer, which is there.

        Raises:
            Gone: whoever was asked is no more.
        """

    def end(self, members: Sequence[Any], group: Any) -> None:
        """Kill members and give their places back."""

    def close(self) -> None:
        """Leave the cluster; end it if it is one's own."""


class Member:
    """One node's part of a slot: a single one, unless trials need several nodes."""

    __slots__ = ("hello", "rank", "reference", "runs", "worker")

    def __init__(self, worker: Any, rank: int) -> None:
        self.worker = worker
        self.rank = rank
        self.reference: Any = None  # of the answer that is waited for
        self.hello: Hello | None = None
        self.runs = False  # it has not told its job's end


class Slot:
    """A place for one job at a time."""

    __slots__ = (
        *("began", "cancelled", "devices", "ended", "group"),
        *("job", "joined", "members", "number", "serial", "since"),
    )

    def __init__(self, number: int, devices: int, members: list[Member], group: Any) -> None:
        self.number = number
        self.devices = devices
        self.members = members
        self.group = group
        self.job: Job | None = None
        self.joined = False  # it is up
        self.ended = False  # its job has told its end; other nodes may still be at it
        self.cancelled = False
        self.serial = 0  # of its job
        self.since = time.monotonic()  # of its state
        self.began = 0.0  # its job, by our clock

    @property
    def state(self) -> State:
        if not self.joined:
            return "starting"
        return "idle" if self.job is None else "busy"

    @property
    def node(self) -> str | None:
        hello = self.members[0].hello
        return None if hello is None else hello.node

    @property
    def where(self) -> str:
        hello = self.members[0].hello
        return "a node" if hello is None else hello.address
