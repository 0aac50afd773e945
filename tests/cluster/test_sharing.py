"""What the sharing decides, case by case."""

from __future__ import annotations

import pytest

from rung.cluster.sharing import (
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
    StudyLeft,
    Task,
    TaskEnded,
    TaskSaved,
    TaskStarted,
    decide,
    fold,
    initial,
)
from rung.errors import StudyError
from support.sharing_world import World

NEVER = 1e9  # seconds: jobs that don't end by themselves


def endless(study: str, trial: int) -> float:
    return NEVER


def shares(world: World) -> dict[str, int]:
    return {study: world.held(study) for study in world.claims}


def test_slots_are_divided_by_weight() -> None:
    world = World()
    world.join("n", 12)
    world.claim("a", endless=True)
    world.claim("b", endless=True, weight=2.0)
    world.claim("c", endless=True, weight=3.0)
    world.act()
    assert shares(world) == {"a": 2, "b": 4, "c": 6}


def test_what_one_does_not_want_goes_to_the_others() -> None:
    world = World()
    world.join("n", 12)
    world.claim("small", waiting=2)
    world.claim("b", endless=True)
    world.claim("c", endless=True)
    world.act()
    assert shares(world) == {"small": 2, "b": 5, "c": 5}


def test_a_higher_class_is_served_first_but_minimums_of_lower_ones_are_kept() -> None:
    world = World()
    world.join("n", 10)
    world.claim("low", endless=True, minimum=2)
    world.claim("high", endless=True, priority=1)
    world.act()
    assert shares(world) == {"low": 2, "high": 8}


def test_a_higher_class_leaves_what_exceeds_its_maximum() -> None:
    world = World()
    world.join("n", 10)
    world.claim("low", endless=True)
    world.claim("high", endless=True, priority=1, maximum=3)
    world.act()
    assert shares(world) == {"low": 7, "high": 3}


def test_a_minimum_takes_from_a_higher_class_at_once() -> None:
    world = World(duration=endless)
    world.join("n", 4)
    world.claim("high", endless=True, priority=5)
    world.run(10.0)
    world.claim("low", endless=True, minimum=1)
    world.run(20.0)
    assert shares(world) == {"high": 3, "low": 1}
    assert len(world.preempted) == 1


def test_who_waited_is_made_up_for_and_pays_nothing_for_slots_that_nobody_wanted() -> None:
    world = World(duration=endless, preemptible=lambda study: study != "a")
    world.join("n", 10)
    world.claim("a", endless=True)
    world.run(1000.0)
    assert world.state.owed("a") == 0.0
    world.claim("b", endless=True)
    world.run(1100.0)
    assert world.state.owed("b") == pytest.approx(500.0)
    assert world.state.owed("a") == pytest.approx(-500.0)


def test_an_old_debt_leaves_the_others_at_least_half_their_share() -> None:
    policy = Policy()
    world = World(policy, duration=lambda study, trial: 20.0 + trial % 7)
    world.join("n", 20)
    world.claim("debtor", endless=True)
    world.run(10.0)
    world.claim("creditor", endless=True)
    world.state.fill()
    reach = world.state.shares["creditor"].reach
    world.tell(Remembered(world.time, "creditor", 0.0, reach, reach))  # as if it had waited for so long
    before = world.got["debtor"]
    world.run(1010.0)
    assert world.got["debtor"] - before >= 0.9 * policy.floor * 10 * 1000
    assert world.got["creditor"] > 1.2 * world.got["debtor"]


def test_what_became_of_a_share_is_remembered_until_there_are_nodes_again() -> None:
    """Two studies of one world, told to another whose nodes come later."""
    world = World(duration=endless, preemptible=lambda study: False)
    world.join("n", 4)
    world.claim("a", endless=True)
    world.run(100.0)
    world.claim("b", endless=True)
    world.run(400.0)
    accounts = {study: world.state.account(study) for study in "ab"}
    assert accounts["a"] == pytest.approx((1600.0, 1000.0, -600.0))
    assert accounts["b"] == pytest.approx((0.0, 600.0, 600.0))
    other = World(duration=endless)
    for study, account in accounts.items():
        other.tell(Remembered(0.0, study, *account))
        other.claim(study, endless=True)
    other.run(50.0)
    assert {study: other.state.account(study) for study in "ab"} == accounts
    other.join("n", 4)
    other.run(51.0)
    assert shares(other) == {"a": 1, "b": 3}, "600 slot-seconds are one slot more for the horizon"


