"""The tests' own PostgreSQL server.

Fixtures `postgres_server` and `postgres_url`: one server a pytest process, made when the first test asks for
it; tests are skipped where there can be none.
"""

import getpass
import os

import pytest
from benchmarks.postgres_server import GUARDED, Server, binaries, free_port, numbers

__all__ = ["GUARDED", "Server", "binaries", "free_port"]


def need_server():
    """Skip the test where no server can be had."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed (initdb not found)")
    if os.geteuid() == 0 and "postgres" not in _accounts():
        pytest.skip(f"PostgreSQL does not run as {getpass.getuser()}, and there is no account postgres")


def _accounts():
    import pwd

    return {entry.pw_name for entry in pwd.getpwall()}


@pytest.fixture(scope="session")
def postgres_server():
    """A server for tests that do not kill it."""
    need_server()
    server = Server()
    yield server
    server.remove()


@pytest.fixture
def postgres_schema_url(postgres_server, tmp_path, monkeypatch):
    """The URL of an empty namespace in a database that others use too: quicker than one of its own."""
    monkeypatch.setenv("RUNG_FILES", str(tmp_path / "files"))
    return f"{postgres_server.url()}?schema=s_{next(numbers)}"


@pytest.fixture
def postgres_url(postgres_server, tmp_path, monkeypatch):
    """The URL of an empty database; its studies' files lie in `tmp_path / "files"`."""
    monkeypatch.setenv("RUNG_FILES", str(tmp_path / "files"))
    name = postgres_server.database()
    yield postgres_server.url(name)
    postgres_server.drop(name)
