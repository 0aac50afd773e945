"""How a history takes in what happens to checkpoints: a part of `rung.trials.folding`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rung.trials import events as ev
from rung.trials.running import Checkpoint

if TYPE_CHECKING:
    from rung.trials.history import History


def saved(history: History, event: ev.CheckpointSaved) -> None:
    """It is the trial's latest, and the incumbent's if it was saved by the incumbent's resource."""
    running = history.running.get(event.trial)
    resource = event.resource
    if running is not None and not history._plain:
        resource = min(resource, running.job.until)
    kept = Checkpoint(resource, event.path, event.size, event.digest)
    latest = history.checkpoints.get(event.trial)
    if latest is None or resource >= latest.resource:
        history.checkpoints[event.trial] = kept
        if latest is not None and running is not None and latest.path != event.path:
            history.previous[event.trial] = latest
    best = history.incumbent
    if best is not None and best.trial == event.trial and (resource <= best.resource or history._plain):
        history.best_checkpoint = kept


def deleted(history: History, event: ev.CheckpointDeleted) -> None:
    """One of the trial's is no more, or all of them."""
    if event.path:
        _forget(history, event.trial, event.path)
        return
    history.checkpoints.pop(event.trial, None)
    history.previous.pop(event.trial, None)


def _forget(history: History, trial: int, path: str) -> None:
    """One checkpoint is no more; the trial goes back to the one before it, if that is known."""
    latest, previous = history.checkpoints.get(trial), history.previous.get(trial)
    if previous is not None and path in (previous.path, latest.path if latest else ""):
        del history.previous[trial]
    if latest is not None and latest.path == path:
        if previous is not None:
            history.checkpoints[trial] = previous
        else:
            del history.checkpoints[trial]
    if history.best_checkpoint is not None and history.best_checkpoint.path == path:
        history.best_checkpoint = history.checkpoints.get(trial)


def failed(history: History, event: ev.CheckpointFailed) -> None:
    """Nothing is lost that was there."""


def damaged(history: History, event: ev.CheckpointDamaged) -> None:
    """The running job was never able to start where it was to: it runs again from what is left."""
    running = history.running.get(event.trial)
    if running is None or event.attempt != running.job.attempt or running.job.checkpoint is None:
        return
    job, parent = running.job, history.origins[event.trial].parent
    assert job.checkpoint is not None
    if parent is not None and history.borrowed.pop(event.trial, None) is not None:
        _forget(history, parent, job.checkpoint)
        history.starts[event.trial] = 0
    else:
        _forget(history, event.trial, job.checkpoint)
    own = history.checkpoints.get(event.trial)
    start = own.resource if own else 0
    history.spent += max(0, job.start - start)  # what has to be trained again costs again
    again = own.path if own else None
    running.job = msgspec.structs.replace(job, start=start, checkpoint=again)


def digest_of(history: History, job: ev.JobStarted) -> str:
    """The digest of the checkpoint that a job starts from, its own or its parent's; "" if unknown."""
    path, trial = job.checkpoint, job.trial
    origin = job.origin or (history.origins[trial] if trial < len(history.origins) else None)
    for owner in (trial, origin.parent if origin is not None else None):
        for kept in (history.checkpoints, history.previous):
            found = kept.get(owner) if owner is not None else None
            if found is not None and found.path == path:
                return found.digest
    return ""
