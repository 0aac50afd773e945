"""Studies, trials and jobs as the API shows them: plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from rung.service.hosting import Grant, HostedStudy
from rung.service.register import Hosted
from rung.storage.base import StudyRow
from rung.study.checkpoint_places import wanted
from rung.study.checkpoint_words import kept
from rung.study.confirm import leading
from rung.study.devices import AUTO, allotted

if TYPE_CHECKING:
    from rung.study.records import TrialRecord
    from rung.trials.history import History


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are none become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def study_view(row: StudyRow, hosted: Hosted | None, active: HostedStudy | None) -> dict[str, Any]:
    """A study in a list."""
    summary = row.summary
    shown = msgspec.structs.asdict(summary)
    shown["best"] = None if summary.best is None else plain(summary.best)
    return {
        "name": row.name,
        "key": row.key,
        **shown,
        "state": state_of(row, hosted, active),
        "events": row.events,
        "elsewhere": row.writer if active is None else None,
        "running": len(active.leases.running) if active is not None else 0,
        "lost_leases": active.leases.lost if active is not None else 0,
        "owner": hosted.owner if hosted is not None else None,
        "objective": hosted.objective if hosted is not None else None,
        "devices": _devices(hosted),
        "sharing": {
            name: getattr(hosted, name) if hosted is not None else default
            for name, default in (("weight", 1.0), ("priority", 0), ("min_slots", 0), ("max_slots", None))
        },
    }


def _devices(hosted: Hosted | None) -> int | str:
    if hosted is None:
        return 1
    return AUTO if hosted.auto else hosted.devices


def state_of(row: StudyRow, hosted: Hosted | None, active: HostedStudy | None) -> str:
    """What a study does now: running, pausing, stopping, paused, done, idle, or interrupted."""
    if active is not None and not active.closed:
        ending = active.writer.ended
        return {None: "running", "paused": "pausing"}.get(ending, "stopping")
    state = row.summary.state
    if state == "running" and row.writer is None:
        waits = hosted is not None and hosted.wanted == "running"
        return "waiting" if waits else "interrupted"
    return state


def study_detail(history: History) -> dict[str, Any]:
    """What is shown beside, of one study: what it is, when it ends, its best configuration."""
    identity, best = history.identity, leading(history)
    found = None
    if best is not None:
        config = plain(history.config(best.trial))
        found = {
            "trial": best.trial,
            "resource": best.resource,
            "value": plain(best.value),
            "config": config,
        }
    resource = identity.resource
    return {
        "space": identity.space,
        "mode": identity.mode,
        "resource": None
        if resource is None
        else {"name": resource.name, "minimum": resource.minimum, "maximum": resource.maximum},
        "eta": identity.eta,
        "sampler": identity.sampler.name,
        "scheduler": identity.scheduler.name,
        "seed": identity.seed,
        "limits": plain(msgspec.to_builtins(history.limits)),
        "begun": history.begun,
        "spent": history.spent,  # the list's is that of the batch of events before
        "checkpoints": {**wanted(history)._asdict(), **kept(history)._asdict()},
        **_scaling(history),
        "incumbent": found,
    }


def _scaling(history: History) -> dict[str, Any]:
    """By what a trial gets more devices as it climbs; nulls where it does not."""
    told = allotted(history)
    if told is None or told.devices != AUTO:
        return {"efficiency": None, "scaling": None}
    return {"efficiency": told.efficiency, "scaling": {str(count): rate for count, rate in told.scaling}}


def trial_view(record: TrialRecord) -> dict[str, Any]:
    """A trial."""
    return {
        "number": record.number,
        "state": str(record.state),
        "config": plain(record.config),
        "value": plain(record.value),
        "resource": record.resource,
        "bracket": record.bracket,
        "sampler": record.origin.sampler,
        "attempts": record.timing.attempts,
        "message": record.timing.message,
        "checkpoint": record.checkpoint,
        "attributes": plain(record.attributes),
        "observations": [
            {"resource": each.resource, "metrics": plain(each.metrics)} for each in record.observations
        ],
    }


def job_view(study: HostedStudy, job: Grant) -> dict[str, Any]:
    """A job that is handed out, and what it may take; `resource` is what its objective is called with."""
    limits = study.writer.history.limits
    return {
        "study": study.name,
        "key": study.key,
        "trial": job.trial,
        "attempt": job.attempt,
        "config": dict(job.config),
        "start": job.start,
        "until": job.until,
        "resource": None if study.writer.identity.resource is None else job.until,
        "seed": job.seed,
        "checkpoint": job.checkpoint,
        "gates": list(job.gates),
        "devices": job.devices,
        "digest": job.digest,
        "checkpoints": job.checkpoints,
        "trial_seconds": limits.trial_seconds,
        "trial_memory": limits.trial_memory,
    }


def lent_job_view(study: HostedStudy, grant: Grant, hosted: Hosted | None) -> dict[str, Any]:
    """A job as a worker is told it: with what runs it, and what its space names."""
    identity = study.writer.identity
    return {
        **job_view(study, grant),
        "devices": max(grant.devices, hosted.devices if hosted is not None else 1),
        "objective": hosted.objective if hosted is not None else None,
        "metric": identity.metric,
        "plain": identity.resource is None,
        "parameters": list(dict.fromkeys(study.writer.space.names)),  # branches may share one
    }
