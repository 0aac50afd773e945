"""A cluster on a virtual clock whose jobs start and stop as the sharing decides; each step is checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush

import msgspec

from rung.cluster.sharing import (
    Claim,
    ClaimChanged,
    Launch,
    Node,
    NodeJoined,
    Passed,
    Policy,
    Preempt,
    PreemptionAsked,
    SharingEvent,
    StudyLeft,
    Task,
    TaskEnded,
    TaskStarted,
    decide,
    fold,
    initial,
)


class World:
    """What is true of the cluster, kept apart from the sharing's own state.

    Args:
        policy: of the sharing.
        duration: seconds that a study's job runs, by (study, trial).
        save: seconds that a job takes to save and stop when it is asked to.
        preemptible: whether a study's running jobs may be asked to stop.
        careful: ask each decision twice, and keep a script of all for a replay.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        duration: Callable[[str, int], float] = lambda study, trial: 100.0,
        save: float = 5.0,
        preemptible: Callable[[str], bool] = lambda study: True,
        careful: bool = False,
    ) -> None:
        self.careful = careful
        self.state = initial(policy)
        self.duration, self.save, self.preemptible = duration, save, preemptible
        self.time = 0.0
        self.nodes: dict[str, int] = {}
        self.claims: dict[str, Claim] = {}
        self.tasks: dict[tuple[str, int], Task] = {}
        self.endless: set[str] = set()  # studies whose jobs in waiting never become fewer
        self.script: list[tuple[SharingEvent, list[Launch | Preempt] | None]] = []
        self.preempted: list[tuple[float, str, int]] = []
        self.asked: set[tuple[str, int]] = set()
        self.got: dict[str, float] = {}  # slot-seconds
        self._ends: list[tuple[float, int, str, int]] = []
        self._trials = 0
        self._held: Counter[str] = Counter()  # slots by study
        self._used: Counter[str] = Counter()  # and by node

    def tell(self, event: SharingEvent) -> None:
        fold(self.state, event)
        if self.careful:
            self.script.append((event, None))

    def join(self, name: str, slots: int) -> None:
        self.nodes[name] = slots
        self.tell(NodeJoined(self.time, Node(name, slots)))

    def claim(self, study: str, endless: bool = False, **fields: object) -> None:
        known = self.claims.get(study, Claim(study))
        self.claims[study] = msgspec.structs.replace(known, **fields)
        if endless:
            self.endless.add(study)
            self.claims[study] = msgspec.structs.replace(self.claims[study], waiting=10_000)
        self.tell(ClaimChanged(self.time, self.claims[study]))

    def leave(self, study: str) -> None:
        del self.claims[study]
        self.endless.discard(study)
        self.tell(StudyLeft(self.time, study))

    def held(self, study: str) -> int:
        return self._held[study]

    def used(self, node: str) -> int:
        return self._used[node]

    def act(self) -> list[Launch | Preempt]:
        """Do what is decided until nothing more is."""
        done: list[Launch | Preempt] = []
        while True:
            decisions = decide(self.state)
            if self.careful:
                assert decide(self.state) == decisions, "deciding changes nothing"
                self.script.append((Passed(self.time), decisions))
            kinds = {type(decision) for decision in decisions}
            assert len(kinds) <= 1, "never both in one decision"
            for decision in decisions:
                if isinstance(decision, Launch):
                    self._launch(decision)
                else:
                    self._preempt(decision)
            done += decisions
            if not decisions or kinds == {Preempt}:
                return done

    def _launch(self, launch: Launch) -> None:
        claim = self.claims[launch.study]
        assert claim.waiting > 0
        assert launch.slots == claim.gang
        assert self.used(launch.node) + launch.slots <= self.nodes[launch.node], "a slot has one job"
        assert claim.nodes is None or launch.node in claim.nodes
        if claim.maximum is not None:
            assert self.held(launch.study) + launch.slots <= claim.maximum, "the maximum is never exceeded"
        self._trials += 1
        self.start(
            Task(
                launch.study,
                self._trials,
                launch.node,
                launch.slots,
                preemptible=self.preemptible(launch.study),
            )
        )

    def start(self, task: Task) -> None:
        self.tasks[task.study, task.trial] = task
        self._held[task.study] += task.slots
        self._used[task.node] += task.slots
        self.tell(TaskStarted(self.time, task))
        claim = self.claims[task.study]
        if task.study in self.endless:
            self.tell(ClaimChanged(self.time, claim))
        else:
            self.claims[task.study] = msgspec.structs.replace(claim, waiting=max(0, claim.waiting - 1))
        end = self.time + self.duration(task.study, task.trial)
        heappush(self._ends, (end, task.trial, task.study, task.trial))

    def _preempt(self, preempt: Preempt) -> None:
        key = preempt.study, preempt.trial
        assert self.tasks[key].preemptible
        assert key not in self.asked, "asked once"
        self.asked.add(key)
        self.preempted.append((self.time, *key))
        self.tell(PreemptionAsked(self.time, *key))
        heappush(self._ends, (self.time + self.save, preempt.trial, *key))

    def end(self, study: str, trial: int, again: bool = False) -> None:
        """A job ends; with `again` it waits to run once more."""
        task = self.tasks.pop((study, trial))
        self._held[study] -= task.slots
        self._used[task.node] -= task.slots
        self.tell(TaskEnded(self.time, study, trial))
        claim = self.claims.get(study)
        if again and claim is not None and study not in self.endless:
            self.claim(study, waiting=claim.waiting + 1)

    def run(self, until: float, tick: float = 10.0) -> None:
        """Let time pass; decide at each end of a job and every `tick` seconds."""
        self.act()
        while self.time < until:
            moment = min(until, self.time + tick, self._ends[0][0] if self._ends else until)
            for study, slots in self._held.items():
                self.got[study] = self.got.get(study, 0.0) + slots * (moment - self.time)
            self.time = moment
            self.tell(Passed(moment))
            while self._ends and self._ends[0][0] <= moment:
                _, _, study, trial = heappop(self._ends)
                if (study, trial) in self.tasks:
                    self.end(study, trial, again=(study, trial) in self.asked)
            self.act()

    def idle(self) -> list[str]:
        """Waiting studies that would fit on free slots of a node that is kept for nobody."""
        found = []
        for study, claim in self.claims.items():
            room = claim.maximum is None or self.held(study) + claim.gang <= claim.maximum
            if claim.waiting and room:
                found += [study for name in self.nodes if self._fits(claim, name)]
        return found

    def _fits(self, claim: Claim, name: str) -> bool:
        node = self.state.nodes[name]
        allowed = claim.nodes is None or name in claim.nodes
        return allowed and not node.kept_for and self.nodes[name] - self.used(name) >= claim.gang


def fluid(capacity: float, claims: dict[str, tuple[Claim, float]], steps: int = 4000) -> dict[str, float]:
    """Weighted max-min fairness by pouring a little at a time: the slow and obvious oracle.

    Args:
        capacity: slots.
        claims: each study's claim, and the slots that it could use.
        steps: drops in all.
    """
    shares = dict.fromkeys(claims, 0.0)
    drop = capacity / steps
    left = capacity
    ranks: list[tuple[bool, int]] = sorted(
        {(least, claim.priority) for claim, _ in claims.values() for least in (True, False)},
        key=lambda rank: (not rank[0], -rank[1]),
    )
    for least, priority in ranks:
        while left > 1e-9:
            bounds = {
                study: min(claim.minimum, most) if least else most
                for study, (claim, most) in claims.items()
                if claim.priority == priority
            }
            thirsty = [study for study, bound in bounds.items() if shares[study] < bound - 1e-9]
            if not thirsty:
                break
            level = {study: shares[study] / claims[study][0].weight for study in thirsty}
            lowest = min(thirsty, key=lambda study: level[study])
            poured = min(drop, left, bounds[lowest] - shares[lowest])
            shares[lowest] += poured
            left -= poured
    return shares
