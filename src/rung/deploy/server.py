"""A model behind HTTP: `POST /predict`, `GET /health`, `GET /schema`, and a page that explains them.

Nothing is loaded from another host: the page is plain HTML, and `/openapi.json` describes the interface.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rung import __version__
from rung.deploy.listening import is_loopback
from rung.deploy.rows import RowError, frame_of, schema
from rung.deploy.server_page import page
from rung.errors import DataError, UserError

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI, Request
    from starlette.responses import Response

    from rung.tabular.model import Model

    Handler = Callable[[Request], Awaitable[Response]]

OPEN: Final = ("/health",)  # paths that want no token: nothing of the model is in them
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Limits:
    """What one request may hold.

    Attributes:
        rows: of a batch.
        body: bytes.
    """

    rows: int = 10_000
    body: int = 16 * 2**20


def check_host(host: str, token: str | None) -> None:
    """Refuse to be reached from elsewhere without a token.

    Raises:
        UserError: says what to do.
    """
    if token is not None and not token.strip():
        raise UserError("the token is empty: give one of at least a few characters, or leave --token out")
    if not is_loopback(host) and token is None:
        raise UserError(
            f"{host} can be reached from other machines, so it needs a token: add --token, or listen on "
            "127.0.0.1"
        )


def create_app(model: Model, token: str | None = None, limits: Limits | None = None) -> FastAPI:
    """The application; predictions are made one batch after the other in a thread of their own.

    Args:
        token: what `Authorization: Bearer` must bring; None asks for none, and then only requests that are
            addressed to this machine by name (`Host`) are answered, so that no web page can reach the model
            through a name of its own.
    """
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse, JSONResponse
    from starlette.exceptions import HTTPException

    limits = limits or Limits()
    columns = schema(model.encoder)
    about = {
        "task": model.task.kind,
        "target": model.target,
        "classes": list(model.task.classes),
        "columns": columns,
    }
    worker = ThreadPoolExecutor(1, thread_name_prefix="predict")
    app = FastAPI(
        title="rung",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        description=f"Predicts {model.target}.",
    )

    @app.middleware("http")
    async def guard(request: Request, call_next: Handler) -> Response:
        refusal = _refusal(request, token)
        if refusal is None:
            return await call_next(request)
        status, sentence = refusal
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse({"detail": sentence}, status, headers)

    @app.get("/health", summary="Whether the server is up.")
    async def health() -> dict[str, str]:
        return {"status": "ok", "rung": __version__}

    @app.get("/schema", summary="The columns that a row needs, and what is predicted.")
    async def told() -> dict[str, Any]:
        return about

    @app.get("/", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(about, with_token=token is not None))

    async def predict(request: Request) -> JSONResponse:
        rows = _rows(await _body(request, limits.body), limits.rows)
        try:
            found = await asyncio.get_running_loop().run_in_executor(worker, predictions, model, rows)
        except (RowError, DataError) as error:
            raise HTTPException(422, str(error)) from error
        return JSONResponse({"predictions": found})

    predict.__annotations__ = {"request": Request, "return": JSONResponse}  # FastAPI reads them
    app.post(
        "/predict", summary="Predictions for rows, in their order.", openapi_extra=_described(columns, limits)
    )(predict)
    return app


def predictions(model: Model, rows: Any) -> list[dict[str, Any]]:
    """One object a row: `prediction`, and for classes `p_<class>` each.

    Raises:
        RowError: a row does not fit the model's columns.
    """
    from rung.tabular.predict import predict_table

    table = predict_table(model, frame_of(rows, model.encoder))
    lists = [table[name].tolist() for name in table]
    return [dict(zip(table.columns, row, strict=True)) for row in zip(*lists, strict=True)]


# -- what is refused ----------------------------------------------------------------------------------------


def _refusal(request: Request, token: str | None) -> tuple[int, str] | None:
    """Status and sentence for a request that is not answered."""
    if request.url.path in OPEN:
        return None
    if token is None:
        name = (request.url.hostname or "").strip("[]")
        if name in _LOCAL or is_loopback(name):
            return None
        return 421, f"this server answers requests to 127.0.0.1 or localhost, not to {name!r}"
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return None
    return 401, "give the server's token in the header Authorization: Bearer TOKEN"


async def _body(request: Request, most: int) -> bytes:
    """The request's body, read no further than `most` bytes."""
    from starlette.exceptions import HTTPException

    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "send JSON, with the header Content-Type: application/json")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise HTTPException(413, f"the body is larger than {most:,} bytes: send fewer rows at a time")
        parts.append(part)
    return b"".join(parts)


def _rows(body: bytes, most: int) -> list[Any]:
    from starlette.exceptions import HTTPException

    try:
        given = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f'the body is no JSON ({error}): send {{"rows": [...]}}') from error
    rows = given.get("rows") if isinstance(given, dict) else None
    if not isinstance(rows, list) or not rows:
        raise HTTPException(422, 'send {"rows": [...]} with one object a row, at least one')
    if len(rows) > most:
        raise HTTPException(413, f"{len(rows):,} rows are more than {most:,}: send them in several requests")
    return rows


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not in JSON, give null")


# -- the description ---------------------------------------------------------------------------------------


_JSON_TYPES: Final = {
    "number": ["number", "null"],
    "category": ["string", "number", "boolean", "null"],
    "text": ["string", "null"],
    "date": ["string", "null"],
}


_REFUSALS: Final = {
    "400": "The body is no JSON.",
    "401": "The token is missing or wrong.",
    "413": "More rows, or a larger body, than the server takes.",
    "415": "The body is not said to be JSON.",
    "422": "Rows do not fit the columns: the first few faults, with row and column.",
}


def _json_types(column: dict[str, Any]) -> list[str]:
    """Numbers that have a form may also come as the training table wrote them."""
    formed = column["kind"] == "number" and "format" in column
    return [*_JSON_TYPES[column["kind"]], *(["string"] if formed else [])]


def _described(columns: list[dict[str, Any]], limits: Limits) -> dict[str, Any]:
    """The request of `/predict` for OpenAPI."""
    properties = {column["name"]: {"type": _json_types(column)} for column in columns}
    row = {"type": "object", "properties": properties, "required": list(properties)}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": limits.rows}
    body = {"type": "object", "properties": {"rows": rows}, "required": ["rows"]}
    one = {"type": "object", "properties": {"prediction": {}}, "required": ["prediction"]}
    found = {"type": "object", "properties": {"predictions": {"type": "array", "items": one}}}
    detail = {"type": "object", "properties": {"detail": {"type": "string"}}}
    answers = {
        status: {"description": why, "content": {"application/json": {"schema": detail}}}
        for status, why in _REFUSALS.items()
    }
    answers["200"] = {
        "description": "One object a row: `prediction`, and for classes `p_<class>` each.",
        "content": {"application/json": {"schema": found}},
    }
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": answers,
    }


# -- running -----------------------------------------------------------------------------------------------


def run(app: FastAPI, place: socket.socket, *, verbose: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first, for at most ten seconds."""
    import signal

    import uvicorn

    settings = uvicorn.Config(
        app,
        log_level="info" if verbose else "warning",
        access_log=verbose,
        server_header=False,
        limit_concurrency=256,
        timeout_graceful_shutdown=10,
    )
    # uvicorn stops at a signal, then raises it once more for whoever had it before: the end is a good one.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.Server(settings).run(sockets=[place])
