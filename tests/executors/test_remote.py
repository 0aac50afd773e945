"""Checkpoints in a store by URL: whole or not there, and kept on this machine by their content."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rung.errors import StorageError, StudyError
from rung.executors.base import Job
from rung.executors.cache import Cache, cache
from rung.executors.checkpoint_files import MANIFEST, DamagedError, NotSavedError
from rung.executors.files import opened_checkpoint, save_checkpoint
from rung.executors.handle import Trial
from rung.executors.remote import RemoteCheckpoints, check_url, is_url, manifest_at, probe
from rung.trials.events import CheckpointFailed, CheckpointSaved, Event, Reported

PLACE = "faulty://bucket/study"


class FaultyFileSystem(MemoryFileSystem):
    """A store in memory that fails at the operation that is told to, and counts what it does."""

    protocol = "faulty"
    cachable = False
    store: ClassVar[dict[str, object]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    puts_left: int | None = None
    gets = 0

    def put_file(self, lpath: str, rpath: str, *rest: object, **more: object) -> None:
        cls = type(self)
        if cls.puts_left is not None:
            cls.puts_left -= 1
            if cls.puts_left < 0:
                raise ConnectionResetError("the connection was reset")
        super().put_file(lpath, rpath, *rest, **more)

    def get_file(self, rpath: str, lpath: str, *rest: object, **more: object) -> None:
        type(self).gets += 1
        super().get_file(rpath, lpath, *rest, **more)


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(FaultyFileSystem, "puts_left", None)
    monkeypatch.setattr(FaultyFileSystem, "gets", 0)
    FaultyFileSystem.store.clear()
    FaultyFileSystem.pseudo_dirs[:] = [""]
    fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)
    yield
    FaultyFileSystem.store.clear()


def write(folder: str) -> None:
    Path(folder, "deep").mkdir()
    Path(folder, "empty").mkdir()
    Path(folder, "deep", "weights").write_bytes(b"abcd")
    Path(folder, "step").write_text("9")


def content(folder: str) -> dict[str, bytes | None]:
    below = sorted(Path(folder).rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in below}


def forget(tmp_path: Path) -> None:
    """Leave the cache behind, as another machine has none."""
    (tmp_path / "cache").rename(tmp_path / f"cache-{time.monotonic_ns()}")


def test_which_are_urls() -> None:
    assert all(map(is_url, ("s3://b/x", "memory://x", "gs://b", "simplecache::s3://b/x")))
    assert not any(map(is_url, ("x", "/x", "./a:b", "C:\\x", "a/s3://b")))


def test_saved_fetched_and_checked(tmp_path: Path) -> None:
    saved = save_checkpoint(PLACE, 12, 9, write)
    assert saved.path.startswith(f"{PLACE}/trial-000012/resource-9-")
    assert saved.size == 5
    forget(tmp_path)
    with opened_checkpoint(saved.path, saved.digest) as folder:
        found = content(folder)
    assert found.pop(MANIFEST) is not None
    assert found == {"deep": None, "deep/weights": b"abcd", "empty": None, "step": b"9"}
    assert save_checkpoint(PLACE, 12, 9, write).path != saved.path  # a name is never used twice


def test_what_this_machine_has_is_not_fetched(tmp_path: Path) -> None:
    saved = save_checkpoint(PLACE, 0, 1, write)
    with opened_checkpoint(saved.path, saved.digest) as folder:
        Path(folder, "step").write_text("8")  # an objective that writes into its checkpoint
    assert FaultyFileSystem.gets == 0
    with opened_checkpoint(saved.path, saved.digest) as folder:  # harms nobody but the cache
        assert Path(folder, "step").read_text() == "9"
    assert FaultyFileSystem.gets == 2


@pytest.mark.parametrize("puts", [0, 1])
def test_an_upload_that_fails_leaves_no_checkpoint(tmp_path: Path, puts: int) -> None:
    FaultyFileSystem.puts_left = puts
    with pytest.raises(NotSavedError, match=r"cannot be written to .*: ConnectionResetError: the connection"):
        save_checkpoint(PLACE, 3, 1, write)
    assert len(FaultyFileSystem.store) == puts
    for path in RemoteCheckpoints(PLACE).paths():  # what lies there is known, to be removed
        with pytest.raises(DamagedError, match="not there, or not whole"):
            manifest_at(path, "")
        assert RemoteCheckpoints(PLACE).delete(path)
    assert FaultyFileSystem.store == {}
    assert os.listdir(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda files, path: files.pipe_file(f"{path}/step", b"8"), "content of its file step has changed"),
        (lambda files, path: files.pipe_file(f"{path}/deep/weights", b"ab"), "has 2 bytes, not 4"),
        (lambda files, path: files.rm_file(f"{path}/deep/weights"), "its file deep/weights is missing"),
        (lambda files, path: files.rm_file(f"{path}/{MANIFEST}"), "not there, or not whole"),
        (lambda files, path: files.pipe_file(f"{path}/{MANIFEST}", b"{}"), "is not the one that was saved"),
        (lambda files, path: files.rm(path, recursive=True), "not there, or not whole"),
    ],
)
def test_what_is_not_what_was_saved(tmp_path: Path, harm, sentence: str) -> None:
    saved = save_checkpoint(PLACE, 0, 1, write)
    forget(tmp_path)
    files, path = fsspec.core.url_to_fs(saved.path)
    harm(files, path)
    with pytest.raises(DamagedError, match=sentence), opened_checkpoint(saved.path, saved.digest):
        pass
    assert not os.listdir(tmp_path / "cache")


def test_deleting(tmp_path: Path) -> None:
    kept, gone = (save_checkpoint(PLACE, trial, 1, write).path for trial in (0, 1))
    store = RemoteCheckpoints(PLACE)
    assert store.paths() == [kept, gone]
    assert store.delete(gone)
    assert not store.delete(gone)
    for foreign in ("faulty://bucket", PLACE, f"{PLACE}/trial-000000", f"{kept}/deep", "s3://else/trial-0/x"):
        assert not store.delete(foreign)
    assert store.paths() == [kept]
    assert RemoteCheckpoints("faulty://bucket/other").paths() == []


def test_a_job_reports_on_when_its_checkpoint_cannot_be_saved(tmp_path: Path) -> None:
    told: list[Event] = []

    class Link:
        def tell(self, event: Event, *, waits: bool = False) -> None:
            told.append(event)

        def stopping(self) -> bool:
            return False

        def now(self) -> float:
            return 5.0

    trial = Trial(Job(3, 2, {}), Link(), str(tmp_path), save_every=0.0, checkpoints=PLACE)
    FaultyFileSystem.puts_left = 1
    trial.report(1, loss=2.0, save=write)
    FaultyFileSystem.puts_left = None
    trial.report(2, loss=1.0, save=write)
    kinds = [type(event) for event in told]
    assert kinds == [Reported, CheckpointFailed, Reported, CheckpointSaved]
    assert "the connection was reset" in told[1].message


def test_the_cache_is_bounded_and_spares_what_is_in_use(tmp_path: Path) -> None:
    kept = Cache(str(tmp_path / "small"), limit=10)

    def keep(name: str) -> None:
        with kept.draft() as folder:
            Path(folder, "x").write_bytes(b"12345")
            kept.keep(folder, name, 5)

    keep("a")
    keep("b")
    os.utime(tmp_path / "small" / "a" / "lock", (1, 1))
    os.utime(tmp_path / "small" / "b" / "lock", (2, 2))
    with kept.using("a") as folder:  # makes it the one that was used last
        assert folder is not None
        os.utime(tmp_path / "small" / "a" / "lock", (1, 1))  # and again not
        keep("c")
        assert Path(folder, "x").exists()
    assert sorted(os.listdir(tmp_path / "small")) == ["a", "c"]
    keep("d")
    assert sorted(os.listdir(tmp_path / "small")) == ["c", "d"]
    with kept.using("a") as folder:
        assert folder is None


def test_the_cache_drops_what_the_dead_left(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = cache()
    with kept.draft() as mine:
        name = os.path.basename(os.path.dirname(mine))
        left = tmp_path / "cache" / name.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
        left.mkdir()
        with kept.draft():
            assert not left.exists()
            assert os.path.exists(mine)
    assert os.listdir(tmp_path / "cache") == []


def test_killed_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    place = f"local://{tmp_path}/store"
    code = (
        "import sys, os, time\n"
        "from fsspec.implementations.local import LocalFileSystem\n"
        "put = LocalFileSystem.put_file\n"
        "def slow(self, *args, **more):\n"
        "    put(self, *args, **more); print('put', flush=True); time.sleep(60)\n"
        "LocalFileSystem.put_file = slow\n"
        "from rung.executors.files import save_checkpoint\n"
        "def save(folder):\n"
        "    [open(f'{folder}/{i}', 'w').write('x' * 100) for i in range(3)]\n"
        "save_checkpoint(sys.argv[1], 7, 3, save)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, place], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"put\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    (path,) = RemoteCheckpoints(place).paths()
    with pytest.raises(DamagedError, match="not there, or not whole"):
        manifest_at(path, "")
    assert RemoteCheckpoints(place).delete(path)
    assert list((tmp_path / "store").rglob("*")) == [tmp_path / "store" / "trial-000007"]
    saved = save_checkpoint(place, 7, 3, write)  # and the cache forgets the draft
    assert sorted(os.listdir(tmp_path / "cache")) == [saved.digest]


def test_urls_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match="holds a password") as caught:
        check_url("sftp://me:secret@host/x")
    assert "secret" not in str(caught.value)
    with pytest.raises(StudyError, match="or a query"):
        check_url("s3://bucket/x?token=secret")
    with pytest.raises(StudyError, match="cannot lie at nix://b/x: Protocol not known"):
        check_url("nix://b/x")
    with pytest.raises(StorageError, match=r"the store of ftp:.* cannot be reached: "):
        check_url("ftp://127.0.0.1:9/x")  # it connects at once
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(StudyError, match=r"pip install 'rung\[remote\]'"):
        check_url("s3://bucket/x")


def test_a_place_that_takes_nothing_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    probe(PLACE)
    assert FaultyFileSystem.store == {}

    def denied(self: object, *rest: object, **more: object) -> None:
        raise PermissionError("access denied")

    monkeypatch.setattr(FaultyFileSystem, "pipe_file", denied)
    with pytest.raises(StorageError, match=r"cannot be written to .*: PermissionError: access denied"):
        probe(PLACE)
