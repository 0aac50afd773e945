"""What both ends of the API keep to: names in addresses, requests made again, studies elsewhere."""

from __future__ import annotations

import hashlib
from typing import Final

from rung.errors import ConflictError, StudyError


def digest_of(body: bytes | str) -> str:
    """By which a request is known again, with the same body; 16 letters."""
    return hashlib.sha256(body.encode() if isinstance(body, str) else body).hexdigest()[:16]


def check_same(key: str, before: str, now: str) -> None:
    """Refuse a request whose idempotency key another request had.

    Args:
        before, now: the digests of both; "": not known, and taken for the same.

    Raises:
        ConflictError: they differ.
    """
    if before and now and before != now:
        raise ConflictError(
            f"the Idempotency-Key {key!r} was given with another request: only the same request, made again, "
            "has the same key"
        )


def check_address(name: str) -> str:
    """`name`, if a study of this name can be reached over HTTP.

    Raises:
        StudyError: it is a part of a path that means something else, or several parts.
    """
    if "/" in name or name in (".", ".."):
        raise StudyError(f"{name!r} cannot name a study of a service: leave out '/', and '.' or '..' alone")
    return name


ELSEWHERE: Final = "run elsewhere"
"""The title of the problem by which a service says that another one over its storage runs a study."""


class ElsewhereError(ConflictError):
    """Another service over the same storage runs the study."""
