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
from rung.trials.history import History

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
    from rung.cli.outcome import ENDS
    from rung.study.records import trials
    from rung.study.result import failures, nothing_found

    records, history = trials(study.events), study.history
    ends = ENDS.get(study.ended or "", "all that was asked for")
    output.say(f"{history.begun} trial{'' if history.begun == 1 else 's'}, {ends}")
    best = history.incumbent
    if best is None:
        output.fail(nothing_found(records, study.identity))
        raise typer.Exit(NO_RESULT)
    amount = study.identity.resource
    at = f" at {amount.name} {best.resource}" if amount else ""
    console = output.out()
    console.print(
        f"best {study.identity.metric} {output.number(best.value)} by trial {best.trial}{at}", soft_wrap=True
    )
    for key, value in history.config(best.trial).items():
        console.print(f"  {key} = {output.number(value)}", soft_wrap=True)
    if why := failures(records, study.identity.metric):
        output.say(why)
    output.say(f"all trials: {command('show', study.name, url)}")
    if study.ended in ("paused", "stopped"):
        output.say(f"go on with: {command('resume', study.name, url)}")