def test_a_study_that_is_short_for_long_need_not_have_got_nothing() -> None:
    """One short job now and then does not put off what it lacks."""
    world = World(duration=lambda study, trial: 5.0 if study == "b" else 1e9)
    world.join("n", 8)
    world.claim("a", endless=True)
    world.run(100.0)
    world.join("m", 1)
    world.claim("b", endless=True)
    world.run(100.0 + Policy().patience + 10.0)
    assert world.held("b") + len(world.preempted) >= 4


def test_running_jobs_that_cannot_be_stopped_count_in_what_their_study_is_offered() -> None:
    """Determined's fair_share.go sets them to 0 before it subtracts them, and offers their study too much."""
    world = World(duration=endless, preemptible=lambda study: study == "b")
    world.join("n", 8)
    world.claim("a", endless=True)
    world.run(1.0)
    world.join("m", 4)
    world.claim("b", endless=True)
    launches = world.act()
    assert [launch.study for launch in launches] == ["b"] * 4
    world.run(500.0)
    assert shares(world) == {"a": 8, "b": 4}
    assert not world.preempted


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_where_not_all_gangs_fit_the_youngest_study_waits(names: tuple[str, str, str]) -> None:
    """Determined's fair_share.go sorts by time with a comparator that looks into another list."""
    world = World(duration=endless)
    for time, name in enumerate(names):
        world.time = float(time)
        world.claim(name, waiting=3, gang=8)
    for name in names[::-1]:  # what changed last, and what the table lists first, are other studies
        world.claim(name, waiting=5)
    world.join("m", 8)
    world.join("n", 8)
    world.act()
    assert shares(world) == {names[0]: 8, names[1]: 8, names[2]: 0}


def test_of_equals_the_youngest_gives_way_and_the_oldest_comes_back() -> None:
    """Determined's issue 3340: the oldest was stopped, and the youngest got its slot back."""
    world = World(duration=endless, save=0.0)
    world.join("n", 2)
    for name in ("e1", "e2", "e3"):
        world.claim(name, waiting=1)
    world.act()
    assert shares(world) == {"e1": 1, "e2": 1, "e3": 0}
    world.claim("e4", waiting=1, priority=1)
    world.run(100.0)
    assert [study for _, study, _ in world.preempted] == ["e2"]
    assert shares(world) == {"e1": 1, "e2": 0, "e3": 0, "e4": 1}
    world.end("e4", next(trial for study, trial in world.tasks if study == "e4"))
    world.leave("e4")
    world.act()
    assert shares(world)["e2"] + shares(world)["e3"] == 1


def test_the_job_that_loses_least_is_stopped() -> None:
    state = initial()
    fold(state, NodeJoined(0.0, Node("n", 4)))
    fold(state, ClaimChanged(0.0, Claim("a", waiting=9)))
    for trial, level in enumerate((1, 1, 1, 9)):
        fold(state, TaskStarted(float(trial), Task("a", trial, "n", level=level)))
    fold(state, ClaimChanged(50.0, Claim("b", waiting=1)))
    fold(state, TaskSaved(90.0, "a", 0))  # long ago started, but just saved
    fold(state, TaskSaved(95.0, "a", 3))  # later still, but of a higher rung
    fold(state, Passed(100.0))
    (preempt,) = decide(state)
    assert preempt == Preempt("a", 0, "b", "has had less than its share")
    fold(state, PreemptionAsked(100.0, "a", 0))
    fold(state, Passed(1000.0))
    assert decide(state) == [], "one is leaving: no more is needed"


def test_nobody_is_stopped_while_slots_come_by_themselves() -> None:
    world = World(duration=lambda study, trial: 40.0 + trial % 20)
    world.join("n", 20)
    world.claim("a", endless=True)
    world.run(100.0)
    world.claim("b", endless=True)
    world.run(400.0)
    assert not world.preempted
    assert abs(world.held("b") - 10) <= 3


def test_two_studies_take_turns_on_one_slot() -> None:
    policy = Policy(horizon=100.0, memory=1000.0)
    world = World(policy, duration=endless)
    world.join("n", 1)
    world.claim("a", endless=True)
    world.claim("b", endless=True)
    world.run(10_000.0)
    assert world.got["a"] == pytest.approx(world.got["b"], rel=0.05)
    assert 20 <= len(world.preempted) <= 10_000.0 / policy.horizon


def test_a_gang_waits_for_no_more_than_its_node() -> None:
    world = World(duration=lambda study, trial: 300.0 + 10.0 * trial, preemptible=lambda study: False)
    world.join("n", 4)
    world.join("m", 4)
    world.claim("small", endless=True, preemptible=False)
    world.run(1.0)
    world.claim("gang", endless=True, gang=4)
    world.run(700.0)
    assert world.held("gang") == 4
    assert len({task.node for task in world.tasks.values() if task.study == "gang"}) == 1


