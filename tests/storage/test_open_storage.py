"""Where a storage can be, and the one sentence for each place where it cannot."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rung.errors import StorageError
from rung.storage import open_storage
from rung.storage.sqlite import sqlite_storage


def test_every_form_of_a_place(tmp_path, monkeypatch, samples):
    monkeypatch.chdir(tmp_path)
    forms = {
        "sqlite:///a.db": "a.db",
        f"sqlite:///{tmp_path}/b.db": "b.db",
        "c.sqlite": "c.sqlite",
        "d.sqlite3": "d.sqlite3",
        tmp_path / "sp ace?%#.db": "sp ace?%#.db",
        "sqlite:///any.name": "any.name",
    }
    for form, file in forms.items():
        storage = open_storage(form)
        storage.create("mine", [samples.created], samples.summary).close()
        assert storage.url == f"sqlite:///{tmp_path / file}"
        assert (tmp_path / file).is_file()
        storage.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(forms.values())


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql+psycopg2://host/rung", r"write postgresql://\.\.\., not postgresql\+psycopg2://"),
        ("mysql://host/rung", "is no storage: give 'memory'"),
        ("postgress://me:hidden@host/rung", r"^'postgress://\.\.\.' is no storage: [^@]*$"),
        ("rung", "is no storage: give 'memory'"),
        ("", "is no storage: give 'memory'"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_what_is_no_place(url, sentence):
    with pytest.raises(StorageError, match=sentence):
        open_storage(url)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"there is no folder .*gone for rung\.db: make it first"):
        open_storage(tmp_path / "gone" / "rung.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "a.db").mkdir()
    with pytest.raises(StorageError, match=r"is a folder: name a file in it, such as .*a\.db/rung\.db"):
        open_storage(tmp_path / "a.db")


def test_a_file_that_is_no_database(tmp_path):
    file = tmp_path / "a.db"
    file.write_text("a diary" * 1000)
    with pytest.raises(StorageError, match="is not a database: choose another file"):
        open_storage(file)
    assert file.read_text() == "a diary" * 1000


def test_a_database_of_another_program(tmp_path):
    file = tmp_path / "a.db"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")
        other.execute("INSERT INTO alembic_version VALUES ('0001')")
    other.close()
    before = file.read_bytes()
    with pytest.raises(StorageError, match="is another program's database: choose another file"):
        open_storage(file)
    assert file.read_bytes() == before


def test_a_database_of_a_newer_rung(tmp_path, samples):
    file = tmp_path / "a.db"
    make(file, samples)
    with sqlite3.connect(file) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.close()
    with pytest.raises(StorageError, match=r"was made by a newer rung \(schema 9999\): upgrade rung"):
        open_storage(file)


def test_an_empty_file_becomes_a_storage(tmp_path, samples):
    file = tmp_path / "a.db"
    file.touch()
    assert open_storage(file).list() == []
    make(file, samples)
    assert [row.name for row in open_storage(file).list()] == ["mine"]


def test_looking_makes_nothing(tmp_path):
    storage = open_storage(tmp_path / "a.db")
    assert storage.list() == []
    assert storage.find("mine") is None
    storage.close()
    assert list(tmp_path.iterdir()) == []


def test_a_locked_database(tmp_path, samples):
    file = tmp_path / "a.db"
    make(file, samples)
    storage = sqlite_storage(file, busy=0.05)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sentence = r"another program has locked .*a\.db for 0\.05 seconds: end that program, then "
    with pytest.raises(StorageError, match=sentence + "try again"):
        storage.request("mine", "stop", {})
    with pytest.raises(StorageError, match=sentence + "try again"):
        storage.open("mine")
    assert len(list(storage.read("mine"))) == 1  # readers do not mind
    other.execute("ROLLBACK")
    log = storage.open("mine")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=sentence + "`rung resume mine --storage .*`"):
        log.append(samples.reports(1, 3), samples.summary)
    other.execute("ROLLBACK")
    other.close()
    log.append(samples.reports(1, 3), samples.summary)
    assert len(list(storage.read("mine"))) == 3
    storage.close()


def test_a_damaged_database(tmp_path, samples):
    file = tmp_path / "a.db"
    storage = open_storage(file)
    log = storage.create("mine", [samples.created], samples.summary)
    log.append(samples.reports(1, 5000), samples.summary)
    storage.close()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="is damaged: restore a copy"):
        list(open_storage(file).read("mine"))


@pytest.mark.skipif(sys.platform != "linux", reason="a place that even root cannot write")
def test_a_place_that_cannot_be_written(samples):
    storage = open_storage("/proc/rung.db")
    with pytest.raises(StorageError, match=r"/proc/rung\.db cannot be opened: see that it and its folder"):
        storage.create("mine", [samples.created], samples.summary)


READ_ONLY = """
import difflib, os, sys
import rung.storage.sqlite, sqlalchemy.dialects.sqlite.pysqlite
from rung.errors import StorageError
from rung.storage import open_storage
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
storage = open_storage("a.db")
assert [row.name for row in storage.list()] == ["mine"]
assert len(list(storage.read("mine"))) == 1
for action in (lambda: storage.open("mine"), lambda: storage.request("mine", "stop", {})):
    try:
        action()
    except StorageError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs POSIX permissions")
def test_a_storage_that_one_may_only_read(samples):
    folder = Path(tempfile.mkdtemp())
    make(folder / "a.db", samples)
    (folder / "a.db").chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, folder], check=True, stdout=subprocess.PIPE, text=True
        )
        sentences = done.stdout.splitlines()
        assert len(sentences) == 2
        assert all("a.db cannot be written: change its" in sentence for sentence in sentences)
        assert [path.name for path in folder.iterdir()] == ["a.db"]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_what_opening_imports(tmp_path, samples):
    """Memory needs no SQLAlchemy; a current database needs no Alembic."""
    make(tmp_path / "a.db", samples)
    code = (
        "import sys; from rung.storage import open_storage; open_storage('memory');"
        "assert 'sqlalchemy' not in sys.modules;"
        "assert open_storage('a.db').list(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def make(file, samples):
    storage = open_storage(file)
    storage.create("mine", [samples.created], samples.summary).close()
    storage.close()
