"""Watches a study that a service runs, as if it ran here."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from rung.cli import output
from rung.cli.exits import INTERRUPTED, NO_RESULT
from rung.cli.store import command
from rung.trials.events import Event, Identity, SessionEnded
from rung.trials.history import EXHAUSTED, History

if TYPE_CHECKING:
    from rung.service.client import Client


class Followed:
    """A study whose log comes over the API."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.history = History()
        self.events: list[Event] = []
        self.ended: str | None = None  # why its last session did

    @property
    def identity(self) -> Identity:
        return self.history.identity

    def fold(self, event: Event) -> None:
        """Take in the next event."""
        self.events.append(event)
        self.history.fold(event)
        self.ended = event.reason if isinstance(event, SessionEnded) else None


def follow(client: Client, name: str, url: str) -> None:
    """Show how the study goes until it runs no more, then what it found.

    Ctrl-C ends the looking, not the study.
    """
    from rung.cli.progress import watching

    study, number = Followed(name), -1
    for number, event in client.events(name, follow=False):  # noqa: B007  # where to go on
        study.fold(event)
    try:
        with watching(study) as progress:
            for _, event in _from(client, name, number + 1):
                study.fold(event)
                if progress is not None:
                    progress(study, [event])
    except KeyboardInterrupt:
        output.say(f"the study goes on; stop it with: {command('stop', name, url)}")
        output.say(f"look at it: {command('show', name, url)}")
        raise typer.Exit(INTERRUPTED) from None
    _conclude(study, url)
    sys.stdout.flush()


def _from(client: Client, name: str, start: int) -> Iterable[tuple[int, Event]]:
    return client.events(name, start)


def _conclude(study: Followed, url: str) -> None:
    """Print what was found and the next command to type; exit with 1 if nothing."""
    from rung.cli.outcome import found
    from rung.study.found import nothing_found
    from rung.study.records import trials
    from rung.study.result import best_of

    records = trials(study.events)
    best = best_of(study.history, records)
    if best is not None:
        best.checkpoint = None  # it lies where the service keeps it
    reason = EXHAUSTED if study.ended == "done" and study.history.exhausted else study.ended
    why = found(study.history, records, best, reason)
    more = f" (more: {command('logs', study.name, url)})" if why else ""
    if best is None:
        output.fail(nothing_found(records, study.identity) + more)
        raise typer.Exit(NO_RESULT)
    if why:
        output.say(why + more)
    output.say(f"all trials: {command('show', study.name, url)}")
    if study.ended in ("paused", "stopped"):
        output.say(f"go on with: {command('resume', study.name, url)}")
