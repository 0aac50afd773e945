"""Death in the middle: no acknowledged event is lost, none is doubled, a torn tail costs a tail."""

import random
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

from rung.errors import StorageError
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.trials.events import Reported
from support.appender import APPENDER

READER = """
import sys
from rung.storage import open_storage
storage = open_storage(sys.argv[1])
print("reading", flush=True)
seen = 0
while seen < int(sys.argv[2]):
    numbers = [event.trial for event in storage.read("mine", 1)]
    assert numbers == list(range(1, len(numbers) + 1)), "a gap"
    assert len(numbers) + 1 >= seen, "went back"
    assert storage.find("mine").events > len(numbers)
    seen = len(numbers) + 1
print("read", flush=True)
"""


def start(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_after(process, acknowledgements):
    """Wait for so many, kill, and return the last number of events that was acknowledged."""
    lines = [process.stdout.readline() for _ in range(acknowledgements)]
    process.kill()
    lines += process.communicate()[0].splitlines(keepends=True)
    return int([line for line in lines if line.endswith("\n")][-1])


@pytest.fixture
def file(tmp_path, samples):
    storage = open_storage(tmp_path / "rung.db")
    storage.create("mine", [samples.created], samples.summary).close()
    storage.close()
    return tmp_path / "rung.db"


def check(file, least):
    """The log is whole: every number once, at least `least` of them; returns how many."""
    storage = open_storage(file)
    numbers = [event.trial for event in storage.read("mine", 1)]
    storage.close()
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) + 1 >= least
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT events FROM studies").fetchone() == (len(numbers) + 1,)
    connection.close()
    return len(numbers) + 1


def test_writers_killed_in_the_middle_lose_nothing(file):
    rng = random.Random(7)
    count = 1
    for size in (1, 64, 1, 7, 64, 512, 1, 64, 3, 1):
        process = start(APPENDER, file, size)
        acknowledged = kill_after(process, rng.randint(1, 60))
        found = check(file, least=acknowledged)
        assert acknowledged <= found <= acknowledged + size  # at most the one that was under way
        assert (found - count) % size == 0  # whole batches
        count = found


@pytest.mark.parametrize("damage", ["cut", "zero", "noise"])
def test_a_torn_tail_of_the_wal_leaves_a_prefix(file, tmp_path, damage):
    process = start(APPENDER, file, 16)
    acknowledged = kill_after(process, 12)
    wal = file.with_name("rung.db-wal")
    whole, rng = wal.read_bytes(), random.Random(3)
    counts = []
    for number, lost in enumerate((0, 1, 24, 4096, 4120, len(whole) // 2, len(whole) - 40)):
        copy = tmp_path / f"{number}" / "rung.db"
        copy.parent.mkdir()
        shutil.copy(file, copy)
        kept = whole[: len(whole) - lost]
        tail = {"cut": b"", "zero": bytes(lost), "noise": rng.randbytes(lost)}[damage]
        copy.with_name("rung.db-wal").write_bytes(kept + tail)
        counts.append(check(copy, least=1))
        storage = open_storage(copy)  # and it goes on from there
        log = storage.open("mine")
        log.append([Reported(counts[-1], 1, {"loss": 0.5})], Summary())
        storage.close()
        check(copy, least=counts[-1] + 1)
    assert counts[0] >= acknowledged
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


def test_readers_see_a_growing_prefix_while_it_is_written(file):
    readers = [start(READER, file, 2000) for _ in range(2)]
    for reader in readers:
        assert reader.stdout.readline() == "reading\n"
    writer = start(APPENDER, file, 8)
    for reader in readers:
        assert reader.communicate(timeout=60)[0] == "read\n"
        assert reader.returncode == 0
    acknowledged = kill_after(writer, 1)
    check(file, least=acknowledged)


def test_two_processes_that_create_the_same_database(tmp_path):
    code = """
import sys
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.trials.events import Reported
storage = open_storage(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
log = storage.create(sys.argv[2], [], Summary())
for number in range(30):
    log.append([Reported(number, 1, {})], Summary())
"""
    file = tmp_path / "rung.db"
    command = [sys.executable, "-c", code, str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, f"study-{number}"], **pipes) for number in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    storage = open_storage(file)
    for number in range(4):
        assert [event.trial for event in storage.read(f"study-{number}")] == list(range(30))


def append_until(log, samples, sentence):
    """Append batches until that fails with this sentence; returns how many events there are then."""
    written = 1
    with pytest.raises(StorageError, match=sentence):  # noqa: PT012  # which append fails depends on the pages
        while True:
            log.append(samples.reports(written, written + 16), samples.summary)
            written += 16
    return written


def test_a_full_disk_loses_nothing_and_can_be_gone_on_from(file, samples):
    storage = open_storage(file)
    log = storage.open("mine")
    pages = log._channel.writer.exec_driver_sql("PRAGMA page_count").scalar()
    log._channel.writer.exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
    log._channel.writer.rollback()
    sentence = r"the disk is full.*nothing was lost.*`rung resume mine --storage .*`"
    written = append_until(log, samples, sentence)
    assert check(file, least=written) == written
    with pytest.raises(StorageError, match="the disk is full"):
        log.append(samples.reports(written, written + 16), samples.summary)
    log._channel.writer.exec_driver_sql("PRAGMA max_page_count = 100000")
    log._channel.writer.rollback()
    log.append(samples.reports(written, written + 16), samples.summary)
    storage.close()
    assert check(file, least=written) == written + 16


def test_an_interrupt_at_the_commit_neither_loses_nor_doubles(file, samples, monkeypatch):
    """Whether it comes before or after the commit, the next append goes on behind what is there."""
    storage = open_storage(file)
    log = storage.open("mine")
    for after in (False, True):
        with monkeypatch.context() as interrupted:
            begin = log._channel.writer.begin

            def committing(begin=begin, after=after):
                return _Interrupted(begin(), after)

            interrupted.setattr(log._channel.writer, "begin", committing)
            with pytest.raises(KeyboardInterrupt):
                log.append(samples.reports(1, 2), samples.summary)
    log.append(samples.reports(2, 3), samples.summary)
    assert [event.trial for event in storage.read("mine", 1)] == [1, 2]
    storage.close()


class _Interrupted:
    """A transaction that Ctrl-C hits just before or just after its commit."""

    def __init__(self, transaction, after):
        self.transaction, self.after = transaction, after

    def __enter__(self):
        return self.transaction.__enter__()

    def __exit__(self, *error):
        if self.after:
            self.transaction.__exit__(*error)
            raise KeyboardInterrupt
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            self.transaction.__exit__(*sys.exc_info())
            raise


def test_reading_never_writes(file):
    before = {path.name: path.read_bytes() for path in file.parent.iterdir() if path.is_file()}
    stamp = file.stat().st_mtime_ns
    time.sleep(0.01)
    storage = open_storage(file)
    storage.list(), storage.find("mine"), list(storage.read("mine")), storage.folder("mine")
    storage.close()
    after = {path.name: path.read_bytes() for path in file.parent.iterdir() if path.is_file()}
    assert after["rung.db"] == before["rung.db"]
    assert file.stat().st_mtime_ns == stamp
    assert after.get("rung.db-wal", b"") == b""
