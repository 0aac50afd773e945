"""Text files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rung.storage.whole import write_whole


def write_text(place: Path, text: str, option: str) -> None:
    """Write beside the place first, then move it there.

    Args:
        option: of the command, by which another place is given.

    Raises:
        DataError: the file cannot be written.
    """
    write_whole(place, text, option)
