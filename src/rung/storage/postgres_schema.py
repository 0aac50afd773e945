"""Our tables in a namespace of a PostgreSQL database: looking for them, making and upgrading them.

A namespace of our own (`rung`) keeps other programs' tables, their Alembic's version too, apart from ours.
Unlike a file, a database is shared by machines whose rung may be older: only `rung storage upgrade` changes
its tables.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, text

from rung.errors import StorageError
from rung.storage import schema
from rung.storage.postgres_url import Place

_LOOK: Final = text(
    "SELECT count(*) FILTER (WHERE left(relname, 8) <> 'service_'),"
    " count(*) FILTER (WHERE relname = 'studies'),"
    " count(*) FILTER (WHERE relname = 'alembic_version')"
    " FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname = :name AND relkind = 'r'"
)
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtext('rung storage'), hashtext(:name))")


class Found(NamedTuple):
    """What a namespace holds: nothing, our tables of a version, or something else.

    A service's tables, which lie beside (`rung.service.tables`), count as nothing: they may come first.
    """

    empty: bool
    version: str | None


def look(connection: Connection, name: str) -> Found:
    """What the namespace holds."""
    tables, studies, versions = connection.execute(_LOOK, {"name": name}).one()
    if not studies or not versions:
        return Found(tables == 0, None)
    version = connection.execute(schema.alembic_version.select()).scalar()
    return Found(False, str(version))


def is_current(found: Found, place: Place) -> bool:
    """Whether the tables are there and of this version.

    Raises:
        StorageError: they are another program's, or of another version.
    """
    where = f"schema {place.schema!r} of {place.shown}"
    if found.empty:
        return False
    if found.version is None:
        raise StorageError(
            f"{where} has another program's tables: name another schema, as in ?schema=rung_studies"
        )
    if found.version not in schema.VERSIONS:
        raise StorageError(f"{where} was made by a newer rung (version {found.version}): upgrade rung")
    if found.version != schema.VERSION:
        raise StorageError(
            f"{where} has tables of version {found.version}, and this rung needs {schema.VERSION}: run "
            f"`rung storage upgrade` once, when nothing older uses them any more"
        )
    return True


def make_namespace(connection: Connection, name: str) -> None:
    """Make the namespace if there is none; who made or looked for it is alone until its transaction ends."""
    connection.execute(_LOCK, {"name": name})
    exists = connection.execute(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": name})
    if exists.first() is None:
        connection.exec_driver_sql(f'CREATE SCHEMA "{name}"')


def make(connection: Connection, place: Place) -> None:
    """Make the namespace and its tables, inside the caller's transaction; of several that try, one does."""
    make_namespace(connection, place.schema)
    if not is_current(look(connection, place.schema), place):
        schema.create(connection)


def upgrade(connection: Connection, place: Place) -> tuple[str, str]:
    """Bring the tables up to date, inside the caller's transaction; returns the versions before and after.

    Raises:
        StorageError: there are none, they are another program's, or of a newer rung.
    """
    connection.execute(_LOCK, {"name": place.schema})
    found = look(connection, place.schema)
    if found.empty:
        raise StorageError(f"{place.shown} has no studies yet: there is nothing to upgrade")
    if found.version is None or found.version not in schema.VERSIONS:
        is_current(found, place)
    before = str(found.version)
    if before != schema.VERSION:
        schema.upgrade(connection)
    return before, schema.VERSION
