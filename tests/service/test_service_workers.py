"""Workers that poll: jobs by the sharing policy's word, given once, fenced when they are lost."""

from types import SimpleNamespace

import pytest

from rung.errors import ConflictError, MissingError, StorageError, StudyError
from rung.service.facts import facts_of
from rung.service.models import NewStudy, StudyChange
from rung.service.wishes import once, wished
from rung.study.audit import audit
from rung.trials import events as ev
from support.service_house import SPACE, of


def test_two_studies_share_a_worker(house):
    house.study("a")
    house.study("b", weight=3.0)
    worker = house.workers.join("w", 8, {}, "ann")
    jobs = house.workers.poll(worker, [], 8, {}).jobs
    names = [job["study"] for job in jobs]
    assert (names.count("a"), names.count("b")) == (2, 6)
    assert jobs[0]["objective"] == "m:train"
    assert jobs[0]["metric"] == "loss"


@pytest.mark.parametrize("closed", [True, False])
def test_a_study_that_ends_while_a_worker_polls_holds_nothing_up(house, monkeypatch, closed):
    house.study("a")
    study = house.hub.active[0]

    def ask(*_):  # the last job's result came in between, in another thread
        study.closed = closed
        return

    monkeypatch.setattr(study, "ask", ask)
    worker = house.workers.join("w", 2, {}, "ann")
    assert house.workers.poll(worker, [], 2, {}).jobs == []


def test_a_job_is_given_again_if_the_answer_was_lost(house):
    house.study("a")
    worker = house.workers.join("w", 2, {}, "ann")
    first = house.workers.poll(worker, [], 2, {}).jobs
    assert house.workers.poll(worker, [], 2, {}).jobs == first
    assert house.workers.poll(worker, [of(job) for job in first], 0, {}).jobs == []
    started = [event for event in house.hub.storage.read("a") if isinstance(event, ev.JobStarted)]
    assert len(started) == 2


def test_a_worker_that_refuses_is_not_asked_again(house):
    house.study("a")
    one, other = house.workers.join("w", 1, {}, "ann"), house.workers.join("v", 1, {}, "ann")
    assert house.workers.poll(one, [], 1, {"a": "no module m", "never heard of": ""}).jobs == []
    assert house.workers.poll(one, [], 1, {}).jobs == []
    assert [job["study"] for job in house.workers.poll(other, [], 1, {}).jobs] == ["a"]


def test_a_study_that_nobody_runs_says_why_and_another_of_its_name_is_tried_anew(house):
    house.study("a")
    worker = house.workers.join("w", 1, {}, "ann")
    assert house.workers.poll(worker, [], 1, {"a": "no module m"}).jobs == []
    lacks = house.workers.standing(house.hub.study("a").key).lacks
    assert lacks.startswith("no worker that is there runs 'm:train' (w: no module m)")
    house.hub.delete("a")
    house.study("a")
    assert [job["study"] for job in house.workers.poll(worker, [], 1, {}).jobs] == ["a"]


def pass_time(house, seconds):
    house.clock.now += seconds
    house.hub.tick()


def test_a_budget_is_not_spent_by_waiting_for_workers(house):
    house.study("a", trials=None, budget=20.0)
    pass_time(house, 1000.0)
    assert house.hub.row("a").summary.state == "running"
    worker = house.workers.join("w", 1, {}, "ann")
    (job,) = house.workers.poll(worker, [], 1, {}).jobs
    pass_time(house, 15.0)
    house.finish(job)
    pass_time(house, 1000.0)  # the worker is at something else
    (job,) = house.workers.poll(worker, [], 1, {}).jobs
    pass_time(house, 4.0)
    assert house.hub.study("a").writer.ended is None
    pass_time(house, 2.0)
    assert house.hub.study("a").writer.ended == "budget"
    house.finish(job)
    assert house.hub.row("a").summary.seconds == 21.0


def test_a_budget_is_not_spent_behind_a_study_of_a_higher_priority(house):
    house.study("low", trials=None, budget=20.0)
    house.study("high", priority=1)
    worker = house.workers.join("w", 1, {}, "ann")
    for _ in range(3):
        (job,) = house.workers.poll(worker, [], 1, {}).jobs
        assert job["study"] == "high"
        pass_time(house, 15.0)
        house.finish(job)
    assert house.hub.study("low").writer.history.clock.spent(house.clock.now) == 0.0


