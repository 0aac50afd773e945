"""How much memory workers hold, with all that they started."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any


def over(groups: Collection[int], limit: int) -> dict[int, int]:
    """Those of the sessions (a worker leads one) that hold more than `limit` bytes, and how much.

    It is the sum of their processes' resident memory, those of a program in a process group of its own
    included. If that is too much, pages that processes of the session share (a forked data loader) are
    counted once, where the system tells.
    """
    found: dict[int, list[Any]] = {group: [] for group in groups}
    import psutil  # not before a limit is set

    for pid in psutil.pids():
        try:
            group = os.getsid(pid)
        except (ProcessLookupError, PermissionError):
            continue
        if group in found:
            found[group].append(pid)
    resident = {group: sum(_bytes(pid, False) for pid in pids) for group, pids in found.items()}
    exact = {group: _exact(found[group], size) for group, size in resident.items() if size > limit}
    return {group: size for group, size in exact.items() if size > limit}


def _exact(pids: Collection[int], resident: int) -> int:
    return resident if len(pids) < 2 else min(resident, sum(_bytes(pid, True) for pid in pids))


def _bytes(pid: int, shared_once: bool) -> int:
    import psutil

    try:
        process = psutil.Process(pid)
        if not shared_once:
            return int(process.memory_info().rss)
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.Error:  # it has just ended, or cannot be read
        return 0
