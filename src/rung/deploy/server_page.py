"""The server's page: plain HTML, nothing of another host's in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any, Final

from rung.tabular.dates import date_words

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f4f4f4;padding:1rem;overflow-x:auto}td,th{text-align:left;padding:.2rem 1rem .2rem 0;"
    "vertical-align:top}"
)
_LEVELS: Final = 8  # shown of a category


def page(about: Mapping[str, Any], *, with_token: bool) -> str:
    """What the model predicts, from which columns, and a request to copy."""
    example = {column["name"]: _example(column) for column in about["columns"]}
    body = json.dumps({"rows": [example]}, ensure_ascii=False).replace("'", "'\\''")
    token = " -H 'Authorization: Bearer TOKEN'" if with_token else ""
    command = f"curl -s http://HOST:PORT/predict{token} -H 'Content-Type: application/json' -d '{body}'"
    rows = "".join(
        f"<tr><td>{escape(column['name'])}</td><td>{escape(column['kind'])}</td>"
        f"<td>{escape(_values(column))}</td></tr>"
        for column in about["columns"]
    )
    classes = f", one of {escape(', '.join(map(str, about['classes'])))}" if about["classes"] else ""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>rung</title>"
        f"<style>{_STYLE}</style><h1>{escape(about['target'])}</h1>"
        f"<p>This server predicts {escape(about['target'])} ({escape(about['task'])}{classes}).</p>"
        f"<pre>{escape(command)}</pre>"
        "<p><code>GET /schema</code> has the columns below as JSON, <code>GET /health</code> tells whether "
        "the server is up, and <a href=openapi.json>openapi.json</a> describes the interface.</p>"
        f"<table><tr><th>column<th>kind<th>values</tr>{rows}</table></html>"
    )


def _example(column: Mapping[str, Any]) -> Any:
    if column["kind"] == "number":
        return 0
    if column["kind"] == "category":
        return column["levels"][0] if column["levels"] else None
    return None


def _values(column: Mapping[str, Any]) -> str:
    if column["kind"] != "category":
        written = column["kind"] == "date" and column.get("format")
        return date_words(written) if written else str(column["takes"])
    more = len(column["levels"]) + column["more_levels"] - _LEVELS
    shown = ", ".join(column["levels"][:_LEVELS])
    return f"{shown} and {more} more" if more > 0 else shown
