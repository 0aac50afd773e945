"""Where the checkpoints of a service's studies may lie, beside the studies' own folders: stores by URL.

The service looks after them with its own credentials, whoever names the URL. So a user may name an object
store (which their bucket's own rights guard), or what lies below the URL that the service was started with;
no folder of the service's machine, and no server of its network.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from rung.errors import StorageError, StudyError
from rung.executors.remote import check_url, is_url, probe
from rung.study.checkpoint_places import OWN, clear

_STORES: Final = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "b2")
_log = logging.getLogger("rung.service")


def check_default(url: str) -> str:
    """`url` without a slash at its end, if a service can keep checkpoints below it.

    Raises:
        StudyError: it is no URL, holds a password, or nothing that is installed speaks to it.
    """
    if not is_url(url) or url.startswith("file:"):
        raise StudyError(
            f"--checkpoints {url!r} must be a URL that workers write themselves, such as s3://bucket/prefix "
            "(a folder that all machines have is local:///mnt/shared): without it they send checkpoints to "
            "the service"
        )
    check_url(url)
    return url.rstrip("/")


def named(url: str | None, default: str | None) -> str | None:
    """Below which URL a new study's checkpoints are to lie; None: they are sent to the service.

    Args:
        url: what its user named; "study" for the study's own folder; None: nothing.
        default: what the service was started with.

    Raises:
        StudyError: a user may not name it, or nothing can be written there.
    """
    place = default if url is None else None if url == OWN else _allowed(url.rstrip("/"), default)
    if place is not None:
        _try(place)
    return place


def _allowed(url: str, default: str | None) -> str:
    below = default is not None and f"{url}/".startswith(f"{default}/") and ".." not in url.split("/")
    if not below and url.partition("://")[0] not in _STORES:
        most = "" if default is None else f", or a URL below {default}"
        raise StudyError(
            f"checkpoints: name a bucket, as in s3://bucket/prefix{most}; or leave it out, and they are "
            "kept by the service"
        )
    check_url(url)
    return url


def _try(place: str) -> None:
    try:
        probe(place)
    except StorageError as error:
        _log.warning("%s", error)
        raise StudyError(
            f"the service cannot write checkpoints to {place}: see whether the place is there and the "
            "service may write to it (its log says more)"
        ) from error


def cleared(name: str, places: Iterable[str]) -> None:
    """Delete the checkpoints of a study that is no more; what a store keeps back is said in the log."""
    for place in places:
        try:
            clear(place)
        except StorageError as error:
            _log.warning("study %s is deleted, and its checkpoints in %s are not: %s", name, place, error)
