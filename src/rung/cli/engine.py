"""Where jobs run, from the options `--executor`, `--address` and `--needs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rung.errors import UserError

if TYPE_CHECKING:
    from rung.executors.setup import Engine

LOCAL = "local"
CLUSTER = "ray"


def engine_of(executor: str | None, address: str | None, needs: str | None) -> Engine:
    """What these options name, if it can be used; an address or needs alone mean a cluster.

    Raises:
        StudyError: an executor that is not known or cannot be loaded, needs that are not understood.
    """
    from rung.executors.setup import Engine
    from rung.executors.table import load

    alone = LOCAL if address is None and needs is None else CLUSTER
    engine = Engine.of(executor or alone, address, needs)
    load(engine.name)
    return engine


def cluster_of(executor: str | None, address: str | None, needs: str | None, does: str) -> Engine | None:
    """The cluster that a command with a default of its own is to use; None: it goes by that default.

    Args:
        does: what the command does there, for a message.

    Raises:
        UserError: another executor; it cannot be loaded; needs that are not understood.
    """
    if executor in (None, LOCAL) and address is None and needs is None:
        return None
    engine = engine_of(executor, address, needs)
    if engine.name != CLUSTER:
        raise UserError(f"this command {does} on this machine or on {CLUSTER}, not by {engine.name!r}")
    return engine


def as_record(engine: Engine, workers: int | None) -> dict[str, Any]:
    """What of it the study's log keeps, for `rung resume`."""
    kept: dict[str, Any] = {"executor": engine.name, "workers": workers}
    if engine.address is not None:
        kept["address"] = engine.address
    if engine.needs is not None:
        kept["needs"] = str(engine.needs)
    return kept


def from_record(record: Mapping[str, Any]) -> Engine:
    """What `as_record` kept."""
    return engine_of(record.get("executor"), record.get("address"), record.get("needs"))


def jobs_at_once(engine: Engine, workers: int | None) -> int | None:
    """How many jobs run at once: one unless told, on a cluster as many as it holds (None)."""
    return workers if engine.name == CLUSTER else workers or 1
