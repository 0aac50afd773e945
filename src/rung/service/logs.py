"""The service's log on stderr, as text or as JSON lines; tokens and passwords in it are blacked out.

A record's fields come in `extra={"fields": {...}}`: members of the JSON line, `name=value` in text.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

Format = Literal["text", "json"]
ACCESS: Final = "rung.service.access"

_SECRETS: Final = (  # what is replaced, and by what
    (re.compile(r"\brung_[A-Za-z0-9_-]{43}"), "rung_***"),
    (re.compile(r"(?i)\b(bearer|basic)[ :]+[^\s\"',;]+"), r"\1 ***"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@\"']*):[^\s/@\"']+@"), r"\1:***@"),
    (re.compile(r"(?i)\b(password|passwd|secret|token)=[^\s&\"',;)]+"), r"\1=***"),
)


def blacked_out(text: str) -> str:
    """`text` without what looks like a token, a password or credentials in a URL."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC, ISO 8601), level, logger, message, fields, and an error's trace."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": blacked_out(record.getMessage()),
        }
        for name, value in _fields(record).items():
            line[name] = blacked_out(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = blacked_out(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class Lines(logging.Formatter):
    """One line for people; what does not print in it is escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items() if value != "")
        return _printable(f"{super().formatMessage(record)} {fields}".rstrip())

    def format(self, record: logging.LogRecord) -> str:
        return blacked_out(super().format(record))


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    return fields


def _printable(text: str) -> str:
    """No line breaks and no terminal's commands: a path that a client made up is in it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def configure(form: Format, *, verbose: bool = False, stream: TextIO | None = None) -> None:
    """Have the service and its server write their log to `stream` (stderr), and nowhere else.

    Args:
        verbose: debug messages too, and every request in text form (JSON always has them).
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else Lines())
    for name in ("rung", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("rung").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.INFO if verbose else logging.WARNING)
    told = form == "json" or verbose
    logging.getLogger(ACCESS).setLevel(logging.INFO if told else logging.WARNING)
