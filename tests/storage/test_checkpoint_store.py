"""Checkpoints are counted, measured and deleted, and nothing else is."""

import os
import socket
import subprocess
import sys

import pytest

from rung.executors.files import save_checkpoint
from rung.storage.checkpoints import CheckpointStore


@pytest.fixture
def study(tmp_path):
    """A study's folder with four checkpoints, a log, and something beside the folder."""
    folder = tmp_path / "study"
    for path in ("trial-000000/resource-1", "trial-000000/resource-3", "trial-000012/resource-9"):
        (folder / path / "deep").mkdir(parents=True)
        (folder / path / "deep" / "weights").write_bytes(b"x" * 100)
    (folder / "trial-000012" / "resource-27").mkdir()
    (folder / "logs").mkdir()
    (folder / "logs" / "trial-000000.log").write_text("log")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    return folder


def test_count_and_size(study):
    store = CheckpointStore(study)
    assert (store.count, store.size) == (4, 300)
    assert store.paths() == [
        "trial-000000/resource-1",
        "trial-000000/resource-3",
        "trial-000012/resource-27",
        "trial-000012/resource-9",
    ]


def test_a_folder_that_is_not_there_has_none(tmp_path):
    store = CheckpointStore(tmp_path / "gone")
    assert (store.count, store.size, store.paths(), store.keep_only([])) == (0, 0, [], 0)
    assert not store.delete("trial-000000/resource-1")


def test_delete_takes_one_and_is_patient_with_what_is_gone(study):
    store = CheckpointStore(study)
    assert store.delete("trial-000000/resource-1")
    assert not store.delete("trial-000000/resource-1")
    assert not store.delete("trial-000099/resource-1")
    assert store.count == 3
    assert sorted(os.listdir(study / "trial-000000")) == ["resource-3"]


def test_keep_only(study):
    store = CheckpointStore(study)
    assert store.keep_only({"trial-000012/resource-9", "elsewhere"}) == 3
    assert store.paths() == ["trial-000012/resource-9"]
    assert (study / "logs" / "trial-000000.log").exists()


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "logs",
        "trial-000000",
        "trial-000000/",
        "trial-000000/.",
        "trial-000000/..",
        "trial-000000/../../precious",
        "trial-../precious",
        "../precious",
        "../study/logs",
        "logs/trial-000000.log",
        "trial-000000/resource-1/deep",
        "s3://bucket/trial-000000/resource-1",
        "{}/precious",
        "{}/study/trial-000000/resource-1",
    ],
)
def test_what_is_not_ours_is_left_alone(study, path):
    before = sorted(study.parent.rglob("*"))
    assert not CheckpointStore(study).delete(path.format(study.parent))
    assert sorted(study.parent.rglob("*")) == before


def test_links_are_not_followed(study):
    (study / "trial-000001").symlink_to(study.parent / "precious")
    (study / "trial-000002").mkdir()
    (study / "trial-000002" / "resource-1").symlink_to(study.parent / "precious")
    store = CheckpointStore(study)
    assert not store.delete("trial-000001/file")
    assert store.delete("trial-000002/resource-1")
    store.keep_only([])
    assert (study.parent / "precious" / "file").read_text() == "mine"
    assert not (study / "trial-000002" / "resource-1").is_symlink()


def test_leftovers_of_the_dead_go_at_opening(study):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = study / "trial-000000" / f".draft-{gone.pid}-9"
    ours = study / "trial-000000" / f".draft-{gone.pid}@{socket.gethostname()}-9"
    theirs = study / "trial-000000" / f".draft-{gone.pid}@another-host-9"
    live = study / "trial-000000" / f".draft-{os.getpid()}-9"
    half_deleted = study / "trial-000012" / ".gone-resource-3"
    for folder in (dead, ours, theirs, live, half_deleted):
        folder.mkdir()
        (folder / "weights").write_text("half")
    store = CheckpointStore(study)
    assert (dead.exists(), live.exists(), half_deleted.exists()) == (False, True, False)
    assert (ours.exists(), theirs.exists()) == (False, True)  # of another host nothing can be seen
    os.utime(theirs, (0, 0))
    CheckpointStore(study)
    assert not theirs.exists()
    assert (store.count, store.size) == (4, 300)


def test_a_checkpoint_being_saved_is_neither_counted_nor_removed(tmp_path):
    def save(folder):
        assert CheckpointStore(tmp_path).count == 0
        with open(os.path.join(folder, "weights"), "w") as file:
            file.write("whole")

    path = save_checkpoint(str(tmp_path), 12, 9, save).path
    store = CheckpointStore(tmp_path)
    assert store.paths() == [path]
    assert (tmp_path / path / "weights").read_text() == "whole"
    assert store.delete(path)
