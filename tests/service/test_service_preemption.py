"""Jobs are asked to stop for another study's share, and slots that a worker cannot fill hold nobody up."""

import logging

import pytest

from rung.service.hosting import Told
from support.service_house import of


def passing(house, seconds, *polls):
    """Let time pass as workers see it, who poll each few seconds; all that they are told to stop."""
    stop = []
    for _ in range(0, seconds, 5):
        house.clock.now += 5
        house.hub.tick()
        house.workers.tick()
        for worker, running in polls:
            stop += house.workers.poll(worker, [of(job) for job in running], 0, {}).stop
    return stop


def test_a_study_of_a_higher_class_takes_slots_that_are_all_busy(house, caplog):
    house.study("low", resource="epoch:9:9")
    worker = house.workers.join("w", 3, {}, "ann")
    jobs = house.workers.poll(worker, [], 3, {}).jobs
    assert passing(house, 60, (worker, jobs)) == []
    with caplog.at_level(logging.INFO, "rung.service"):
        house.study("urgent", priority=1, max_slots=1)
        stop = passing(house, 30, (worker, jobs))
    assert {(told["study"], told["why"]) for told in stop} == {("low", "preempted")}
    assert len({told["trial"] for told in stop}) == 1  # as many as it lacks
    assert "low: the job of trial 2 is to stop: urgent has a higher priority" in caplog.text
    assert house.workers.preempted == 1
    taken = jobs[stop[0]["trial"]]
    house.hub.study("low").tell(taken["trial"], 0, Told("stopped"), house.clock.now)
    jobs.remove(taken)
    (begun,) = house.workers.poll(worker, [of(job) for job in jobs], 1, {}).jobs
    assert begun["study"] == "urgent"


@pytest.mark.parametrize("saves", [True, False])
def test_a_job_that_had_to_stop_for_nothing_is_not_stopped_again(house, saves):
    house.study("low", resource="epoch:9:9", trials=1, scheduler="plain")
    worker = house.workers.join("w", 1, {}, "ann")
    (job,) = house.workers.poll(worker, [], 1, {}).jobs
    house.study("urgent", priority=1, max_slots=1, trials=2, scheduler="plain", resource=None)
    low, urgent = house.hub.study("low"), house.hub.study("urgent")
    assert len(passing(house, 80, (worker, [job]))) >= 1
    if saves:
        low.report(job["trial"], 0, 3, {"loss": 1.0}, "somewhere", house.clock.now)
    low.tell(job["trial"], 0, Told("stopped"), house.clock.now)
    (other,) = house.workers.poll(worker, [], 1, {}).jobs
    urgent.wind_down("paused", house.clock.now)
    urgent.tell(other["trial"], 0, Told("finished", {"loss": 1.0}), house.clock.now)
    house.hub.tick()
    (again,) = house.workers.poll(worker, [], 1, {}).jobs
    assert (again["study"], again["start"]) == ("low", 3 if saves else 0)
    house.hub.resume("urgent", "ann")
    assert bool(passing(house, 120, (worker, [again]))) is saves


def test_slots_that_a_worker_cannot_fill_hold_nobody_up(house):
    house.study("a", trials=1, scheduler="plain", resource=None)
    full = house.workers.join("full disk", 1, {}, "ann")
    well = house.workers.join("well", 4, {}, "ann")
    assert house.workers.poll(full, [], 0, {}, lends=0).jobs == []
    assert [job["study"] for job in house.workers.poll(well, [], 4, {}).jobs] == ["a"]
    house.study("b", trials=1, scheduler="plain", resource=None)
    assert house.workers.poll(full, [], 0, {}, lends=0).jobs == []
    assert [job["study"] for job in house.workers.poll(full, [], 1, {}).jobs] == ["b"]  # all of it again


def test_one_decision_serves_all_slots_that_are_free_and_none_looks_at_each_worker(house, monkeypatch):
    from rung.service import plan
    from rung.service.machines import Machine

    decisions, looked = [], []
    decide = plan.decide
    monkeypatch.setattr(plan, "decide", lambda state: decisions.append(1) or decide(state))
    house.study("a")
    house.study("b")
    workers = [house.workers.join(f"w{number}", 2, {}, "ann") for number in range(8)]
    jobs = {worker: house.workers.poll(worker, [], 2, {}).jobs for worker in workers}
    assert sum(map(len, jobs.values())) == 16
    assert len(decisions) <= 4  # not one for each job
    monkeypatch.setattr(Machine, "refused", property(lambda machine: looked.append(machine) or {}))
    house.workers.poll(workers[0], [of(job) for job in jobs[workers[0]]], 0, {})
    assert looked == []


def test_a_study_that_comes_again_is_tried_anew_and_nothing_is_kept_of_one_that_went(house):
    house.study("a")
    worker = house.workers.join("w", 1, {}, "ann")
    assert house.workers.poll(worker, [], 1, {"a": "no module m"}).jobs == []
    house.hub.wind_down("a", "paused")
    house.hub.tick()
    house.workers.tick()
    house.hub.resume("a", "ann")
    assert [job["study"] for job in house.workers.poll(worker, [], 1, {}).jobs] == ["a"]
