"""A log that may grow no further: its first and its last part are kept, what lies between is left out.

It is cut in place, while programs append to it: whoever has it open for appending goes on behind the end.
"""

from __future__ import annotations

import os
from typing import Final

from rung.errors import StudyError

MOST: Final = 10 << 20  # bytes of a trial's log, headers and tracebacks included, unless told
_SETTING: Final = "RUNG_LOG_SIZE"
_LEAST: Final = 10_000  # bytes: a traceback and what was printed before it
_NOTICE: Final = b" bytes are left out here: of a trial's log its first and its last part are kept\n"
_START: Final = b"--- "
_LINE: Final = 4096  # bytes within which the first part is cut at the end of a line


def log_size() -> int:
    """Bytes that a trial's log may have, as the environment says.

    Raises:
        StudyError: `RUNG_LOG_SIZE` is no number of bytes, or less than 10,000.
    """
    text = os.environ.get(_SETTING, "").strip()
    if not text:
        return MOST
    if not text.isdecimal() or int(text) < _LEAST:
        raise StudyError(f"{_SETTING} must be a number of bytes, at least {_LEAST}, not {text!r}")
    return int(text)


def keep_ends(path: str, most: int = MOST) -> None:
    """Cut a log of more than `most` bytes to its first half and its last quarter, with a line between them.

    A quarter is left to grow into, so that a program that prints without end is not copied at each look. What
    is written while the log is cut (milliseconds) may be left out too, and is counted. A log that is not
    there is left so.

    Raises:
        OSError: it can be read and not be written.
    """
    try:
        if os.path.getsize(path) <= most:
            return
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _cut(handle, most // 2, most // 4)
    finally:
        os.close(handle)


def _cut(handle: int, first: int, last: int) -> None:
    end, before = _middle(handle, first)
    size = os.fstat(handle).st_size
    tail = os.pread(handle, last, size - last)
    tail = tail[tail.find(b"\n", 0, _LINE) + 1 :]  # from the beginning of a line, if one is near
    left = os.fstat(handle).st_size - end - len(tail) + before
    notice = b"%s%d%s" % (_START, left, _NOTICE)
    os.pwrite(handle, notice + tail, end)
    os.ftruncate(handle, end + len(notice) + len(tail))


def _middle(handle: int, first: int) -> tuple[int, int]:
    """Where the first part ends; how many bytes were left out there before, less the line that says so."""
    line = min(_LINE, first // 2)
    near = os.pread(handle, 2 * line, first - line)
    at = near.find(_NOTICE)
    start = near.rfind(_START, 0, max(at, 0))
    number = near[start + len(_START) : at]
    if start >= 0 and number.isdigit():
        return first - line + start, int(number) - (at + len(_NOTICE) - start)
    cut = near.rfind(b"\n", 0, line) + 1
    return first - line + (cut or line), 0
