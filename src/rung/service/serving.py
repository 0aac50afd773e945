"""Running the service's application: where it listens, TLS, slow clients, and how it ends.

At SIGTERM or SIGINT it takes no more connections, tells those who wait that it ends, answers what is under
way, lets go of the studies, and is gone in seconds. At SIGHUP it reads its certificate again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
from fastapi import FastAPI

from rung.deploy.listening import is_loopback
from rung.deploy.listening import listen as deploy_listen
from rung.errors import UserError

GRACE: Final = 5.0  # seconds that requests under way get at the end
_HEAD: Final = 10.0  # seconds in which a request's head must be there
_UNREAD: Final = 30  # seconds that a client may leave what is sent to it unread
_CONNECTIONS: Final = 10_000
_SWITCH: Final = 0.0005  # seconds
_FILES: Final = 65_536
_log = logging.getLogger("rung.service")


class Settings(msgspec.Struct, frozen=True):
    """Where and how it listens.

    Attributes:
        port: 0 takes a free one.
        cert, key: files in PEM form; both or none. The certificate's own comes first in its file.
        grace: seconds that requests under way get at the end.
        head: seconds in which a request's head must be there.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    cert: Path | None = None
    key: Path | None = None
    grace: float = GRACE
    head: float = _HEAD

    @property
    def scheme(self) -> str:
        return "http" if self.cert is None else "https"


def check_place(settings: Settings, has_users: bool) -> str | None:
    """Refuse to be reached from elsewhere while there is nobody to let in; a warning, if there is one.

    Raises:
        UserError: says what to do.
    """
    if (settings.cert is None) != (settings.key is None):
        raise UserError("TLS takes both --tls-cert and --tls-key")
    if is_loopback(settings.host):
        return None
    if not has_users:
        raise UserError(
            f"{settings.host} can be reached from other machines, and there is no user yet: make the first "
            "with `rung service token create --user NAME --role admin`, or listen on 127.0.0.1"
        )
    if settings.cert is None:
        return "without TLS everybody on the way reads the tokens: give --tls-cert and --tls-key"
    return None


def own_names(host: str, more: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """The names (`Host`) under which a service answers that listens there; None: any.

    On loopback only this machine's own, so that no web page reaches it through a name of its own.
    """
    if is_loopback(host):
        return tuple(dict.fromkeys(("127.0.0.1", "localhost", "::1", host, *more)))
    return more or None


def listen(settings: Settings) -> socket.socket:
    """A socket that listens there.

    Raises:
        UserError: the address is not this machine's, or is taken.
    """
    return deploy_listen(settings.host, settings.port, waiting=1024, unread=_UNREAD)


def tls(cert: Path, key: Path) -> ssl.SSLContext:
    """What a server needs to speak TLS 1.2 or newer with this certificate.

    Raises:
        UserError: a file cannot be read, is no PEM, is encrypted, or the key is another certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, cert, key)
    return context


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    for path in (cert, key):
        try:
            path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): give a file in PEM form") from error

    def encrypted() -> str:
        raise UserError(
            f"the key {key} is encrypted: give one without a password, which only the service reads"
        )

    try:
        context.load_cert_chain(cert, key, encrypted)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UserError(f"the key {key} does not belong to the certificate {cert}") from error
        raise UserError(f"{cert} and {key} are no certificate and key in PEM form") from error


def serve(app: FastAPI, settings: Settings, place: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, on a socket that listens.

    Raises:
        UserError: the certificate cannot be used.
    """
    context = None
    if settings.cert is not None and settings.key is not None:
        context = tls(settings.cert, settings.key)
    _allow_files()
    # a thread that has made a commit durable waits no longer for the one that answers
    sys.setswitchinterval(_SWITCH)
    # uvicorn stops at a signal, then raises it once more for whoever had it before: the end is a good one.
    signal.signal(signal.SIGTERM, lambda *_: None)
    Server(app, settings, context).run(sockets=[place])


def _allow_files() -> None:
    """A connection is an open file: let there be as many as the system allows."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Server(uvicorn.Server):
    """Uvicorn's, which tells the application when it ends, and keeps slow clients from staying."""

    def __init__(self, app: FastAPI, settings: Settings, context: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(settings.grace)),
        )
        config.load()
        config.http_protocol_class = timely(config.http_protocol_class, settings.head)
        config.ssl = context
        super().__init__(config)
        self._app = app
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.config.ssl is not None and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.renew)

    def renew(self) -> None:
        """Take up a certificate that was renewed; connections that are open keep the old one."""
        assert self.config.ssl is not None
        assert self._settings.cert is not None
        assert self._settings.key is not None
        try:
            tls(self._settings.cert, self._settings.key)  # apart: one that fails may leave half of it behind
            _load(self.config.ssl, self._settings.cert, self._settings.key)
        except UserError as error:
            _log.error("the certificate was not renewed: %s", error)
        else:
            _log.info("the certificate was read again")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        began = time.monotonic()
        state = self._app.state
        state.draining = True
        for told in getattr(state, "at_end", ()):
            told()
        await super().shutdown(sockets)
        _log.info("ended after %.1f s", time.monotonic() - began)


class _HeadWatch:
    """Ends a connection of which a request's head is begun and does not come in time."""

    def __init__(self, connection: Any, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._now = connection.loop.time
        self._since: float | None = self._now()  # when the head that is waited for began
        self._timer = connection.loop.call_later(seconds, self._look)

    def _answering(self) -> bool:
        cycle = self._connection.cycle
        return cycle is not None and not cycle.response_complete

    def data(self) -> None:
        """Something came."""
        if self._answering():
            self._since = None
        elif self._since is None:
            self._since = self._now()

    def end(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._answering():
            self._since = None
        if self._since is not None and self._now() - self._since >= self._seconds:
            self._connection.transport.abort()
        else:
            self._timer = self._connection.loop.call_later(self._seconds / 2, self._look)


def timely(protocol: Any, seconds: float) -> Any:
    """Uvicorn's protocol class, whose connections end when a request's head does not come in time."""

    class Timely(protocol):  # type: ignore[misc]  # h11's or httptools', whichever is installed
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.watch = _HeadWatch(self, seconds)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.watch.data()

        def connection_lost(self, exc: Exception | None) -> None:
            self.watch.end()
            super().connection_lost(exc)

    return Timely
