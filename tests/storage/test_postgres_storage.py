"""What is PostgreSQL's own: sentences, secrets, namespaces, rights, clocks, many at once."""

import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from rung.errors import LeaseError, StorageError, StudyError
from rung.storage import open_storage, schema, shown
from rung.storage.lease import Holder
from rung.storage.postgres import postgres_storage
from rung.storage.postgres_url import parse
from rung.trials import events as ev
from support.postgres import GUARDED, free_port

SECRET = "pass%3Aw%40rd%2F1"


@pytest.fixture
def storage(postgres_schema_url):
    made = open_storage(postgres_schema_url)
    yield made
    made.close()


def as_user(url, user):
    return url.replace("//rung@", f"//{user}@")


# -- places and secrets -------------------------------------------------------------------------------------


def test_parts_of_a_url(tmp_path, monkeypatch):
    monkeypatch.delenv("RUNG_FILES", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    url = f"postgresql://ann:{SECRET}@db.example:6000/lab?schema=mine&files=/srv/rung&sslmode=require"
    place = parse(url)
    assert (place.schema, str(place.files)) == ("mine", "/srv/rung")
    assert place.connect.password == GUARDED
    assert place.connect.query == {"sslmode": "require"}
    again = parse(place.shown)
    assert "pass" not in place.shown
    assert (again.schema, again.files, again.connect.host) == ("mine", place.files, "db.example")
    assert shown(url) == place.shown
    assert parse("postgres://db.example/lab").files == tmp_path / "rung" / "files"
    monkeypatch.setenv("RUNG_FILES", "/elsewhere")
    assert str(parse("postgresql:///lab").files) == "/elsewhere"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:pass:w@rd/1@host/lab",
        "postgresql://ann:hidden@host:port/lab",
        "postgresql://ann:hidden@host/lab?schema=No-Name",
        "postgresql://ann@host/lab?files=/a&files=/b&password=hidden",
        "postgresql+psycopg2://ann:hidden@host/lab",
    ],
)
def test_a_url_that_cannot_be_used_is_not_quoted(url):
    with pytest.raises(StorageError) as caught:
        parse(url)
    told = "".join(traceback.format_exception(caught.value))
    assert "hidden" not in told
    assert "w@rd" not in told
    assert "hidden" not in shown(url)
    assert "w@rd" not in shown(url)


def test_the_password_is_nowhere_to_be_seen(postgres_server, postgres_schema_url, samples):
    postgres_server.run("GRANT CREATE ON DATABASE postgres TO guarded")
    storage = open_storage(as_user(postgres_schema_url, f"guarded:{SECRET}"))
    log = storage.create("mine", [samples.created], samples.summary)
    assert "w%40rd" not in storage.url
    assert "w@rd" not in storage.url
    errors = []
    for action in (
        lambda: storage.open("mine"),
        lambda: storage.read("none"),
        lambda: storage.db.read(lambda one: one.exec_driver_sql("nonsense")),
        lambda: storage.create("mine", [], samples.summary),
    ):
        with pytest.raises((StorageError, StudyError)) as caught:
            action()
        errors.append("".join(traceback.format_exception(caught.value)))
    log.close()
    storage.close()
    assert all(secret not in text for text in errors for secret in ("w%40rd", "w@rd"))


