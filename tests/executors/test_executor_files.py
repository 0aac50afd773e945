"""`rung.executors.files`: a checkpoint is there whole, or not at all."""

import hashlib
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from rung.errors import StudyError
from rung.executors.checkpoint_files import MANIFEST, NotSavedError
from rung.executors.files import log_path, save_checkpoint, trial_name


def write(folder: str) -> None:
    Path(folder, "deep").mkdir()
    Path(folder, "deep", "weights").write_bytes(b"abc")
    os.symlink("nowhere", os.path.join(folder, "link"))


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_names() -> None:
    assert trial_name(12) == "trial-000012"
    assert log_path("studies", 12) == os.path.join("studies", "logs", "trial-000012.log")


def test_a_checkpoint_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    def save(folder: str) -> None:
        write(folder)
        assert not (tmp_path / "trial-000012" / "resource-9").exists()

    saved = save_checkpoint(str(tmp_path), 12, 9, save)
    manifest = (tmp_path / "trial-000012/resource-9" / MANIFEST).read_bytes()
    assert saved == ("trial-000012/resource-9", 3, hashlib.sha256(manifest).hexdigest())
    assert (tmp_path / "trial-000012/resource-9/deep/weights").read_bytes() == b"abc"
    assert names(tmp_path / "trial-000012") == ["resource-9"]


def test_everything_is_on_the_disk_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync, rename = os.fsync, os.rename

    def note(handle: int) -> None:
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        fsync(handle)

    def renamed(source: str, target: str) -> None:
        synced.append("renamed")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "rename", renamed)
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("no /proc to name open files by")
    save_checkpoint(str(tmp_path), 1, 3, write)
    draft = f".draft-{os.getpid()}@{socket.gethostname()}-3"
    assert synced == ["weights", "deep", MANIFEST, draft, "renamed", "trial-000001"]


def test_an_earlier_one_is_left_alone(tmp_path: Path) -> None:
    for text in "abc":
        save_checkpoint(str(tmp_path), 0, 1, lambda folder, text=text: Path(folder, "x").write_text(text))
    home = tmp_path / "trial-000000"
    assert [(home / name / "x").read_text() for name in names(home)] == ["a", "b", "c"]
    assert names(home) == ["resource-1", "resource-1-2", "resource-1-3"]


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    def save(folder: str) -> None:
        write(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(NotSavedError, match=r"the disk of .* is full"):
        save_checkpoint(str(tmp_path), 0, 1, save)
    assert names(tmp_path / "trial-000000") == []


def test_what_a_dead_process_left_is_cleared(tmp_path: Path) -> None:
    draft = tmp_path / "trial-000000" / f".draft-{os.getpid()}@{socket.gethostname()}-1"
    draft.mkdir(parents=True)
    (draft / "half").write_text("")
    save_checkpoint(str(tmp_path), 0, 1, write)
    assert names(tmp_path / "trial-000000") == ["resource-1"]
    assert names(tmp_path / "trial-000000" / "resource-1") == [MANIFEST, "deep", "link"]


def test_a_save_that_takes_its_folder_away(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="not replace it"):
        save_checkpoint(str(tmp_path), 0, 1, os.rmdir)


@pytest.mark.parametrize("left", [0, 1 << 20])
def test_a_library_that_does_not_say_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """PyTorch's writer raises RuntimeError; with room on the disk it is an error of the objective's."""

    def save(folder: str) -> None:
        raise RuntimeError("unexpected pos 64 vs 0")

    disk = SimpleNamespace(f_bavail=left // 512, f_frsize=512)
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    expected = RuntimeError if left else NotSavedError
    with pytest.raises(expected):
        save_checkpoint(str(tmp_path), 0, 1, save)
    assert names(tmp_path / "trial-000000") == []
