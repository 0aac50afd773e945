"""Fair sharing of workers among studies: who gets the next free slot, and who gives one up.

A pure policy: `fold` takes in what happened, `decide` says what to do; there is no clock and no chance in it,
so a replay of the events gives the same decisions. Max-min fairness by weighted water filling (Bertsekas and
Gallager 1992, 6.5.2) gives each study's ideal; what it got more or less than that over its life is kept as a
debt that is made up for, as in fair sharing by deficits (Shreedhar and Varghese 1995). One caller folds and
decides in turn: what it did of a decision, it tells by `TaskStarted` and `PreemptionAsked`, before it asks
again.
"""

from __future__ import annotations

from rung.cluster.sharing_decide import Decision, decide
from rung.cluster.sharing_events import (
    Claim,
    ClaimChanged,
    Launch,
    Node,
    NodeJoined,
    NodeLeft,
    Passed,
    Policy,
    Preempt,
    PreemptionAsked,
    Remembered,
    SharingEvent,
    StudyLeft,
    Task,
    TaskEnded,
    TaskSaved,
    TaskStarted,
)
from rung.cluster.sharing_keep import keep_nodes
from rung.cluster.sharing_share import Account
from rung.cluster.sharing_state import Sharing

__all__ = [
    "Account",
    "Claim",
    "ClaimChanged",
    "Decision",
    "Launch",
    "Node",
    "NodeJoined",
    "NodeLeft",
    "Passed",
    "Policy",
    "Preempt",
    "PreemptionAsked",
    "Remembered",
    "Sharing",
    "SharingEvent",
    "StudyLeft",
    "Task",
    "TaskEnded",
    "TaskSaved",
    "TaskStarted",
    "decide",
    "fold",
    "initial",
]


def initial(policy: Policy | None = None) -> Sharing:
    """The state before the first event: no nodes, no studies, time 0."""
    return Sharing(policy or Policy())


def fold(state: Sharing, event: SharingEvent) -> Sharing:
    """The state after an event (changes `state` in place, and returns it)."""
    state.advance(event.time)
    match event:
        case NodeJoined(node=node):
            state.join(node)
        case NodeLeft(name=name):
            state.leave(name)
        case ClaimChanged(claim=claim):
            state.change(claim)
        case Remembered(study=study):
            state.remember(study, Account(event.got, event.due, event.owed))
        case StudyLeft(study=study):
            state.depart(study)
        case _:
            _fold_task(state, event)
    keep_nodes(state)
    return state


def _fold_task(state: Sharing, event: SharingEvent) -> None:
    match event:
        case TaskStarted(task=task):
            state.start(task)
        case TaskSaved(study=study, trial=trial):
            state.save(study, trial)
        case TaskEnded(study=study, trial=trial):
            state.end(study, trial)
        case PreemptionAsked(study=study, trial=trial):
            state.ask(study, trial)
