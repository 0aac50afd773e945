"""Shares over the whole life of studies, beside an oracle; promises about what is stopped and who waits."""

from __future__ import annotations

import random

import pytest

from rung.cluster.sharing import Claim, Policy
from support.sharing_world import World, fluid


def ideal_of(world: World, capacity: float) -> dict[str, float]:
    """What each should have now, poured drop by drop from what is true of the cluster."""
    claims: dict[str, tuple[Claim, float]] = {}
    for study, claim in world.claims.items():
        most = world.held(study) + claim.waiting * claim.gang
        claims[study] = claim, float(min(most, capacity, claim.maximum or capacity))
    return fluid(capacity, claims, steps=400)


def live(world: World, until: float, capacity: float, lives: dict[str, float], step: float = 200.0) -> None:
    """Run, and integrate the ideal of those in `lives`; claims are constant within a step."""
    while world.time < until:
        for study, ideal in ideal_of(world, capacity).items():
            lives[study] = lives.get(study, 0.0) + ideal * step
        world.run(world.time + step, tick=20.0)


@pytest.mark.parametrize("seed", range(4))
def test_shares_over_life_are_within_5_percent_of_the_ideal(seed: int) -> None:
    """Studies come and go, of all weights; jobs of all lengths; one has a maximum, one a minimum."""
    rng = random.Random(seed)
    world = World(duration=lambda study, trial: rng.expovariate(1 / 150.0) + 20.0)
    capacity = 0
    for number in range(6):
        slots = rng.choice([2, 4, 8])
        capacity += slots
        world.join(f"n{number}", slots)
    lives: dict[str, float] = {}
    world.claim("first", endless=True)
    world.claim("bounded", endless=True, maximum=3, weight=4.0)
    live(world, 2_000.0, capacity, lives)
    for number in range(4):
        fields = {"minimum": 3} if number == 0 else {}
        world.claim(f"s{number}", endless=True, weight=rng.choice([0.5, 1.0, 2.0]), **fields)
        live(world, world.time + 1_000.0, capacity, lives)
    live(world, world.time + 6_000.0, capacity, lives)
    world.leave("s1")
    lives.pop("s1")
    kept = {study: lives[study] for study in world.claims}
    live(world, world.time + 6_000.0, capacity, kept)
    for study, ideal in kept.items():
        assert world.got[study] == pytest.approx(ideal, rel=0.05), study
    assert sum(world.got.values()) >= 0.999 * capacity * world.time


def test_gangs_get_their_share_over_life_beside_single_jobs() -> None:
    rng = random.Random(7)
    world = World(duration=lambda study, trial: rng.expovariate(1 / 150.0) + 20.0)
    for number in range(4):
        world.join(f"n{number}", 8)
    lives: dict[str, float] = {}
    for study, gang in (("one", 1), ("two", 2), ("four", 4), ("eight", 8)):
        world.claim(study, endless=True, gang=gang)
    live(world, 20_000.0, 32, lives)
    for study, ideal in lives.items():
        assert world.got[study] == pytest.approx(ideal, rel=0.05), study
    assert sum(world.got.values()) >= 0.93 * 32 * world.time, "what waits for gangs is little"


@pytest.mark.parametrize(
    ("slots", "gang", "singles"),
    [((4,), 4, (1000.0,)), ((5, 3), 5, (100.0, 100.0)), ((4, 4), 4, (100.0, 100.0, 100.0, 100.0))],
)
def test_a_gang_of_short_jobs_comes_back_to_its_node(
    slots: tuple[int, ...], gang: int, singles: tuple[float, ...]
) -> None:
    """Its floor is less than one gang; those of the others would split the node at each of its jobs' ends."""
    lasts = {"gang": 20.0} | {f"s{number}": seconds for number, seconds in enumerate(singles)}
    world = World(duration=lambda study, trial: lasts[study])
    for number, lent in enumerate(slots):
        world.join(f"n{number}", lent)
    for study in lasts:
        world.claim(study, endless=True, gang=gang if study == "gang" else 1)
    world.run(20_000.0, tick=20.0)
    for study in lasts:
        assert world.got[study] == pytest.approx(sum(slots) / len(lasts) * 20_000.0, rel=0.05), study


def test_more_studies_than_slots_all_advance() -> None:
    """No starvation: jobs that never end by themselves take turns, whatever their weights."""
    policy = Policy(horizon=100.0, memory=2000.0)
    world = World(policy, duration=lambda study, trial: 1e9)
    world.join("n", 3)
    for number in range(9):
        world.claim(f"s{number}", endless=True, weight=[1.0, 1.0, 4.0][number % 3])
    world.run(30_000.0, tick=25.0)
    for number in range(9):
        ideal = 3 * [1.0, 1.0, 4.0][number % 3] / 18
        assert world.got[f"s{number}"] == pytest.approx(ideal * 30_000.0, rel=0.1)


def test_a_low_class_without_a_minimum_waits_and_then_gets_everything() -> None:
    world = World(duration=lambda study, trial: 50.0)
    world.join("n", 4)
    world.claim("low", endless=True)
    world.claim("high", waiting=200, priority=1)
    world.run(2_400.0)
    assert world.got.get("low", 0.0) == 0.0
    world.run(4_000.0)
    assert world.held("high") == 0
    assert world.held("low") == 4


@pytest.mark.parametrize("seed", range(3))
def test_preemptions_are_bounded(seed: int) -> None:
    """Who comes moves each slot at most once; after that, one job a study and horizon."""
    rng = random.Random(seed)
    policy = Policy()
    world = World(policy, duration=lambda study, trial: rng.uniform(100.0, 20_000.0))
    world.join("m", 16)
    world.join("n", 16)
    world.claim("old", endless=True)
    world.run(1_000.0)
    for number in range(6):
        world.claim(f"s{number}", endless=True, gang=rng.choice([1, 1, 4]))
    for end in (4_000.0, 31_000.0):
        world.run(end)
        assert len(world.preempted) <= 32 + 7 * (end - 1_000.0) / policy.horizon
    assert len(world.preempted) <= 32 + 3.0 * (end - 1_000.0) / policy.horizon, "mostly much fewer"


def test_the_cost_of_a_decision_does_not_grow_with_finished_studies() -> None:
    """Counted in what the state keeps, not in time."""
    world = World(duration=lambda study, trial: 10.0)
    world.join("n", 4)
    for number in range(300):
        world.claim(f"s{number}", waiting=2, gang=1 + number % 2, nodes=("n",) if number % 3 else None)
        world.run(world.time + 15.0)
        if number >= 2:
            world.leave(f"s{number - 2}")
    world.run(world.time + 100.0)
    assert len(world.state.shares) <= 3
    assert len(world.state.pools) <= 2
    assert not world.state.tasks
