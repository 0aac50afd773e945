"""What to start and what to stop, as a pure function of the sharing's state.

A decision either starts jobs or asks jobs to stop, never both, so that only what no free slot can serve costs
anybody a running job. Slots go to who is below its minimum; then by class; then to who is below the floor of
what it pays back, or has nothing and is due a job; then to the larger gang that is due, since it can't use
the single slots that others can; then to whom a job brings nearest to its target, per weight, which is the
allocation of least squares (Sainte-Lague's rule); then to the older study.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush

from rung.cluster.sharing_events import Launch, Preempt
from rung.cluster.sharing_keep import givers, may_give
from rung.cluster.sharing_nodes import Room, TaskState
from rung.cluster.sharing_share import SLACK, Share
from rung.cluster.sharing_state import Sharing

Key = tuple[bool, int, bool, int, float, int]
Decision = Launch | Preempt


def decide(state: Sharing) -> list[Decision]:
    """What to do now; folds of `TaskStarted` and `PreemptionAsked` must tell what was done.

    Returns:
        launches, or, where nothing can be launched, preemptions; empty if all is well.
    """
    state.fill()  # a cache: what it holds follows from the events alone
    return [*_launches(state)] or [*_preemptions(state)]


def _key(state: Sharing, share: Share, surplus: float, staying: int) -> Key:
    claim = share.claim
    need = round((surplus + claim.gang / 2) / claim.weight, 6)  # sums of fractions: equal is equal
    due = need < 0.0
    # A gang's floor may be less than one gang. Without this, single slots would split each node that it
    # leaves, up to their floors, and no debt would bring it back.
    enough = staying >= share.floor(state.policy) and not (due and staying <= 0)
    whole = -claim.gang if due else 0
    return staying >= claim.minimum, -claim.priority, enough, whole, need, share.order


class _Taker:
    """A study that waits, as a decision gives to it."""

    __slots__ = ("held", "left", "share", "surplus")

    def __init__(self, state: Sharing, share: Share) -> None:
        claim = share.claim
        self.share = share
        self.surplus = state.surplus(share)
        self.held = share.staying
        self.left = claim.waiting
        if claim.maximum is not None:
            self.left = min(self.left, (claim.maximum - share.held) // claim.gang)

    def key(self, state: Sharing) -> Key:
        return _key(state, self.share, self.surplus, self.held)

    def give(self) -> None:
        self.surplus += self.share.claim.gang
        self.held += self.share.claim.gang
        self.left -= 1


def _queue(state: Sharing) -> list[tuple[Key, _Taker]]:
    takers = [_Taker(state, share) for share in state.shares.values() if share.may_grow]
    queue = [(taker.key(state), taker) for taker in takers]
    heapify(queue)
    return queue


def _launches(state: Sharing) -> list[Launch]:
    if not state.cluster.free:
        return []
    launches: list[Launch] = []
    unplaced: list[_Taker] = []
    room, free = Room(state.pools), state.cluster.free
    queue = _queue(state)
    kept = {name: state.nodes[name].free for taker in queue for name in taker[1].share.kept}
    while queue and free > 0:
        _, taker = heappop(queue)
        claim = taker.share.claim
        own = next((name for name in taker.share.kept if kept.get(name, 0) >= claim.gang), None)
        name = own or room.take(claim.nodes, claim.gang)
        if name is None:
            unplaced.append(taker)
            continue
        if own:
            del kept[own]
        launches.append(Launch(claim.study, name, claim.gang))
        free -= claim.gang
        taker.give()
        if taker.left:
            heappush(queue, (taker.key(state), taker))
    return launches + _filling(state, unplaced, kept)


def _filling(state: Sharing, takers: list[_Taker], kept: dict[str, int]) -> list[Launch]:
    """Jobs that can be stopped, on nodes that are kept for gangs which can't start there yet."""
    launches: list[Launch] = []
    for name, free in kept.items():
        node = state.nodes[name]
        owner = state.shares[node.kept_for or ""]
        if not free or givers(state, node, owner) is not None:
            continue
        for taker in takers:
            claim = taker.share.claim
            fits = claim.preemptible and state.pools[claim.nodes].holds(name) and taker.share is not owner
            while fits and taker.left and claim.gang <= free:
                launches.append(Launch(claim.study, name, claim.gang))
                taker.give()
                free -= claim.gang
    return launches


