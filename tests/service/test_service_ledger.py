"""What studies got of the workers outlives the service; why a job can't start is said."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from rung.cluster.sharing import Account, Policy
from rung.errors import StorageError
from rung.service.accounts import Accounts
from rung.service.hosting import Told
from rung.service.hub import Hub
from rung.service.ledger import EVERY, Books, MemoryLedger, SqlLedger
from rung.service.models import NewStudy
from rung.service.register import MemoryRegister
from rung.service.workers import Held, Workers
from rung.storage import open_storage
from support.clock import Clock

SPACE = {"parameters": [{"name": "x", "type": "float", "low": 0.0, "high": 1.0}]}
JOB = 40.0  # seconds


class House:
    """A service's studies and workers on a clock that the test moves; each job takes `JOB` seconds."""

    def __init__(self, path):
        self.path, self.clock = path, Clock()
        self.register, self.ledger = MemoryRegister(), MemoryLedger()
        self.running = {}  # job by (study, trial), and its end
        self.got = {}  # slot-seconds by study, as the test counts them
        self.open()

    def open(self):
        self.hub = Hub(open_storage(self.path), self.register, lease=1e6, clock=self.clock)
        self.hub.start()
        self.workers = Workers(self.hub, Policy(patience=1e9), self.ledger)

    def close(self, killed=False):
        if not killed:
            self.workers.close()
        self.hub.close()
        self.hub.storage.close()

    def study(self, name, **more):
        given = {"space": SPACE, "trials": 10_000, "sampler": "random", "objective": "m:train", **more}
        return self.hub.create(NewStudy(name=name, **given), "ann").key

    def live(self, worker, slots, until):
        """Jobs end, and the worker polls, every 20 seconds."""
        while self.clock.now < until:
            for place, (job, end) in list(self.running.items()):
                if end <= self.clock.now:
                    del self.running[place]
                    told = Told("finished", {"loss": 0.5})
                    self.hub.tell(job["study"], job["trial"], job["attempt"], told)
            held = [Held(job["study"], job["trial"], job["attempt"]) for job, _ in self.running.values()]
            for job in self.workers.poll(worker, held, slots - len(held), {}).jobs:
                self.running[job["study"], job["trial"]] = job, self.clock.now + JOB
            for name, _ in self.running:
                self.got[name] = self.got.get(name, 0.0) + 20.0
            self.clock.now += 20.0
            self.workers.tick()


@pytest.fixture
def house(tmp_path):
    made = House(str(tmp_path / "rung.db"))
    yield made
    made.close()


def _lives(house, restart):
    """`old` has all slots of long jobs as `new` comes; what they get until 2,000 s later."""
    old = house.study("old")
    worker = house.workers.join("w", 4, {}, "ann")
    house.live(worker, 4, house.clock.now + 400.0)
    for job, _ in list(house.running.values()):
        house.running[job["study"], job["trial"]] = job, house.clock.now + 600.0
    new = house.study("new")
    house.live(worker, 4, house.clock.now + 580.0)
    owed = house.workers.standing(new).due - house.workers.standing(new).got
    if restart is not None:
        house.close(killed=restart == "killed")
        house.open()
        worker = house.workers.join("w", 4, {}, "ann")
    house.live(worker, 4, house.clock.now + 2_000.0)
    return owed, dict(house.got), [house.workers.standing(key) for key in (old, new)]


def test_what_a_study_waited_is_made_up_for_after_a_restart(tmp_path):
    found = []
    for how in (None, "ended", "killed"):
        house = House(str(tmp_path / f"{how}.db"))
        found.append(_lives(house, how))
        house.close()
    (owed, undisturbed, before), *others = found
    assert owed == pytest.approx(1160.0, abs=40.0), "2 slots for 580 seconds"
    assert undisturbed["new"] >= 2 * 2_580.0 - 380.0, "its half; made up for but for half a job and horizon"
    for (same, disturbed, after), bound in zip(others, (80.0, 80.0 + 4 * EVERY), strict=True):
        assert same == owed
        for name, one, other in zip(("old", "new"), before, after, strict=True):
            assert disturbed[name] == pytest.approx(undisturbed[name], abs=bound)
            assert one.got == pytest.approx(other.got, abs=bound)
            assert one.due == pytest.approx(other.due, abs=bound)


