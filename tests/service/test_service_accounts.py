"""Users, tokens, audit and whose a study is: in memory, in a file, and in PostgreSQL."""

import re
import sqlite3
import stat
from pathlib import Path

import pytest

from rung.errors import ConflictError, MissingError, StorageError, UserError
from rung.service import tables
from rung.service.access import Role, Scope
from rung.service.accounts import LOCAL, REMEMBER, Accounts, Entry
from rung.service.hub import Hub
from rung.service.models import NewStudy
from rung.service.register import MemoryRegister
from rung.storage import open_storage
from support.clock import Clock

SPACE = {"parameters": [{"name": "x", "type": "float", "low": 0.0, "high": 1.0}]}


@pytest.fixture
def clock():
    return Clock(1_000_000.0)


@pytest.fixture(params=["memory", "file", "postgres"])
def accounts(request, tmp_path, clock):
    url = {"memory": "memory", "file": str(tmp_path / "rung.db")}.get(request.param)
    made = Accounts(url or request.getfixturevalue("postgres_url"), clock)
    yield made
    made.close()


@pytest.fixture
def two(tmp_path, clock):
    """Two processes' accounts over one file."""
    made = [Accounts(str(tmp_path / "rung.db"), clock) for _ in range(2)]
    yield made
    for each in made:
        each.close()


def line(action="add", what="ann"):
    return Entry(1.0, "root", "t1", action, what, "ok", "127.0.0.1")


def test_a_token_is_its_users_until_it_is_revoked(accounts, clock):
    accounts.add_user("ann", Role.MEMBER)
    made, text = accounts.create_token("ann", [Scope.READ, Scope.JOBS], note="laptop")
    assert re.fullmatch(r"rung_[A-Za-z0-9_-]{43}", text)
    principal = accounts.verify(text).principal
    assert (principal.user, principal.role, principal.token) == ("ann", Role.MEMBER, made.id)
    assert principal.scopes == (Scope.READ, Scope.JOBS)
    assert accounts.remembered(text).principal == principal
    assert accounts.tokens("ann")[0].used == clock.now
    assert accounts.tokens("bob") == []
    accounts.revoke(made.id)
    assert accounts.remembered(text) is None
    seen = accounts.verify(text)
    assert seen.principal is None
    assert f"the token {made.id} was revoked" in seen.why
    # 32 bytes end in one of 16 letters, never in B
    assert accounts.verify(text[:-1] + "B").why.startswith("this token is not known")
    with pytest.raises(MissingError):
        accounts.revoke("none")


def test_a_token_ends_when_it_expires_even_if_it_was_just_seen(accounts, clock):
    accounts.add_user("ann", Role.MEMBER)
    _, text = accounts.create_token("ann", expires=clock.now + 1.0)
    assert accounts.verify(text).principal is not None
    clock.now += 0.9
    assert accounts.remembered(text) is not None
    clock.now += 0.1
    assert accounts.remembered(text) is None
    assert "has expired" in accounts.verify(text).why


def test_only_digests_are_kept(tmp_path, clock):
    accounts = Accounts(str(tmp_path / "rung.db"), clock)
    accounts.add_user("ann", Role.MEMBER)
    made, text = accounts.create_token("ann")
    accounts.verify(text)
    accounts.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert text[:10].encode() in kept
    assert text[11:40].encode() not in kept
    assert made.id.encode() in kept
    mode = stat.S_IMODE((tmp_path / "rung.service.db").stat().st_mode)
    assert oct(mode) == "0o600"


def test_what_another_process_changes_counts_in_seconds(two, clock):
    ours, theirs = two
    ours.add_user("ann", Role.MEMBER)
    ours.add_user("root", Role.ADMIN)
    made, text = ours.create_token("ann")
    assert ours.verify(text).principal.role is Role.MEMBER
    theirs.set_role("ann", Role.VIEWER)
    assert ours.remembered(text).principal.role is Role.MEMBER
    clock.now += REMEMBER
    assert ours.remembered(text) is None
    assert ours.verify(text).principal.role is Role.VIEWER
    theirs.revoke(made.id)
    clock.now += REMEMBER
    assert ours.verify(text).principal is None
    assert not ours.was_good(text)


def test_users_come_go_and_come_back(accounts):
    assert not accounts.has_users()
    accounts.add_user("ann", Role.MEMBER)
    _, text = accounts.create_token("ann")
    assert accounts.has_users()
    with pytest.raises(ConflictError):
        accounts.add_user("ann", Role.ADMIN)
    accounts.remove_user("ann")
    assert not accounts.has_users()
    assert accounts.verify(text).principal is None
    for refused in (accounts.remove_user, accounts.create_token):
        with pytest.raises(MissingError):
            refused("ann")
    accounts.add_user("ann", Role.VIEWER)
    assert accounts.verify(text).principal is None, "an old token came back"
    assert [(user.name, user.role, user.disabled) for user in accounts.users()] == [("ann", "viewer", None)]


@pytest.mark.parametrize("name", ["", LOCAL, "-x", "a b", "a" * 101, "a/b", "é"])
def test_names_that_nobody_may_have(name, clock):
    accounts = Accounts("memory", clock)
    with pytest.raises(UserError, match="cannot name a user"):
        accounts.add_user(name, Role.MEMBER)
    accounts.close()


def test_the_last_admin_stays(accounts):
    accounts.add_user("root", Role.ADMIN)
    accounts.add_user("ann", Role.MEMBER)
    for attempt in (lambda: accounts.remove_user("root"), lambda: accounts.set_role("root", Role.VIEWER)):
        with pytest.raises(ConflictError, match="last admin"):
            attempt()
    accounts.set_role("ann", Role.ADMIN)
    accounts.remove_user("root")


