"""Text files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rung.errors import DataError


def write_text(place: Path, text: str, option: str) -> None:
    """Write beside the place first, then move it there.

    Args:
        option: of the command, by which another place is given.

    Raises:
        DataError: the file cannot be written.
    """
    temporary = place.with_name(f".{place.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(
            f"{place} cannot be written ({error.strerror or error}); give another {option}"
        ) from error