def test_psycopg_is_asked_for(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StorageError, match=r"pip install 'rung\[postgres\]'"):
        open_storage("postgresql://host/lab")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"port": free_port()}, r"at 127\.0\.0\.1, port \d+ cannot be reached .*: see that it runs"),
        ({"user": "guarded:wrong"}, "refuses the password of user guarded: check it in the URL"),
        ({"user": "guarded"}, "wants a password of user guarded"),
        ({"user": "nobody_knows"}, "knows no user nobody_knows"),
        ({"database": "none"}, "has no database 'none': make it with `createdb`"),
    ],
)
def test_who_is_not_let_in_is_told_why_at_once(postgres_server, change, sentence, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    parts = {"user": "rung", "port": postgres_server.port, "database": "postgres", **change}
    began = time.monotonic()
    with pytest.raises(StorageError, match=sentence) as caught:
        open_storage("postgresql://{user}@127.0.0.1:{port}/{database}?passfile=/nowhere".format(**parts))
    assert time.monotonic() - began < 10.0
    assert "wrong" not in str(caught.value)


# -- tables -------------------------------------------------------------------------------------------------


def test_looking_makes_nothing(postgres_server, postgres_schema_url, tmp_path):
    storage = open_storage(postgres_schema_url)
    assert storage.list() == []
    assert storage.find("mine") is None
    storage.close()
    name = storage.db.place.schema
    assert postgres_server.run(f"SELECT 1 FROM pg_namespace WHERE nspname = '{name}'") == []
    assert list(tmp_path.iterdir()) == []


def test_tables_of_others_are_left_alone(postgres_server, postgres_schema_url):
    name = parse(postgres_schema_url).schema
    postgres_server.run(f"CREATE SCHEMA {name}")
    postgres_server.run(f"CREATE TABLE {name}.alembic_version (version_num text)")
    with pytest.raises(StorageError, match=f"schema '{name}' .* has another program's tables"):
        open_storage(postgres_schema_url)


def test_tables_of_another_version(storage, postgres_schema_url, samples):
    storage.create("mine", [samples.created], samples.summary).close()
    for version, sentence in (("9999", "made by a newer rung"), ("0000", "`rung storage upgrade`")):
        change = f"UPDATE alembic_version SET version_num = '{version}'"
        storage.db.write(lambda one, change=change: one.exec_driver_sql(change))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(schema, "VERSIONS", ("0000", *schema.VERSIONS))
            with pytest.raises(StorageError, match=sentence):
                open_storage(postgres_schema_url)


def test_two_namespaces_of_one_database_are_apart(storage, postgres_server, samples):
    other = open_storage(postgres_server.url() + "?schema=other_one")
    storage.create("mine", [samples.created], samples.summary).close()
    other.create("mine", [samples.created], samples.summary).close()
    assert storage.find("mine").key != other.find("mine").key
    other.close()


def test_who_may_not_write_may_look(storage, postgres_server, postgres_schema_url, samples):
    storage.create("mine", [samples.created], samples.summary).close()
    name = storage.db.place.schema
    postgres_server.run(f"CREATE ROLE looker_{name} LOGIN")
    postgres_server.run(f"GRANT USAGE ON SCHEMA {name} TO looker_{name}")
    postgres_server.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO looker_{name}")
    looker = open_storage(as_user(postgres_schema_url, f"looker_{name}"))
    assert [row.name for row in looker.list()] == ["mine"]
    assert list(looker.read("mine")) == [samples.created]
    with pytest.raises(StorageError, match=f"user looker_{name} may not do this on the PostgreSQL server"):
        looker.open("mine")
    looker.close()


# -- clocks -------------------------------------------------------------------------------------------------


class Machine:
    """The storage as another machine opens it, whose clock may be anything."""

    def __init__(self, url, host):
        self.now = 1000.0
        self.storage = postgres_storage(
            url,
            lease_seconds=0.8,
            clock=lambda: self.now,
            process=lambda now: Holder(host, "", 1, "boot:1", 5.0),
        )


def test_the_servers_clock_judges_whatever_the_machines_clocks_say(postgres_schema_url, samples):
    alpha, beta = (Machine(postgres_schema_url, host) for host in ("alpha", "beta"))
    log = alpha.storage.create("mine", [samples.created], samples.summary)
    began = time.monotonic()
    for jump in (0.0, 1e9, -2e9):
        alpha.now += jump
        beta.now -= jump
        if time.monotonic() - began < 0.7:  # else this machine was too busy to try
            with pytest.raises(LeaseError, match="process 1 on alpha"):
                beta.storage.open("mine")
        log.append(samples.reports(0, 1), samples.summary)
        began = time.monotonic()
    time.sleep(1.0)
    second = beta.storage.open("mine")
    with pytest.raises(LeaseError, match="was taken over by process 1 on beta"):
        log.append(samples.reports(7, 8), samples.summary)
    second.append(samples.reports(1, 2), samples.summary)
    assert [event.trial for event in beta.storage.read("mine", 1)] == [0, 0, 0, 1]
    for machine in (alpha, beta):
        machine.storage.close()


def test_a_requests_time_is_told_by_the_clock_of_who_takes_it_up(postgres_schema_url, samples):
    alpha, beta = (Machine(postgres_schema_url, host) for host in ("alpha", "beta"))
    log = alpha.storage.create("mine", [samples.created], samples.summary)
    beta.now = 5e9
    beta.storage.request("mine", "pause", {})
    (request,) = log.requests()
    assert 0.0 <= alpha.now - request.time < 60.0
    for machine in (alpha, beta):
        machine.storage.close()


def test_another_boot_on_a_machine_of_the_same_name_is_not_taken_for_dead(
    storage, postgres_schema_url, samples
):
    """Machines that are all called "localhost" share a server."""
    log = storage.create("mine", [samples.created], samples.summary)
    change = "UPDATE studies SET space = 'another-boot pid:[4026531836]', started = 'another-boot:77'"
    storage.db.write(lambda one: one.exec_driver_sql(change))
    other = open_storage(postgres_schema_url)
    with pytest.raises(LeaseError, match="is being written by process"):
        other.open("mine")
    other.close()
    log.close()


# -- many at once -------------------------------------------------------------------------------------------


def test_of_many_that_open_a_study_at_once_one_does(storage, postgres_schema_url, samples):
    storage.create("mine", [samples.created], samples.summary).close()
    machines = [Machine(postgres_schema_url, f"host-{number}") for number in range(8)]
    start = threading.Barrier(len(machines))

    def attempt(machine):
        start.wait()
        try:
            return machine.storage.open("mine")
        except LeaseError:
            return None

    with ThreadPoolExecutor(len(machines)) as pool:
        opened = [log for log in pool.map(attempt, machines) if log is not None]
    assert len(opened) == 1
    for machine in machines:
        machine.storage.close()


def test_of_many_that_create_a_study_at_once_one_does(postgres_schema_url, samples):
    """The tables, too, are made by one of them."""
    machines = [Machine(postgres_schema_url, f"host-{number}") for number in range(8)]
    start = threading.Barrier(len(machines))

    def attempt(machine):
        start.wait()
        try:
            return machine.storage.create("mine", [samples.created], samples.summary)
        except StudyError:
            return None

    with ThreadPoolExecutor(len(machines)) as pool:
        made = [log for log in pool.map(attempt, machines) if log is not None]
    assert len(made) == 1
    assert list(made[0].read()) == [samples.created]
    for machine in machines:
        machine.storage.close()


def test_requests_of_many_reach_the_writer_once_each(storage, samples):
    log = storage.create("mine", [samples.created], samples.summary)
    done = threading.Event()
    seen = []

    def take():
        while not done.is_set():
            seen.extend(request.data["n"] for request in log.requests())
        seen.extend(request.data["n"] for request in log.requests())

    taker = threading.Thread(target=take)
    taker.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: storage.request("mine", "note", {"n": n}), range(60)))
    done.set()
    taker.join()
    assert sorted(seen) == list(range(60))


