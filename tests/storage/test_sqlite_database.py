"""The settings of a database's connections, which its promises rest on."""

import sqlite3

import pytest

from rung.errors import StorageError
from rung.storage import open_storage
from rung.storage.sqlite_database import CHECKPOINT_PAGES, SqliteDatabase


@pytest.fixture
def database(tmp_path, samples):
    storage = open_storage(tmp_path / "rung.db")
    storage.create("mine", [samples.created], samples.summary).close()
    storage.close()
    made = SqliteDatabase(tmp_path / "rung.db", busy=30.0)
    yield made
    made.close()


def pragma(connection, name):
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


DURABLE = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_what_writes_is_durable_and_waits_its_turn(database):
    with database.writing() as connection:
        assert {name: pragma(connection, name) for name in DURABLE} == DURABLE
        other = sqlite3.connect(database.path, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")  # although nothing has been written yet
        other.close()


def test_only_the_writer_of_a_study_checkpoints(database):
    with database.writing() as connection:
        assert pragma(connection, "wal_autocheckpoint") == 0
    connection = database.writer()
    assert pragma(connection, "wal_autocheckpoint") == CHECKPOINT_PAGES
    assert {name: pragma(connection, name) for name in DURABLE} == DURABLE
    connection.close()


def test_readers_cannot_write(database):
    with pytest.raises(StorageError, match="cannot be written"), database.reading() as connection:
        connection.exec_driver_sql("DELETE FROM events")
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1


def test_readers_do_not_hold_the_writer_up(database, samples):
    storage = open_storage(database.path)
    log = storage.open("mine")
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT seq FROM events")
        assert rows.fetchone() == (0,)
        log.append(samples.reports(1, 3000), samples.summary)
        rows.close()
    storage.close()


def test_a_failed_transaction_leaves_nothing(database):
    def fail():
        with database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM events")
            connection.exec_driver_sql("nonsense")

    with pytest.raises(StorageError, match="nonsense"):
        fail()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1


def test_a_closed_storage_leaves_one_file(database, samples):
    storage = open_storage(database.path)
    storage.open("mine").append(samples.reports(1, 3), samples.summary)
    storage.close()
    assert [path.name for path in database.path.parent.iterdir()] == ["rung.db"]


def test_a_new_file_waits_for_a_reader_before_it_switches_to_wal(tmp_path, samples):
    file = tmp_path / "rung.db"
    maker = SqliteDatabase(file, busy=0.1)
    maker.prepare()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM studies").fetchall()
    with pytest.raises(StorageError, match="another program has locked"), maker.writing():
        pass
    other.execute("COMMIT")
    other.close()
    with maker.writing() as connection:
        assert pragma(connection, "journal_mode") == "wal"
    maker.close()
