"""Users, tokens, the audit log, and whose a study is; kept in SQL, see `rung.service.tables`.

A token is 256 random bits, shown once and kept as its SHA-256: whoever reads the tables cannot use it, and
with that many bits a slow hash would add nothing. What was found out about a token is remembered for
`REMEMBER` seconds, so that it costs nothing to verify; a change that another process makes takes effect
within that time, one of this process at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy import delete as delete_from

from rung.errors import ConflictError, MissingError, UserError
from rung.service import tables
from rung.service.access import Principal, Role, Scope, Seen
from rung.service.local_token import new_token
from rung.service.tables import tokens, users
from rung.service.token_index import TokenIndex
from rung.service.token_memory import TokenMemory

REMEMBER: Final = 3.0  # seconds
LOCAL: Final = "local"  # the user that the token of a service on loopback is; nobody else may have the name
_USED_EVERY: Final = 60.0  # seconds between two notes that a token was used
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_LONGEST: Final = {"user": 100, "token": 20, "action": 100, "object": 300, "outcome": 40, "address": 100}
_UNKNOWN: Final = Seen(None, "this token is not known: ask an admin for another")


class User(msgspec.Struct, frozen=True):
    """A user; times are seconds since the epoch."""

    name: str
    role: Role
    created: float
    disabled: float | None = None


class Token(msgspec.Struct, frozen=True):
    """What is known of a token, but never its text; `shown` is how that begins."""

    id: str
    user: str
    shown: str
    note: str
    scopes: tuple[Scope, ...]
    created: float
    expires: float | None = None
    used: float | None = None
    revoked: float | None = None


class Entry(msgspec.Struct, frozen=True):
    """A line of the audit log: who did what to what, from where, and what came of it."""

    time: float
    user: str
    token: str
    action: str
    object: str
    outcome: str
    address: str = ""
    id: int = 0


class Accounts:
    """The users of a service. May be used from several threads and processes.

    Args:
        storage: URL of the studies' storage, or "memory".
        clock: seconds since the epoch.

    Raises:
        StorageError: the tables cannot be opened, or are of a newer version.
    """

    def __init__(self, storage: str, clock: Callable[[], float] = time.time) -> None:
        self._place = tables.place_of(storage)
        self._engine = tables.open_engine(storage)
        self._clock = clock
        self._memory = TokenMemory()
        self._made = TokenIndex(self.reading)
        self._local: str | None = None
        # a database in memory has one connection only, which its users take in turn
        self._turn: AbstractContextManager[Any] = threading.RLock() if storage == "memory" else nullcontext()

    def close(self) -> None:
        self._engine.dispose()

    def check(self) -> None:
        """See that the tables can be read.

        Raises:
            StorageError: they cannot.
        """
        with self.reading() as connection:
            connection.execute(select(tables.version)).all()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to the service's tables that reads."""
        with self._turn, tables.explained(self._place), self._engine.connect() as connection:
            yield connection.execution_options(reads=True)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block."""
        with self._turn, tables.explained(self._place), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _changing(self, by: Entry | None, made: str | None = None) -> Iterator[Connection]:
        """A transaction that changes who may do what, with its line of the audit log.

        What was found out about tokens is forgotten. `made` is what was made, if `by` could not know it.
        """
        with self.writing() as connection:
            yield connection
            if by is not None:
                connection.execute(_line(by if made is None else msgspec.structs.replace(by, object=made)))
        self._memory.clear()

    # -- users ----------------------------------------------------------------------------------------

    def users(self) -> list[User]:
        """All, those that were removed too, by name."""
        with self.reading() as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.name))]

    def has_users(self) -> bool:
        """Whether anybody but this machine's own user may come in."""
        return any(user.disabled is None for user in self.users())

    def add_user(self, name: str, role: Role, by: Entry | None = None) -> User:
        """A new user; one that was removed comes back, and owns again what was theirs.

        Raises:
            UserError: nobody may have this name.
            ConflictError: somebody has it.
        """
        if not _NAME.fullmatch(name) or name == LOCAL:
            raise UserError(
                f"{name!r} cannot name a user: give up to 100 letters, digits and . _ @ -, but not {LOCAL!r}"
            )
        with self._changing(by) as connection:
            row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
            if row is not None and row.disabled is None:
                raise ConflictError(f"there is a user {name!r} already: choose another name")
            now = self._clock() if row is None else row.created
            if row is None:
                connection.execute(insert(users).values(name=name, role=role, created=now))
            else:
                changed = update(users).where(users.c.name == name)
                connection.execute(changed.values(role=role, disabled=None))
        return User(name, role, now)

    def set_role(self, name: str, role: Role, by: Entry | None = None) -> User:
        """Change what a user may do.

        Raises:
            MissingError: there is no such user.
            ConflictError: it is the last admin.
        """
        with self._changing(by) as connection:
            found = _active(connection, name)
            if role is not Role.ADMIN:
                _keep_an_admin(connection, found)
            connection.execute(update(users).where(users.c.name == name).values(role=role))
        return User(name, role, found.created)

    def remove_user(self, name: str, by: Entry | None = None) -> None:
        """Let a user in no more: their tokens are revoked; their studies stay, and are for admins to change.

        Raises:
            MissingError: there is no such user.
            ConflictError: it is the last admin.
        """
        now = self._clock()
        with self._changing(by) as connection:
            _keep_an_admin(connection, _active(connection, name))
            connection.execute(update(users).where(users.c.name == name).values(disabled=now))
            theirs = update(tokens).where(tokens.c.user == name, tokens.c.revoked.is_(None))
            connection.execute(theirs.values(revoked=now))

    # -- tokens ---------------------------------------------------------------------------------------

    def tokens(self, user: str | None = None) -> list[Token]:
        """All tokens, or one user's, newest first; those that count no more too."""
        query = select(tokens).order_by(tokens.c.created.desc(), tokens.c.id)
        if user is not None:
            query = query.where(tokens.c.user == user)
        with self.reading() as connection:
            return [_token(row) for row in connection.execute(query)]

    def create_token(
        self,
        user: str,
        scopes: Sequence[Scope] = (),
        *,
        expires: float | None = None,
        note: str = "",
        by: Entry | None = None,
    ) -> tuple[Token, str]:
        """A new token of a user, and its text, which is not kept.

        Args:
            expires: seconds since the epoch; None: never.

        Raises:
            MissingError: there is no such user.
            UserError: a scope is beyond the user's role.
        """
        text = new_token()
        now = self._clock()
        made = Token(
            secrets.token_hex(4), user, text[:10], note[:200], tuple(dict.fromkeys(scopes)), now, expires
        )
        row = msgspec.structs.asdict(made) | {"scopes": " ".join(made.scopes), "digest": _digest(text)}
        with self._changing(by, made.id) as connection:
            _check_scopes(_active(connection, user), made.scopes)
            connection.execute(insert(tokens).values(row))
        return made, text

    def revoke(self, number: str, user: str | None = None, by: Entry | None = None) -> None:
        """Let a token count no more; with `user`, only one of theirs.

        Raises:
            MissingError: there is no such token.
        """
        with self._changing(by) as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == number)).one_or_none()
            if row is None or user not in (None, row.user):
                raise MissingError(f"there is no token {number!r}")
            gone = update(tokens).where(tokens.c.id == number, tokens.c.revoked.is_(None))
            connection.execute(gone.values(revoked=self._clock()))

    def allow_local(self, text: str) -> None:
        """Let this token in as the user `LOCAL`, an admin; it is nowhere in the tables."""
        self._local = _digest(text)

    # -- verifying ------------------------------------------------------------------------------------

    def remembered(self, text: str) -> Seen | None:
        """Whose this token is, if it was found out less than `REMEMBER` seconds ago."""
        return self._memory.get(_digest(text), self._clock())

    def was_good(self, text: str) -> bool:
        """Whether this token was somebody's when it was last verified here: no guess of a stranger's."""
        return self._memory.was_good(_digest(text))

    def is_token(self, text: str) -> bool:
        """Whether this is a token at all, be it one that counts no more; never so for a guess.

        Raises:
            StorageError: the tables cannot be read.
        """
        digest = _digest(text)
        return digest == self._local or self._made.has(digest, self._clock())

    def verify(self, text: str) -> Seen:
        """Whose this token is, or why it counts for nobody.

        Raises:
            StorageError: the tables cannot be read.
        """
        digest, now = _digest(text), self._clock()
        seen = self._look_up(digest, now)
        expires = None if seen.principal is None else seen.principal.expires
        self._memory.put(digest, seen, now + REMEMBER if expires is None else min(now + REMEMBER, expires))
        return seen

    def _look_up(self, digest: str, now: float) -> Seen:
        if self._local is not None and hmac.compare_digest(digest, self._local):
            return Seen(Principal(LOCAL, Role.ADMIN, LOCAL))
        query = select(tokens, users.c.role, users.c.disabled).join_from(tokens, users)
        with self.reading() as connection:
            row = connection.execute(query.where(tokens.c.digest == digest)).one_or_none()
        if row is None or not hmac.compare_digest(digest, row.digest):
            return _UNKNOWN
        if row.revoked is not None or row.disabled is not None:
            return Seen(None, f"the token {row.id} was revoked: ask an admin for another")
        if row.expires is not None and row.expires <= now:
            return Seen(None, f"the token {row.id} has expired: ask for another")
        if row.used is None or row.used < now - _USED_EVERY:
            self._note_use(row.id, now)
        return Seen(Principal(row.user, Role(row.role), row.id, _scopes(row.scopes), row.expires))

    def _note_use(self, number: str, now: float) -> None:
        with self.writing() as connection:
            connection.execute(update(tokens).where(tokens.c.id == number).values(used=now))

    # -- the audit log --------------------------------------------------------------------------------

    def record(self, entry: Entry) -> None:
        """Add a line to the audit log."""
        with self.writing() as connection:
            connection.execute(_line(entry))

    def audit(self, limit: int = 100, before: int | None = None, user: str | None = None) -> list[Entry]:
        """The newest lines, or those before the one of number `before`; of one user only."""
        with self.reading() as connection:
            rows = connection.execute(_lines(limit, before, user)).mappings().all()
        return [Entry(**{name: row[name] for name in Entry.__struct_fields__}) for row in rows]

    # -- studies, see `rung.service.register.Register` ---------------------------------------------------

    def hosted(self) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
        """Owner and data of every study that the service looks after, by key."""
        with self.reading() as connection:
            rows = connection.execute(select(tables.hosted)).all()
        return {row.key: (row.owner, msgspec.json.decode(row.data)) for row in rows}

    def set_hosted(self, key: str, owner: str, data: Mapping[str, Any]) -> None:
        """Keep whose a study is, and what else is known of it."""
        table, values = tables.hosted, {"owner": owner, "data": msgspec.json.encode(data).decode()}
        with self.writing() as connection:
            changed = connection.execute(update(table).where(table.c.key == key).values(values))
            if changed.rowcount == 0:
                connection.execute(insert(table).values(key=key, **values))

    def forget(self, key: str) -> None:
        """Keep nothing of a study."""
        with self.writing() as connection:
            connection.execute(delete_from(tables.hosted).where(tables.hosted.c.key == key))


