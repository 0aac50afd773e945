"""A search by several processes: the first has the study and its files, the others do as it tells them.

What the first says goes by `from_first`, in this order: what operations cost, where that is asked for; how
the search was planned; with which checkpoint it begins, or that it was at its end; after each epoch whether
there is another; and how it ended. A process that is not the first has no study, reads no checkpoint and
writes none.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rung.errors import UserError
from rung.nas.checkpoint import FILE, restored
from rung.nas.devices import from_first, world
from rung.nas.loop import Diverged, Plan, Record, State, run, start


class Beginning(NamedTuple):
    """With what a search begins, or goes back to.

    Attributes:
        goes_on: whether any epoch follows; otherwise the checkpoint is the end.
        checkpoint: the content of its file, None at the start.
    """

    goes_on: bool
    checkpoint: bytes | None = None


def told_beginning(folder: str | Path | None) -> None:
    """Say, as the first process, with which checkpoint the search begins; nothing without others."""
    if world() > 1:
        from_first(lambda: Beginning(True, _read(folder)))


def told(another: bool) -> None:
    """Say, as the first process, whether another epoch follows; nothing without others."""
    if world() > 1:
        from_first(lambda: another)


def told_end(plan: Plan, folder: Callable[[], Path | None]) -> State | None:
    """The state of the checkpoint that a search ends with, for the others too; None without one.

    Args:
        folder: of the checkpoint.

    Raises:
        UserError: it cannot be read.
    """
    kept = from_first(lambda: Beginning(False, _read(folder()))).checkpoint
    return None if kept is None else restored(plan, kept)


def follow(plan: Plan, watch: Callable[[Record, Plan], None] | None) -> State | None:
    """Search as one that is not the first: from what it begins with, as long as it says.

    Args:
        watch: called after each epoch.

    Returns:
        The state at the end; None where there is no epoch that counts.
    """
    begun: Beginning = from_first(_never)
    state: State = start(plan) if begun.checkpoint is None else restored(plan, begun.checkpoint)
    if not begun.goes_on:
        return state

    def then(_: State, record: Record) -> bool:
        if watch is not None:
            watch(record, plan)
        return bool(from_first(_never))

    with _patient():
        try:
            return run(plan, state, then)
        except Diverged:  # as in the first process, which knows where to go back to
            return told_end(plan, _never)


def others_gone(error: Exception) -> UserError:
    """What to say where processes cannot go on together."""
    return UserError(
        f"another process of this search cannot be reached any more ({str(error).splitlines()[0]}); the "
        "epochs that are done are kept: go on with as many processes and rung resume"
    )


def check_processes(begun: int) -> None:
    """Refuse to go on with another number of processes: their parts of a batch would be others.

    Args:
        begun: by how many the search was begun.

    Raises:
        UserError: it is another number.
    """
    if begun != world():
        how = f"torchrun --nproc_per_node {begun} -m rung ..." if begun > 1 else "rung without torchrun"
        raise UserError(
            f"this search was begun by {begun} process{'es' * (begun > 1)}, and goes on with as many, not "
            f"{world()}: start {how}, or give another --study"
        )


def _read(folder: str | Path | None) -> bytes | None:
    return None if folder is None else (Path(folder) / FILE).read_bytes()


def _never() -> Any:
    raise AssertionError("only the first process is asked")


@contextmanager
def _patient() -> Iterator[None]:
    """Leave Ctrl-C to the first process, which ends the search for all after its epoch."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
