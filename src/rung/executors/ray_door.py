"""Whether a Ray cluster lets this process in: asked by a process of its own, before Ray is let near this one.

`ray.init` tries an address that is wrong for minutes and a token that is refused for twenty seconds, prints
lines of its own meanwhile, and aborts the process when there is no token. So `rung.executors.ray.at_the_door`
tries first, where what it prints is kept, with waits of seconds.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Final

from rung.errors import StudyError
from rung.executors.ray_errors import cannot_connect

_ASK: Final = "from rung.executors.ray import at_the_door; import sys; at_the_door(sys.argv[1])"
_LONGEST: Final = 60.0  # seconds: all of its waits are shorter, unless the machine is very busy
_WAITS: Final = {  # Ray's settings for the process that asks, in seconds; those of the user come first
    "RAY_gcs_rpc_server_connect_timeout_s": "2",
    "RAY_py_gcs_connect_timeout_s": "4",
    "RAY_gcs_server_request_timeout_seconds": "5",
}


def checked(address: str) -> str:
    """The address as it is, if it has the form of one.

    Raises:
        StudyError: it is neither HOST:PORT nor `auto`.
    """
    if address.startswith("ray://"):
        raise StudyError(
            f"{address}: Ray's client is not used; run this on a machine of the cluster, with its own "
            "address (such as 10.0.0.1:6379, or auto), or hand it in by `ray job submit`"
        )
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise StudyError(
            f"{address!r} is not the address of a Ray cluster: give HOST:PORT, as `ray start --head` "
            "printed it, or auto"
        )
    return address


def same(one: str, other: str) -> bool:
    """Whether two addresses, HOST:PORT, are of the same server: a host has names, and loopback is one."""
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    if port != other_port:
        return False
    first, second = _numbers(host), _numbers(other_host)
    return host == other_host or bool(first & second) or (_ours(first) and _ours(second))


def _numbers(host: str) -> set[str]:
    """The addresses that a host's name has."""
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host.strip("[]"), None)}
    except OSError:
        return set()


def _ours(addresses: set[str]) -> bool:
    """Whether one of them is this machine's, so that one may listen at it."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with suppress(OSError), socket.socket(family) as listener:
            listener.bind((address, 0))
            return True
    return False


def opened(address: str) -> str:
    """HOST:PORT of the cluster at `address`, which answers and accepts this process's token.

    Raises:
        StudyError: it does not, or this machine is none of its nodes.
    """
    settings = {**_WAITS, **os.environ, "PYTHONPATH": os.pathsep.join(entry or "." for entry in sys.path)}
    command = [sys.executable, "-P", "-c", _ASK, address]
    try:
        done = subprocess.run(
            command, env=settings, capture_output=True, text=True, errors="replace", timeout=_LONGEST
        )
    except subprocess.TimeoutExpired as error:
        raise StudyError(cannot_connect(TimeoutError(str(error)), address)) from None
    if done.returncode:  # it has said why, unless Ray has aborted it
        raise StudyError(done.stdout.strip() or cannot_connect(RuntimeError(done.stderr), address))
    return done.stdout.strip()
