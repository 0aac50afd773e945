"""`rung.report`: tell a metric from wherever the training code runs.

| called in | it |
| --- | --- |
| an objective that rung runs, of any style, and in threads that it begins | is `trial.report` of that trial |
| a program that rung runs (`rung tune --command`) | prints the protocol's line and waits for the answer |
| anything else | prints the metrics as text, and the program goes on |
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from rung.errors import Stopped, StudyError
from rung.executors.metrics import as_metrics

if TYPE_CHECKING:
    from rung.executors.handle import Trial

_RUNNING: Final[ContextVar[Trial | None]] = ContextVar("running", default=None)
_here: Final[list[Trial]] = []  # trials whose objectives run in this process

GO: Final = "go"
STOP: Final = "stop"  # rung's answers to a report line


@contextmanager
def running(trial: Trial) -> Iterator[None]:
    """In this block `report` is this trial's: in its context, and in threads that are begun in it."""
    token = _RUNNING.set(trial)
    _here.append(trial)
    try:
        yield
    finally:
        _here.remove(trial)
        _RUNNING.reset(token)


def _trial() -> Trial | None:
    """A thread's context is new and says nothing: there it is the only trial that runs in this process."""
    trial = _RUNNING.get()
    return _here[0] if trial is None and len(_here) == 1 else trial


def report(
    resource: int | None = None, *, save: Callable[[str], object] | None = None, **metrics: Any
) -> None:
    """Tell the metrics that the training has at `resource`, which is the job's end unless given.

    Args:
        resource: how much of it is spent by now, counted from the trial's beginning.
        save: `save(folder)` writes a checkpoint into a folder. In an objective it is called when one is
            needed, in a program each time, with the folder of `RUNG_CHECKPOINT`.
        metrics: by name, each a number.

    Raises:
        Stopped: the trial is told to stop; let it pass. In a program SIGTERM comes as well.
        StudyError: no metric, one that is no number, or a resource that is no whole number.
    """
    trial = _trial()
    if trial is not None:
        trial.report(resource, save=save, **metrics)
        return
    if not metrics:
        raise StudyError("report needs a metric, by name: rung.report(epoch + 1, loss=0.31)")
    numbers = as_metrics(metrics)
    if "RUNG_PROTOCOL" not in os.environ:
        at = "" if resource is None else f"resource {resource}: "
        print(at + ", ".join(f"{name} {number:g}" for name, number in numbers.items()), flush=True)
        return
    if save is not None:
        save(os.environ["RUNG_CHECKPOINT"])
    said = numbers if resource is None else {"resource": resource, **numbers}
    sys.stdout.write(f"rung: {json.dumps(said)}\n")
    sys.stdout.flush()
    _await(os.environ.get("RUNG_ANSWERS", ""))


def _await(path: str) -> None:
    """Wait until rung has dealt with the report: its checkpoint is copied, and whether to go on is decided.

    Raises:
        Stopped: it is not to go on.
    """
    try:
        answers = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # nobody writes any more: it ends at once
    except FileNotFoundError:  # a program in a container that was not given this folder
        return
    try:
        select.select([answers], [], [])
        said = os.read(answers, 1 << 16).decode().split()
    finally:
        os.close(answers)
    if STOP in said:
        raise Stopped("the trial is told to stop")
