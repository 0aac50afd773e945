"""Workers that are killed and begun anew under their names: what ran is given up at once, and counts once."""

import tempfile
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rung.errors import ConflictError, LeaseError, MissingError
from rung.service.hosting import Told
from rung.service.lives import Life, Lives
from rung.study.audit import audit
from rung.trials import events as ev
from support.service_house import House, of


def failures(house, name="a"):
    return [event for event in house.hub.storage.read(name) if isinstance(event, ev.JobFailed)]


@pytest.mark.parametrize("restart", [False, True])
def test_jobs_of_a_worker_that_is_begun_anew_are_given_out_at_once(house, restart):
    house.study("a", trials=2, resource=None)
    worker = house.workers.join("w", 2, {}, "ann", "first")
    before = house.workers.poll(worker, [], 2, {}).jobs
    if restart:
        house.hub.close()
        house.open()
    again = house.workers.join("w", 2, {}, "ann", "second")
    assert [event.message for event in failures(house)] == ["its worker w was begun anew"] * 2
    after = house.workers.poll(again, [], 2, {}).jobs
    assert {job["trial"]: job["attempt"] for job in after} == {job["trial"]: 1 for job in before}
    with pytest.raises(LeaseError):  # the earlier process was alive after all: what it says counts no more
        house.finish(before[0])
    assert not any(house.finish(job, 0.25) for job in after)
    assert {event.metrics["loss"] for event in finished(house)} == {0.25}


def finished(house):
    return [event for event in house.hub.storage.read("a") if isinstance(event, ev.JobFinished)]


@pytest.mark.parametrize(
    ("owner", "name", "run"),
    [("ann", "w", "first"), ("ann", "w", ""), ("ann", "v", "second"), ("bob", "w", "second")],
)
def test_the_same_process_and_other_workers_take_nothing_away(house, owner, name, run):
    house.study("a")
    worker = house.workers.join("w", 2, {}, "ann", "first")
    jobs = house.workers.poll(worker, [], 1, {}).jobs
    own = house.hub.study("a").ask("w", "key", house.clock.now)  # an outside worker that has such a name
    house.workers.join(name, 2, {}, owner, run)
    assert failures(house) == []
    assert not house.finish(jobs[0])
    assert not house.hub.tell("a", own.trial, own.attempt, Told("finished", {"loss": 0.5}))


def test_of_two_processes_of_one_name_the_earlier_gives_way(house):
    house.study("a")
    house.workers.join("w", 1, {}, "ann", "first")
    later = house.workers.join("w", 1, {}, "ann", "second")
    jobs = house.workers.poll(later, [], 1, {}).jobs
    with pytest.raises(ConflictError, match="names of their own"):
        house.workers.join("w", 1, {}, "ann", "first")
    assert not house.finish(jobs[0])


def test_what_is_remembered_of_processes_is_bounded(monkeypatch):
    monkeypatch.setattr("rung.service.lives._MOST", 2)
    lives = Lives()
    for run in "abcd":
        lives.begin(Life("ann", "w", run))
    with pytest.raises(ConflictError):
        lives.begin(Life("ann", "w", "c"))
    lives.begin(Life("ann", "w", "a"))  # forgotten


class Workers(RuleBasedStateMachine):
    """Two users' workers of two names: begun anew, registering again; the service restarts, time goes on."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.house = House(str(Path(self.folder.name, "rung.db")))
        self.house.study("a", trials=12)
        self.house.study("b", trials=12, resource=None)
        self.runs = count()
        self.process = {}  # by (owner, name): run, id, jobs that it has
        self.ghosts = []  # jobs of processes that were replaced, which may still speak
        self.told = Counter()  # values that were answered well, by study and trial

    def teardown(self):
        if hasattr(self, "house"):
            assert self.finished() == self.told  # nothing is lost or doubled
            for name in ("a", "b"):
                assert audit(self.house.hub.storage.read(name)).differences == ()
            self.house.hub.close()
            self.house.hub.storage.close()
            self.folder.cleanup()

    who = st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from(["w", "v"]))

    @rule(who=who)
    def start(self, who):
        before = self.process.get(who)
        run = f"run-{next(self.runs)}"
        self.process[who] = [run, self.house.workers.join(who[1], 3, {}, who[0], run), []]
        if before is not None:
            self.ghosts += before[2]
            assert not self.held() & {place(job) for job in before[2]}  # given up at once

    @precondition(lambda self: self.process)
    @rule(data=st.data())
    def register_again(self, data):
        who = data.draw(st.sampled_from(sorted(self.process)))
        held = self.held()
        self.process[who][1] = self.house.workers.join(who[1], 3, {}, who[0], self.process[who][0])
        assert self.held() == held

    def held(self):
        return {
            (study.name, lease.trial, lease.attempt)
            for study in self.house.hub.active
            for lease in study.leases.running.values()
        }

    @precondition(lambda self: self.process)
    @rule(data=st.data())
    def poll(self, data):
        who = data.draw(st.sampled_from(sorted(self.process)))
        process = self.process[who]
        with suppress(MissingError):  # after a restart of the service, or too long a silence
            polled = self.house.workers.poll(
                process[1], [of(job) for job in process[2]], 3 - len(process[2]), {}, who[0]
            )
            gone = {(stop["study"], stop["trial"], stop["attempt"]) for stop in polled.stop}
            self.ghosts += [job for job in process[2] if place(job) in gone]
            process[2] = [job for job in process[2] if place(job) not in gone] + polled.jobs

    @precondition(lambda self: any(process[2] for process in self.process.values()))
    @rule(data=st.data())
    def finish(self, data):
        process = data.draw(st.sampled_from([each for each in self.process.values() if each[2]]))
        job = process[2].pop()
        with suppress(LeaseError):  # its lease ran out while the clock went on
            self.house.finish(job)
            self.told[job["study"], job["trial"], job["attempt"]] += 1

    @precondition(lambda self: self.ghosts)
    @rule(data=st.data())
    def speak_late(self, data):
        job = data.draw(st.sampled_from(self.ghosts))
        with pytest.raises(LeaseError):
            self.house.finish(job, 99.0)

    @rule(seconds=st.sampled_from([1, 10, 40]))
    def go_on(self, seconds):
        self.house.clock.now += seconds
        self.house.hub.tick()
        self.house.workers.tick()

    @rule()
    def restart(self):
        self.house.hub.close()
        self.house.hub.storage.close()
        self.house.open()

    def finished(self):
        jobs = Counter()
        for name in ("a", "b"):
            for event in self.house.hub.storage.read(name):
                if isinstance(event, ev.JobFinished):
                    assert event.metrics["loss"] != 99.0
                    jobs[name, event.trial, event.attempt] += 1
        return jobs


def place(job):
    return job["study"], job["trial"], job["attempt"]


TestWorkers = Workers.TestCase
TestWorkers.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
