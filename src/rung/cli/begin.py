"""When a command began, and whether it may write where it is going to."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rung.errors import UserError


def command_start() -> float:
    """The monotonic time at which this command's process began; now, where rung is not the process's own
    program.

    A wall-time budget counts from there: the user has been waiting since then.
    """
    now = time.monotonic()
    program = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    own = program.name == "rung" or program.parts[-2:] == ("rung", "__main__.py")
    if not own:
        return now
    return now - max(0.0, _age())


def _age() -> float:
    """Seconds since this process began.

    Linux keeps the beginning in ticks since boot. Elsewhere, and where they are not to be read, wall time
    must do: on Linux it would be up to a second off, for the moment of booting is kept in whole ones.
    """
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):
        import psutil

        age: float = time.time() - psutil.Process().create_time()
        return age


def check_writable(path: Path, option: str) -> None:
    """Refuse a place where no file can be written, before anything is done.

    Raises:
        UserError: its folder is missing or read-only, or there is a folder, a device, a pipe or a database.
    """
    from rung.storage.whole import to_replace

    if path.is_dir():
        raise UserError(f"{path} is a folder: give {option} the name of a file in it")
    place = to_replace(path, option)
    folder = place.parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        raise UserError(f"the folder {folder} does not exist: make it, or give another {option}")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise UserError(f"{path} cannot be written: give another {option}, or change the permissions")


def studies_file(storage: str) -> Path:
    """The file that a storage of this machine is; of any other, one that is not there."""
    return Path(storage.removeprefix("sqlite:///")).expanduser()


def check_place(path: Path, option: str, storage: str) -> None:
    """Refuse, before anything is done, a place that cannot be written or is the studies' own.

    Raises:
        UserError: saying which, and what to do.
    """
    check_apart(path, option, {"the studies' file": studies_file(storage)})
    check_writable(path, option)


def check_apart(path: Path, option: str, others: Mapping[str, str | Path]) -> None:
    """Refuse to write over what is needed still.

    Args:
        others: by what it is, each file that must stay.

    Raises:
        UserError: `path` is one of them.
    """
    for what, other in others.items():
        if path.resolve() == Path(other).resolve():
            raise UserError(f"{path} is {what}, which would be overwritten: give another {option}")