def test_a_budget_counts_jobs_that_outlive_their_service(house):
    house.study("a", trials=None, budget=20.0)
    worker = house.workers.join("w", 1, {}, "ann")
    (job,) = house.workers.poll(worker, [], 1, {}).jobs
    pass_time(house, 15.0)
    house.hub.close()
    house.hub.storage.close()
    house.open()
    pass_time(house, 19.0)
    assert house.hub.study("a").writer.ended is None
    pass_time(house, 2.0)
    assert house.hub.study("a").writer.ended == "budget"
    house.finish(job)


def test_jobs_that_wait_are_those_that_more_slots_would_let_start(house):
    def waiting():
        return facts_of(SimpleNamespace(hub=house.hub, workers=house.workers)).queue

    house.study("a", trials=12)
    assert waiting() == 12
    house.study("asked from outside", objective=None, trials=12)
    house.study("at most two", trials=12, devices=2, max_slots=4)
    assert waiting() == 12 + 2
    worker = house.workers.join("w", 4, {}, "ann")
    jobs = house.workers.poll(worker, [], 4, {}).jobs
    assert [job["study"] for job in jobs].count("a") == 2
    assert waiting() == 10 + 1
    house.hub.wind_down("a", "paused")
    assert waiting() == 1


def test_gangs_take_as_many_slots(house):
    house.study("a", devices=4)
    worker = house.workers.join("w", 10, {}, "ann")
    jobs = house.workers.poll(worker, [], 10, {}).jobs
    assert [job["devices"] for job in jobs] == [4, 4]


def test_a_silent_worker_loses_its_jobs(house):
    house.study("a")
    worker = house.workers.join("w", 1, {}, "ann")
    (job,) = house.workers.poll(worker, [], 1, {}).jobs
    house.clock.now += 31
    house.hub.tick()
    house.workers.tick()
    with pytest.raises(MissingError, match="register again"):
        house.workers.poll(worker, [of(job)], 0, {})
    again = house.workers.join("w", 1, {}, "ann")
    polled = house.workers.poll(again, [of(job)], 0, {})
    assert polled.stop == [{"study": "a", "trial": job["trial"], "attempt": 0, "why": "lost"}]
    (other,) = house.workers.poll(again, [], 1, {}).jobs
    assert (other["trial"], other["attempt"]) == (job["trial"], 1)


@pytest.mark.parametrize("how", ["comes back", "leaves"])
def test_jobs_of_a_worker_that_is_gone_take_nobodys_share(house, how):
    house.study("a", max_slots=2)
    house.study("b")
    worker = house.workers.join("w", 4, {}, "ann")
    before = house.workers.poll(worker, [], 4, {}).jobs
    assert [job["study"] for job in before] == ["a", "b", "a", "b"]
    house.clock.now += 1
    if how == "leaves":
        house.workers.leave(worker)
        assert house.workers.standing(house.hub.row("a").key).slots == 0
    again = house.workers.join("w", 4, {}, "ann")  # killed and started again, long before its leases end
    assert house.workers.standing(house.hub.row("a").key).slots == 0
    jobs = house.workers.poll(again, [], 4, {}).jobs
    assert sorted(job["study"] for job in jobs) == ["a", "a", "b", "b"]
    assert {(job["study"], job["trial"]) for job in jobs}.isdisjoint(
        (job["study"], job["trial"]) for job in before
    )


def test_jobs_of_a_worker_that_registers_anew_go_on(house):
    house.study("a", max_slots=2)
    house.study("b")
    worker = house.workers.join("w", 4, {}, "ann")
    jobs = house.workers.poll(worker, [], 4, {}).jobs
    again = house.workers.join("w", 4, {}, "ann")
    polled = house.workers.poll(again, [of(job) for job in jobs], 0, {})
    assert (polled.jobs, polled.stop) == ([], [])
    assert [house.workers.standing(house.hub.row(name).key).slots for name in "ab"] == [2, 2]
    assert house.workers.lenders()[0].running == 4


def test_a_restart_of_the_service_costs_nothing(house):
    house.study("a", trials=3)
    worker = house.workers.join("w", 2, {}, "ann")
    jobs = house.workers.poll(worker, [], 2, {}).jobs
    house.hub.close()
    house.open()
    with pytest.raises(MissingError):
        house.workers.poll(worker, [of(job) for job in jobs], 0, {})
    worker = house.workers.join("w", 2, {}, "ann")
    polled = house.workers.poll(worker, [of(job) for job in jobs], 0, {})
    assert (polled.jobs, polled.stop) == ([], [])
    assert house.workers.lenders()[0].running == 2
    assert not any(house.finish(job) for job in jobs)
    house.workers.tick()
    (third,) = house.workers.poll(worker, [], 2, {}).jobs
    assert third["trial"] == 2 or third["start"] > 0
    failed = [event for event in house.hub.storage.read("a") if isinstance(event, ev.JobFailed)]
    assert failed == []


