"""The ladder: how far each trial climbed, and what became of those that reached each rung."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Final, NamedTuple

from rung.analysis.subject import Subject
from rung.trials.history import BEHIND, CONFIRM, WORST, History
from rung.trials.states import TrialState

FATES: Final = ("went on", "complete", "stayed", "stopped", "running", "failed")
"""What becomes of a trial at a rung: it got a further job, it reached the top, it waits and may still be
promoted (or never was), its scheduler stopped it, its next job runs, it failed on the way here."""


class RungCount(NamedTuple):
    """How many trials came to a rung, and what became of them.

    Attributes:
        resource: the rung.
        reached: trials with a result there, failed ones included.
        fates: from `FATES` to a count.
        last_on: the metric (own sense) of the worst that went on; None if none did.
        broken: whether that one breaks a constraint: its metric may then be a good one.
        planned: trials that the plan has at this rung; None without one.
    """

    resource: int
    reached: int
    fates: dict[str, int]
    last_on: float | None
    broken: bool = False
    planned: int | None = None


class Climber(NamedTuple):
    """A trial, the highest rung where it has a result (0: none yet), its fate and metric there, and why."""

    trial: int
    bracket: int
    top: int
    fate: str
    value: float | None
    why: str


def climbers(subject: Subject) -> list[Climber]:
    """Every trial that a scheduler started, in order of number."""
    history = subject.history
    at, metrics = _values(history), _metrics(subject)
    top = dict.fromkeys((t for t in range(len(history)) if t not in history.apart), 0)
    for resource in sorted(at):
        top.update(dict.fromkeys((t for t in at[resource] if t in top), resource))
    ranks = {resource: sorted(v for v in values.values() if v < WORST) for resource, values in at.items()}
    went_on = {resource: sum(top.get(t, 0) > resource for t in values) for resource, values in at.items()}
    found = []
    for trial, highest in top.items():
        value = at[highest].get(trial, WORST) if highest else WORST
        fate = _fate(history, trial, value)
        place = (0, 0, 0)
        if value < WORST:
            place = (bisect_left(ranks[highest], value) + 1, len(ranks[highest]), went_on[highest])
        shown = None if value == WORST else metrics[highest][trial]
        why = _why(subject, fate, highest, shown, value >= BEHIND, place)
        found.append(Climber(trial, history.brackets[trial], highest, fate, shown, why))
    return found


def rung_counts(subject: Subject, bracket: int | None = None) -> list[RungCount]:
    """What became of the trials at every rung, the lowest first; of all brackets, or of one."""
    history = subject.history
    at, metrics = _values(history), _metrics(subject)
    last = {climber.trial: climber for climber in climbers(subject)}
    planned = planned_trials(subject)
    found = []
    for resource in sorted(set(at) | set(planned)):
        here = {
            trial: value
            for trial, value in at.get(resource, {}).items()
            if trial in last and bracket in (None, history.brackets[trial])
        }
        fates = Counter("went on" if last[t].top > resource else last[t].fate for t in here)
        on = [(value, trial) for trial, value in here.items() if last[trial].top > resource and value < WORST]
        value, worst = max(on, default=(WORST, None))
        shown = None if worst is None else metrics[resource][worst]
        plan_here = planned.get(resource) if bracket is None else None
        broken = BEHIND <= value < WORST
        found.append(RungCount(resource, len(here), dict(fates), shown, broken, plan_here))
    return found


def planned_trials(subject: Subject) -> dict[int, int]:
    """By rung, how many trials the scheduler's rule comes to within the study's limits."""
    from rung.schedulers.plan import plan

    planned = plan(subject.identity, subject.history.limits)
    if planned is None or planned.repeats:
        return {}
    found: Counter[int] = Counter()
    for bracket in planned.brackets:
        for rung in bracket.rungs:
            found[rung.resource] += bracket.times * rung.trials
    return dict(found)


def _values(history: History) -> dict[int, dict[int, float]]:
    """By rung, from trial to what it is compared by there, smaller is better: see `Result`."""
    return {
        resource: {
            trial: value
            for trial, value in zip(column.trials, column.values, strict=True)
            if history.apart.get(trial) != CONFIRM
        }
        for resource, column in history.results.items()
    }


def _metrics(subject: Subject) -> dict[int, dict[int, float]]:
    """By rung, from trial to its metric there, in its own sense, whether or not a constraint is broken."""
    sign = -1.0 if subject.identity.mode == "max" else 1.0
    found = {}
    for resource, column in subject.history.results.items():
        losses = [measure.vector[0] for measure in column.measures] or column.values
        found[resource] = {trial: sign * loss for trial, loss in zip(column.trials, losses, strict=True)}
    return found


def _fate(history: History, trial: int, value: float) -> str:
    match history.states[trial]:
        case TrialState.RUNNING | TrialState.INTERRUPTED:
            return "running"
        case TrialState.COMPLETE:
            return "complete"
        case TrialState.STOPPED:
            return "stopped"
        case TrialState.FAILED | TrialState.INFEASIBLE:
            return "failed"
    return "stayed" if value < WORST else "failed"


def _why(
    subject: Subject, fate: str, top: int, value: float | None, broken: bool, place: tuple[int, int, int]
) -> str:
    """One line about a trial's fate; `place` is its rank at its highest rung, of how many, how many left."""
    unit = subject.unit or "rung"
    if value is None:
        return {"running": "its first job runs"}.get(fate, f"{fate} on the way to its next rung")
    rank, count, on = place
    here = f"{value:.4g} at {unit} {top}{', a constraint broken' * broken}, place {rank} of {count} there"
    if fate == "complete":
        return f"reached the top: {here}"
    if fate == "running":
        return f"runs on: {here}"
    went = f"{on} went on" if on else "none went on"
    return f"{fate}: {here}; {went}"
