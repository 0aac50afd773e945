"""What the service knows of itself at a moment, for those who look after it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rung.service import machines, room
from rung.service.metrics import Facts
from rung.service.views import state_of

if TYPE_CHECKING:
    from rung.service.context import Context
    from rung.service.hosting import HostedStudy
    from rung.service.register import Hosted


def facts_of(context: Context) -> Facts:
    """Count studies, jobs and workers; asks the storage for its list of studies."""
    hub, lenders = context.hub, context.workers.lenders()
    states = Counter(state_of(row, hub.hosted(row.key), hub.running(row.key)) for row in hub.storage.list())
    active = hub.active
    slots = sum(lender.slots for lender in lenders)
    busy = sum(lender.busy for lender in lenders)
    return Facts(
        studies=dict(states),
        trials=sum(len(study.writer.history) for study in active),
        running=sum(len(study.leases.running) for study in active),
        queue=sum(_waiting(study, hub.hosted(study.key)) for study in active),
        workers=len(lenders),
        slots=slots,
        free=max(0, slots - busy),
        leases_lost=hub.lost + sum(study.leases.lost for study in active),
        preempted=context.workers.preempted,
        commits=hub.commits,
    )


def _waiting(study: HostedStudy, hosted: Hosted | None) -> int:
    """Jobs of a study that more slots would let start: none of one whose jobs outside workers ask for."""
    if hosted is None or hosted.objective is None:
        return 0
    waiting = machines.waiting(study)
    if hosted.max_slots is None:
        return waiting
    taken = sum(room.taken(hosted, study, trial) for trial in list(study.leases.running))
    return min(waiting, max(0, hosted.max_slots - taken) // hosted.devices)