def test_what_is_kept_for_a_gang_is_used_until_the_gang_can_start() -> None:
    """One of the node's jobs can't be stopped for long: the others' slots are used meanwhile."""
    durations = {"stuck": 2000.0, "gang": NEVER, "small": 50.0}
    world = World(duration=lambda study, trial: durations[study], preemptible=lambda study: study != "stuck")
    world.join("n", 4)
    world.claim("stuck", waiting=1)
    world.act()
    world.claim("small", endless=True)
    world.claim("gang", waiting=1, gang=4)
    world.run(1990.0)
    assert world.held("small") == 3
    assert world.state.nodes["n"].kept_for == "gang"
    world.run(2200.0)
    assert world.held("gang") == 4


def test_a_gang_that_no_node_holds_wants_nothing_and_blocks_nobody() -> None:
    world = World()
    world.join("n", 4)
    world.claim("huge", endless=True, gang=8)
    world.claim("b", endless=True)
    world.run(1000.0)
    assert shares(world) == {"huge": 0, "b": 4}
    assert world.state.ideal("huge") == 0.0


def test_a_study_that_only_some_nodes_can_run() -> None:
    world = World()
    world.join("cpu", 6)
    world.join("gpu", 6)
    world.claim("anywhere", endless=True)
    world.claim("gpu", endless=True, nodes=("gpu",))
    world.claim("both", endless=True, nodes=("gpu", "cpu"))
    world.run(3000.0)
    assert world.state.ideal("gpu") == pytest.approx(4.0)
    assert all(task.node == "gpu" for task in world.tasks.values() if task.study == "gpu")
    assert sum(shares(world).values()) == 12
    assert world.got["gpu"] == pytest.approx(4.0 * 3000.0, rel=0.1)


def test_nodes_come_and_go() -> None:
    state = initial()
    fold(state, ClaimChanged(0.0, Claim("a", waiting=5)))
    assert decide(state) == []
    fold(state, NodeJoined(1.0, Node("n", 1)))
    assert decide(state) == [Launch("a", "n", 1)]
    fold(state, TaskStarted(1.0, Task("a", 0, "n")))
    fold(state, NodeLeft(2.0, "n"))
    assert decide(state) == []
    fold(state, NodeJoined(3.0, Node("n", 2)))  # back, with its job still running
    assert decide(state) == [Launch("a", "n", 1)]
    fold(state, NodeLeft(4.0, "n"))
    fold(state, NodeLeft(4.0, "unknown"))
    fold(state, TaskEnded(5.0, "a", 0))
    assert not state.nodes
    assert state.cluster.capacity == state.cluster.free == state.cluster.used == 0


def test_a_study_that_left_is_forgotten_with_its_last_job() -> None:
    state = initial()
    fold(state, NodeJoined(0.0, Node("n", 2)))
    fold(state, ClaimChanged(0.0, Claim("a", waiting=5, minimum=2, nodes=("n",))))
    fold(state, TaskStarted(0.0, Task("a", 0, "n")))
    fold(state, StudyLeft(1.0, "a"))
    fold(state, StudyLeft(1.0, "unknown"))
    assert decide(state) == []
    fold(state, TaskEnded(2.0, "a", 0))
    fold(state, TaskEnded(2.0, "a", 0))  # told twice
    assert not state.shares
    assert list(state.pools) == [None]


def test_a_job_of_an_unknown_study_or_node_takes_part() -> None:
    state = initial()
    fold(state, TaskStarted(5.0, Task("a", 0, "n", slots=2)))
    fold(state, NodeJoined(4.0, Node("n", 3)))
    assert (state.time, state.cluster.free, state.held("a")) == (5.0, 1, 2)
    fold(state, TaskStarted(6.0, Task("a", 0, "n", slots=3)))  # told anew
    assert (state.cluster.free, state.held("a")) == (0, 3)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Claim("s", weight=0.0), "weight"),
        (lambda: Claim("s", weight=float("nan")), "weight"),
        (lambda: Claim("s", minimum=-1), "min_slots"),
        (lambda: Claim("s", maximum=0), "max_slots"),
        (lambda: Claim("s", minimum=3, maximum=2), "at least 3"),
        (lambda: Claim("s", gang=0), "1 slot or more"),
        (lambda: Node("n", -1), "slots"),
        (lambda: Policy(horizon=0.0), "horizon"),
        (lambda: Policy(memory=1.0), "memory"),
        (lambda: Policy(floor=2.0), "floor"),
        (lambda: Policy(cooldown=-1.0), "cooldown"),
    ],
)
def test_settings_are_checked(build: object, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        build()  # type: ignore[operator]
