"""The sharing under any order of events: what must always hold."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rung.cluster.sharing import (
    ClaimChanged,
    NodeJoined,
    NodeLeft,
    Passed,
    Policy,
    PreemptionAsked,
    StudyLeft,
    TaskEnded,
    TaskSaved,
    TaskStarted,
    decide,
    fold,
    initial,
)
from support.sharing_world import World

NAMES = ("a", "b", "c", "d", "e")
NODES = ("k", "l", "m", "n")
POLICY = Policy(horizon=200.0, memory=1000.0, patience=20.0, cooldown=40.0, reserve_after=40.0)


class Machine(RuleBasedStateMachine):
    """Studies and nodes come and go; jobs are started and stopped as decided; the world checks each step."""

    @initialize(preemptible=st.booleans())
    def begin(self, preemptible: bool) -> None:
        self.world = World(
            POLICY, lambda study, trial: 1e9, preemptible=lambda study: preemptible, careful=True
        )

    @rule(name=st.sampled_from(NODES), slots=st.integers(1, 6))
    def join(self, name: str, slots: int) -> None:
        if slots >= self.world.used(name):
            self.world.join(name, slots)
            self.world.act()

    @precondition(lambda self: self.world.nodes)
    @rule(data=st.data(), lost=st.booleans())
    def leave_node(self, data: st.DataObject, lost: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.nodes)))
        self.world.tell(NodeLeft(self.world.time, name))
        for study, trial in [key for key, task in self.world.tasks.items() if task.node == name]:
            self.world.end(study, trial, again=True)
        del self.world.nodes[name]
        self.world.act()

    @rule(
        name=st.sampled_from(NAMES),
        weight=st.sampled_from([0.5, 1.0, 3.0]),
        priority=st.integers(0, 1),
        minimum=st.integers(0, 2),
        maximum=st.none() | st.integers(2, 6),
        waiting=st.integers(0, 9),
        gang=st.sampled_from([1, 1, 2, 4]),
        nodes=st.none() | st.just(("k", "l")),
    )
    def claim(self, name: str, **fields: object) -> None:
        if name in self.world.claims:  # a study's jobs are of one kind, and so are the nodes that run them
            for fixed in ("gang", "nodes"):
                fields[fixed] = getattr(self.world.claims[name], fixed)
        self.world.claim(name, **fields)
        self.world.act()

    @precondition(lambda self: self.world.claims)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.world.leave(data.draw(st.sampled_from(sorted(self.world.claims))))
        self.world.act()

    @precondition(lambda self: self.world.tasks)
    @rule(data=st.data(), how=st.sampled_from(["end", "end", "save"]))
    def job(self, data: st.DataObject, how: str) -> None:
        study, trial = data.draw(st.sampled_from(sorted(self.world.tasks)))
        if how == "save":
            self.world.tell(TaskSaved(self.world.time, study, trial))
        else:
            self.world.end(study, trial)
        self.world.act()

    @rule(seconds=st.sampled_from([1.0, 15.0, 100.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        self.world.run(self.world.time + seconds, tick=25.0)

    @invariant()
    def no_slot_is_idle_while_a_job_that_fits_waits(self) -> None:
        assert not self.world.idle()

    @invariant()
    def the_state_counts_what_is_true(self) -> None:
        world, state = self.world, self.world.state
        assert state.cluster.capacity == sum(world.nodes.values())
        assert state.cluster.used == sum(task.slots for task in world.tasks.values())
        assert state.cluster.free == state.cluster.capacity - state.cluster.used
        assert set(state.tasks) == set(world.tasks)
        for study, share in state.shares.items():
            assert share.held == sum(task.slots for task in world.tasks.values() if task.study == study)
        for node in state.nodes.values():
            owner = state.shares.get(node.kept_for or "")
            assert (owner is None) == (node.kept_for is None)
            assert owner is None or (owner.may_grow and node.name in owner.kept)

    @invariant()
    def a_kept_node_is_not_idle_for_a_gang_that_could_be_elsewhere(self) -> None:
        """A node is kept only for a gang, and one node for each gang that is due."""
        for share in self.world.state.shares.values():
            assert not share.kept or share.claim.gang > 1
            assert len(share.kept) <= share.claim.waiting

    @invariant()
    def minimums_are_kept_where_somebody_has_more_than_his(self) -> None:
        """Once what was asked to stop has stopped, and where any job can be stopped, on any node."""
        world = self.world
        if any(state.leaving for state in world.state.tasks.values()):
            return
        for claim in world.claims.values():
            short = claim.waiting and world.held(claim.study) < claim.minimum and claim.gang == 1
            if short and claim.nodes is None:
                for (study, _), task in world.tasks.items():
                    other = world.claims.get(study)
                    spare = world.held(study) - task.slots >= (other.minimum if other else 0)
                    kept = world.state.nodes[task.node].kept_for
                    assert not (task.preemptible and spare and study != claim.study and not kept)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            replay(self.world)


def replay(world: World) -> None:
    """The same events give the same decisions, and the same debts whether anybody asked meanwhile or not."""
    state, unasked = initial(world.state.policy), initial(world.state.policy)
    for event, decisions in world.script:
        if decisions is None:
            fold(state, event)
            fold(unasked, event)
        else:
            assert decide(state) == decisions
    assert decide(unasked) == decide(state) == decide(world.state)
    for study in state.shares:
        assert unasked.owed(study) == state.owed(study)
        assert unasked.ideal(study) == state.ideal(study)


Machine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestMachine = Machine.TestCase


@pytest.mark.long
def test_machine_long() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=300, stateful_step_count=50, deadline=None)
    )


def test_a_log_of_the_events_gives_the_same_state() -> None:
    world = World(POLICY, careful=True)
    world.join("n", 4)
    world.claim("a", endless=True)
    world.run(200.0)
    world.claim("b", waiting=3, gang=2)
    world.run(400.0)
    world.leave("b")
    told = [event for event, decisions in world.script if decisions is None]
    kinds = NodeJoined | ClaimChanged | TaskStarted | TaskEnded | PreemptionAsked | StudyLeft | Passed
    log = msgspec.msgpack.encode(told)
    state = initial(POLICY)
    for event in msgspec.msgpack.decode(log, type=list[kinds]):
        fold(state, event)
    assert state.owed("a") == world.state.owed("a") != 0.0
    assert decide(state) == decide(world.state)