def _active(connection: Connection, name: str) -> User:
    """A user who was not removed."""
    row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
    if row is None or row.disabled is not None:
        raise MissingError(f"there is no user {name!r}")
    return _user(row)


def _check_scopes(user: User, scopes: Sequence[Scope]) -> None:
    """Refuse a token that is for what its user may not do."""
    for scope in scopes:
        if user.role.rank < scope.least.rank:
            raise UserError(
                f"a token of {user.name}, who is a {user.role}, cannot be for {scope}: that takes the role "
                f"{scope.least}"
            )


def _keep_an_admin(connection: Connection, user: User) -> None:
    """Refuse that this user is an admin no more, if there is no other."""
    if user.role is Role.ADMIN:
        admins = select(users.c.name).where(users.c.role == Role.ADMIN, users.c.disabled.is_(None))
        if len(connection.execute(admins).all()) == 1:
            raise ConflictError(f"{user.name} is the last admin: make another one first")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _user(row: Row[Any]) -> User:
    return User(row.name, Role(row.role), row.created, row.disabled)


def _token(row: Row[Any]) -> Token:
    times = (row.created, row.expires, row.used, row.revoked)
    return Token(row.id, row.user, row.shown, row.note, _scopes(row.scopes), *times)


def _scopes(text: str) -> tuple[Scope, ...]:
    return tuple(Scope(each) for each in text.split())


def _lines(limit: int, before: int | None, user: str | None) -> Any:
    """The query for lines of the audit log, newest first."""
    log = tables.audit
    query = select(log).order_by(log.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(log.c.id < before)
    return query if user is None else query.where(log.c.user == user)


def _line(entry: Entry) -> Any:
    """The statement that adds a line, its texts cut to what the columns hold."""
    row = msgspec.structs.asdict(entry)
    del row["id"]
    for name in _LONGEST:
        row[name] = row[name][: _LONGEST[name]]
    return insert(tables.audit).values(row)
