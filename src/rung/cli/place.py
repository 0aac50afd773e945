"""Where the studies are that a command is about: in a storage of this machine, or in a service."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

import typer

from rung.errors import UserError

if TYPE_CHECKING:
    from rung.service.client import Client
    from rung.service.remote_storage import RemoteStorage
    from rung.storage.base import Reader

PATIENCE: Final = 30.0  # seconds for which a command waits for a service that does not answer


class Service(NamedTuple):
    """A service, as it was named.

    Attributes:
        typed: on the command line, and not in `RUNG_SERVICE`.
    """

    url: str
    token_file: str | None
    typed: bool


service: ContextVar[Service | None] = ContextVar("service", default=None)
"""What `--service` or `RUNG_SERVICE` names."""

_LOOK: Final = ("audit", "export", "importance", "list", "logs", "plot", "report", "show")
_CHANGE: Final = (
    "delete",
    "enqueue",
    "extend",
    "fix",
    "note",
    "pause",
    "rename",
    "resume",
    "stop",
    "tell",
    "tune",
)
_OVER_THE_API: Final = frozenset(_LOOK + _CHANGE)


def choose(context: typer.Context, url: str | None, token_file: str | None) -> None:
    """Take in the options of `rung` itself.

    Raises:
        UserError: the address is none.
    """
    if url is None:
        service.set(None)
        return
    from rung.service.http import service_urls

    typed = _typed(context, "service")
    service.set(Service(",".join(service_urls(url)), token_file, typed))


def placed(context: typer.Context, storage: str) -> str:
    """Where a command's studies are: the service's address, if one is named, in place of `--storage`.

    What is typed goes before what the environment has.

    Raises:
        UserError: both were typed, or the command works on this machine only.
    """
    named = service.get()
    if named is None:
        return storage
    typed = _typed(context, "storage")
    command = context.info_name or ""
    over = command in _OVER_THE_API and context.parent is not None and context.parent.parent is None
    if named.typed and typed:
        raise UserError("the studies are either in a service or in a storage: give --service or --storage")
    if named.typed and not over:
        raise UserError(
            f"{context.command_path} works on this machine and its storage, not on a service's studies: "
            "leave --service out"
        )
    return named.url if over and not typed else storage


def _typed(context: typer.Context, option: str) -> bool:
    """Whether an option was given on the command line, not by the environment or its default."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def is_service(url: str) -> bool:
    """Whether a place is a service."""
    return url.startswith(("http://", "https://"))


def remote(url: str) -> RemoteStorage:
    """The studies of a service, to read.

    Raises:
        UserError: the address is none, or the token's file cannot be read.
    """
    from rung.service.http import Api, find_token
    from rung.service.remote_storage import RemoteStorage

    named = service.get()
    return RemoteStorage(Api(url, find_token(url, None, named.token_file if named else None), PATIENCE))


def client_of(storage: Reader) -> Client | None:
    """The client of the service whose storage this is; None if it is one of this machine."""
    found: Client | None = getattr(storage, "client", None)
    return found
