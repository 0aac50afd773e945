"""Errors as problem details (RFC 9457): one sentence for whoever asked, nothing of what is inside.

Every answer of the service above 399 is `application/problem+json` with `type`, `title`, `status` and
`detail`; one about fields has `errors` too, and one that is our mistake `request`, the number by which the
log has it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from rung.errors import (
    ConflictError,
    DamageError,
    LeaseError,
    MissingError,
    StorageError,
    StudyError,
    UserError,
)
from rung.service.field_words import wrongs
from rung.service.shared import ELSEWHERE, ElsewhereError

MEDIA: Final = "application/problem+json"
_KINDS: Final = "urn:problem-type:rung:"
_log = logging.getLogger("rung.service")


class Problem(HTTPException):
    """An answer that says what is wrong.

    Args:
        status: of HTTP, 400 to 599.
        title: what kind of problem it is, the same each time, such as "not yours"; its `type` is made of it.
            "": the phrase of the status, and "about:blank" for its type.
        detail: what is wrong this time, and what to do: one sentence.
        headers: sent with it.
        more: further members of the body.
    """

    def __init__(
        self,
        status: int,
        title: str = "",
        detail: str = "",
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.title = title
        self.more = dict(more or {})

    def __str__(self) -> str:
        return self.detail or self.title

    @property
    def body(self) -> dict[str, Any]:
        """What is sent, before it is JSON."""
        phrase = HTTPStatus(self.status_code).phrase
        kind = "about:blank" if not self.title else _KINDS + re.sub(r"[^a-z0-9]+", "-", self.title.lower())
        return {
            "type": kind,
            "title": self.title or phrase,
            "status": self.status_code,
            "detail": self.detail,
            **self.more,
        }

    def response(self) -> Response:
        """The answer."""
        text = json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace")
        return Response(text, self.status_code, dict(self.headers or {}), MEDIA)


_MEANINGS: Final[tuple[tuple[type[UserError], int, str], ...]] = (  # the first that fits
    (LeaseError, 409, "lease lost"),
    (MissingError, 404, "not found"),
    (ElsewhereError, 409, ELSEWHERE),
    (ConflictError, 409, "conflict"),
    (DamageError, 409, "damaged"),
    (StorageError, 503, "storage"),
    (StudyError, 422, "study"),
    (UserError, 422, "not usable"),
)
_STORAGE: Final = "the service's storage cannot be read or written now: try again; its log says more"


def problem_of(error: UserError, hidden: Sequence[str] = ()) -> Problem:
    """What a user's error is to a client; texts in `hidden`, such as the storage's URL, are left out."""
    status, title = next((code, name) for kind, code, name in _MEANINGS if isinstance(error, kind))
    if status == 503:
        return Problem(status, title, _STORAGE, {"Retry-After": "1"})
    detail = str(error)
    for text in hidden:
        detail = detail.replace(text, "this service")
    return Problem(status, title, detail)


def install(app: FastAPI, hidden: Sequence[str] = ()) -> None:
    """Have `app` answer every error with a problem.

    Args:
        hidden: texts that no answer may show, such as the storage's URL.
    """

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        found = error if isinstance(error, Problem) else _of_http(error)
        return found.response()

    @app.exception_handler(RequestValidationError)
    async def _fields(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _of_fields(error.errors()).response()

    @app.exception_handler(UserError)
    async def _user(_: Request, error: Exception) -> Response:
        assert isinstance(error, UserError)
        found = problem_of(error, hidden)
        if found.status_code >= 500:
            _log.error("%s", error)
        return found.response()

    @app.exception_handler(Exception)
    async def _ours(request: Request, _: Exception) -> Response:
        number = getattr(request.state, "request", "")
        detail = "the service made a mistake; its log has it under this request's number"
        headers = {"X-Request-Id": number, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        return Problem(500, "", detail, headers, {"request": number}).response()


def _of_http(error: HTTPException) -> Problem:
    """What Starlette and FastAPI themselves refuse."""
    if error.status_code == 404 and error.detail == "Not Found":
        return Problem(404, "", "there is nothing at this address: see /api/v1/openapi.json", error.headers)
    if error.status_code == 405:
        return Problem(
            405, "", "this address does not take that method: see /api/v1/openapi.json", error.headers
        )
    return Problem(error.status_code, "", str(error.detail), error.headers)


def _of_fields(errors: Sequence[Any]) -> Problem:
    """Which fields of a request are not usable, and why; what was given is not said back."""
    found = wrongs(errors)
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    detail = f"{_place(first.place[1:]) or 'what was sent'} {first.words}{more}"
    fields = [{"field": _place(each.place), "message": each.words} for each in found]
    return Problem(422, "not valid", detail, None, {"errors": fields[:50]})


def _place(parts: Sequence[str]) -> str:
    """A field as text: `body.space`, `query.limit`."""
    return ".".join(parts)[:200]
