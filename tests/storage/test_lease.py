"""One writer a study: who counts as alive, who may take over, and that a lost lease never writes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from rung.errors import LeaseError
from rung.storage import lease, open_storage
from rung.storage.lease import Holder, is_held, start_of, this_process
from rung.storage.sqlite import sqlite_storage

HERE = this_process(0.0)
WRITER = """
import sys
from rung.storage import open_storage
log = open_storage(sys.argv[1]).open("mine")
print("writing", flush=True)
sys.stdin.read()
"""


class Machine:
    """A storage as another machine would open it, with a clock of its own."""

    def __init__(self, url, host):
        self.now = 1000.0
        self.holder = Holder(host, "", 1, "boot:1", 0.0)
        self.storage = sqlite_storage(
            url, clock=lambda: self.now, process=lambda now: self.holder._replace(since=now)
        )


@pytest.fixture
def machines(tmp_path, samples):
    made = [Machine(tmp_path / "rung.db", host) for host in ("alpha", "beta")]
    made[0].storage.create("mine", [samples.created], samples.summary).close()
    yield made
    for machine in made:
        machine.storage.close()


@pytest.fixture
def database(tmp_path, samples):
    storage = open_storage(tmp_path / "rung.db")
    storage.create("mine", [samples.created], samples.summary).close()
    yield storage
    storage.close()


@pytest.fixture
def writer(database):
    """Another process that writes the study."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


# -- who counts as alive ------------------------------------------------------------------------------------


def test_this_process_lives_however_long_it_is_silent():
    assert is_held(HERE, expires=0.0, me=HERE, now=1e12)


def test_a_process_that_started_at_another_time_is_another():
    assert not is_held(HERE._replace(started="an earlier boot:7"), expires=1e12, me=HERE, now=0.0)


def test_a_process_that_is_gone_holds_nothing():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert start_of(gone.pid) is None
    assert not is_held(HERE._replace(pid=gone.pid), expires=1e12, me=HERE, now=0.0)


def test_a_zombie_holds_nothing():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert start_of(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet waited for
    assert start_of(child.pid) is None
    child.communicate()


def test_the_start_of_a_process_stays():
    first = start_of(os.getpid())
    assert first
    assert start_of(os.getpid()) == first
    assert start_of(1) != first  # the parent may have started within the same tick of the clock


def test_psutil_tells_the_same_processes_apart():
    assert lease._start_elsewhere(os.getpid()) == lease._start_elsewhere(os.getpid())
    assert lease._start_elsewhere(os.getpid()) != lease._start_elsewhere(1)
    assert lease._start_elsewhere(2**22 + 1) is None


@pytest.mark.parametrize("far", [HERE._replace(host="elsewhere"), HERE._replace(space="pid:[7]")])
def test_a_holder_out_of_sight_counts_until_its_lease_runs_out(far):
    assert is_held(far, expires=100.0, me=HERE, now=99.9)
    assert not is_held(far, expires=100.0, me=HERE, now=100.0)


def test_a_hidden_process_counts_until_its_lease_runs_out(monkeypatch):
    monkeypatch.setattr(lease, "start_of", lambda pid: "")
    assert is_held(HERE, expires=100.0, me=HERE, now=99.9)
    assert not is_held(HERE, expires=100.0, me=HERE, now=100.0)


# -- on this machine ----------------------------------------------------------------------------------------


def test_a_second_process_is_told_who_writes(database, writer):
    sentence = (
        rf"study 'mine' is being written by process {writer.pid} on .* \(since .*\): wait until it ends"
    )
    with pytest.raises(LeaseError, match=sentence):
        database.open("mine")
    with pytest.raises(LeaseError, match=sentence):
        database.delete("mine")
    assert f"process {writer.pid} on " in database.find("mine").writer


def test_a_silent_process_on_this_machine_keeps_its_study(database, writer):
    os.kill(writer.pid, signal.SIGSTOP)
    later = sqlite_storage(database.db.path, clock=lambda: time.time() + 1e6)
    with pytest.raises(LeaseError):
        later.open("mine")
    os.kill(writer.pid, signal.SIGCONT)


def test_a_dead_process_is_followed_at_once(database, writer, samples):
    writer.kill()
    os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)
    assert database.find("mine").writer is None
    log = database.open("mine")
    log.append(samples.reports(1, 3), samples.summary)
    assert len(list(database.read("mine"))) == 3