def test_audit_lines_come_with_what_they_are_about_or_not_at_all(accounts):
    accounts.add_user("ann", Role.MEMBER, line())
    with pytest.raises(ConflictError):
        accounts.add_user("ann", Role.MEMBER, line("again"))
    made, _ = accounts.create_token("ann", by=line("token"))
    accounts.record(line("x" * 500, "y" * 500))
    found = accounts.audit()
    assert [entry.action for entry in found] == ["x" * 100, "token", "add"]
    assert found[1].object == made.id
    assert [entry.action for entry in accounts.audit(1, before=found[0].id)] == ["token"]
    assert accounts.audit(user="bob") == []


def test_whose_a_study_is(accounts):
    accounts.set_hosted("k1", "ann", {"weight": 2.0})
    accounts.set_hosted("k2", "bob", {})
    accounts.set_hosted("k1", "ann", {"weight": 3.0, "objective": "m:f"})
    accounts.forget("k2")
    accounts.forget("k2")
    assert accounts.hosted() == {"k1": ("ann", {"weight": 3.0, "objective": "m:f"})}


def test_a_newer_versions_tables_are_left_alone(tmp_path):
    Accounts(str(tmp_path / "rung.db")).close()
    with sqlite3.connect(tmp_path / "rung.service.db") as connection:
        connection.execute(f"UPDATE service_version SET version = {tables.VERSION + 1}")
    connection.close()
    with pytest.raises(StorageError, match="made by a newer rung"):
        Accounts(str(tmp_path / "rung.db"))


def test_places():
    assert tables.shown(tables.place_of("/srv/a.sqlite")) == "/srv/a.service.db"
    assert tables.shown(tables.place_of("sqlite:////srv/a.db")) == "/srv/a.service.db"
    shown = tables.shown(tables.place_of("postgresql://ann:s3cret@db:5433/rung?files=/srv"))
    assert shown == "postgresql://ann:***@db:5433/rung"


def test_errors_are_sentences_without_passwords(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"):
        Accounts(str(tmp_path / "none" / "rung.db"))
    with pytest.raises(StorageError) as caught:
        Accounts("postgresql://ann:s3cret@127.0.0.1:9/rung")
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)
    Path(tmp_path / "bad.service.db").write_text("no database at all, but long enough to be looked at" * 30)
    with pytest.raises(StorageError, match="could not be read"):
        Accounts(str(tmp_path / "bad.db"))


def test_the_local_token_is_in_no_table(accounts):
    text = "rung_" + "x" * 43
    accounts.allow_local(text)
    principal = accounts.verify(text).principal
    assert (principal.user, principal.role, principal.lends) == (LOCAL, Role.ADMIN, True)
    assert accounts.tokens() == []
    assert accounts.users() == []


@pytest.mark.parametrize("first", ["accounts", "studies"])
def test_studies_and_accounts_share_a_database(postgres_url, first):
    new = NewStudy(name="a", space=SPACE, trials=3)
    storage = open_storage(postgres_url)
    if first == "studies":
        Hub(storage, MemoryRegister()).create(NewStudy(name="older", space=SPACE), "ann")
    accounts = Accounts(postgres_url)
    hub = Hub(storage, accounts)
    assert hub.create(new, "ann").name == "a"
    hub.close()
    again = Hub(storage, accounts)
    again.start()
    assert [study.name for study in again.active] == ["a"]
    assert again.full("ann", "another", 1)
    assert not again.full("ann", "another", 2)
    again.close()
    accounts.close()
    storage.close()


@pytest.mark.parametrize("first", ["accounts", "studies"])
def test_accounts_lie_in_the_schema_of_their_studies(postgres_server, postgres_schema_url, first):
    url = postgres_schema_url
    storage = open_storage(url)
    if first == "studies":
        Hub(storage, MemoryRegister()).create(NewStudy(name="older", space=SPACE), "ann")
    one, other = Accounts(url), Accounts(f"{url}_other")
    one.add_user("ann", Role.MEMBER)
    assert [user.name for user in one.users()] == ["ann"]
    assert other.users() == []
    hub = Hub(storage, one)
    assert hub.create(NewStudy(name="a", space=SPACE, trials=3), "ann").name == "a"
    hub.close()
    for each in (one, other, storage):
        each.close()
    public = "SELECT 1 FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'service%'"
    assert postgres_server.run(public) == []


@pytest.mark.parametrize("where", ["DATABASE {}", "SCHEMA lab"])
def test_a_service_needs_no_more_rights_than_its_studies(postgres_server, postgres_url, where):
    database = postgres_url.rpartition("/")[2]
    user = f"{database}_user"
    for statement in (
        f"CREATE ROLE {user} LOGIN",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "CREATE SCHEMA lab",
        f"GRANT USAGE ON SCHEMA lab TO {user}",
        f"GRANT CREATE ON {where.format(database)} TO {user}",
    ):
        postgres_server.run(statement, database)
    schema = "lab" if where == "SCHEMA lab" else "rung"
    url = f"{postgres_server.url(database, user)}?schema={schema}"
    accounts, storage = Accounts(url), open_storage(url)
    accounts.add_user("ann", Role.MEMBER)
    hub = Hub(storage, accounts)
    assert hub.create(NewStudy(name="a", space=SPACE, trials=3), "ann").name == "a"
    for each in (hub, accounts, storage):
        each.close()
