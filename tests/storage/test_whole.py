import os
import sqlite3
from pathlib import Path

import pytest

from rung.errors import DataError
from rung.storage.whole import write_whole


def test_text_bytes_and_writers(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "für\r\n")
    assert path.read_bytes() == b"f\xc3\xbcr\r\n"
    write_whole(str(path), b"\x00")
    assert path.read_bytes() == b"\x00"
    write_whole(path, lambda draft: draft.write_text("by another"))
    assert path.read_text() == "by another"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def torn(draft: Path) -> None:
        draft.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"a\.txt cannot be written \(No space left.*\): give another --out"):
        write_whole(path, torn, "--out")
    with pytest.raises(ZeroDivisionError):
        write_whole(path, lambda draft: draft.write_text(str(1 / 0)))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    for place in (tmp_path / "no" / "a", path / "below", tmp_path):
        with pytest.raises(DataError, match="give another path"):
            write_whole(place, "x")
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed_and_its_file_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "target.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    for text in ("new", "newer"):  # at first the file is not there yet
        write_whole(link, text)
        assert link.is_symlink()
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


def test_what_is_no_ordinary_file_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, link, database = tmp_path / "pipe", tmp_path / "link", tmp_path / "studies.db"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    sqlite3.connect(database).execute("create table t (x)").connection.close()
    before = database.read_bytes()
    for place in (pipe, link):
        with pytest.raises(DataError, match="is no ordinary file: give another --out"):
            write_whole(place, "x", "--out")
    assert pipe.is_fifo()
    with pytest.raises(DataError, match="is a database, which would be overwritten: give another --out"):
        write_whole(database, "x", "--out")
    assert database.read_bytes() == before
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^\. is a folder: give another path"):
        write_whole(".", "x")
