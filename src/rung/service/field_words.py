"""What is wrong with a value that a person or a program gave, in words: by the types of pydantic's errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

OBJECTIVE: Final = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"  # the pattern of a function's name
_PATTERNS: Final[Mapping[str, str]] = {
    OBJECTIVE: "must name a function that workers have, as MODULE:FUNCTION",
}
_WORDS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number that is finite",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must look like {pattern}",
    "literal_error": "must be {expected}",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "dict_type": "must be an object of names and values",
    "model_attributes_type": "must be a JSON object, sent as application/json",
    "model_type": "must be a JSON object",
    "json_invalid": "is no JSON: {error}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "none_required": "must be null",
}
_KINDS: Final = re.compile(r"(str|int|float|bool|(constrained|nullable|function|json)\b.*)|\w+\[.*")
_MUST: Final = "must be "


class Wrong(NamedTuple):
    """A field that cannot be used: its place, as in ("body", "trials"), and what is wrong with it."""

    place: tuple[str, ...]
    words: str


def words_of(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says of a field: it "must be a whole number"."""
    form = _WORDS.get(str(error["type"]))
    pattern = error.get("ctx", {}).get("pattern")
    if pattern in _PATTERNS:
        return _PATTERNS[pattern]
    if form is None:
        text = str(error["msg"]).removeprefix("Value error, ")
        return re.sub("^Input should be ", _MUST, text)
    return form.format_map({key: _shown(value) for key, value in error.get("ctx", {}).items()})


def _shown(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def wrongs(errors: Sequence[Mapping[str, Any]]) -> list[Wrong]:
    """The fields that cannot be used; one that may be of several kinds, and is none of them, comes once."""
    found: dict[tuple[str, ...], list[str]] = {}
    for error in errors:
        loc = error["loc"][:1] if error["type"] == "json_invalid" else error["loc"]  # it has where, too
        place = tuple(str(part) for part in loc)
        if len(place) > 1 and _KINDS.fullmatch(place[-1]) and _has_kinds(errors, place[:-1]):
            place = place[:-1]
        found.setdefault(place, []).append(words_of(error))
    return [Wrong(place, _either(list(dict.fromkeys(texts)))) for place, texts in found.items()]


def _has_kinds(errors: Sequence[Mapping[str, Any]], place: tuple[str, ...]) -> bool:
    """Whether a field was tried as several kinds of value, each of which has an error of its own."""
    last = {
        str(error["loc"][-1])
        for error in errors
        if tuple(map(str, error["loc"][:-1])) == place and len(error["loc"]) == len(place) + 1
    }
    return len(last) > 1 and all(_KINDS.fullmatch(each) for each in last)


def _either(texts: Sequence[str]) -> str:
    if all(text.startswith(_MUST) for text in texts):
        return _MUST + " or ".join(text.removeprefix(_MUST) for text in texts)
    return "; or ".join(texts)
