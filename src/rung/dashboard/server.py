"""A storage's studies in the browser as they run: a page that lists them, and each one's report, kept fresh.

It only reads, on this machine only, by the standard library's server. A page asks every few seconds how far
its study's log is, and loads itself anew where that has grown; a report is made once for a length of the log.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

from rung.analysis.pages import plotly_script, render
from rung.analysis.report import Command, Live, page, usable_charts
from rung.analysis.subject import Subject
from rung.errors import MissingError, UserError

_PATIENCE: Final = 10.0  # a page is made anew at most after so many times what making it took
_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
"""What a browser may call this machine: a page elsewhere whose name leads here must not read the studies."""
_HTML: Final = "text/html; charset=utf-8"
_KEPT: Final = 20  # pages that are remembered


class Line(NamedTuple):
    """A study in the list, in words."""

    name: str
    door: str
    state: str
    trials: str
    metric: str
    best: str
    time: str


class Looked(NamedTuple):
    """What a study's page is made of."""

    subject: Subject
    commands: Sequence[Command]


class Source(Protocol):
    """The studies that are shown; asked from several threads at once."""

    place: str

    def lines(self) -> Sequence[Line]:
        """All studies, newest first."""

    def standing(self, name: str) -> tuple[int, str]:
        """How many events a study's log has, and its state.

        Raises:
            MissingError: there is no such study.
        """

    def look(self, name: str) -> Looked:
        """A study as it stands.

        Raises:
            MissingError: there is no such study.
        """


class Answer(NamedTuple):
    body: bytes
    kind: str = _HTML
    status: int = 200
    kept: int = 0  # seconds for which the browser need not ask again


class Dashboard:
    """Answers to paths.

    Args:
        source: of the studies.
        every: seconds between two looks of a page.
    """

    def __init__(self, source: Source, every: float) -> None:
        self._source = source
        self._every = every
        self._making = Lock()
        self._made: dict[str, tuple[tuple[int, str], bytes]] = {}

    def answer(self, path: str) -> Answer:
        """What a browser gets that asks for `path`, whatever it is."""
        first, _, rest = urlsplit(path).path.removeprefix("/").partition("/")
        routes: dict[str, Callable[[str], Answer]] = {
            "": self._list,
            "rows": self._rows,
            "study": self._study,
            "state": self._state,
            "plotly.js": _plotly,
        }
        try:
            return (
                routes[first](unquote(rest)) if first in routes else _sentence("there is no such page", 404)
            )
        except MissingError as error:
            return _sentence(str(error), 404)
        except UserError as error:
            return _sentence(str(error), 503)

    def _list(self, _: str) -> Answer:
        return _page("studies.html.j2", {**self._listed(), "place": self._source.place, "every": self._every})

    def _rows(self, _: str) -> Answer:
        return _page("rows.html.j2", self._listed())

    def _listed(self) -> dict[str, Any]:
        return {"lines": [(quote(line.name, safe=""), line) for line in self._source.lines()]}

    def _state(self, name: str) -> Answer:
        events, state = self._source.standing(name)
        return Answer(json.dumps({"events": events, "state": state}).encode(), "application/json")

    def _study(self, name: str) -> Answer:
        standing = self._source.standing(name)
        with self._making:  # of several tabs one makes the page
            kept = self._made.get(name)
            if kept is None or kept[0] != standing:
                self._made[name] = kept = (standing, self._report(name, standing))
                if len(self._made) > _KEPT:
                    del self._made[next(iter(self._made))]
        return Answer(kept[1])

    def _report(self, name: str, standing: tuple[int, str]) -> bytes:
        began = time.monotonic()
        subject, commands = self._source.look(name)
        charts = usable_charts(subject)
        every = max(self._every, _PATIENCE * (time.monotonic() - began))
        live = Live(f"/state/{quote(name, safe='')}", *standing, every)
        return page(subject, charts, commands, live).encode()


def _page(template: str, context: dict[str, Any]) -> Answer:
    return Answer(render(template, context, "rung.dashboard").encode())


def _sentence(text: str, status: int) -> Answer:
    return Answer(render("sentence.html.j2", {"text": text}, "rung.dashboard").encode(), status=status)


def _plotly(_: str) -> Answer:
    return Answer(plotly_script().encode(), "text/javascript; charset=utf-8", kept=86_400)


def serve(dashboard: Dashboard, place: socket.socket) -> ThreadingHTTPServer:
    """A server of the dashboard; `serve_forever` answers.

    Args:
        place: listens at an address that only this machine reaches.
    """

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "rung", ""

        def do_GET(self) -> None:
            if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in _HOSTS:
                self._send(_sentence("this page is for the machine that it runs on", 421))
            else:
                self._send(dashboard.answer(self.path))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", f"max-age={answer.kept}" if answer.kept else "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("X-Frame-Options", "DENY")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: who looks needs no line for each look."""

    server = ThreadingHTTPServer(place.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = place
    return server
