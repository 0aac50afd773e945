"""The service's own tables: users, tokens, the audit log, whose a study is, and what became of its share.

They lie beside the studies' in PostgreSQL, in the same schema, their names beginning with `service_`, or in
`NAME.service.db` beside a SQLite file. A row says their version; `_STEPS` bring older ones up to date, all in
one transaction.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from rung.errors import StorageError
from rung.storage.postgres_schema import make_namespace
from rung.storage.postgres_url import parse

if TYPE_CHECKING:
    import sqlite3

    import psycopg

_BUSY: Final = 30.0  # seconds to wait for another process's write

metadata = MetaData()

version = Table("service_version", metadata, Column("version", Integer, nullable=False))

users = Table(
    "service_users",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("created", Float, nullable=False),  # times are seconds since the epoch
    Column("disabled", Float),
)

tokens = Table(
    "service_tokens",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("user", String(100), ForeignKey("service_users.name"), nullable=False, index=True),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the token's text, hexadecimal
    Column("shown", String(20), nullable=False),  # how the token begins, for people to know it by
    Column("note", String(200), nullable=False),
    Column("scopes", String(200), nullable=False),  # separated by blanks; empty: not narrowed
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("used", Float),  # last, to the minute
    Column("revoked", Float),
)

audit = Table(
    "service_audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("user", String(100), nullable=False),
    Column("token", String(20), nullable=False),
    Column("action", String(100), nullable=False),
    Column("object", String(300), nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("address", String(100), nullable=False),
    Index("service_audit_of_user", "user", "id"),
    sqlite_autoincrement=True,
)

hosted = Table(
    "service_hosted",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("owner", String(100), nullable=False, index=True),
    Column("data", Text, nullable=False),  # JSON
)

shares = Table(
    "service_shares",
    metadata,
    Column("key", String(32), primary_key=True),  # a study's
    Column("got", Float, nullable=False),  # slot-seconds
    Column("due", Float, nullable=False),
    Column("owed", Float, nullable=False),
)


def _first(connection: Connection) -> None:
    metadata.create_all(connection, [users, tokens, audit, hosted])


def _second(connection: Connection) -> None:
    metadata.create_all(connection, [shares])


# step n makes version n of version n - 1
_STEPS: Final[tuple[Callable[[Connection], None], ...]] = (_first, _second)
VERSION: Final = len(_STEPS)


def place_of(storage: str) -> URL:
    """Where the service's tables of a storage lie.

    Raises:
        StorageError: it is no storage that a service can have.
    """
    if storage == "memory":
        return URL.create("sqlite")
    if _is_postgres(storage):
        return parse(storage).connect
    path = Path(storage.removeprefix("sqlite:///")).expanduser().absolute()
    return URL.create("sqlite", database=str(path.with_suffix(".service.db")))


def _is_postgres(storage: str) -> bool:
    return storage.startswith(("postgres:", "postgresql:", "postgresql+"))


def open_engine(storage: str) -> Engine:
    """An engine for the tables of this storage, which are there and up to date.

    Raises:
        StorageError: they cannot be opened, or are a newer version's.
    """
    place, schema = place_of(storage), parse(storage).schema if _is_postgres(storage) else None
    with explained(place):
        engine = _sqlite(place) if schema is None else _postgres(place, schema)
        try:
            with engine.begin() as connection:
                if schema is not None:
                    make_namespace(connection, schema)
                _upgrade(connection, place)
        except BaseException:
            engine.dispose()
            raise
    return engine


@contextmanager
def explained(place: URL) -> Iterator[None]:
    """Turn the database's errors into one sentence, without a password.

    Raises:
        StorageError: whatever the database raised inside the block.
    """
    try:
        yield
    except DBAPIError as error:
        why = (str(error.orig).splitlines() or ["no answer"])[0]
        raise StorageError(f"{shown(place)} could not be read or written: {why}") from error
    except SQLAlchemyError as error:  # such as no free connection in time
        raise StorageError(f"{shown(place)} could not be read or written: {type(error).__name__}") from error


def shown(place: URL) -> str:
    """The place as messages name it."""
    if place.get_backend_name() == "sqlite":
        return str(place.database or "memory")
    return place.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


def _sqlite(place: URL) -> Engine:
    settings: dict[str, Any] = {"connect_args": {"timeout": _BUSY, "check_same_thread": False}}
    if place.database is None:
        settings["poolclass"] = StaticPool  # one connection: the database ends with it
    else:
        _touch(Path(place.database))
    engine = create_engine(place, **settings)

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _touch(path: Path) -> None:
    """Make the file if there is none, for its owner alone: SQLite's other files get the same rights."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror}): choose another --storage"
        ) from error


def _postgres(place: URL, schema: str) -> Engine:
    try:
        from rung.storage.postgres_session import prepare
    except ImportError as error:
        raise StorageError("PostgreSQL needs psycopg: pip install 'rung[postgres]'") from error
    engine = create_engine(
        place, pool_pre_ping=True, pool_timeout=10, pool_size=5, connect_args={"connect_timeout": 10}
    )

    @event.listens_for(engine, "connect", insert=True)  # before SQLAlchemy looks what the namespace is
    def _connected(connection: psycopg.Connection[Any], _: object) -> None:
        prepare(connection, schema)

    return engine


def _upgrade(connection: Connection, place: URL) -> None:
    """Bring the tables up to `VERSION`, inside the caller's transaction."""
    there = inspect(connection).has_table(version.name)
    now = connection.execute(select(version.c.version)).scalar_one() if there else 0
    if now > VERSION:
        raise StorageError(f"{shown(place)} was made by a newer rung (version {now}): upgrade rung")
    if not there:
        version.create(connection)
        connection.execute(version.insert().values(version=0))
    for step in _STEPS[now:]:
        step(connection)
    if now < VERSION:
        connection.execute(version.update().values(version=VERSION))
