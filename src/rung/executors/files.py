"""Where a trial's files lie below a study's folder, and checkpoints written atomically."""

from __future__ import annotations

import os
from collections.abc import Callable

from rung.errors import StudyError


def trial_name(trial: int) -> str:
    """The name of a trial's folder and, with `.log`, of its log."""
    return f"trial-{trial:06d}"


def log_path(folder: str, trial: int) -> str:
    """The log of a trial: what its jobs printed, a header line before each."""
    return os.path.join(folder, "logs", trial_name(trial) + ".log")


def log_header(trial: int, attempt: int, when: str) -> str:
    """The line with which a job begins in its trial's log."""
    return f"--- trial {trial}, attempt {attempt}, {when}, process {os.getpid()}\n"


def save_checkpoint(folder: str, trial: int, resource: int, save: Callable[[str], object]) -> str:
    """Call `save` with a new folder, make what it wrote durable, and give the folder its name in one step.

    Whoever finds the name finds a whole checkpoint. An earlier one of the same resource (an attempt that
    died before it could tell) is left as it is, since a job may start from it: the new one has a number.

    Returns:
        The path, relative to `folder`: `trial-000012/resource-9`, or `trial-000012/resource-9-2`.
    """
    home = os.path.join(folder, trial_name(trial))
    draft = os.path.join(home, f".draft-{os.getpid()}-{resource}")
    os.makedirs(home, exist_ok=True)
    _remove(draft)
    os.mkdir(draft)
    try:
        save(draft)
        if not os.path.isdir(draft):
            raise StudyError("`save` must write into the folder that it is given, not replace it")
        _sync(draft)
        name = _free_name(home, f"resource-{resource}")
        os.rename(draft, os.path.join(home, name))
    except BaseException:
        _remove(draft)
        raise
    _sync_folder(home)
    return f"{trial_name(trial)}/{name}"


def _free_name(home: str, name: str) -> str:
    number, free = 1, name
    while os.path.lexists(os.path.join(home, free)):
        number += 1
        free = f"{name}-{number}"
    return free


def _sync(folder: str) -> None:
    """Bring all files below `folder` to the disk, then the folders that name them."""
    for parent, _, files in os.walk(folder, topdown=False):
        for file in files:
            path = os.path.join(parent, file)
            if os.path.isfile(path):  # no pipe, no link that leads nowhere
                _sync_one(path)
        _sync_folder(parent)


def _sync_one(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_sync_folder = _sync_one if os.name == "posix" else lambda path: None  # Windows cannot open a folder


def _remove(path: str) -> None:
    if os.path.lexists(path):
        import shutil  # not before it is needed: a worker starts without it

        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
