"""How many slots of a worker a job takes, and may take where its study gives more to trials that climb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rung.cluster.sharing import Launch, Sharing

if TYPE_CHECKING:
    from rung.service.hosting import HostedStudy
    from rung.service.register import Hosted


def taken(hosted: Hosted | None, study: HostedStudy | None, trial: int) -> int:
    """The slots that a running job takes."""
    least = hosted.devices if hosted is not None else 1
    running = study.writer.history.running.get(trial) if study is not None else None
    return least if running is None else max(least, running.job.devices)


def most(
    launch: Launch, decided: Sequence[Launch], free: int, hosted: Hosted | None, sharing: Sharing
) -> int:
    """The slots that the job of a launch may take: those that its study gets there, and those nobody wants.

    Args:
        decided: all launches that stand now.
        free: slots of the worker.
    """
    here = [one for one in decided if one.node == launch.node]
    own = sum(one.slots for one in here if one.study == launch.study)
    others = sum(one.slots for one in here if one.study != launch.study)
    node = sharing.nodes.get(launch.node)
    kept = node is not None and node.kept_for not in (None, launch.study)  # for jobs that need it whole
    room = own if kept else free - others
    if hosted is not None and hosted.max_slots is not None:
        room = min(room, hosted.max_slots - sharing.held(launch.study))
    return max(launch.slots, min(room, free))