def test_many_open_studies_share_few_connections(storage, postgres_server, samples):
    logs = [storage.create(f"study-{number}", [samples.created], samples.summary) for number in range(60)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda log: log.append(samples.reports(1, 3), samples.summary), logs))
    used = postgres_server.run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rung'")
    assert used[0][0] <= 20
    assert all(row.events == 3 for row in storage.list())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_leaves_its_parents_connections_alone(storage, samples):
    log = storage.create("mine", [samples.created], samples.summary)
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        log.append(samples.reports(1, 3), samples.summary)
        assert len(list(storage.read("mine"))) == 3
        return
    try:
        good = [row.name for row in storage.list()] == ["mine"]
        try:
            log.append(samples.reports(7, 9), samples.summary)
            good = False
        except StorageError as error:
            good = good and "forked" in str(error)
        os._exit(0 if good else 1)
    except Exception:  # noqa: BLE001  # a fork must end here, whatever happens
        os._exit(2)


def test_kind_and_trial_can_be_asked_for(storage, samples):
    storage.create("mine", [samples.created], samples.summary).append(
        [*samples.reports(5, 6), ev.StopDecided("test")], samples.summary
    )
    rows = storage.db.read(lambda one: one.exec_driver_sql("SELECT seq, kind, trial FROM events").fetchall())
    assert [tuple(row) for row in rows] == [(0, 1, None), (1, 6, 5), (2, 13, None)]
