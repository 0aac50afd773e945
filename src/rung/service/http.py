"""The client's end of the API: tokens, tries until the service answers, problems as our own errors.

A service that restarts costs a caller a delay and nothing else: what could not be sent, and what was
answered with 429, 502, 503 or 504, is sent again, after a pause that doubles up to a few seconds and is drawn
at random so that clients do not come back all at once. Every call that changes something has one idempotency
key for all its tries.
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from rung.errors import ConflictError, LeaseError, MissingError, StorageError, StudyError, UserError
from rung.service import trust
from rung.service.shared import ELSEWHERE, check_address
from rung.service.wire import Job

if TYPE_CHECKING:
    import httpx

PREFIX: Final = "/api/v1"
PATIENCE: Final = 60.0  # seconds for which a call is tried
_FIRST: Final = 0.1  # seconds before the second try
_LONGEST: Final = 5.0  # between two tries, unless the service says more
_MOST: Final = 60.0  # that a service may ask for
_AGAIN: Final = frozenset({429, 502, 503, 504})
_ELSEWHERE: Final = 120.0  # seconds in which one of several services takes up what another left behind
_CONNECT: Final = 10.0  # seconds
_READ: Final = 60.0  # without a byte
_HOW: Final = "give one by --token-file, RUNG_TOKEN or RUNG_TOKEN_FILE, or ask an admin for one"


class AwayError(StorageError):
    """The service did not answer for as long as was told to try."""


class NotAllowedError(UserError):
    """The service does not know this token, or does not allow it this."""


class Call(NamedTuple):
    """A request.

    Attributes:
        path: below `/api/v1`.
        body: sent as JSON.
        content: gives what is sent in place of it, anew for each try.
        wait: seconds that the service may take on purpose.
    """

    method: str
    path: str
    body: Any = None
    query: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = {}
    content: Callable[[], Iterable[bytes]] | None = None
    wait: float = 0.0


def of_job(job: Job, what: str, body: Any) -> Call:
    """A request about a job that runs: report, attributes, renew or tell."""
    return Call("POST", f"{job.path}/{what}", body, headers=job.fence)


def is_service(url: str) -> bool:
    """Whether `url` means a service, and no storage."""
    return url.startswith(("http://", "https://"))


def part(name: str) -> str:
    """A name as one part of a path.

    Raises:
        StudyError: it cannot be one.
    """
    return quote(check_address(name), safe="")


def find_token(url: str, token: str | None = None, file: str | os.PathLike[str] | None = None) -> str | None:
    """The token to show to the service at `url`.

    It is the one given, or in the file that is given; else in `RUNG_TOKEN`, or the file that
    `RUNG_TOKEN_FILE` names; else the one that a service on this machine keeps for its own user.

    Raises:
        UserError: the file cannot be read, or others could write it.
    """
    if token is None and file is not None:
        token = _read(file)
    if token is None:
        token = os.environ.get("RUNG_TOKEN") or None
    if token is None and (named := os.environ.get("RUNG_TOKEN_FILE")):
        token = _read(named)
    if token is None and "," not in url:  # of several each has its own: `Api` looks for them
        from rung.service import local_token

        token = local_token.find(url)
    if token is not None and not (token.isascii() and token.isprintable() and token == token.strip()):
        raise UserError(
            "the token is none: it has characters that no token has (what was given is not shown)"
        )
    return token


def _read(file: str | os.PathLike[str]) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"the token file {os.fspath(file)} cannot be read: {why}") from error


def service_url(text: str) -> str:
    """The address of a service, without its prefix and without a slash at its end.

    Raises:
        UserError: it is none.
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"{text!r} is no address of a service: write http://HOST:PORT or https://HOST")
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(
            f"the address of the service at {parts.hostname} holds a user or a query: {_HOW}, "
            "and write http://HOST:PORT"
        )
    return text.rstrip("/").removesuffix(PREFIX)


def service_urls(text: str) -> tuple[str, ...]:
    """The addresses of one or several services, with commas between.

    Raises:
        UserError: one of them is none.
    """
    return tuple(dict.fromkeys(service_url(one.strip()) for one in text.split(",")))


