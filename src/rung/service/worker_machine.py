"""What the slots of a worker have in common: its machine's cores and GPUs, or one connection to a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil

from rung.executors.needs import Needs
from rung.executors.processes import THREADS, cores
from rung.service.worker_run import Engine


@contextmanager
def machine(engine: Engine, slots: int) -> Iterator[Callable[[], int]]:
    """What all slots have in common: the cores of this machine, or one connection to a Ray cluster.

    Gives how many slots there is a place for, to be asked at any time. Ray takes SIGTERM for itself as it
    connects: whoever wants it for a worker takes it after that.

    Raises:
        StudyError: no cluster answers, or no node of it can hold a job, and none comes in time.
    """
    if engine.name != "ray":
        _share_threads(slots)
        yield lambda: slots
        return
    from rung.executors.ray import RayCluster, patience
    from rung.executors.ray_room import Room

    needs = engine.needs or Needs()
    address = engine.address or os.environ.get("RAY_ADDRESS")
    cluster = RayCluster(address, max(cores(), ceil(slots * needs.cpus)))  # the executors of slots use it
    try:
        yield Room(cluster, needs, 0.0 if cluster.private else patience()).slots
    finally:
        cluster.close()


def _share_threads(slots: int) -> None:
    """Let each slot's libraries use its share of the cores, unless the user's environment asks for less."""
    share = max(1, cores() // slots)
    for name in THREADS:
        asked = os.environ.get(name, "")
        os.environ[name] = str(min(share, int(asked)) if asked.isdigit() and int(asked) > 0 else share)


def gpus_of(gpus: Sequence[str], index: int, slots: int) -> tuple[str, ...]:
    """The GPUs of one slot: its own, or one that it shares."""
    if not gpus:
        return ()
    return tuple(gpus[index::slots]) or (gpus[index % len(gpus)],)
