"""Nodes that are kept for gangs: which, when, and whose jobs give way there.

A gang that is due but fits nowhere has a node kept for it. What becomes free there is used by others' jobs
only while the gang could not start whatever was stopped; when it can, just so many are asked to stop as it
needs. A gang never holds slots before it has all of them, and all are on one node: nobody waits in a circle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from rung.cluster.sharing_nodes import NodeState, TaskState
from rung.cluster.sharing_share import SLACK, Share
from rung.cluster.sharing_state import Sharing


def keep_nodes(state: Sharing) -> None:
    """Keep nodes for the gangs that are due; a step of the fold."""
    for share in state.shares.values():
        claim = share.claim
        if claim.gang > 1 and share.may_grow:
            short = share.staying < claim.minimum
            if short or share.waited(state.time) >= state.policy.reserve_after:
                state.fill()
                _keep_for(state, share, due_gangs(state, share))


def due_gangs(state: Sharing, share: Share) -> int:
    """Gangs that this study should have now, beside those that it has."""
    claim = share.claim
    due = math.floor(-state.surplus(share) / claim.gang + 0.5)
    due = max(due, -((share.staying - claim.minimum) // claim.gang) if share.staying < claim.minimum else 0)
    if claim.maximum is not None:
        due = min(due, (claim.maximum - share.held) // claim.gang)
    return min(due, claim.waiting)


def _keep_for(state: Sharing, share: Share, due: int) -> None:
    while len(share.kept) < due:
        pool = state.pools[share.claim.nodes]
        if any(free >= share.claim.gang for free in pool.by_free):
            return  # it fits: it only has to be started
        nodes = [node for node in state.nodes.values() if pool.holds(node.name) and _may_keep(node, share)]
        best = max(nodes, key=lambda node: _nearness(state, node, share), default=None)
        if best is None or not _affordable(state, share):
            return
        state.keep(best, share)


def _affordable(state: Sharing, share: Share) -> bool:
    """Whether the others can lose one gang more: what exceeds a study's ideal leaves them their floors."""
    if share.staying + len(share.kept) * share.claim.gang < max(share.ideal, share.claim.minimum):
        return True
    spare = float(state.cluster.free)
    for other in state.shares.values():
        spare -= len(other.kept) * other.claim.gang
        if other is not share and other.claim.priority <= share.claim.priority:
            rival = other.claim.priority == share.claim.priority
            bound = max(other.claim.minimum, other.floor(state.policy) if rival else 0.0)
            spare += max(0.0, other.held - bound)
    return spare >= share.claim.gang


def _may_keep(node: NodeState, share: Share) -> bool:
    return not node.gone and node.kept_for is None and node.slots >= share.claim.gang


def _nearness(state: Sharing, node: NodeState, share: Share) -> tuple[int, int]:
    """How near a node is to having room for the gang: by stopping what may be stopped, and without."""
    own = sum(task.task.slots for task in node.tasks.values() if task.task.study == share.claim.study)
    stuck = sum(task.task.slots for task in node.tasks.values() if not task.task.preemptible)
    return min(share.claim.gang, node.slots - max(own, stuck)), node.free + node.leaving


def givers(
    state: Sharing, node: NodeState, share: Share, lost: Mapping[str, int] | None = None
) -> list[TaskState] | None:
    """The jobs on a kept node to ask to stop so that the gang can start; None if it can't, even so.

    Empty if what is free and leaving is enough. `lost` are slots that studies give up elsewhere.
    """
    missing = share.claim.gang - node.free - node.leaving
    below = share.staying < max(share.ideal, share.claim.minimum)
    if missing <= 0:
        return []
    chosen: list[TaskState] = []
    given = dict(lost or {})
    for task in sorted(node.tasks.values(), key=lambda task: (not task.filling, *task.loss)):
        study, slots = task.task.study, task.task.slots
        if task.leaving or not task.task.preemptible or study == share.claim.study:
            continue
        if not task.filling and not (
            below and may_give(state, state.shares[study], share, slots, given.get(study, 0))
        ):
            continue
        chosen.append(task)
        given[study] = given.get(study, 0) + slots
        missing -= slots
        if missing <= 0:
            return _needed(chosen, -missing)
    return None


def _needed(chosen: list[TaskState], spare: int) -> list[TaskState]:
    """Leave out, from the dearest down, what more is given than is needed."""
    kept: list[TaskState] = []
    for task in reversed(chosen):
        if task.task.slots <= spare:
            spare -= task.task.slots
        else:
            kept.append(task)
    return kept[::-1]


def may_give(state: Sharing, giver: Share, taker: Share, slots: int, given: int) -> bool:
    """Whether a study that has `given` slots up already may lose `slots` more to `taker`.

    A study below its minimum takes from all that have more than theirs; else one takes from lower classes,
    and in its own class from those that still have their target afterwards.
    """
    staying = giver.staying - given - slots
    if giver is taker or staying < giver.claim.minimum:
        return False
    if taker.staying < taker.claim.minimum or giver.claim.priority < taker.claim.priority:
        return True
    if giver.claim.priority > taker.claim.priority:
        return False
    return state.surplus(giver) - given >= slots - SLACK
