"""What stands before the service's routes: who it is, how much and how often, what is logged of it.

One plain ASGI middleware. It finds out the token's user, holds to the limits on body, rate and streams, gives
each request a number, adds the headers that browsers heed, and writes the access log, the metrics and the
audit log.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rung.errors import StorageError, UserError
from rung.service.access import Principal, principal_of, see, token_in
from rung.service.accounts import Accounts, Entry
from rung.service.logs import ACCESS
from rung.service.problems import Problem, problem_of
from rung.service.rates import Rates

if TYPE_CHECKING:
    from rung.service.metrics import Metrics

_access = logging.getLogger(ACCESS)
_log = logging.getLogger("rung.service")

_OPEN: Final = ("/health", "/ready")  # always answered, to whoever asks
_READS: Final = ("GET", "HEAD", "OPTIONS")
_QUIET: Final = re.compile(r"/ask$|/jobs/|/checkpoints/|^/api/v1/workers")  # the traffic of jobs: no audit
_UPLOAD: Final = re.compile(r"^/api/v1/studies/[^/]+/checkpoints/")
_SLOWEST: Final = 4096  # bytes a second that a body must bring on the whole
_NUMBER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Limits(msgspec.Struct, frozen=True):
    """What one client may take.

    Attributes:
        body: bytes of a request.
        upload: bytes of a checkpoint.
        rate: requests a second of one token; twice that many at once.
        strangers: requests a second of one address without a token that counts.
        streams: streams of events that one token may have open at once.
        body_seconds: how long a body may bring nothing; on the whole it must bring 4 KiB a second.
        hosts: the names under which the service answers (`Host`); None: any.
        open_metrics: whether `/metrics` wants no token.
        secure: whether it is served by TLS, and browsers are told so.
    """

    body: int = 16 * 2**20
    upload: int = 4 * 2**30
    rate: float = 1000.0
    strangers: float = 20.0
    streams: int = 32
    body_seconds: float = 20.0
    hosts: tuple[str, ...] | None = None
    open_metrics: bool = False
    secure: bool = False


def install(
    app: FastAPI, limits: Limits, accounts: Accounts | None = None, metrics: Metrics | None = None
) -> None:
    """Put the guards before `app`; they are the outermost middleware if this is called last."""
    if accounts is not None:
        app.state.accounts = accounts
    app.state.limits = limits
    app.state.metrics = metrics
    app.add_middleware(Guards, limits=limits, accounts=app.state.accounts, metrics=metrics)


class _Visit:
    """One request, as it is logged."""

    __slots__ = ("began", "location", "method", "number", "path", "sent", "status")

    def __init__(self, scope: Scope, given: str | None) -> None:
        self.number = given if given and _NUMBER.fullmatch(given) else secrets.token_hex(8)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.began = time.perf_counter()
        self.status = 0
        self.sent = 0
        self.location = ""


class Guards:
    """The middleware; see the module."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        accounts: Accounts,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._limits = limits
        self._accounts = accounts
        self._metrics = metrics
        self._clock = clock
        self._rates = Rates(limits.rate)
        self._strangers = Rates(limits.strangers)
        self._streams: Counter[str] = Counter()
        more = {"Strict-Transport-Security": "max-age=31536000"} if limits.secure else {}
        self._headers = {**_HEADERS, **more}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        visit = _Visit(scope, headers.get("x-request-id"))
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request"] = visit.number
        answer = self._sender(send, visit)
        if self._metrics is not None:
            self._metrics.under_way.inc()
        try:
            await self._let_in(scope, headers, state)
        except UserError as error:  # the tables cannot be read
            _log.error("%s", error)
            await problem_of(error).response()(scope, receive, answer)
        except Problem as problem:
            await problem.response()(scope, receive, answer)
        else:
            await self._serve(scope, headers, receive, answer)
        finally:
            self._note(scope, state, visit)
        await self._audit(scope, state, visit)

    # -- letting in -----------------------------------------------------------------------------------

    async def _let_in(self, scope: Scope, headers: Headers, state: dict[str, Any]) -> None:
        """Refuse what is too much, or from a stranger too often.

        Raises:
            Problem: says why.
        """
        self._check_host(headers)
        if scope["path"] in _OPEN:
            return
        now, address = self._clock(), _address(scope)
        header = headers.get("authorization")
        token = token_in(header)
        wait = self._strangers.wait(address, now)
        if wait > 0 and not await self._is_token(token):  # many share an address: who has a token goes on
            _refuse_until(wait, "without a token that counts")
        state["seen"] = seen = await see(self._accounts, header)
        if seen.principal is None:
            _refuse_until(self._strangers.take(address, now), "without a token that counts")
        else:
            _refuse_until(self._rates.take(seen.principal.token, now), "with this token")
        size = headers.get("content-length", "")
        if size.isdigit() and int(size) > self._most(scope):
            raise _too_large(self._most(scope))

    async def _is_token(self, text: str | None) -> bool:
        if text is None or self._accounts.was_good(text):
            return text is not None
        return await run_in_threadpool(self._accounts.is_token, text)

    def _check_host(self, headers: Headers) -> None:
        if self._limits.hosts is None:
            return
        name = _host_name(headers.get("host", ""))
        if name not in self._limits.hosts:
            known = ", ".join(self._limits.hosts[:3])
            raise Problem(421, "host", f"this service answers as {known}, not as {name[:100]!r}")

    def _most(self, scope: Scope) -> int:
        upload = scope["method"] == "PUT" and _UPLOAD.match(scope["path"])
        return self._limits.upload if upload else self._limits.body

    # -- serving --------------------------------------------------------------------------------------

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, answer: Send) -> None:
        body = self._bounded(scope, receive)
        if "text/event-stream" not in headers.get("accept", ""):
            await self._app(scope, body, answer)
            return
        who = principal_of(scope["state"])
        key = _address(scope) if who is None else who.token
        if self._streams[key] >= self._limits.streams:
            detail = f"{self._limits.streams} streams are open with this token, the most: close one first"
            problem = Problem(429, "too many streams", detail, {"Retry-After": "5"})
            await problem.response()(scope, receive, answer)
            return
        self._streams[key] += 1
        try:
            await self._app(scope, body, answer)
        finally:
            self._streams[key] -= 1
            if self._streams[key] <= 0:
                del self._streams[key]

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """`receive`, whose body is not larger than it may be, and does not keep us waiting."""
        most, pause = self._most(scope), self._limits.body_seconds
        began, size, whole = self._clock(), 0, False

        async def take() -> Message:
            nonlocal size, whole
            if whole:  # now it waits for the client to go away
                return await receive()
            left = began + pause + size / _SLOWEST - self._clock()
            try:
                async with asyncio.timeout(max(0.0, min(pause, left))):
                    message = await receive()
            except TimeoutError as error:
                raise Problem(
                    408, "too slow", "the body came too slowly: send it again", {"Connection": "close"}
                ) from error
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > most:
                raise _too_large(most)
            return message

        return take

    def _sender(self, send: Send, visit: _Visit) -> Send:
        """`send`, which notes what is sent, and adds headers."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                headers = MutableHeaders(scope=message)
                visit.location = headers.get("location", "")
                headers["X-Request-Id"] = visit.number
                headers.setdefault("Cache-Control", "no-store")
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            else:
                visit.sent += len(message.get("body", b""))
            await send(message)

        return answer

    # -- what stays of it -----------------------------------------------------------------------------

    def _note(self, scope: Scope, state: dict[str, Any], visit: _Visit) -> None:
        """The access log and the metrics."""
        status = visit.status or 500
        seconds = time.perf_counter() - visit.began
        if self._metrics is not None:
            self._metrics.under_way.dec()
            self._metrics.request(visit.method, route_of(scope), status, seconds)
        if _access.isEnabledFor(logging.INFO):
            who = principal_of(state)
            fields = {
                "request": visit.number,
                "status": status,
                "ms": round(seconds * 1000, 2),
                "user": "" if who is None else who.user,
                "token": "" if who is None else who.token,
                "address": _address(scope),
                "sent": visit.sent,
            }
            _access.info("%s %s", visit.method, visit.path, extra={"fields": fields})

    async def _audit(self, scope: Scope, state: dict[str, Any], visit: _Visit) -> None:
        """A line of the audit log for what changes something, or was to.

        A route that writes the line itself, with what it does, leaves `audited`: what it is about.
        """
        who, route, told = principal_of(state), route_of(scope), state.get("audited")
        if visit.method in _READS or who is None or not route or _QUIET.search(route):
            return
        if told is not None and visit.status < 400:
            return
        values = [str(value) for value in scope.get("path_params", {}).values()]
        what = told or "/".join(values) or visit.location.rpartition("/")[2]
        try:
            await run_in_threadpool(
                self._accounts.record, entry(who, f"{visit.method} {route}", what, visit.status, scope)
            )
        except StorageError as error:
            _log.error("the audit log could not be written: %s", error)


def entry(who: Principal, action: str, what: str, status: int, scope: Scope) -> Entry:
    """A line of the audit log about a request."""
    outcome = "ok" if status < 400 else f"refused ({status})" if status < 500 else f"failed ({status})"
    return Entry(time.time(), who.user, who.token, action, what, outcome, _address(scope))


def route_of(scope: Scope) -> str:
    """The template of the route that was taken, such as /api/v1/studies/{name}; "" if there is none.

    A router that is included in another knows its own part of it only: what stands before it is the path's.
    """
    template = str(getattr(scope.get("route"), "path", ""))
    values = scope.get("path_params", {})
    own = re.sub(r"{(\w+)(?::\w+)?}", lambda match: str(values.get(match[1], match[0])), template)
    path: str = scope["path"]
    return path[: -len(own)] + template if own and path.endswith(own) else template


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _host_name(header: str) -> str:
    """The name in a header `Host`, without the port, in lower case."""
    found = re.fullmatch(r"\s*(\[[^\]]*\]|[^:]*)(?::\d*)?\s*", header)
    return found.group(1).strip("[]").lower() if found else header


def _refuse_until(seconds: float, how: str) -> None:
    if seconds > 0:
        wait = math.ceil(seconds)
        detail = f"too many requests {how}: try again in {wait} s"
        raise Problem(429, "too many requests", detail, {"Retry-After": str(wait)})


def _too_large(most: int) -> Problem:
    detail = f"the body is larger than {most:,} bytes: send less at a time"
    return Problem(413, "too large", detail, {"Connection": "close"})
