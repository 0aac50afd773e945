"""What objectives printed: the lines of the trials' log files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rung.cli.place import client_of
from rung.errors import UserError
from rung.service import job_logs

if TYPE_CHECKING:
    from rung.service.client import Client
    from rung.storage.base import Reader

_KEPT = {number: None for number in range(32) if chr(number) not in "\t\n\r"}  # of a terminal


def lines(storage: Reader, name: str, trials: int, trial: int | None) -> Iterator[tuple[int, str]]:
    """The lines of one trial's logs, or of all trials' in order of number, each with its trial's number.

    Args:
        trials: how many the study has.

    Raises:
        UserError: no such trial.
    """
    if trial is not None and trial >= trials:
        raise UserError(f"there is no trial {trial}: the study has {trials}, numbered from 0")
    client = client_of(storage)
    if client is not None:
        yield from _told(client, name, trial)
        return
    for number, path in job_logs.files_of(storage.folder(name), trial):
        yield from _read(number, path)


def _read(number: int, path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from ((number, line) for line in _whole(file))


def _told(client: Client, name: str, trial: int | None) -> Iterator[tuple[int, str]]:
    """What a service has; what others' jobs printed cannot steer a terminal."""
    for number in client.printed(name) if trial is None else [trial]:
        text = client.logs(name, number).translate(_KEPT)
        yield from ((number, line) for line in _whole(text.splitlines(keepends=True)))


def _whole(lines: Iterable[str]) -> Iterator[str]:
    return (line if line.endswith("\n") else line + "\n" for line in lines)


def nothing(name: str, trial: int | None) -> str:
    """The sentence for a study or a trial that printed nothing."""
    what = f"study {name}" if trial is None else f"trial {trial} of {name}"
    return (
        f"no job of {what} printed anything but reports, which rung export {name} has "
        "(what jobs print with --executor inline, or under rung.Client.run, stays on their terminal)"
    )
