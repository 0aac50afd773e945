"""Reading a database without SQLAlchemy: the same answers as the storage that writes it gives."""

import shutil
import sqlite3
import subprocess
import sys

import pytest

from rung.errors import MissingError, StorageError
from rung.storage import open_reader, open_storage
from rung.storage.plain_reader import PlainReader


def filled(place, samples):
    storage = open_storage(place)
    for name in ("first", "second"):
        log = storage.create(name, [samples.created], samples.summary)
        log.append(samples.reports(0, 5000), samples.summary)  # more than a page
        log.close()
    storage.close()
    return place


@pytest.fixture
def file(tmp_path, samples):
    return filled(tmp_path / "rung.db", samples)


@pytest.fixture
def url(postgres_schema_url, samples):
    return filled(postgres_schema_url, samples)


@pytest.fixture(params=["file", "url"])
def place(request):
    return request.getfixturevalue(request.param)


def test_it_reads_what_the_storage_reads(place):
    reader, storage = open_reader(place), open_storage(place)
    assert isinstance(reader, PlainReader)
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


def test_it_sees_who_writes_and_what_is_new(place, samples):
    reader, storage = open_reader(place), open_storage(place)
    log = storage.open("first")
    log.append(samples.reports(5000, 5001), samples.summary)
    assert reader.find("first") == storage.find("first")
    assert reader.find("first").writer is not None
    assert len(list(reader.read("first"))) == 5002
    log.close()
    assert reader.find("first").writer is None
    reader.close()
    storage.close()


def test_a_name_that_is_missing_is_the_same_sentence(place):
    said = []
    for opened in (open_reader(place), open_storage(place)):
        with pytest.raises(MissingError) as caught:
            opened.read("frist").__next__()
        said.append(str(caught.value))
        opened.close()
    assert said[0] == said[1]
    assert "did you mean 'first'" in said[0]


def test_a_name_that_no_study_can_bear_is_missing(place):
    reader = open_reader(place)
    for name in ("\udcff", "a\0b"):
        assert reader.find(name) is None
    reader.close()


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


@pytest.mark.parametrize("what", ["missing", "newer", "others"])
def test_a_database_that_is_not_simply_ours_is_left_to_the_storage(
    postgres_server, postgres_schema_url, url, what
):
    schema = url.rpartition("=")[2]
    match what:
        case "missing":
            postgres_server.run(f"DROP SCHEMA {schema} CASCADE")
        case "newer":
            postgres_server.run(f"UPDATE {schema}.alembic_version SET version_num = '9999'")
        case "others":
            postgres_server.run(f"DROP TABLE {schema}.alembic_version")
    if what == "missing":
        assert open_reader(url).list() == []
        return
    with pytest.raises(StorageError, match=schema):
        open_reader(url)


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("postgresql:", "postgresql+psycopg:"),
        lambda url: url.replace("127.0.0.1", "LOCALHOST"),
        lambda url: f"{url}&connect_timeout=5&application_name=a%20b",
    ],
)
def test_urls_that_mean_the_same(url, change):
    reader = open_reader(change(url))
    assert isinstance(reader, PlainReader)
    assert [row.name for row in reader.list()] == ["second", "first"]
    reader.close()


def test_the_parts_of_a_url_are_those_that_sqlalchemy_finds(monkeypatch, tmp_path):
    from rung.storage.postgres_reader import _target
    from rung.storage.postgres_url import parse

    monkeypatch.setenv("RUNG_FILES", str(tmp_path))
    for text in (
        "postgresql://ann:pass%3Aw%40rd%2F1@db.example:6000/lab?schema=mine&files=/srv/rung&sslmode=require",
        "postgres://ann@db.example/lab",
        "postgresql:///lab?sslrootcert=a+b%20c",
        "postgresql://ann:a+b@db.example",
    ):
        found, place = _target(text), parse(text)
        _, wanted = place.connect.get_dialect()().create_connect_args(place.connect)
        assert found is not None
        assert (found.connect, found.schema, found.files) == (wanted, place.schema, place.files)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:pass:w@rd/1@host/lab",
        "postgresql://ann@host:port/lab",
        "postgresql://one,two/lab",
        "postgresql://[::1]/lab",
        "postgresql:///lab?host=/run",
        "postgresql://ann@host/lab?schema=No-Name",
        "postgresql://ann@host/lab?files=/a&files=/b",
        "postgresql://ann@host/la%20b",
        "postgresql+psycopg2://ann@host/lab",
        "postgresql:lab",
    ],
)
def test_what_is_unusual_in_a_url_is_left_to_sqlalchemy(text):
    from rung.storage.postgres_reader import _target

    assert _target(text) is None


def test_a_reader_outlives_its_connection(postgres_server, url):
    reader = open_reader(url)
    events = reader.read("first")
    next(events)
    postgres_server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    )
    assert len(list(events)) == 5000
    assert reader.find("first").events == 5001
    reader.close()


def test_looking_loads_no_sqlalchemy(place):
    looks = (
        "import sys; from rung.storage import open_reader; "
        f"rows = open_reader({str(place)!r}).list(); print(len(rows), 'sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
