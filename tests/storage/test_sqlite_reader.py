"""Reading a SQLite file without SQLAlchemy: the same answers as the storage that writes it gives."""

import shutil
import sqlite3

import pytest

from rung.errors import MissingError, StorageError
from rung.storage import open_reader, open_storage
from rung.storage.sqlite_reader import SqliteReader


@pytest.fixture
def file(tmp_path, samples):
    path = tmp_path / "rung.db"
    storage = open_storage(path)
    for name in ("first", "second"):
        log = storage.create(name, [samples.created], samples.summary)
        log.append(samples.reports(0, 5000), samples.summary)  # more than a page
        log.close()
    storage.close()
    return path


def test_it_reads_what_the_storage_reads(file):
    reader, storage = open_reader(file), open_storage(file)
    assert isinstance(reader, SqliteReader)
    assert reader.url == storage.url
    assert list(reader.list()) == list(storage.list())
    assert list(reader.list(1)) == list(storage.list(1))
    assert reader.find("first") == storage.find("first")
    assert reader.find("third") is None
    assert reader.folder("first") == storage.folder("first")
    assert list(reader.read("first")) == list(storage.read("first"))
    assert list(reader.read("second", 4990)) == list(storage.read("second", 4990))
    reader.close()
    storage.close()


def test_it_sees_who_writes_and_what_is_new(file, samples):
    reader, storage = open_reader(file), open_storage(file)
    log = storage.open("first")
    log.append(samples.reports(5000, 5001), samples.summary)
    assert reader.find("first") == storage.find("first")
    assert reader.find("first").writer is not None
    assert len(list(reader.read("first"))) == 5002
    log.close()
    assert reader.find("first").writer is None
    reader.close()
    storage.close()


def test_a_name_that_is_missing_is_the_same_sentence(file):
    said = []
    for place in (open_reader(file), open_storage(file)):
        with pytest.raises(MissingError) as caught:
            place.read("frist").__next__()
        said.append(str(caught.value))
        place.close()
    assert said[0] == said[1]
    assert "did you mean 'first'" in said[0]


@pytest.mark.parametrize("what", ["missing", "empty", "others", "newer", "text", "folder"])
def test_what_is_not_simply_ours_is_left_to_the_storage(file, tmp_path, what):
    place = tmp_path / f"{what}.db"
    match what:
        case "empty":
            place.touch()
        case "others":
            with sqlite3.connect(place) as connection:
                connection.execute("CREATE TABLE t (x)")
            connection.close()
        case "newer":
            shutil.copy(file, place)
            with sqlite3.connect(place) as connection:
                connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.close()
        case "text":
            place.write_text("no database " * 100)
        case "folder":
            place.mkdir()
    if what in ("missing", "empty"):
        assert open_reader(place).list() == []
        return
    with pytest.raises(StorageError) as caught:
        open_reader(place)
    assert str(place) in str(caught.value)


def test_a_damaged_file_is_one_sentence(file):
    reader = open_reader(file)
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE events")
    connection.close()
    with pytest.raises(StorageError, match="could not be read or written"):
        list(reader.read("first"))
    reader.close()