def test_a_study_that_pauses_keeps_its_account(house):
    house.study("old")
    key = house.study("new")
    worker = house.workers.join("w", 4, {}, "ann")
    house.live(worker, 4, house.clock.now + 300.0)
    house.hub.wind_down("new", "paused")
    house.live(worker, 4, house.clock.now + 100.0)
    assert house.hub.running(key) is None
    before = house.workers.standing(key)
    assert before.got == pytest.approx(house.got["new"], abs=40.0)
    house.hub.resume("new", "ann")
    house.live(worker, 4, house.clock.now + 200.0)
    assert house.workers.standing(key).got == pytest.approx(before.got + 2 * 200.0, abs=80.0)


def test_a_study_that_is_deleted_leaves_no_account(house):
    key = house.study("a")
    worker = house.workers.join("w", 4, {}, "ann")
    house.live(worker, 4, house.clock.now + 2 * EVERY)
    assert house.ledger.get(key) is not None
    house.hub.delete("a")
    house.workers.tick()
    assert house.ledger.get(key) is None


class Counted(MemoryLedger):
    def __init__(self):
        super().__init__()
        self.kept, self.broken = [], False

    def keep(self, accounts):
        if self.broken:
            raise StorageError("it is away")
        self.kept.append(dict(accounts))
        super().keep(accounts)


def test_little_is_written_and_nothing_of_it_lost_when_the_ledger_is_away():
    ledger = Counted()
    books = Books(ledger)
    accounts = {"a": Account(10.0, 20.0, 10.0), "b": Account(0.0, 0.5, 0.5)}
    books.keep(accounts, 100.0)
    assert ledger.kept == [{"a": accounts["a"]}], "what is not worth a note is none"
    assert not books.due(100.0 + EVERY / 2)
    assert books.due(100.0 + EVERY)
    books.went("b", Account(0.0, 5.0, 5.0))
    assert books.due(101.0), "who goes is noted at once"
    ledger.broken = True
    with pytest.raises(StorageError):
        books.keep({"a": accounts["a"]}, 101.0)
    ledger.broken = False
    books.keep({"a": accounts["a"]}, 102.0)
    assert ledger.kept[1:] == [{"b": Account(0.0, 5.0, 5.0)}]
    remembered = Books(ledger).came("b", 200.0)
    assert (remembered.study, remembered.got, remembered.due, remembered.owed) == ("b", 0.0, 5.0, 5.0)
    assert Books(ledger).came("c", 200.0) is None


@pytest.mark.parametrize("place", ["memory", "file", "postgres"])
def test_a_ledger_beside_the_users(place, tmp_path, request):
    url = {"memory": "memory", "file": str(tmp_path / "rung.db")}.get(place)
    if url is None:
        url = request.getfixturevalue("postgres_url")
    users = Accounts(url)
    ledger = SqlLedger(users)
    assert ledger.get("a") is None
    ledger.keep({"a": Account(1.0, 2.0, 1.0), "b": Account(5.0, 4.0, -1.0)})
    ledger.keep({"b": Account(6.0, 4.5, -1.5)})
    assert ledger.get("a") == Account(1.0, 2.0, 1.0)
    assert ledger.get("b") == Account(6.0, 4.5, -1.5)
    ledger.forget("a")
    assert ledger.get("a") is None
    users.close()