def test_a_process_that_ends_well_gives_its_lease_back(database, writer):
    writer.communicate("")
    with database.db.reading() as connection:
        row = connection.exec_driver_sql("SELECT host, pid, token FROM studies").one()
    assert tuple(row) == (None, None, 2)


# -- between machines, by the clock -------------------------------------------------------------------------


def test_another_machine_waits_until_the_lease_runs_out(machines, samples):
    alpha, beta = machines
    log = alpha.storage.open("mine")
    beta.now = 1059.9
    with pytest.raises(LeaseError, match="process 1 on alpha"):
        beta.storage.open("mine")
    beta.now = 1060.0
    second = beta.storage.open("mine")
    second.append(samples.reports(1, 3), samples.summary)
    with pytest.raises(
        LeaseError, match=r"'mine' was taken over by process 1 on beta .*: nothing was written"
    ):
        log.append(samples.reports(7, 9), samples.summary)
    alpha.now += 1000
    with pytest.raises(LeaseError, match="was taken over by process 1 on beta"):
        log.heartbeat()
    assert [event.trial for event in alpha.storage.read("mine", 1)] == [1, 2]


def test_appending_and_heartbeats_renew_the_lease(machines, samples):
    alpha, beta = machines
    log = alpha.storage.open("mine")
    for renew in (log.heartbeat, lambda: log.append(samples.reports(0, 1), samples.summary), log.heartbeat):
        alpha.now += 50
        renew()
        beta.now = alpha.now + 59
        with pytest.raises(LeaseError):
            beta.storage.open("mine")


def test_a_clock_that_jumps_costs_the_lease_but_never_the_log(machines, samples):
    alpha, beta = machines
    log = alpha.storage.open("mine")
    log.append(samples.reports(1, 2), samples.summary)
    beta.now += 1e9  # forward on the second machine: it takes over too early
    second = beta.storage.open("mine")
    second.append(samples.reports(2, 3), samples.summary)
    alpha.now += 2e9
    with pytest.raises(LeaseError):
        log.append(samples.reports(9, 10), samples.summary)
    log.close()  # of a lease that it has no more: frees nothing
    assert beta.storage.find("mine").writer is not None
    beta.now -= 2e9  # backward under the holder: it renews all the same
    second.heartbeat()
    second.append(samples.reports(3, 4), samples.summary)
    assert [event.trial for event in alpha.storage.read("mine", 1)] == [1, 2, 3]


def test_a_lease_lost_to_one_who_is_gone_again_still_writes_nothing(machines, samples):
    alpha, beta = machines
    log = alpha.storage.open("mine")
    beta.now += 100
    beta.storage.open("mine").close()
    with pytest.raises(
        LeaseError, match="taken over by another process, which has ended: nothing was written"
    ):
        log.append(samples.reports(1, 2), samples.summary)
    assert len(list(beta.storage.read("mine"))) == 1


def test_a_study_deleted_under_its_lost_writer(machines, samples):
    alpha, beta = machines
    log = alpha.storage.open("mine")
    beta.now += 100
    beta.storage.delete("mine")
    new = beta.storage.create("mine", [samples.created], samples.summary)
    with pytest.raises(LeaseError, match="was deleted by another process: nothing was written"):
        log.append(samples.reports(1, 2), samples.summary)
    assert len(list(beta.storage.read("mine"))) == 1
    log.close()
    assert beta.storage.find("mine").writer is not None
    new.heartbeat()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_cannot_write_with_its_parents_lease(tmp_path):
    code = """
import os, sys
from rung.errors import StorageError
from rung.storage import open_storage
from rung.storage.base import Summary
log = open_storage(sys.argv[1]).create("mine", [], Summary())
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    log.append([], Summary(trials=3))
else:
    try:
        log.append([], Summary(trials=9))
    except StorageError as error:
        assert "forked" in str(error)
        sys.exit(0)
    sys.exit(1)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "rung.db"], check=True)
    (row,) = open_storage(tmp_path / "rung.db").list()
    assert row.summary.trials == 3