# -- stopping -----------------------------------------------------------------------------------------


def _preemptions(state: Sharing) -> list[Preempt]:
    takers = [_Taker(state, share) for share in state.shares.values() if share.may_grow]
    if not takers:
        return []
    takers.sort(key=lambda taker: taker.key(state))
    asked = _Asked(state)
    for taker in takers:
        if taker.share.claim.gang > 1:
            asked.for_gangs(taker)
        else:
            asked.for_jobs(taker)
    return asked.preemptions


class _Asked:
    """The jobs that a decision asks to stop."""

    __slots__ = ("_coming", "_given", "_sorted", "_state", "preemptions")

    def __init__(self, state: Sharing) -> None:
        self._state = state
        self._given: dict[str, int] = {}  # slots by study
        self._sorted: dict[str, list[TaskState]] = {}
        self._coming = {  # slots that become free, by node
            node.name: node.leaving
            for node in state.nodes.values()
            if node.leaving and node.kept_for is None and not node.gone
        }
        self.preemptions: list[Preempt] = []

    def for_gangs(self, taker: _Taker) -> None:
        """What a gang's node still needs."""
        for name in taker.share.kept:
            for task in givers(self._state, self._state.nodes[name], taker.share, self._given) or ():
                self._ask(task, taker.share)

    def for_jobs(self, taker: _Taker) -> None:
        """As many jobs as this study lacks, less those that are leaving anyway."""
        share, state = taker.share, self._state
        lacking = min(taker.left, max(self._due(taker), share.claim.minimum - share.staying))
        pool = state.pools[share.claim.nodes]
        for name in [name for name in self._coming if pool.holds(name)]:
            taken = min(max(lacking, 0), self._coming[name])
            self._coming[name] -= taken
            lacking -= taken
        while lacking > 0:
            victim = self._victim(share)
            if victim is None:
                return
            self._ask(victim, share)
            lacking -= victim.task.slots

    def _due(self, taker: _Taker) -> int:
        if taker.share.waited(self._state.time) < self._state.policy.patience:
            return 0
        below = math.ceil(taker.share.ideal - taker.share.staying - SLACK)
        return max(0, min(below, int(-taker.surplus + SLACK)))

    def _victim(self, taker: Share) -> TaskState | None:
        """The job to stop: of the lowest class, then of who has most above its target, then the cheapest."""
        state = self._state
        best: tuple[tuple[int, float, int], TaskState] | None = None
        for share in state.shares.values():
            given = self._given.get(share.claim.study, 0)
            surplus = (state.surplus(share) - given - share.claim.gang / 2) / share.claim.weight
            rank = share.claim.priority, -round(surplus, 6), -share.order
            if share.staying <= given or (best is not None and rank >= best[0]):
                continue
            task = self._cheapest(share, taker, given)
            if task is not None:
                best = rank, task
        return None if best is None else best[1]

    def _cheapest(self, share: Share, taker: Share, given: int) -> TaskState | None:
        state, study = self._state, share.claim.study
        if not may_give(state, share, taker, 1, given):
            return None
        if study not in self._sorted:
            tasks = [task for task in share.tasks.values() if task.task.preemptible and not task.leaving]
            self._sorted[study] = sorted(tasks, key=lambda task: task.loss)
        pool = state.pools[taker.claim.nodes]
        youngest = state.time - (0.0 if taker.staying < taker.claim.minimum else state.policy.cooldown)
        for task in self._sorted[study]:
            node = state.nodes[task.task.node]
            usable = not node.gone and node.kept_for is None and pool.holds(node.name)
            if usable and task.started <= youngest and may_give(state, share, taker, task.task.slots, given):
                return task
        return None

    def _ask(self, task: TaskState, taker: Share) -> None:
        study = task.task.study
        if study in self._sorted and task in self._sorted[study]:
            self._sorted[study].remove(task)
        self._given[study] = self._given.get(study, 0) + task.task.slots
        why = _why(self._state.shares[study], taker)
        self.preemptions.append(Preempt(study, task.task.trial, taker.claim.study, why))


def _why(giver: Share, taker: Share) -> str:
    if taker.staying < taker.claim.minimum:
        return "has fewer slots than its minimum"
    if giver.claim.priority < taker.claim.priority:
        return "has a higher priority"
    return "has had less than its share"
