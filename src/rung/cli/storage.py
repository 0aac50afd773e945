"""`rung storage`: the store itself, brought up to date, copied, checked."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli.exits import NO_RESULT
from rung.cli.options import DEFAULT_STORAGE, Json, Storage
from rung.errors import StorageError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.progress import Progress

    from rung.cli.storage_check import Checked
    from rung.storage.copying import Copied
    from rung.storage.sql import SqlStorage

group = typer.Typer(
    no_args_is_help=True, help="Look after the storage itself: upgrade its tables, copy it, check it."
)
Some = Annotated[
    list[str] | None, typer.Option("--study", metavar="NAME", help="Only this study. Repeatable.")
]


@group.command()
def upgrade(storage: Storage = DEFAULT_STORAGE, json: Json = False) -> None:
    """Bring the tables up to what this rung needs; older versions of rung can then no longer use them.

    A file is upgraded by itself when it is opened; a PostgreSQL database, which others share, only by this.
    """
    from rung.storage.upgrading import upgrade as bring_up

    before, after = bring_up(storage)
    if json:
        output.print_json({"from": before, "to": after})
    elif before == after:
        output.say(f"the tables are of version {after} already")
    else:
        output.say(f"the tables went from version {before} to {after}")


@group.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The storage to copy: a file or a URL.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Where to: a file or a URL.")],
    study: Some = None,
    running: Annotated[
        bool, typer.Option("--running", help="Also studies that run: as far as they are now.")
    ] = False,
    until_damage: Annotated[
        bool, typer.Option("--until-damage", help="Of a damaged log, what lies before the damage.")
    ] = False,
    json: Json = False,
) -> None:
    """Copy studies with their logs, requests and files; again, to go on or to bring the copies up to date.

    A copy keeps its study's identity and is never written over where it went on by itself.
    """
    from rung.cli.storage_check import sound_part
    from rung.storage.copying import copy_study

    done: list[Copied] = []
    left_out: dict[str, str] = {}
    cut: dict[str, tuple[int, int]] = {}
    with _opened(source) as one, _opened(target, make=True) as other:
        rows = _chosen(one, study)[::-1]  # the oldest first, as in a list
        with _progress("copying", sum(row.events for row in rows)) as bar:
            task = bar.task_ids[0]
            for row in rows:
                if row.writer is not None and not running:
                    left_out[row.name] = f"{row.writer} writes it: wait until it ends, or say --running"
                    continue
                try:
                    part = sound_part(one, row) if until_damage else None
                    advance = functools.partial(bar.advance, task)
                    done.append(copy_study(one, other, row.key, advance, part))
                    if part is not None:
                        cut[row.name] = (part.events, row.events)
                except UserError as error:
                    left_out[row.name] = str(error)
    _told_of_copy(done, left_out, cut, json)
    if left_out:
        raise typer.Exit(NO_RESULT)


def _told_of_copy(
    done: list[Copied], left_out: dict[str, str], cut: dict[str, tuple[int, int]], json: bool
) -> None:
    from rung.cli.sizes import spoken_size

    if json:
        copied = [{**one._asdict(), "files": one.files._asdict()} for one in done]
        output.print_json({"copied": copied, "left_out": left_out, "cut": cut})
        return
    for name, (kept, there) in cut.items():
        output.say(f"{name} is damaged: of its {there} events the {kept} before the damage are copied")
    for name, why in left_out.items():
        output.fail(f"{name} is not copied: {why}")
    new = [one for one in done if one.new]
    events, requests = sum(one.events for one in new), sum(one.requests for one in new)
    files, size = sum(one.files.copied for one in new), sum(one.files.size for one in new)
    output.say(
        f"{_many(len(done), 'study', 'studies')} there, {len(new)} with something new: {events} events, "
        f"{requests} requests, {files} files ({spoken_size(size)})"
    )


@group.command()
def check(
    storage: Storage = DEFAULT_STORAGE,
    study: Some = None,
    decisions: Annotated[
        bool, typer.Option("--decisions/--no-decisions", help="Derive every decision again; takes longest.")
    ] = True,
    json: Json = False,
) -> None:
    """Replay every study and compare all that is kept twice; exit 1 and say what differs."""
    from rung.cli.storage_check import check_study

    found: list[Checked] = []
    with _opened(storage) as store:
        rows = _chosen(store, study)
        with _progress("checking", sum(row.events for row in rows)) as bar:
            for row in rows:
                found.append(check_study(store, row, decisions=decisions))
                bar.advance(bar.task_ids[0], row.events)
    _told_of_check(found, json)
    if any(one.differs for one in found):
        raise typer.Exit(NO_RESULT)


def _told_of_check(found: list[Checked], json: bool) -> None:
    if json:
        output.print_json({"studies": found})
        return
    for one in found:
        for text in one.notes:
            output.say(f"{one.study}: {text}")
        for text in one.differs:
            output.out().print(f"{one.study}: {text}")
    events, decisions = sum(one.events for one in found), sum(one.decisions for one in found)
    checkpoints, bad = sum(one.checkpoints for one in found), sum(bool(one.differs) for one in found)
    studies = _many(len(found), "study", "studies")
    verdict = f"{bad} not as it should be" if bad else "all as it should be"
    output.say(
        f"{studies}, {events} events replayed, {decisions} decisions derived again, "
        f"{checkpoints} checkpoints looked at: {verdict}"
    )


def _many(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


class _Opened:
    """A storage in a database, closed at the end."""

    def __init__(self, url: str, make: bool) -> None:
        self._url, self._make = url, make

    def __enter__(self) -> SqlStorage:
        from rung.storage import is_there, open_storage, shown
        from rung.storage.sql import SqlStorage

        if self._url == "memory":
            raise StorageError("a storage in memory ends with its process: name a file or a URL")
        if not self._make and not is_there(self._url):
            raise StorageError(f"there is no storage {shown(self._url)}: check its name")
        opened = open_storage(self._url)
        assert isinstance(opened, SqlStorage)
        self._opened = opened
        return opened

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _opened(url: str, *, make: bool = False) -> _Opened:
    return _Opened(url, make)


def _chosen(storage: SqlStorage, names: list[str] | None) -> list[Any]:
    """The rows of the studies that were named, or of all, newest first.

    Raises:
        StudyError: there is none of a name.
    """
    rows = storage.list()
    for name in names or ():
        storage.folder(name)  # raises, and names the closest
    return [row for row in rows if names is None or row.name in names]


def _progress(what: str, total: int) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: Iterable[Any] = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events"),
        TimeRemainingColumn(),
    )
    console = output.err()
    bar = Progress(
        *columns, console=console, transient=True, disable=output.quiet() or not console.is_terminal
    )
    bar.add_task(what, total=total)
    return bar
