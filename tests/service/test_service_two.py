"""Two services over one storage: each study is run by one of them, and the other takes over what is left."""

from __future__ import annotations

import multiprocessing

import pytest

from rung.errors import ConflictError, StorageError, UserError
from rung.service.accounts import Accounts
from rung.service.hosting import Told
from rung.service.hub import Hub
from rung.service.models import NewStudy, StudyChange
from rung.service.views import study_view
from rung.storage import open_storage
from support.clock import Clock

SPACE = {"parameters": [{"name": "x", "type": "float", "low": 0.0, "high": 1.0}]}
NEW = {"space": SPACE, "trials": 5, "sampler": "random", "objective": "m:train", "devices": 2}


class Service:
    """A hub over a storage that others have too."""

    def __init__(self, url):
        self.clock = Clock()
        self.storage, self.users = open_storage(url), Accounts(url)
        self.hub = Hub(self.storage, self.users, lease=30.0, clock=self.clock)
        self.hub.start()

    def later(self):
        """It looks around once more."""
        self.clock.now += 6.0
        self.hub.tick()

    def view(self, name):
        row = self.hub.row(name)
        return study_view(row, self.hub.hosted(row.key), self.hub.running(row.key))

    def close(self):
        self.hub.close()
        self.storage.close()
        self.users.close()


@pytest.fixture(params=["file", "postgres"])
def two(request, tmp_path):
    file = str(tmp_path / "rung.db")
    url = file if request.param == "file" else request.getfixturevalue("postgres_url")
    made = [Service(url), Service(url)]
    yield made
    for each in made:
        each.close()


def test_one_runs_a_study_and_the_other_says_where(two):
    one, other = two
    key = one.hub.create(NewStudy(name="a", **NEW), "ann", "k").key
    grant = one.hub.study("a").ask("w", "", 1000.0)
    other.later()
    seen = other.view("a")
    assert (seen["owner"], seen["objective"], seen["devices"]) == ("ann", "m:train", 2)
    assert (seen["state"], seen["elsewhere"]) == ("running", one.hub.row("a").writer)
    assert one.view("a")["elsewhere"] is None
    assert other.hub.running(key) is None
    with pytest.raises(ConflictError, match=r"is run by process .*: ask the service there"):
        other.hub.study("a")
    with pytest.raises(ConflictError, match="tell the service there"):
        other.hub.tell("a", grant.trial, grant.attempt, Told("finished", {"loss": 1.0}))
    assert other.hub.create(NewStudy(name="a", **NEW), "ann", "k").key == key, "the same request"
    assert (
        one.hub.study("a").tell(grant.trial, grant.attempt, Told("finished", {"loss": 1.0}), 1001.0) is False
    )


def test_what_the_other_cannot_do_hurts_nothing(two):
    one, other = two
    key = one.hub.create(NewStudy(name="a", **NEW), "ann").key
    with pytest.raises(UserError, match="process"):
        other.hub.resume("a", "bob")
    assert other.hub.change("a", StudyChange(weight=2.0)).key == key
    one.later()
    hosted = one.hub.hosted(key)
    assert (hosted.owner, hosted.objective, hosted.weight) == ("ann", "m:train", 2.0)
    other.hub.wind_down("a", "paused")
    one.later()
    assert one.hub.running(key) is None
    other.later()
    assert other.hub.running(key) is None, "it was paused, not left behind"
    other.hub.resume("a", "ann")
    assert other.hub.running(key) is not None


def test_a_study_that_ended_is_taken_up_by_nobody(two):
    one, other = two
    key = one.hub.create(NewStudy(name="a", **{**NEW, "trials": 1}), "ann").key
    grant = one.hub.study("a").ask("w", "", 1000.0)
    one.hub.tell("a", grant.trial, grant.attempt, Told("finished", {"loss": 1.0}))
    events = one.hub.row("a").events
    other.later()
    one.later()
    other.later()
    assert (one.hub.running(key), other.hub.running(key)) == (None, None)
    assert other.hub.row("a").events == events
    assert other.hub.hosted(key).wanted == "done"


def test_the_other_takes_over_what_a_service_lets_go_of(two):
    one, other = two
    key = one.hub.create(NewStudy(name="a", **NEW), "ann").key
    grant = one.hub.study("a").ask("w", "", 1000.0)
    one.hub.close()
    for asked in (lambda: other.hub.study("a"), lambda: other.hub.tell("a", 0, 0, Told("stopped"))):
        with pytest.raises(StorageError, match="is being taken up: try again"):
            asked()
    other.later()
    assert other.hub.running(key) is not None
    assert other.hub.tell("a", grant.trial, grant.attempt, Told("finished", {"loss": 1.0})) is False


def _dies(url, given):
    """A service that makes a study, hands a job out, and is gone without a word."""
    import os
    import signal

    service = Service(url)
    key = service.hub.create(NewStudy(name="a", **NEW), "ann").key
    grant = service.hub.study("a").ask("w", "", 1000.0)
    given.put((key, grant.trial, grant.attempt))
    given.close()
    given.join_thread()
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_other_takes_over_when_a_service_is_killed(tmp_path):
    url = str(tmp_path / "rung.db")
    other = Service(url)
    context = multiprocessing.get_context("spawn")
    given = context.Queue()
    process = context.Process(target=_dies, args=(url, given))
    process.start()
    key, trial, attempt = given.get(timeout=60)
    process.join()
    other.later()
    assert other.hub.running(key) is not None
    assert other.hub.hosted(key).objective == "m:train"
    assert other.hub.tell("a", trial, attempt, Told("finished", {"loss": 1.0})) is False
    other.close()
