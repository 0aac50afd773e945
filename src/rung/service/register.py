"""What the service knows of a study beside its log: whose it is, what runs it, how it shares."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from rung.errors import StudyError
from rung.service.shared import check_same


class Hosted(msgspec.Struct, frozen=True):
    """A study that the service looks after.

    Attributes:
        owner: the user who made it.
        objective: "module:function" that workers have; None: outside workers ask and tell.
        weight, priority, min_slots, max_slots: how it shares the workers, see `rung.cluster.sharing`.
        devices: slots that one job takes at least.
        auto: whether a job takes more as its trial climbs; its log says how that is found.
        wanted: what its owner wants of it, "running", "paused" or "stopped".
        request: the idempotency key of the request that made it.
        digest: of what that request asked for; "" if it is not known.
    """

    owner: str
    objective: str | None = None
    weight: float = 1.0
    priority: int = 0
    min_slots: int = 0
    max_slots: int | None = None
    devices: int = 1
    wanted: str = "running"
    request: str = ""
    auto: bool = False
    digest: str = ""


def checked(hosted: Hosted) -> Hosted:
    """`hosted`, if its shares make sense together.

    Raises:
        StudyError: its maximum is less than its minimum, or than one job takes.
    """
    least = max(1, hosted.min_slots, hosted.devices)
    if hosted.max_slots is not None and hosted.max_slots < least:
        raise StudyError(
            f"max_slots is {hosted.max_slots}: give at least {least} "
            f"(min_slots is {hosted.min_slots}, and one job takes {hosted.devices}), or leave it out"
        )
    return hosted


class Register(Protocol):
    """Where it is kept, by a study's key."""

    def hosted(self) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
        """Owner and data of every study."""

    def set_hosted(self, key: str, owner: str, data: Mapping[str, Any]) -> None: ...

    def forget(self, key: str) -> None: ...


class MemoryRegister:
    """A register that ends with its process, for tests and for trying out."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def hosted(self) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
        return dict(self._rows)

    def set_hosted(self, key: str, owner: str, data: Mapping[str, Any]) -> None:
        self._rows[key] = (owner, dict(data))

    def forget(self, key: str) -> None:
        self._rows.pop(key, None)


class Known:
    """Every study's `Hosted`, at hand, and kept in the register as it changes."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._lock = threading.Lock()
        self._all: dict[str, Hosted] = {}
        self.look()

    def look(self) -> None:
        """Take in what another service over the same register has noted."""
        with self._lock:
            self._all = {
                key: msgspec.convert({**data, "owner": owner}, Hosted)
                for key, (owner, data) in self._register.hosted().items()
            }

    def get(self, key: str) -> Hosted | None:
        return self._all.get(key)

    def keep(self, key: str, hosted: Hosted) -> None:
        """Note what a study is from now on."""
        data = msgspec.to_builtins(hosted)
        del data["owner"]
        with self._lock:
            self._register.set_hosted(key, hosted.owner, data)
            self._all[key] = hosted

    def want(self, key: str, wanted: str) -> None:
        """Note what its owner wants of it; nothing for a study that was made without the service."""
        hosted = self._all.get(key)
        if hosted is not None and hosted.wanted != wanted:
            self.keep(key, msgspec.structs.replace(hosted, wanted=wanted))

    def forget(self, key: str) -> None:
        with self._lock:
            self._register.forget(key)
            self._all.pop(key, None)

    def wanted(self) -> set[str]:
        """Keys of the studies that are wanted running."""
        return {key for key, hosted in list(self._all.items()) if hosted.wanted == "running"}

    def owned(self, owner: str) -> int:
        """How many studies are this user's."""
        return sum(hosted.owner == owner for hosted in list(self._all.values()))

    def made_by(self, owner: str, request: str, digest: str = "") -> str | None:
        """The key of the study that a request made before, whose answer was lost.

        Raises:
            ConflictError: the request asks for something else, see `check_same`.
        """
        if not request:
            return None
        for key, one in list(self._all.items()):
            if (one.owner, one.request) == (owner, request):
                check_same(request, one.digest, digest)
                return key
        return None
