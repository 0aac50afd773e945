"""What the service knows of a study beside its log: whose it is, what runs it, how it shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec


class Hosted(msgspec.Struct, frozen=True):
    """A study that the service looks after.

    Attributes:
        owner: the user who made it.
        objective: "module:function" that workers have; None: outside workers ask and tell.
        weight, priority, min_slots, max_slots: how it shares the workers, see `rung.cluster.sharing`.
        devices: slots that one job takes.
        wanted: what its owner wants of it, "running", "paused" or "stopped".
        request: the idempotency key of the request that made it.
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