def test_a_study_that_pauses_has_its_jobs_stop(house):
    house.study("a")
    worker = house.workers.join("w", 1, {}, "ann")
    (job,) = house.workers.poll(worker, [], 1, {}).jobs
    house.hub.wind_down("a", "paused")
    (stop,) = house.workers.poll(worker, [of(job)], 0, {}).stop
    assert stop["why"] == "paused"


def test_names_states_and_limits(house):
    house.study("a")
    with pytest.raises(ConflictError, match="taken"):
        house.study("a")
    house.hub.change("a", StudyChange(name="b", trials=5, weight=2.0))
    assert house.hub.study("b").writer.history.limits.trials == 5
    assert house.hub.hosted(house.hub.row("b").key).weight == 2.0
    house.study("c")
    with pytest.raises(ConflictError):
        house.hub.change("b", StudyChange(name="c", trials=9, weight=4.0))
    assert house.hub.study("b").writer.history.limits.trials == 5
    assert house.hub.hosted(house.hub.row("b").key).weight == 2.0
    house.hub.wind_down("b", "stopped")
    with pytest.raises(ConflictError, match="does not run"):
        house.hub.study("b")
    house.hub.resume("b", "ann")
    assert house.hub.study("b").name == "b"
    house.hub.delete("b")
    with pytest.raises(MissingError):
        house.hub.row("b")


def test_a_request_that_is_made_twice_makes_one_study(house):
    new = NewStudy(space=SPACE, trials=5)
    first, again = house.hub.create(new, "ann", "k1"), house.hub.create(new, "ann", "k1")
    assert first.key == again.key
    assert house.hub.create(new, "bob", "k1").key != first.key
    assert house.hub.create(new, "ann", "k2").key != first.key
    house.hub.close()
    house.open()
    assert house.hub.create(new, "ann", "k1").key == first.key


def test_a_key_that_another_request_had_is_refused(house):
    new = NewStudy(space=SPACE, trials=5)
    first = house.hub.create(new, "ann", "k1")
    with pytest.raises(ConflictError, match="the Idempotency-Key 'k1' was given with another request"):
        house.hub.create(NewStudy(space=SPACE, trials=6), "ann", "k1")
    house.hub.close()
    house.open()
    with pytest.raises(ConflictError, match="'k1'"):
        house.hub.create(NewStudy(space=SPACE, trials=6), "ann", "k1")
    assert house.hub.create(new, "ann", "k1").key == first.key


def test_a_study_that_was_deleted_at_the_storage_is_made_anew(house):
    new = NewStudy(space=SPACE, trials=5)
    first = house.hub.create(new, "ann", "k1")
    house.hub.close()
    house.hub.storage.delete(first.name)
    house.open()
    assert house.hub.create(new, "ann", "k1").key != first.key


def test_a_rename_costs_no_job(house):
    house.study("a", trials=1)
    worker = house.workers.join("w", 1, {}, "ann")
    (job,) = house.workers.poll(worker, [], 1, {}).jobs
    house.hub.change("a", StudyChange(name="b"))
    polled = house.workers.poll(worker, [of(job)], 0, {})
    assert (polled.jobs, polled.stop) == ([], [])
    assert house.finish(job) is False
    house.hub.tick()
    assert house.hub.row("b").summary.finished == 1


def test_a_study_that_is_to_be_taken_up_anew_keeps_its_jobs(house, monkeypatch):
    house.study("a")
    worker = house.workers.join("w", 1, {}, "ann")
    (job,) = house.workers.poll(worker, [], 1, {}).jobs
    study = house.hub.study("a")
    monkeypatch.setattr(study, "tick", lambda now: (_ for _ in ()).throw(StorageError("it is away")))
    opened = house.hub._try_open
    monkeypatch.setattr(house.hub, "_try_open", lambda name: None)  # the storage stays away for a while
    house.hub.tick()
    polled = house.workers.poll(worker, [of(job)], 0, {})
    assert (polled.jobs, polled.stop) == ([], [])
    with pytest.raises(StorageError, match="try again"):
        house.finish(job)
    monkeypatch.setattr(house.hub, "_try_open", opened)
    house.hub.tick()
    assert house.finish(job) is False


