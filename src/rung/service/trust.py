"""Whom a client trusts, and what is wrong where it does not: TLS's errors as sentences."""

from __future__ import annotations

import os
import ssl

from rung.errors import UserError

_FILE = "SSL_CERT_FILE"


def no_authorities(error: OSError) -> UserError:
    """The certificates of those who are trusted cannot be read."""
    name = os.environ.get(_FILE)
    if not name:
        return UserError(f"the certificates of this machine cannot be read ({error}): see SSL_CERT_DIR")
    why = "no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
    return UserError(f"{_FILE} names {name}, which cannot be used ({why}): name a file with certificates")


def why(error: Exception) -> str:
    """What kept a request from being answered; what no later try would mend is raised.

    Raises:
        UserError: the certificate is not trusted, or the service does not speak TLS.
    """
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