def test_why_no_job_can_start_is_said(house):
    key = house.study("a", devices=4)
    lacks = lambda: house.workers.standing(key).lacks  # noqa: E731
    assert lacks() == "no worker lends slots now: start one with `rung worker --service URL`"
    small = house.workers.join("small", 2, {}, "ann")
    assert "takes 4 slots of one worker" in lacks()
    assert "more than 2" in lacks()
    large = house.workers.join("large", 8, {}, "ann")
    assert lacks() is None
    assert house.workers.poll(small, [], 2, {}).jobs == []
    assert len(house.workers.poll(large, [], 8, {}).jobs) == 2
    house.workers.leave(large)
    assert "takes 4 slots of one worker" in lacks()
    house.workers.poll(small, [], 2, {"a": ""})
    assert lacks().startswith("no worker that is there runs 'm:train': start one")


def test_outside_workers_need_no_slots(house):
    assert house.workers.standing(house.study("a", objective=None)).lacks is None


def test_a_gang_that_fits_nowhere_holds_nobody_up(house):
    house.study("large", devices=4, priority=5, min_slots=4)
    house.study("small")
    worker = house.workers.join("w", 2, {}, "ann")
    house.live(worker, 2, house.clock.now + 400.0)
    assert house.got == {"small": 2 * 400.0}


def test_a_gang_on_a_ray_worker_has_room_for_all_its_devices(tmp_path):
    from rung.service import worker_run
    from rung.service.wire import Job

    given = {"study": "a", "trial": 0, "attempt": 0, "config": {}, "start": 0, "until": 1, "seed": 0}
    given |= {"resource": None, "checkpoint": None, "gates": []}
    job = msgspec.convert({**given, "devices": 3, "objective": "m:train", "metric": "loss"}, Job)
    objectives = SimpleNamespace(get=lambda name, study, parameters: print)
    for name, workers in (("ray", 3), ("local", 1)):
        engine = worker_run.Engine(name, tmp_path)
        slots = [worker_run.Slot(engine) for _ in range(3)]
        run = worker_run.Run(None, job, slots, engine, objectives, print, print)
        assert run._setup().workers == workers


class Nodes:
    """An executor whose last job is still being left by other nodes for some polls."""

    def __init__(self, polls):
        self.polls = polls
        self.submitted = []

    @property
    def free_slots(self):
        return 0 if self.polls else 1

    def poll(self, timeout):
        self.polls -= 1
        return []


def test_a_job_waits_for_other_nodes_of_the_last_one_and_gives_up(tmp_path, monkeypatch):
    from rung.service import worker_run
    from rung.service.wire import Job

    monkeypatch.setattr(worker_run, "_ROOM", 0.1)
    given = {"study": "a", "trial": 0, "attempt": 0, "config": {}, "start": 0, "until": 1, "seed": 0}
    job = msgspec.convert({**given, "resource": None, "checkpoint": None, "gates": []}, Job)
    api = SimpleNamespace(rest=lambda seconds: False, json=lambda call: told.append(call.body) or {})
    told = []

    def waits(polls, stop=None):
        engine = worker_run.Engine("ray", tmp_path)
        run = worker_run.Run(api, job, [worker_run.Slot(engine)], engine, None, print, print)
        if stop:
            run.stop(stop)
        found = run._await_room(Nodes(polls), 1)
        run._outbox.settle()
        run._outbox.close()
        return found

    assert waits(3)
    assert not told
    assert not waits(10**9)
    assert not waits(10**9, "leaving")
    assert [body["outcome"] for body in told] == ["stopped", "stopped"], "it costs the trial no try"


def test_a_job_goes_to_the_slot_that_ran_its_study(tmp_path):
    from collections import deque

    from rung.service import worker_run
    from rung.service.worker import _pick

    engine = worker_run.Engine("local", tmp_path)
    slots = [worker_run.Slot(engine, number) for number in range(4)]
    for number, study in ((0, "a"), (1, "b"), (2, "b")):
        slots[number].freed_by(study).freed = float(number + 1)
    free = deque(slots)
    assert [slot.number for slot in _pick(free, SimpleNamespace(study="a", devices=1))] == [0]
    assert [slot.number for slot in _pick(free, SimpleNamespace(study="c", devices=1))] == [2]
    assert [slot.number for slot in _pick(free, SimpleNamespace(study="b", devices=2))] == [1, 3]
