"""Death in the middle of writing: of the server, of the writer, of both; and a disk that is full.

No acknowledged event is lost, none is doubled, and the log goes on. The server here is durable, as it comes.
"""

import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rung.errors import StorageError
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.trials.events import Reported
from support.appender import APPENDER
from support.postgres import Server, need_server


@pytest.fixture(scope="module")
def server():
    need_server()
    made = Server(durable=True)
    yield made
    made.remove()


@pytest.fixture
def url(server, tmp_path, monkeypatch, samples):
    monkeypatch.setenv("RUNG_FILES", str(tmp_path))
    url = server.url(server.database())
    storage = open_storage(url)
    storage.create("mine", [samples.created], samples.summary).close()
    storage.close()
    return url


def start(url, size):
    command = [sys.executable, "-c", APPENDER, url, str(size)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    _started.append(process)
    return process


_started = []


@pytest.fixture(autouse=True)
def no_writer_is_left():
    yield
    for process in _started:
        process.kill()
        process.wait()
        process.stdout.close()
    _started.clear()


def follow(process, acknowledgements):
    """Wait for so many; the last number of events that was acknowledged."""
    return int([process.stdout.readline() for _ in range(acknowledgements)][-1])


def end(process):
    """Kill the writer; the last number of events that it was told to be there."""
    process.kill()
    lines = process.communicate()[0].splitlines(keepends=True)
    return max((int(line) for line in lines if line.endswith("\n")), default=0)


def check(url, least):
    """The log is whole: every number once, at least `least` of them; returns how many."""
    storage = open_storage(url)
    before = storage.find("mine").events
    numbers = [event.trial for event in storage.read("mine", 1)]
    after = storage.find("mine").events  # a writer may be alive
    storage.close()
    assert numbers == list(range(1, len(numbers) + 1))
    assert least <= before <= len(numbers) + 1 <= after
    return after


def test_a_writer_outlives_its_server(server, url):
    """The server is killed and started again, time after time; one process writes all the while."""
    rng = random.Random(5)
    writer = start(url, 7)
    acknowledged = 0
    for _ in range(2):
        acknowledged = follow(writer, rng.randint(1, 60))
        server.kill()
        server.start()
        check(url, least=acknowledged)
    acknowledged = follow(writer, 20)
    assert writer.poll() is None
    acknowledged = max(acknowledged, end(writer))
    assert acknowledged <= check(url, least=acknowledged) <= acknowledged + 7


def test_a_writer_that_dies_with_its_server(server, url):
    writer = start(url, 16)
    acknowledged = follow(writer, 9)
    server.kill()
    acknowledged = max(acknowledged, end(writer))
    server.start()
    found = check(url, least=acknowledged)
    assert found <= acknowledged + 16
    assert (found - 1) % 16 == 0  # whole batches
    log = open_storage(url).open("mine")  # at once: the holder is dead
    log.append([Reported(found, 1, {"loss": 0.5})], Summary())
    log.close()
    check(url, least=found + 1)


def test_writers_killed_in_the_middle_lose_nothing(url):
    rng = random.Random(7)
    count = 1
    for size in (1, 64, 512):
        writer = start(url, size)
        acknowledged = follow(writer, rng.randint(1, 30))
        acknowledged = max(acknowledged, end(writer))
        found = check(url, least=acknowledged)
        assert found <= acknowledged + size
        assert (found - count) % size == 0
        count = found


@pytest.mark.long
def test_fifty_deaths_of_server_and_writer(server, url):
    rng = random.Random(11)
    writer, least = start(url, 5), 1
    for _ in range(50):
        least = max(least, follow(writer, rng.randint(1, 80)))
        what = rng.choice(("server", "writer", "both"))
        if what != "server":
            least = max(least, end(writer))
        if what != "writer":
            server.kill()
            server.start()
        check(url, least)
        if what != "server":
            writer = start(url, 5)
    least = max(least, end(writer))
    check(url, least)


@pytest.fixture
def small_disk(server):
    """A tablespace on a disk of 24 MB."""
    folder = Path(tempfile.mkdtemp(prefix="rung-small-"))
    mounted = shutil.which("mount") is not None and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not mounted:
        folder.rmdir()
        pytest.skip("a small disk cannot be mounted here: it takes root's rights")
    try:
        shutil.chown(folder, "postgres", "postgres")
        server.run(f"CREATE TABLESPACE small LOCATION '{folder}'")
        server.run("CREATE DATABASE small TABLESPACE small TEMPLATE template0 STRATEGY wal_log")
        yield folder
        server.drop("small")
        server.run("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", str(folder)], check=False)
        folder.rmdir()


def test_a_full_disk_loses_nothing_and_can_be_gone_on_from(
    server, small_disk, samples, tmp_path, monkeypatch
):
    monkeypatch.setenv("RUNG_FILES", str(tmp_path))
    url = server.url("small")
    storage = open_storage(url)
    log = storage.create("mine", [samples.created], samples.summary)
    server.run("CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 4000)", "small")
    written = 1
    with pytest.raises(StorageError, match=r"the disk of the PostgreSQL server .* is full; nothing was lost"):  # noqa: PT012
        for _ in range(5000):
            log.append(samples.reports(written, written + 500), samples.summary)
            written += 500
    assert check(url, least=written) == written
    with pytest.raises(StorageError, match=r"is full; .* `rung resume mine`"):
        log.append(samples.reports(written, written + 500), samples.summary)
    server.run("DROP TABLE ballast", "small")
    server.run("CHECKPOINT")  # which frees its blocks
    log.append(samples.reports(written, written + 500), samples.summary)
    storage.close()
    assert check(url, least=written) == written + 500
