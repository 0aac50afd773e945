"""The preview: what it says is what then runs."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.schedulers import SCHEDULERS, make_scheduler, spec_of
from rung.schedulers.base import Scheduler
from rung.schedulers.plan import Cost, Plan, plan
from rung.trials.events import Identity, JobStarted, Limits, Spec
from support.driver import WITH_MODEL, Driver, few, identity

LADDERS = [(1, 1, 3), (1, 27, 3), (3, 30, 3), (1, 16, 2), (1, 100, 4)]
every = pytest.mark.parametrize("name", SCHEDULERS)
cheap = pytest.mark.parametrize(  # the model of this one takes most of the time: it is for the long form
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name == "freeze-thaw" else name for name in SCHEDULERS],
)
choices = st.lists(st.integers(0, 10**6), max_size=60)


def planned(scheduler: str | Scheduler, who: Identity, **limits) -> Plan:
    who = msgspec.structs.replace(who, scheduler=spec_of(make_scheduler(scheduler)))
    found = plan(who, Limits(**limits))
    assert found is not None
    return found


def rungs(found: Plan) -> list[tuple[int, list[tuple[int, int]]]]:
    return [(b.times, [(rung.resource, rung.trials) for rung in b.rungs]) for b in found.brackets]


def ran(driver: Driver) -> tuple[dict[int, int], int, int]:
    """Jobs by the resource that they ran to, and their cost if resumed and if begun afresh."""
    counts: dict[int, int] = {}
    reached: dict[int, int] = {}
    resumed = afresh = 0
    for event in driver.log:
        if isinstance(event, JobStarted) and event.until > reached.get(event.trial, 0):  # else it runs again
            resumed += event.until - reached.get(event.trial, 0)
            afresh += event.until
            reached[event.trial] = event.until
            counts[event.until] = counts.get(event.until, 0) + 1
    return counts, resumed, afresh


@cheap
@given(ladder=st.sampled_from(LADDERS), n=st.integers(1, 50), slots=st.integers(1, 5), numbers=choices)
@settings(max_examples=40, deadline=None)
def test_no_study_costs_more_than_its_plan(name, ladder, n, slots, numbers):
    n, scheduler = max(1, few(name, n)), make_scheduler(WITH_MODEL.get(name, name))
    who = identity(*ladder)
    found = planned(scheduler, who, trials=n)
    driver = Driver(scheduler, who, Limits(trials=n), workers=slots, choices=numbers).run()
    counts, resumed, afresh = ran(driver)
    assert found.trials == len(driver.history) == n
    assert resumed <= found.most.resumed
    assert afresh <= found.most.afresh
    most: dict[int, int] = {}
    for bracket in found.brackets:
        for rung in bracket.rungs:
            most[rung.resource] = most.get(rung.resource, 0) + bracket.times * rung.most
    assert all(count <= most[resource] for resource, count in counts.items())


@given(ladder=st.sampled_from(LADDERS), n=st.integers(1, 40), slots=st.integers(1, 5), numbers=choices)
@settings(max_examples=40, deadline=None)
def test_no_study_of_several_objectives_costs_more_than_its_plan(ladder, n, slots, numbers):
    who = identity(*ladder, goals=3, bounded=True)
    found = planned("mo-asha", who, trials=n)
    driver = Driver(make_scheduler("mo-asha"), who, Limits(trials=n), workers=slots, choices=numbers).run()
    counts, resumed, afresh = ran(driver)
    assert resumed <= found.most.resumed
    assert afresh <= found.most.afresh
    assert all(counts.get(rung.resource, 0) <= rung.most for rung in found.brackets[0].rungs)


@pytest.mark.parametrize(("interval", "shown"), [(27, [27, 54, 81]), (1, [1, 3, 9, 27, 81])])
def test_gates_are_shown_unless_they_are_too_many(interval, shown):
    who = msgspec.structs.replace(identity(1, 81, 3), scheduler=Spec("median", {"interval": interval}))
    found = plan(who, Limits(trials=50))
    assert found is not None
    assert [rung.resource for rung in found.brackets[0].rungs] == shown
    assert found.most == Cost(50 * 81, 50 * 81)


def test_whatever_bracket_is_chosen_no_trial_runs_beyond_the_largest_resource():
    found = planned("hyper-tune", identity(1, 9, 3), trials=100)
    assert [[rung.most for rung in bracket.rungs] for bracket in found.brackets] == [
        [100, 33, 11],
        [100, 33],
        [100],
    ]
    assert found.most == Cost(100 * 9, 100 * 13)
    assert found.usual.resumed < found.most.resumed


@pytest.mark.parametrize("name", ["plain", "sha", "hyperband"])
@pytest.mark.parametrize("n", [1, 5, 27, 60, 143, 200])
@pytest.mark.parametrize("slots", [1, 8])
def test_the_synchronous_ones_run_exactly_their_plan(name, n, slots):
    who = identity(1, 81, 3)
    found = planned(name, who, trials=n)
    driver = Driver(make_scheduler(name), who, Limits(trials=n), workers=slots).run()
    _, resumed, afresh = ran(driver)
    assert found.usual == found.most == Cost(resumed, afresh)


def test_asha_can_come_to_the_most_that_its_plan_allows():
    who, n = identity(1, 9, 3), 20
    found = planned("asha", who, trials=n)
    driver = Driver(make_scheduler("asha"), who, Limits(trials=n))
    while not driver.decide():
        job = next(iter(driver.history.running.values())).job
        driver.reports(job, job.until, "value", -float(job.trial))  # each newcomer is the best yet
    assert [rung.most for rung in found.brackets[0].rungs] == [20, 18, 16]
    assert ran(driver)[0] == {1: 20, 3: 18, 9: 16}
    assert ran(driver)[1:] == (found.most.resumed, found.most.afresh)


def test_hyperbands_brackets_and_a_last_one_that_is_cut_short():
    found = planned("hyperband", identity(1, 81, 3), trials=143 + 90)
    assert rungs(found) == [
        (2, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)]),
        (1, [(3, 34), (9, 11), (27, 3), (81, 1)]),
        (1, [(9, 15), (27, 5), (81, 1)]),
        (1, [(27, 8), (81, 2)]),
        (1, [(81, 5)]),
        (1, [(3, 9), (9, 3), (27, 1), (81, 0)]),
    ]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("plain", (1, [(81, 1)])),
        ("sha", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("hyperband", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("asha", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("asha-stopping", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("async-hyperband", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("pasha", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("mo-asha", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("hyper-tune", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("median", (1, [(1, 81), (3, 42), (9, 22), (27, 12), (81, 7)])),
        ("percentile", (1, [(1, 81), (3, 24), (9, 9), (27, 6), (81, 5)])),
        ("curve", (1, [(81, 1)])),
        ("fabolas", (1, [(1, 81), (3, 62), (9, 44), (27, 26), (81, 13)])),
        ("freeze-thaw", (1, [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)])),
        ("race", (1, [(repeats, 20) for repeats in range(1, 82)])),
    ],
)
def test_without_a_limit_on_trials_it_shows_one_round(name, first):
    found = planned(name, identity(1, 81, 3))
    assert found.repeats
    assert rungs(found)[0] == first


def test_what_it_costs_with_and_without_checkpoints():
    found = planned("sha", identity(1, 9, 3), trials=9)
    assert found.usual == found.most == Cost(resumed=9 + 3 * 2 + 6, afresh=9 + 3 * 3 + 9)
    assert planned("asha-stopping", identity(1, 9, 3), trials=9).usual == Cost(21, 21)


def test_a_limit_on_the_total_resource_is_the_most():
    found = planned("asha", identity(1, 81, 3), trials=100, total_resource=50)
    assert found.most == found.usual == Cost(50, 50)


def test_another_packages_scheduler_has_no_preview():
    who = msgspec.structs.replace(identity(1, 9, 3), scheduler=Spec("theirs"))
    assert plan(who, Limits(trials=3)) is None
