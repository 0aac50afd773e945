"""What the service knows of itself at a moment, for those who look after it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rung.service.metrics import Facts
from rung.service.views import state_of

if TYPE_CHECKING:
    from rung.service.context import Context


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
        queue=sum(len(study.writer.history.retry) for study in active),
        workers=len(lenders),
        slots=slots,
        free=max(0, slots - busy),
        leases_lost=hub.lost + sum(study.leases.lost for study in active),
        preempted=context.workers.preempted,
        commits=hub.commits,
    )
