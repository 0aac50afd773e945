"""PostgreSQL lost in the middle: a cable that is cut, a backend that is ended, a server that is away.

Whatever happened to the statement that was on its way, the log has every event once.
"""

import threading

import pytest

from rung.errors import LeaseError, StorageError
from rung.storage.base import Summary
from rung.storage.postgres import postgres_storage
from rung.trials.events import Reported
from support.wire import Wire


@pytest.fixture
def wire(postgres_server):
    made = Wire(postgres_server.port)
    yield made
    made.close()


@pytest.fixture
def far(wire, postgres_schema_url, samples):
    """A storage at the other end of the cable, with a study in it."""
    storage = postgres_storage(_through(postgres_schema_url, wire), patience=5.0)
    storage.create("mine", [samples.created], samples.summary).close()
    yield storage
    wire.down = False
    storage.close()


@pytest.fixture
def near(postgres_schema_url, far):
    """The same storage, by a cable of its own."""
    storage = postgres_storage(postgres_schema_url)
    yield storage
    storage.close()


def _through(url, wire):
    host, _, rest = url.partition("@127.0.0.1:")
    return f"{host}@127.0.0.1:{wire.port}/{rest.partition('/')[2]}"


def trials(storage):
    return [event.trial for event in storage.read("mine", 1)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("earlier", [0, 9])  # of which the later ones are sent as prepared statements
def test_an_append_is_made_once_wherever_the_cable_is_cut(far, near, wire, samples, when, earlier):
    log = far.open("mine")
    for number in range(earlier):
        log.append(samples.reports(number, number + 1), samples.summary)
    wire.cut(when)
    log.append(samples.reports(earlier, earlier + 3), Summary(trials=7))
    assert wire.cuts > 0
    assert trials(near) == list(range(earlier + 3))
    assert near.find("mine").summary.trials == 7
    wire.cut(when)
    log.heartbeat()
    log.append(samples.reports(earlier + 3, earlier + 4), samples.summary)
    assert trials(near) == list(range(earlier + 4))
    assert near.find("mine").writer is not None
    log.close()
    assert near.find("mine").writer is None


@pytest.mark.parametrize("skip", range(5))
@pytest.mark.parametrize("when", ["before", "after"])
def test_everything_else_is_done_once(far, near, wire, samples, when, skip):
    """Whichever of an action's messages it is at which the cable is cut."""
    actions = {
        "create": lambda: far.create("new", [samples.created], samples.summary).close(),
        "request": lambda: far.request("new", "enqueue", {"x": 1}),
        "rename": lambda: far.rename("new", "newer"),
        "open": lambda: far.open("newer").close(),
        "read": lambda: list(far.read("newer")),
        "delete": lambda: far.delete("newer"),
    }
    for name, action in actions.items():
        before = wire.cuts
        wire.cut(when, skip)
        action()
        wire.cut(None)
        assert skip > 0 or wire.cuts > before
        if name == "request":
            log = near.open("new")
            assert [request.data for request in log.requests()] == [{"x": 1}]
            log.close()
    assert [row.name for row in near.list()] == ["mine"]


@pytest.mark.parametrize("arrived", [False, True])
def test_who_gave_up_waiting_never_writes_behind_what_it_does_not_know(far, near, wire, samples, arrived):
    far.db._patience = 0.3
    log = far.open("mine")
    log.append(samples.reports(0, 1), samples.summary)
    wire.down = True
    wire.cut("after" if arrived else "before")
    with pytest.raises(StorageError, match=r"cannot be reached .* `rung resume mine`"):
        log.append(samples.reports(1, 3), samples.summary)
    wire.down = False
    if arrived:
        for _ in range(2):
            with pytest.raises(StorageError, match="2 events were written, and they did arrive"):
                log.append(samples.reports(1, 3), samples.summary)
        log.close()
        log = far.open("mine")
        log.append(samples.reports(3, 4), samples.summary)
    else:
        log.append(samples.reports(1, 4), samples.summary)
    assert trials(near) == [0, 1, 2, 3]


def test_a_study_that_was_taken_over_meanwhile_is_lost(far, near, wire, samples, monkeypatch):
    """Between the cut and the next try the lease ends, and another takes the study."""
    log = far.open("mine")
    log.append(samples.reports(0, 1), samples.summary)
    taken = []

    def at_once(work, was=far.db.at_once):
        if wire.cuts and not taken:
            near.db.write(
                lambda one: one.exec_driver_sql("UPDATE studies SET expires = 0, host = 'elsewhere'")
            )
            taken.append(near.open("mine"))
        return was(work)

    monkeypatch.setattr(far.db, "at_once", at_once)
    wire.cut("before")
    with pytest.raises(LeaseError, match=r"was taken over by process .*: nothing was written"):
        log.append(samples.reports(1, 2), samples.summary)
    taken[0].append(samples.reports(7, 8), samples.summary)
    assert trials(near) == [0, 7]


def test_a_statement_that_arrives_late_does_nothing(near, far, samples):
    """A token of before the cut, an event count of before the cut: either is enough."""
    from rung.storage.database import Batch, encoded_rows

    log = near.open("mine")
    lease, channel = log._lease, log._channel
    rows = encoded_rows(lease.study, 1, samples.reports(1, 2))
    assert channel.append(lease, Batch(1, rows, [], samples.summary))
    assert not channel.append(lease, Batch(1, rows, [], samples.summary))  # the same once more
    lease.token -= 1
    assert not channel.append(lease, Batch(2, encoded_rows(lease.study, 2, []), [], samples.summary))
    lease.token += 1
    assert trials(near) == [1]


def test_backends_that_are_ended_cost_nothing(postgres_server, near, samples):
    log = near.open("mine")
    stop = threading.Event()

    def end_backends():
        while not stop.wait(0.03):
            postgres_server.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rung'"
            )

    thread = threading.Thread(target=end_backends)
    thread.start()
    try:
        for number in range(0, 120, 2):
            log.append([Reported(i, 1, {"loss": 0.5}) for i in (number, number + 1)], samples.summary)
    finally:
        stop.set()
        thread.join()
    assert trials(near) == list(range(120))
