"""`rung dashboard`: the studies in a browser, as they run."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import output
from rung.cli.options import DEFAULT_STORAGE, Storage

if TYPE_CHECKING:
    from rung.dashboard import Line, Looked
    from rung.storage.base import StudyRow


def dashboard(
    storage: Storage = DEFAULT_STORAGE,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8100,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks of a page.")] = 5.0,
    open: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Show the studies in a browser while they run: a list, and each one's report, kept fresh.

    It only reads, and only this machine reaches it.
    """
    from rung.cli.store import looking
    from rung.dashboard import Dashboard, serve
    from rung.deploy.listening import listen

    with looking(storage) as store:  # whatever is wrong with it is said before anything listens
        store.list(1)
    place = listen("127.0.0.1", port, instead="another --port, or 0 for a free one")
    server = serve(Dashboard(Studies(storage), every), place)
    url = f"http://127.0.0.1:{place.getsockname()[1]}"
    output.say(f"the studies are on {url}; Ctrl-C ends it")
    if open:
        import webbrowser

        webbrowser.open(url)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with server, suppress(KeyboardInterrupt):
        server.serve_forever()


class Studies:
    """See `rung.dashboard.Source`. The storage is opened for each look: it may be moved or away."""

    def __init__(self, storage: str) -> None:
        from rung.storage import shown

        self._storage = storage
        self.place = shown(storage)

    def lines(self) -> list[Line]:
        from rung.cli.store import looking

        with looking(self._storage) as store:
            return [_line(row) for row in store.list()]

    def standing(self, name: str) -> tuple[int, str]:
        from rung.cli.store import looking, state_of
        from rung.storage.names import missing

        with looking(self._storage) as store:
            row = store.find(name)
            if row is None:
                raise missing(name, [other.name for other in store.list()], self.place)
        return row.events, state_of(row)

    def look(self, name: str) -> Looked:
        from rung.cli.look import commands_of, subject_of
        from rung.dashboard import Looked

        subject = subject_of(name, self._storage)
        return Looked(subject, commands_of(subject, self._storage))


def _line(row: StudyRow) -> Line:
    from rung.cli.store import state_of
    from rung.dashboard import Line
    from rung.study.durations import spoken

    one = row.summary
    trials = f"{one.finished:,} of {one.trials:,}" if one.finished < one.trials else f"{one.trials:,}"
    best, seconds = output.number(one.best), spoken(one.seconds)
    return Line(row.name, one.door, state_of(row), trials, one.metric, best, seconds)
