"""The state of the sharing: a fold over its events, which keeps what every decision needs.

What a study is owed is the integral of (ideal share - slots held) over the time in which it wanted slots.
The ideal is scaled to the slots in use, so that debts sum to zero; it is integrated when it changes, not by
steps.
"""

from __future__ import annotations

import msgspec

from rung.cluster import sharing_events as ev
from rung.cluster.sharing_events import Claim, Policy, Task
from rung.cluster.sharing_fill import Want, water_fill
from rung.cluster.sharing_nodes import Cluster, NodeState, TaskState
from rung.cluster.sharing_share import SLACK, Account, Share


class Sharing:
    """The state; made by `initial`, changed by `fold` alone."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.time = 0.0
        self.theta = 0.0  # integral of (slots in use / sum of the ideals)
        self.ideals = 0.0  # sum
        self.cluster = Cluster()
        self.nodes, self.pools = self.cluster.nodes, self.cluster.pools
        self.shares: dict[str, Share] = {}
        self.tasks: dict[tuple[str, int], TaskState] = {}
        self._count = 0
        self._filled = True  # whether the ideals are those of the present claims and nodes
        self._wanted = 0.0  # sum of what each could use
        self._plenty = False  # whether, when the ideals were filled, all got that

    # -- reading --------------------------------------------------------------------------------------

    def surplus(self, share: Share) -> float:
        """Slots that it holds and keeps, less those that it should."""
        return share.staying - share.target(self.policy, self.time, self.theta)

    def owed(self, study: str) -> float:
        """Slot-seconds that this study is to be made up for (negative: pays back); 0 if it is unknown."""
        return self.account(study).owed

    def account(self, study: str) -> Account:
        """What became of this study's share until now; nothing if it is unknown."""
        share = self.shares.get(study)
        return Account() if share is None else share.account(self.time, self.theta)

    def ideal(self, study: str) -> float:
        """The slots that weighted max-min fairness gives this study now; 0 if it is unknown."""
        self.fill()
        share = self.shares.get(study)
        return 0.0 if share is None else share.ideal

    def held(self, study: str) -> int:
        """The slots that this study's running jobs take."""
        share = self.shares.get(study)
        return 0 if share is None else share.held

    # -- the fold's steps -----------------------------------------------------------------------------

    def advance(self, time: float) -> None:
        """Let time pass; the clock never goes back."""
        if time > self.time:
            self.fill()
            if self.ideals > SLACK:
                self.theta += (time - self.time) * self.cluster.used / self.ideals
            self.time = time

    def join(self, node: ev.Node) -> None:
        """A node lends slots."""
        state = self.cluster.node(node.name)
        state.gone = False
        self._resize(state, node.slots)
        self.cluster.place(state)

    def leave(self, name: str) -> None:
        """A node takes no more jobs."""
        state = self.nodes.get(name)
        if state is None:
            return
        self._resize(state, 0)
        state.gone = True
        self.release(state)
        if not state.tasks:
            del self.nodes[name]

    def change(self, claim: Claim) -> None:
        """A study wants this now."""
        share = self._share(claim.study)
        before = share.claim
        if before.nodes != claim.nodes:
            self.cluster.enter(claim.nodes)
            self.cluster.forsake(before.nodes)
        if claim.waiting and not before.waiting:
            share.served = self.time
        share.claim, share.left = claim, False
        if before.gang != claim.gang or before.nodes != claim.nodes:
            self._release_all(share)
        same = (before.weight, before.priority, before.minimum, before.nodes, before.gang)
        if same != (claim.weight, claim.priority, claim.minimum, claim.nodes, claim.gang):
            self._filled = False
        self._bound(share)

    def remember(self, study: str, past: Account) -> None:
        """This became of a study's share before."""
        self._share(study).remember(past, self.time, self.theta)

    def depart(self, study: str) -> None:
        """A study wants nothing any more."""
        share = self.shares.get(study)
        if share is None:
            return
        self.change(Claim(study, share.claim.weight, share.claim.priority, nodes=share.claim.nodes))
        share.left = True
        self._forget(share)

    def start(self, task: Task) -> None:
        """A job runs."""
        self.end(task.study, task.trial)
        share = self._share(task.study)
        node = self.cluster.node(task.node)
        filling = node.kept_for is not None and node.kept_for != task.study
        if node.kept_for == task.study:
            self.release(node)
        share.settle(self.time, self.theta)
        state = TaskState(task, self.time, filling)
        key = task.study, task.trial
        self.tasks[key] = node.tasks[key] = share.tasks[task.trial] = state
        share.held += task.slots
        share.served = self.time
        self.cluster.use(node, task.slots)
        if share.claim.waiting:
            share.claim = msgspec.structs.replace(share.claim, waiting=share.claim.waiting - 1)
        self._bound(share)

    def save(self, study: str, trial: int) -> None:
        """A job's work is safe up to now."""
        state = self.tasks.get((study, trial))
        if state is not None:
            state.saved = self.time

    def ask(self, study: str, trial: int) -> None:
        """A job was asked to stop."""
        state = self.tasks.get((study, trial))
        if state is not None and not state.leaving:
            state.leaving = True
            self.shares[study].leaving += state.task.slots
            self.nodes[state.task.node].leaving += state.task.slots

    def end(self, study: str, trial: int) -> None:
        """A job's slots are free again."""
        state = self.tasks.pop((study, trial), None)
        if state is None:
            return
        task, share, node = state.task, self.shares[study], self.nodes[state.task.node]
        share.settle(self.time, self.theta)
        del share.tasks[trial], node.tasks[study, trial]
        share.held -= task.slots
        if state.leaving:
            share.leaving -= task.slots
            node.leaving -= task.slots
        self.cluster.use(node, -task.slots)
        if node.gone and not node.tasks:
            del self.nodes[node.name]
        self._bound(share)
        self._forget(share)

    def keep(self, node: NodeState, share: Share) -> None:
        """Keep a node for a gang of this study."""
        node.kept_for = share.claim.study
        share.kept.append(node.name)
        self.cluster.place(node)

    def release(self, node: NodeState) -> None:
        """Keep a node for nobody."""
        if node.kept_for is not None:
            self.shares[node.kept_for].kept.remove(node.name)
            node.kept_for = None
        self.cluster.place(node)

    def fill(self) -> None:
        """Divide the slots anew, if what the ideals depend on has changed; several times is as once."""
        if self._filled:
            return
        self._filled = True
        self._plenty = len(self.pools) == 1 and self._wanted <= self.cluster.capacity
        wanting = [share for share in self.shares.values() if share.most > 0.0]
        wants, capacities = [], {pool.names: float(pool.capacity(1)) for pool in self.pools.values()}
        for share in wanting:
            claim = share.claim
            group = self.pools[claim.nodes].names
            wants.append(Want(claim.weight, claim.priority, claim.minimum, share.most, group))
        found = water_fill(capacities, wants)
        for share, ideal in zip(wanting, found, strict=True):
            if share.ideal != ideal:
                share.settle(self.time, self.theta)
                share.ideal = ideal
                share.note(self.time)
            if ideal:  # without one, as when all nodes are away for a while, it keeps its bound
                share.reach = self.policy.memory * max(ideal, share.claim.gang)
        for share in self.shares.values():
            if share.most <= 0.0 < share.ideal:
                share.settle(self.time, self.theta)
                share.ideal = 0.0
        self.ideals = sum(found)

    # -- its parts ------------------------------------------------------------------------------------

    def _share(self, study: str) -> Share:
        share = self.shares.get(study)
        if share is None:
            self._count += 1
            share = self.shares[study] = Share(Claim(study), self._count, self.time, self.theta)
            self.cluster.enter(None)
        return share

    def _forget(self, share: Share) -> None:
        if share.left and not share.tasks:
            self.cluster.forsake(share.claim.nodes)
            del self.shares[share.claim.study]
            self._wanted -= share.most
            if share.ideal:
                self._filled = False

    def _resize(self, node: NodeState, slots: int) -> None:
        if node.slots != slots:
            self.cluster.resize(node, slots)
            self._filled = False
            for share in self.shares.values():
                self._bound(share)

    def _bound(self, share: Share) -> None:
        """What it could use now. Bounds that its ideal does not touch change no ideal."""
        before = share.most
        share.most = float(share.usable(self.pools[share.claim.nodes]))
        if share.most != before:
            self._wanted += share.most - before
            if min(share.most, before) <= share.ideal + SLACK:
                self._refill(share)
        share.note(self.time)
        if share.kept:
            self._release_all(share, share.room)

    def _refill(self, share: Share) -> None:
        """What a study could use, and so its ideal, changed; the others' not if all get what they want."""
        if self._filled and self._plenty and self._wanted <= self.cluster.capacity:
            share.settle(self.time, self.theta)
            self.ideals += share.most - share.ideal
            share.ideal = share.most
            share.note(self.time)
            if share.most:
                share.reach = self.policy.memory * max(share.most, share.claim.gang)
        else:
            self._filled = False

    def _release_all(self, share: Share, but: int = 0) -> None:
        for name in share.kept[but:]:
            self.release(self.nodes[name])
