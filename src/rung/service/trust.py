"""Whom a client trusts, and what is wrong where it does not: TLS's errors as sentences."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from rung.errors import UserError

_FILE = "SSL_CERT_FILE"
_PROBE = 3.0  # seconds for a look at whether TLS is spoken there


def no_authorities(error: OSError) -> UserError:
    """The certificates of those who are trusted cannot be read."""
    name = os.environ.get(_FILE)
    if not name:
        return UserError(f"the certificates of this machine cannot be read ({error}): see SSL_CERT_DIR")
    why = "no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
    return UserError(f"{_FILE} names {name}, which cannot be used ({why}): name a file with certificates")


def why(error: Exception, url: str) -> str:
    """What kept a request to `url` from being answered; what no later try would mend is raised.

    Raises:
        UserError: the certificate is not trusted, or the service does not speak TLS where it was expected
            to, or the other way round.
    """
    import httpx

    closed = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)  # it was there, and said nothing
    if closed and url.startswith("http://") and _speaks_tls(url):
        safe = "https://" + url.removeprefix("http://")
        raise UserError(f"what answers at {url} speaks TLS: try {safe}") from error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise UserError(
                f"the service's certificate is not trusted ({cause.verify_message}): if it is your own, "
                f"name its authority's file in {_FILE}"
            ) from error
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            raise UserError("what answers there does not speak TLS: is its address http://...?") from error
        cause = cause.__cause__ or cause.__context__
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _speaks_tls(url: str) -> bool:
    """Whether there is a TLS server at `url`, whoever it is; nothing is sent to it."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        suppress(OSError),
        socket.create_connection((parts.hostname or "", parts.port or 80), _PROBE) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname),
    ):
        return True
    return False
