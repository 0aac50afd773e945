"""The tables made at once are the tables that the migrations make, and older ones are brought up to date."""

import re
import shutil
import sqlite3
import typing
from pathlib import Path

import pytest
import sqlalchemy as sa

from rung.storage import open_storage, schema
from rung.storage.base import Summary
from rung.trials import events as ev

MIGRATIONS = Path(schema.__file__).parent / "migrations" / "versions"


def tables(connection):
    """The text of every table and index, without its white space."""
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name").all()
    return {name: re.sub(r"\s+", "", sql or "") for name, sql in rows}


@pytest.fixture
def connect(tmp_path):
    engines = []

    def made(name):
        engine = sa.create_engine(f"sqlite:///{tmp_path / name}")
        engines.append(engine)
        return engine.begin()

    yield made
    for engine in engines:
        engine.dispose()


def test_tables_made_at_once_are_those_of_the_migrations(connect):
    with connect("at_once.db") as at_once, connect("by_steps.db") as by_steps:
        schema.create(at_once)
        schema.upgrade(by_steps)
        assert tables(at_once) == tables(by_steps)
        assert set(schema.metadata.tables) < set(tables(at_once))
        for connection in (at_once, by_steps):
            assert schema.version_of(connection, "here") == schema.VERSION


def test_every_migration_is_a_known_version():
    found = sorted(re.match(r"v(\d+)_", path.name)[1] for path in MIGRATIONS.glob("v*.py"))
    assert found == list(schema.VERSIONS)


def test_older_tables_are_brought_up_to_date_at_opening(tmp_path, monkeypatch, samples):
    file = tmp_path / "rung.db"
    storage = open_storage(file)
    storage.create("mine", [samples.created], samples.summary).close()
    storage.close()
    upgraded = []

    def upgrade(connection):
        upgraded.append(connection.exec_driver_sql("SELECT count(*) FROM studies").scalar())
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")

    monkeypatch.setattr(schema, "VERSIONS", ("0001", "0002"))
    monkeypatch.setattr(schema, "VERSION", "0002")
    monkeypatch.setattr(schema, "upgrade", upgrade)
    assert [row.name for row in open_storage(file).list()] == ["mine"]
    assert [row.name for row in open_storage(file).list()] == ["mine"]
    assert upgraded == [1]


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch, samples):
    file = tmp_path / "rung.db"
    storage = open_storage(file)
    storage.create("mine", [samples.created], samples.summary).close()
    storage.close()

    def upgrade(connection):
        connection.exec_driver_sql("DROP TABLE requests")
        raise RuntimeError("power cut")

    with monkeypatch.context() as later:
        later.setattr(schema, "VERSIONS", ("0001", "0002"))
        later.setattr(schema, "VERSION", "0002")
        later.setattr(schema, "upgrade", upgrade)
        with pytest.raises(RuntimeError):
            open_storage(file)
    storage = open_storage(file)
    storage.request("mine", "stop", {})
    storage.close()


def test_every_event_has_a_number_of_its_own():
    assert set(schema.KINDS) == set(typing.get_args(ev.AnyEvent))
    assert len(set(schema.KINDS.values())) == len(schema.KINDS)


def test_every_field_of_the_summary_has_a_column():
    assert set(Summary.__struct_fields__) <= set(schema.studies.c.keys())


def test_kind_and_trial_can_be_asked_for(tmp_path, samples):
    file = tmp_path / "rung.db"
    storage = open_storage(file)
    storage.create("mine", [samples.created, *samples.reports(5, 7)], samples.summary).close()
    storage.close()
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT seq, kind, trial FROM events").fetchall() == [
        (0, 1, None),
        (1, 6, 5),
        (2, 6, 6),
    ]
    connection.close()


def test_a_database_of_the_first_version_can_be_read_and_gone_on_with(tmp_path):
    """`fixtures/rung_0001.db` was written once, by version 0.1.0."""
    file = tmp_path / "rung.db"
    shutil.copy(Path(__file__).parent / "fixtures" / "rung_0001.db", file)
    storage = open_storage(file)
    (row,) = storage.list()
    assert (row.name, row.events, row.writer) == ("first", 4, None)
    assert row.summary == Summary("tune", "done", 1, 1, "auc", 0.75, 9, 2.5, 1700000000.0, 1700000002.5)
    log = storage.open("first")
    assert [(request.request, request.data) for request in log.requests()] == [("enqueue", {"x": 0.25})]
    log.append([ev.StopDecided("test")], row.summary)
    assert list(storage.read("first", 1)) == [
        ev.JobStarted(0, 9, values=(0.5,)),
        ev.JobFinished(0, metrics={"auc": 0.75}),
        ev.Requested("note", {"text": "folded"}, 1700000002.0, 1),
        ev.StopDecided("test"),
    ]
    storage.close()