class Api:
    """A service, as its callers reach it. May be used from several threads.

    Of several services over one storage it speaks to the first that answers, and goes on with the next one
    where that is away. What is said about a study that another one runs is said to that one.

    Args:
        url: such as "http://127.0.0.1:8080"; several with commas between.
        token: see `find_token`, which the caller has asked.
        patience: seconds for which a call is tried before it fails; `math.inf` for ever.
        transport: for tests.

    Raises:
        UserError: an address is none, or what SSL_CERT_FILE names cannot be used.

    Attributes:
        at: which of the services it speaks to, from 0.
        away_since: monotonic time since which the service has not answered; None if it does.
    """

    def __init__(
        self, url: str, token: str | None, patience: float = PATIENCE, transport: Any = None
    ) -> None:
        from rung.deploy.extras import need

        need("client", "what speaks to a service")
        import httpx

        self.urls = service_urls(url)
        self.at = 0  # which of them
        self.patience = patience
        self.away_since: float | None = None
        self._stopped = threading.Event()
        self._tokens = {} if token is None else dict.fromkeys(self.urls, token)
        headers = {"Accept": "application/json", "User-Agent": "rung"}
        try:
            self._http = httpx.Client(
                headers=headers,
                timeout=httpx.Timeout(_READ, connect=_CONNECT),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
                transport=transport,
            )
        except OSError as error:  # it reads the certificates of those whom this machine trusts
            raise trust.no_authorities(error) from error

    @property
    def url(self) -> str:
        """The address of the one that it speaks to."""
        return self.urls[self.at]

    @property
    def names(self) -> str:
        """All addresses, for people."""
        return " or ".join(self.urls)

    def turn_from(self, at: int) -> None:
        """Speak to the next one, if it is still this one that is spoken to."""
        if self.at == at:
            self.at = (at + 1) % len(self.urls)

    def close(self) -> None:
        """Let go of its connections; calls that are being tried again fail."""
        self._stopped.set()
        self._http.close()

    def give_up(self) -> None:
        """Have calls that are being tried again, and later ones, fail at once."""
        self._stopped.set()

    def json(self, call: Call) -> Any:
        """Send; what is answered, None if nothing.

        Raises:
            UserError: the child of it that fits what the service says.
        """
        response = self.send(call)
        return response.json() if response.content else None

    def send(self, call: Call) -> httpx.Response:
        """Send, again and again if need be, until there is an answer that is good.

        Raises:
            AwayError: there was none for as long as was told.
            UserError: it was refused: the child of it that says why, see `problem`.
        """
        return self._sent(call, stream=False)

    @contextmanager
    def streamed(self, call: Call) -> Iterator[httpx.Response]:
        """As `send`, with the body left to be read as it comes."""
        response = self._sent(call, stream=True)
        try:
            yield response
        finally:
            response.close()

    def rest(self, seconds: float) -> bool:
        """Wait; whether calls are given up by now."""
        return self._stopped.wait(seconds)

    def _sent(self, call: Call, *, stream: bool) -> httpx.Response:
        import httpx

        headers = dict(call.headers)
        if call.method not in ("GET", "HEAD"):
            headers.setdefault("Idempotency-Key", uuid.uuid4().hex)
        tries = _Tries(self, self.at)
        while True:
            at = tries.at
            try:
                response = self._once(call, headers, stream, self.urls[at])
            except httpx.TransportError as error:
                self.turn_from(at)
                tries.again(trust.why(error, self.urls[at]), None)
                continue
            if self._is_final(response, tries):
                break
            tries.again(f"it answers {response.status_code}", response.headers.get("Retry-After"))
        self.away_since = None
        if not response.is_success:
            raise problem(response, self.urls[at])
        return response

    def _is_final(self, response: httpx.Response, tries: _Tries) -> bool:
        """Whether this answer counts: no better one will come later, or from another service."""
        status = response.status_code
        if status == 401:
            return not self._token_came(self.urls[tries.at])
        if status in _AGAIN:
            if status != 429:
                self.turn_from(tries.at)
            return False
        return len(self.urls) == 1 or tries.seconds > _ELSEWHERE or not _is_elsewhere(response)

    def _token_came(self, url: str) -> bool:
        """Whether a service of this machine has a token by now: at the first call it may not have run."""
        from rung.service import local_token

        if url in self._tokens or (token := local_token.find(url)) is None:
            return False
        self._tokens[url] = token
        return True

    def _once(self, call: Call, headers: Mapping[str, str], stream: bool, url: str) -> httpx.Response:
        """One try."""
        import httpx

        if url in self._tokens:
            headers = {"Authorization": f"Bearer {self._tokens[url]}", **headers}
        request = self._http.build_request(
            call.method,
            url + PREFIX + call.path,
            json=call.body,
            params=call.query,
            headers=dict(headers),
            content=None if call.content is None else call.content(),
            timeout=httpx.Timeout(_READ + call.wait, connect=_CONNECT),
        )
        response = self._http.send(request, stream=stream)
        if stream and not response.is_success:
            response.read()
        return response


class _Tries:
    """The tries of one call.

    Attributes:
        at: to which of the services the next one goes.
    """

    def __init__(self, api: Api, at: int) -> None:
        self._api = api
        self._count = 0
        self.at = at
        self._began = time.monotonic()
        self._pause = _FIRST

    @property
    def seconds(self) -> float:
        """Since the first one."""
        return time.monotonic() - self._began

    def again(self, why: str, after: str | None) -> None:
        """Wait before the next try, once all services were asked.

        Raises:
            AwayError: there is to be none.
        """
        api, now = self._api, time.monotonic()
        if api.away_since is None:
            api.away_since = now
        self._count += 1
        self.at = (self.at + 1) % len(api.urls)
        pause = self._pause * random.uniform(0.5, 1.0)  # jitter, of which no result hangs
        if after is not None and after.isdecimal():
            pause = min(max(pause, float(after)), _MOST)
        self._pause = min(self._pause * 2, _LONGEST)
        left = self._began + api.patience - now
        if self._count % len(api.urls):
            pause = 0.0
        if left <= 0 or api.rest(min(pause, left)):
            raise AwayError(f"the service at {api.names} does not answer ({why}): is it running there?")


def _is_elsewhere(response: httpx.Response) -> bool:
    """Whether another service over the same storage runs the study."""
    try:
        return response.status_code == 409 and response.json()["title"] == ELSEWHERE
    except (ValueError, KeyError, TypeError):
        return False


def problem(response: httpx.Response, url: str) -> UserError:
    """A problem that the service told, as the error that it would be here."""
    try:
        body = response.json()
        title, detail = str(body["title"]), str(body["detail"])
    except (ValueError, KeyError, TypeError):
        return StorageError(
            f"{url} answers {response.status_code} and is no rung service: is the address right?"
        )
    status = response.status_code
    if status == 401:
        return NotAllowedError(f"the service at {url} does not know you ({detail}): {_HOW}")
    if status == 403:
        return NotAllowedError(f"the service at {url} does not allow this: {detail}")
    if status == 404:
        return MissingError(detail)
    if status == 409:
        return LeaseError(detail) if title == "lease lost" else ConflictError(detail)
    if status >= 500:
        return StorageError(f"the service at {url} failed: {detail or title}")
    return StudyError(detail or title)
