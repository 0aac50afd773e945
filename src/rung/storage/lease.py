"""The lease: one writer a study, known by machine and process.

On this machine the holder counts as long as its process lives, however long it is silent. Linux knows a
process by its boot and its start in clock ticks, which no change of the clock moves; elsewhere psutil tells
the start. A holder on another machine, or in another container whose processes cannot be seen from here,
counts until the lease runs out by the wall clock. A wrong guess there costs the first writer its study, but
never the log: every write names the lease's token, and a token that was taken over writes nothing.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

SECONDS = 60.0  # how long a lease runs


class Holder(NamedTuple):
    """A process that holds a lease.

    Attributes:
        host: the machine's name.
        space: the space in which `pid` counts: a container's own, "" where there are none.
        started: when the process started, as text that tells it from a later one of the same number.
        since: seconds since the epoch.
    """

    host: str
    space: str
    pid: int
    started: str
    since: float

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host} (since {since})"


def this_process(now: float) -> Holder:
    """The holder that this process is, from `now` on."""
    pid = os.getpid()
    return Holder(socket.gethostname(), _space(), pid, start_of(pid) or "", now)


def this_process_anywhere(now: float) -> Holder:
    """As `this_process`, where machines of the same name may meet: another boot is out of sight.

    Two machines that are both called "localhost" would else take each other's processes for dead ones of
    their own.
    """
    me = this_process(now)
    boot = _boot() if sys.platform == "linux" else ""
    return me._replace(space=f"{boot} {me.space}".strip())


def is_held(holder: Holder, expires: float, me: Holder, now: float) -> bool:
    """Whether `holder` still counts at `now`, as seen by process `me`, if its lease expires at `expires`."""
    if (holder.host, holder.space) != (me.host, me.space):
        return now < expires
    started = start_of(holder.pid)
    if started == "":  # it is there, but hidden from us
        return now < expires
    return started == holder.started


def start_of(pid: int) -> str | None:
    """When process `pid` started; None if there is none or it is a zombie, "" if that cannot be seen."""
    return _start_on_linux(pid) if sys.platform == "linux" else _start_elsewhere(pid)


def _start_on_linux(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # none of this number, or /proc hides it
        return "" if _exists(pid) else None
    state, ticks = fields[0], fields[19]  # fields 3 and 22 of proc(5)
    return None if state in "ZX" else f"{_boot()}:{ticks}"


def _start_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _space() -> str:
    return os.readlink("/proc/self/ns/pid") if sys.platform == "linux" else ""
