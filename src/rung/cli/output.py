"""What the command prints, and where: results on stdout, everything else on stderr.

Rich leaves colours and moving parts out where the stream is no terminal, and colours under `NO_COLOR`.
"""

from __future__ import annotations

import errno
import io
import math
import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

volume: ContextVar[int] = ContextVar("volume", default=0)
"""-1 with `-q`, 1 with `-v`."""

_GAP: Final = "   "  # between two columns
_ENDLESS: Final = 10_000  # letters of a line that no terminal ends


def mend_streams() -> None:
    """Print into nothing where stdout or stderr is closed, and what their encoding lacks as escapes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # as long as we live
        elif isinstance(stream, io.TextIOWrapper) and not _is_unicode(stream):
            stream.reconfigure(errors="backslashreplace")


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def unwritable(error: OSError) -> str | None:
    """That what is printed cannot be written, in a sentence; None: the error is another one.

    What is left to print is given up, so that the process can end.
    """
    if error.errno not in (errno.ENOSPC, errno.EDQUOT) or error.filename is not None:
        return None
    nothing = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
    return f"the results cannot be written ({error.strerror}): print them where there is room"


def quiet() -> bool:
    return volume.get() < 0


def verbose() -> bool:
    return volume.get() > 0


def out() -> Console:
    """Where results go."""
    return _console(sys.stdout)


def err() -> Console:
    """Where everything else goes: what is being done, progress, warnings, errors."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    plain = not stream.isatty()
    # users' names and values are text: no "[b]" or ":a:" in them is Rich's
    width = _ENDLESS if plain else None
    return Console(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=plain, width=width)


def say(text: str) -> None:
    """A line of what is being done, on stderr; nothing under `-q`."""
    if not quiet():
        err().print(text, soft_wrap=True)  # a command or a path stays whole where it is copied from


def fail(text: str) -> None:
    """One sentence about what was wrong, on stderr."""
    console = err()
    console.print("error: ", style="bold red", end="")
    console.print(text, soft_wrap=True)


def print_json(value: Any) -> None:
    """`value` on stdout; NaN and infinities are the strings "NaN", "Infinity" and "-Infinity"."""
    import json

    escaped = not _is_unicode(sys.stdout)
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=escaped, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """`value` as what JSON has; structs become objects, enumerations and paths strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__struct_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return value


def number(value: float | None) -> str:
    """A metric's value as people read it."""
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def settings(config: Mapping[str, Any]) -> str:
    """A configuration in one line."""
    return ", ".join(f"{name}={setting(value)}" for name, value in config.items()) or "(no parameters)"


def setting(value: Any) -> str:
    """A parameter's value as people read it: None is one, too."""
    return "None" if value is None else number(value)


def grid(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table in the house's style; the columns in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], right: tuple[str, ...] = ()) -> None:
    """A table of many rows on stdout, as `grid` looks: Rich lays it out only where its lines must be folded.

    Args:
        columns: their names.
        rows: a text for each column.
        right: the columns that hold numbers.
    """
    table = [columns, *rows]
    widths = [max(map(_cells, column)) for column in zip(*table, strict=True)]
    total = sum(widths) + len(_GAP) * (len(widths) - 1)
    if total > room() or not all(text.isprintable() for row in table for text in row):
        laid = grid(*columns, right=right)
        for row in rows:
            laid.add_row(*row)
        out().print(laid)
        return
    numeric = [column in right for column in columns]

    def line(row: Sequence[str]) -> str:
        cells = []
        for text, width, is_number in zip(row, widths, numeric, strict=True):
            gap = " " * (width - _cells(text))
            cells.append(gap + text if is_number else text + gap)
        return _GAP.join(cells)

    print_bold(line(columns), "\n".join(["", "─" * total, *map(line, rows)]))


def print_bold(bold: str, text: str = "") -> None:
    """A line of a result that begins in bold on a terminal; without Rich, which takes a while to load."""
    shown = f"\x1b[1m{bold}\x1b[0m" if _has_bold(sys.stdout) else bold
    sys.stdout.write(f"{shown}{text}\n")


def room() -> int:
    """The letters that a line of a result has: the terminal's width, or as many as it likes."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _ENDLESS


def _has_bold(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows bold letters, or is to be taken for one, as Rich takes it."""
    told, forced = os.environ.get("TTY_COMPATIBLE"), os.environ.get("FORCE_COLOR")
    if told in ("0", "1"):
        terminal = told == "1"
    else:
        terminal = bool(forced) if forced is not None else stream.isatty()
    return terminal and os.name == "posix" and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def _cells(text: str) -> int:
    """How many letters wide a terminal shows a text."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def show_warnings() -> None:
    """Show a warning as one line on stderr, without the place in our code that it came from."""

    def show(message: Warning | str, *_: object) -> None:
        if not quiet():
            err().print(f"warning: {message}", style="yellow")

    warnings.showwarning = show  # type: ignore[assignment]  # called with more than it uses
