"""The token of a service on loopback, in a file that only its user can read.

`rung` on the same machine finds it there by itself. Whoever runs the service could read its storage anyway,
so the token lets in as an admin. It stays the same when the service starts again.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from urllib.parse import urlsplit

from rung.deploy.listening import is_loopback
from rung.errors import UserError


def folder() -> Path:
    """Where tokens lie: `rung/service` in `$XDG_CONFIG_HOME`, or in `~/.config`."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(given) if given else Path.home() / ".config") / "rung" / "service"


def new_token() -> str:
    """The text of a token that nobody has: 256 random bits."""
    return f"rung_{secrets.token_urlsafe(32)}"


def path_of(port: int) -> Path:
    """The file of the service on this port."""
    return folder() / f"{port}.token"


def keep(port: int) -> str:
    """The token of the service on this port of this machine, made if there is none yet.

    Raises:
        UserError: it cannot be kept, or others could read it.
    """
    path = path_of(port)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.path.lexists(path):
            write_secret(path, new_token())
        return _read(path)
    except OSError as error:
        raise UserError(f"the service's token cannot be kept in {path}: {error.strerror}") from error


def find(url: str) -> str | None:
    """The token of the service at this URL, if it runs on this machine's loopback and is this user's.

    Raises:
        UserError: others could read it.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:  # no number
        return None
    if not is_loopback(parts.hostname or ""):
        return None
    try:
        return _read(path_of(port))
    except OSError:
        return None


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in the place of what was there.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _read(path: Path) -> str:
    """The text of a file that nobody else could write or read."""
    with path.open() as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise UserError(f"others can read or write {path}: delete it, and start the service again")
        return file.read().strip()
