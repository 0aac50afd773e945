"""What Ray raises, as sentences: what is wrong, where, and what to do. No token is ever in one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from rung.errors import StudyError

_UNREACHED = (
    *("Failed to connect", "Could not find any running Ray instance", "Unable to connect"),
    *("while waiting for GCS", "RPC error", "Deadline Exceeded"),
)
_NO_TOKEN = ("oken authentication is enabled but", "o authentication token", "find an authentication token")
_NODE_DIED = ("node has died", "node was terminated", "NODE_DIED", "preempted", "dead node")
_LONGEST = 300  # characters that are quoted of a message of Ray
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")
_TOKEN = re.compile(r"\b[0-9a-f]{32,}\b")


class ClusterLostError(StudyError):
    """The cluster is gone, or out of reach, while jobs run."""


def cannot_connect(error: BaseException, address: str | None) -> str:
    """Why a cluster cannot be joined, or one's own not be started.

    Args:
        address: of the cluster; None: one's own.
    """
    text = _all_texts(error)
    where = "Ray on this machine" if address is None else f"the Ray cluster at {address!r}"
    if "InvalidAuthToken" in text or "AuthenticationError" in text:
        return (
            f"{where} does not accept this token, or got none: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, "
            "to the cluster's own"
        )
    if any(said in text for said in _NO_TOKEN):
        return f"{where} asks for a token: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, to the cluster's own"
    found = _VERSIONS.findall(text) if "ersion mismatch" in text else []
    if len(found) >= 2:
        (theirs, their_python), (ours, our_python) = found[:2]
        return (
            f"{where} runs Ray {theirs} with Python {their_python}, but this process Ray {ours} with Python "
            f"{our_python}: both must be the same"
        )
    if "No node info found matching" in text:
        return (
            f"{where} answers, but this machine is none of its nodes: run `ray start --address=HOST:PORT` "
            "here, or hand rung in by `ray job submit`"
        )
    if address is not None and _is_connection(error, text):
        return _nobody(address, error)
    return f"{where} cannot be used: {quoted(error)}"


def _nobody(address: str, error: BaseException) -> str:
    if address == "auto":
        return (
            "no Ray cluster answers that this machine is in: start one by `ray start --head`, join one by "
            "`ray start --address=HOST:PORT`, or leave --address to start Ray for this study alone"
        )
    why = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
    return (
        f"no Ray cluster answers at {address!r}{why}: run this on one of its machines, with the address that "
        "`ray start --head` printed, or leave --address to start Ray for this study alone"
    )


def _is_connection(error: BaseException, text: str) -> bool:
    return isinstance(error, OSError | ValueError) or any(said in text for said in _UNREACHED)


def _all_texts(error: BaseException) -> str:
    """The names and texts of an exception and of those that led to it."""
    texts: list[str] = []
    one: BaseException | None = error
    while one is not None and len(texts) < 10:
        texts.append(f"{type(one).__name__}: {one}")
        one = one.__cause__ or one.__context__
    return "\n".join(texts)


def connection_lost(error: BaseException) -> str:
    """The cluster is gone, or out of reach, while the study runs."""
    return (
        f"the connection to the Ray cluster was lost ({quoted(error)}): the study is kept; when the cluster "
        "is back, go on with `rung resume`, or start the worker again"
    )


def lost(error: BaseException) -> str:
    """Why a job was lost with its worker."""
    text = str(error)
    if "running low on memory" in text or "OOM" in text:
        return "Ray killed its worker, since the node runs out of memory"
    if any(said in text for said in _NODE_DIED):
        return "its node was lost"
    if raised(error):  # the traceback's last line says it
        return f"its worker cannot start: {quoted(Exception(text.rstrip().rpartition(chr(10))[2]))}"
    if "unavailable" in text:
        return "its worker is out of reach: it, its node or the network between is gone"
    return f"its worker was lost: {quoted(error)}"


def raised(error: BaseException) -> bool:
    """Whether an actor ended as it was made, of an exception of its own."""
    return "creation task" in str(error)


def quoted(error: BaseException) -> str:
    """An exception's first telling lines, short and without secrets."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines)[:_LONGEST] or type(error).__name__
    return without_secrets(text, os.environ)


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """`text` with every token masked: the one of the environment, and whatever looks like one."""
    token = environment.get("RAY_AUTH_TOKEN")
    if token:
        text = text.replace(token, "***")
    return _TOKEN.sub("***", text)
