"""PostgreSQL's errors: which of them pass by themselves, and the sentence for each of the others."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import psycopg
from sqlalchemy.exc import DBAPIError

from rung.errors import StorageError

# the connection is gone, or refused for now: class 08, and what a server says that stops or starts
_LOST: Final = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
_AGAIN: Final = ("40001", "40P01", "53300", "55P03")  # the server asks to try once more
_PASSING: Final = re.compile(  # libpq tells no code where it never got a connection
    r"refused|starting up|shutting down|recovery mode|too many clients|connection slots|timeout expired"
    r"|timed out|No such file or directory|closed the connection|reset by peer|not yet accepting|unreachable",
    re.IGNORECASE,
)
_FINAL: Final = {  # what libpq says, and the sentence for it
    r"password authentication failed": "{server} refuses the password of user {user}: check it in the URL, "
    "in PGPASSWORD or in ~/.pgpass",
    r"no password supplied": "{server} wants a password of user {user}: give it in the URL, in PGPASSWORD or "
    "in ~/.pgpass",
    r"role \"?.*\"? does not exist": "{server} knows no user {user}: make one with `createuser`, or name "
    "another",
    r"database \"?.*\"? does not exist": "{server} has no database {database!r}: make it with `createdb`, or "
    "name another",
    r"no pg_hba.conf entry": "{server} lets user {user} in from nowhere here: its pg_hba.conf must name this "
    "machine ({text})",
    r"translate host name|resolve host": "{server} cannot be found: check the host's name",
    r"certificate|SSL": "{server} could not be talked to by TLS ({text}): check sslmode and its files",
}
_CODES: Final = {
    "53100": "the disk of {server} is full; nothing was lost: free space there and {resume}",
    "53200": "{server} is out of memory ({text}): give it more, then {resume}",
    "42501": "user {user} may not do this on {server} ({text}): have its owner grant it",
    "25006": "{server} only reads, as a standby does: name the primary, then {resume}",
    "3F000": "{server} has no such schema ({text})",
    "57014": "{server} cancelled what took too long ({text}): {resume}",
}


class Around(NamedTuple):
    """What a sentence names."""

    server: str
    user: str
    database: str
    resume: str


def cause_of(error: BaseException) -> BaseException:
    """The driver's own error."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone or was refused for a reason that passes."""
    cause = cause_of(error)
    if not isinstance(cause, psycopg.Error):
        return False
    if cause.sqlstate is not None:
        return cause.sqlstate.startswith(_LOST)
    if any(re.search(pattern, str(cause)) for pattern in _FINAL):
        return False
    broken = isinstance(error, DBAPIError) and error.connection_invalidated
    return broken or (isinstance(cause, psycopg.OperationalError) and bool(_PASSING.search(str(cause))))


def passes(error: BaseException) -> bool:
    """Whether trying again can help."""
    code = getattr(cause_of(error), "sqlstate", None)
    return is_lost(error) or (code is not None and code in _AGAIN)


def explain(error: BaseException, around: Around) -> StorageError:
    """One sentence about an error."""
    cause = cause_of(error)
    text = " ".join(str(cause).split("\n")[0].split())[:200]
    code = getattr(cause, "sqlstate", None)
    values = {**around._asdict(), "text": text}
    if code in _CODES:
        return StorageError(_CODES[code].format(**values))
    if code is None:
        for pattern, sentence in _FINAL.items():
            if re.search(pattern, str(cause)):
                return StorageError(sentence.format(**values))
    if is_lost(error):
        return StorageError(
            f"{around.server} cannot be reached ({text}): see that it runs and lets this machine in, "
            f"then {around.resume}"
        )
    return StorageError(f"{around.server} could not do what it was asked ({text or type(cause).__name__})")
