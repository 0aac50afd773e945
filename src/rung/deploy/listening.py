"""Where a server of ours listens, and whether others reach it there."""

from __future__ import annotations

import ipaddress
import socket

from rung.errors import UserError


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(
    host: str,
    port: int,
    *,
    waiting: int = 256,
    unread: int | None = None,
    instead: str = "another --port or --host",
) -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    Args:
        waiting: connections that wait to be taken.
        instead: what may be given where it cannot be.
        unread: seconds after which a connection is cut off whose client reads nothing, where the system can.

    Raises:
        UserError: the address is not this machine's, or is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sends at once over TCP
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if unread is not None:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
                place.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread * 1000)
        place.bind((host, port))
        place.listen(waiting)
    except (OSError, OverflowError) as error:
        place.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot listen on {host}, port {port} ({reason}): give {instead}") from error
    return place