def test_a_study_that_is_gone_is_awaited_no_more(house, monkeypatch):
    house.study("a")
    study = house.hub.study("a")
    monkeypatch.setattr(study, "tick", lambda now: (_ for _ in ()).throw(StorageError("it is away")))
    opened = house.hub._try_open
    monkeypatch.setattr(house.hub, "_try_open", lambda name: None)
    house.hub.tick()
    house.hub.storage.delete("a")  # by somebody else
    monkeypatch.setattr(house.hub, "_try_open", opened)
    house.hub.tick()
    with pytest.raises(MissingError):
        house.hub.study("a")


def test_a_request_with_a_key_is_taken_up_once(house):
    house.study("a")
    now = house.clock()
    for _ in range(2):
        house.hub.add("a", once(lambda history: wished(history, "note", {"text": "x"}, now), "k", now))
    notes = [event for event in house.hub.storage.read("a") if getattr(event, "topic", "") == "note"]
    assert len(notes) == 1
    for digest, refused in (("d", False), ("d", False), ("e", True)):
        made = once(lambda history: wished(history, "note", {"text": "y"}, now), "l", now, digest)
        if refused:
            with pytest.raises(ConflictError, match="was given with another request"):
                house.hub.add("a", made)
        else:
            house.hub.add("a", made)
    notes = [event for event in house.hub.storage.read("a") if getattr(event, "topic", "") == "note"]
    assert len(notes) == 2


@pytest.mark.parametrize(
    "shares", [{"min_slots": 5, "max_slots": 2}, {"max_slots": 0}, {"devices": 4, "max_slots": 3}]
)
def test_shares_that_make_no_sense_together_are_refused_and_hurt_nobody(house, shares):
    with pytest.raises(StudyError, match="max_slots is"):
        house.study("bad", **shares)
    house.study("good", min_slots=3)
    with pytest.raises(StudyError, match="max_slots is 2"):
        house.hub.change("good", StudyChange(max_slots=2))
    house.workers.tick()
    worker = house.workers.join("w", 1, {}, "ann")
    assert len(house.workers.poll(worker, [], 1, {}).jobs) == 1


@pytest.mark.parametrize("name", ["a/b", ".", ".."])
def test_names_that_no_address_reaches_are_refused(house, name):
    with pytest.raises(StudyError, match="cannot name a study of a service"):
        house.study(name)
    house.study("good")
    with pytest.raises(StudyError, match="cannot name a study of a service"):
        house.hub.change("good", StudyChange(name=name))


def test_trials_that_climb_get_more_slots_where_they_are_free(house):
    house.study("auto", devices="auto", scaling={"1": 1, "3": 2.7}, trials=9, max_slots=4)
    worker = house.workers.join("w", 8, {}, "ann")
    got = {}
    while jobs := house.workers.poll(worker, [], 8, {}).jobs:
        assert house.workers.lenders()[0].busy == sum(job["devices"] for job in jobs) <= 4
        for job in jobs:
            got.setdefault(job["until"], set()).add(job["devices"])
            house.finish(job, job["config"]["x"])
    assert house.hub.row("auto").summary.state == "done"
    assert got[1] == {1}
    assert got[9] == {3}
    assert audit(house.hub.storage.read("auto")).differences == ()


def test_a_trial_that_climbs_takes_no_slot_that_another_study_gets(house):
    house.study("auto", devices="auto", scaling={"1": 1, "3": 2.7}, trials=3, resource="epoch:1:3")
    worker = house.workers.join("w", 4, {}, "ann")
    first = house.workers.poll(worker, [], 4, {}).jobs
    assert [job["devices"] for job in first] == [1, 1, 1]
    house.study("b", resource=None)
    for job in first:
        house.finish(job, job["config"]["x"])
    jobs = house.workers.poll(worker, [], 4, {}).jobs
    assert sorted((job["study"], job["devices"]) for job in jobs) == [("auto", 1), *[("b", 1)] * 3]


def test_a_job_of_a_deleted_study_is_none_of_the_next_one_of_its_name(house):
    house.study("a")
    worker = house.workers.join("w", 2, {}, "ann")
    before = house.workers.poll(worker, [], 2, {}).jobs
    house.hub.delete("a")
    house.study("a")
    polled = house.workers.poll(worker, [of(job) for job in before], 0, {})
    assert [stop["why"] for stop in polled.stop] == ["lost", "lost"]
    after = house.workers.poll(worker, [of(job) for job in before], 2, {}).jobs
    assert [job["trial"] for job in after] == [0, 1]
    assert {job["key"] for job in after}.isdisjoint(job["key"] for job in before)
