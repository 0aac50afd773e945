"""The tables of a storage, and the checks that make a file ours.

`VERSION` is the newest migration in `migrations/versions`; a fresh file is made from the tables here and
stamped with it, which a test holds equal to running all migrations. Alembic (0.9 s to import) is needed for
an upgrade only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
)

from rung.errors import StorageError
from rung.storage.sqlite_opening import APPLICATION as APPLICATION
from rung.storage.versions import VERSIONS as VERSIONS
from rung.trials import events as ev

VERSION: Final = VERSIONS[-1]
MIGRATIONS: Final = Path(__file__).parent / "migrations"

KINDS: Final[dict[type[ev.Event], int]] = {  # for queries; numbers are for ever, new kinds go to the end
    ev.StudyCreated: 1,
    ev.LimitsChanged: 2,
    ev.SessionStarted: 3,
    ev.SessionEnded: 4,
    ev.JobStarted: 5,
    ev.Reported: 6,
    ev.CheckpointSaved: 7,
    ev.CheckpointDeleted: 8,
    ev.JobFinished: 9,
    ev.JobFailed: 10,
    ev.JobStopped: 11,
    ev.TrialStopped: 12,
    ev.StopDecided: 13,
    ev.Requested: 14,
    ev.Recorded: 15,
    ev.Told: 16,
    ev.SpaceChanged: 17,
    ev.CheckpointFailed: 18,
    ev.CheckpointDamaged: 19,
}

metadata = MetaData()

alembic_version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("name", String(200), nullable=False, unique=True),
    # the summary, in the order of its fields
    Column("door", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("trials", BigInteger, nullable=False),
    Column("finished", BigInteger, nullable=False),
    Column("metric", String, nullable=False),
    Column("best", Float),
    Column("spent", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("events", BigInteger, nullable=False),
    # the lease: `token` grows with every holder; without a host nobody holds it
    Column("token", BigInteger, nullable=False),
    Column("host", String),
    Column("space", String),
    Column("pid", BigInteger),
    Column("started", String),
    Column("since", Float),
    Column("expires", Float),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("trial", BigInteger),
    Column("body", LargeBinary, nullable=False),  # see rung.trials.codec
    sqlite_with_rowid=False,
)

requests = Table(
    "requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("request", String, nullable=False),
    Column("data", LargeBinary, nullable=False),  # see rung.storage.requests
    Column("time", Float, nullable=False),
    Column("seq", BigInteger),  # of the event that folded it; empty while it is open
    Index("requests_of_study", "study_id", "id"),
    sqlite_autoincrement=True,
)


def is_empty(connection: Connection) -> bool:
    """Whether the file has no tables at all, and so may become ours."""
    return connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0


def create(connection: Connection) -> None:
    """Make all tables in an empty database, inside the caller's transaction."""
    metadata.create_all(connection)
    connection.execute(alembic_version.insert().values(version_num=VERSION))
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")


def version_of(connection: Connection, place: str) -> str:
    """The version of the tables in a file.

    Raises:
        StorageError: they are another program's, or of a newer rung.
    """
    if connection.exec_driver_sql("PRAGMA application_id").scalar() != APPLICATION:
        raise StorageError(f"{place} is another program's database: choose another file")
    version = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())
    if version not in VERSIONS:
        raise StorageError(
            f"{place} was made by a newer rung (schema {version}): upgrade rung, or use another file"
        )
    return version


def upgrade(connection: Connection) -> None:
    """Bring the tables up to `VERSION` with Alembic, inside the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
