"""The lines by which a program reports: `rung: {"resource": 3, "loss": 0.12}`.

| line | taken as |
| --- | --- |
| begins with `rung:`, then a JSON object with a metric | a report, of the job's end without `resource` |
| `rung: {"infeasible": "why"}` | this configuration has no value |
| has an object under `attributes` | these are kept of the trial; what else there is, is a report |
| `NaN`, `Infinity`, `nan`, `-inf` (as C prints them), `null` | that number; `null` is NaN (JavaScript) |
| begins with `rung:` and is anything else, or is longer than 64 KiB | an error that ends the job |
| does not begin with `rung:`, or is no text | for the log |
| the last one, without a line break | the same, if it is whole |
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from rung.errors import StudyError
from rung.executors.metrics import as_metrics

PREFIX: Final = b"rung:"
LONGEST: Final = 1 << 16  # bytes of a line
_RESOURCES: Final = 2**53  # beyond it floats are no whole numbers any more
_RESERVED: Final = ("self", "save")
_C_NUMBER: Final = re.compile(r"(?<=[:\s])([-+]?)(nan|inf)(?:inity)?(?:\(\w*\))?(?=\s*[,}])", re.IGNORECASE)
_SHOWN: Final = 80


class Report(NamedTuple):
    """What a line says: metrics at a resource (None: the job's end), attributes, or why there are none."""

    resource: int | None
    metrics: dict[str, float]
    infeasible: str | None = None
    attributes: dict[str, Any] | None = None


class Splitter:
    """Cuts what a program prints into reports and everything else, as it comes."""

    def __init__(self) -> None:
        self._rest = b""
        self._cut = False  # the line's beginning was given out already: it was too long to keep

    def feed(self, data: bytes) -> Iterator[Report | bytes]:
        """The reports and the other lines that are whole now, in order.

        Raises:
            StudyError: a report that is not understood.
        """
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield from self._line(line, b"\n")
        if len(self._rest) > LONGEST:
            if self._rest.startswith(PREFIX) and not self._cut:
                raise StudyError(f"a report line of more than {LONGEST} bytes: {_shown(self._rest)}")
            yield self._rest
            self._rest, self._cut = b"", True

    def end(self) -> Iterator[Report | bytes]:
        """What is left when nothing more comes: a line without its break."""
        line, self._rest = self._rest, b""
        if line:
            yield from self._line(line, b"")

    def _line(self, line: bytes, stop: bytes) -> Iterator[Report | bytes]:
        cut, self._cut = self._cut, False
        if line.startswith(PREFIX) and not cut:
            yield parse(line)
        else:
            yield line + stop


def parse(line: bytes) -> Report:
    """The report in a line that begins with `rung:`.

    Raises:
        StudyError: it is none; the message shows its beginning.
    """
    if len(line) > LONGEST:
        raise StudyError(f"a report line of more than {LONGEST} bytes: {_shown(line)}")
    try:
        said = _decoded(line[len(PREFIX) :].decode())
    except (ValueError, RecursionError) as error:
        raise StudyError(f"a report line is no JSON ({_reason(error)}): {_shown(line)}") from error
    if not isinstance(said, dict):
        raise StudyError(
            f'a report is an object, as in rung: {{"resource": 3, "loss": 0.12}}, not {_shown(line)}'
        )
    if "infeasible" in said:
        return Report(None, {}, str(said["infeasible"]))
    kept = said.pop("attributes") if isinstance(said.get("attributes"), dict) else {}
    resource = _resource(said.pop("resource", None), line)
    for name in said:
        _check_name(name, line)
    if not said and not kept:
        raise StudyError(
            f'a report needs a metric, as in rung: {{"resource": 3, "loss": 0.12}}, not {_shown(line)}'
        )
    metrics = as_metrics({k: math.nan if v is None else v for k, v in said.items()})
    return Report(resource, metrics, attributes=kept or None)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        spelt = _C_NUMBER.sub(
            lambda m: f"{m[1].strip('+')}{'Infinity' if m[2].lower() == 'inf' else 'NaN'}", text
        )
        return json.loads(spelt.replace("-NaN", "NaN"))


def _resource(given: Any, line: bytes) -> int | None:
    if given is None:
        return None
    whole = isinstance(given, int | float) and not isinstance(given, bool) and given % 1 == 0
    if not whole or not 1 <= given < _RESOURCES:
        raise StudyError(f'a report\'s "resource" is a whole number of at least 1: {_shown(line)}')
    return int(given)


def _check_name(name: str, line: bytes) -> None:
    if not name or name in _RESERVED or not _encodes(name):
        raise StudyError(f"{name!r} cannot name a metric: {_shown(line)}")


def _encodes(name: str) -> bool:
    """Whether it is text: JSON can spell half of a surrogate pair, which is none."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _shown(line: bytes) -> str:
    """The line's beginning, for a message."""
    text = line[:_SHOWN].decode("utf-8", "backslashreplace").rstrip("\r\n")
    return text + ("..." if len(line) > _SHOWN else "")
