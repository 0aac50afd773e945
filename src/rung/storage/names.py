"""The names of studies, and the sentences about names that are missing, taken or unusable."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from rung.errors import ConflictError, MissingError, StudyError

_LONGEST = 200
_SHOWN = 5  # names in a sentence


def check_name(name: str) -> str:
    """`name` itself, if a study may bear it.

    Raises:
        StudyError: it is empty, too long, has characters that do not print, or looks like an option.
    """
    if name.startswith("-"):
        raise StudyError(f"{name!r} cannot name a study: commands would take it for an option")
    if name.strip() in (".", ".."):
        raise StudyError(f"{name!r} cannot name a study: links and files would take it for a folder")
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise StudyError(f"{name!r} cannot name a study: give 1 to {_LONGEST} printable characters")
    return name


def can_be(name: str) -> bool:
    """Whether a study can have a name, so that a database is asked for it: drivers refuse what is no text."""
    return name.isprintable()


def missing(name: str, names: Collection[str], url: str) -> MissingError:
    """There is no study of this name; the sentence names the closest."""
    if not names:
        return MissingError(f"there is no study {name!r} in {url}: it has no studies")
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return MissingError(f"there is no study {name!r} in {url}: did you mean {close[0]!r}?")
    shown = ", ".join(repr(other) for other in list(names)[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return MissingError(f"there is no study {name!r} in {url}: it has {shown}{more}")


def taken(name: str, url: str) -> ConflictError:
    """Another study has this name."""
    return ConflictError(
        f"there is a study {name!r} in {url} already: choose another name, or delete that one"
    )
