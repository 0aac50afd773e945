"""The values that parameters take, and a configuration as a tuple of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

Value = str | int | float | bool | None
"""What a parameter may be."""

INACTIVE: Final[tuple[()]] = ()
"""Stands in `Values` where a parameter is not active (a singleton: compare with `is`)."""

Values = tuple[str | int | float | bool | tuple[()] | None, ...]
"""A configuration as the log keeps it: one entry a dimension of the compiled space, `INACTIVE` included.

A list or a mapping among a parameter's values stands there as its JSON.
"""


def text_of(value: Any) -> Any:
    """A list or a mapping as its JSON, which stands for it in `Values`; anything else as it is.

    Numbers and text in it must be JSON's own; tuples are lists. Keys must be text; their order means nothing,
    and they are sorted.

    Raises:
        TypeError, ValueError: something in it has no JSON.
    """
    if not isinstance(value, list | tuple | Mapping):
        return value
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plainly)  # a circle ends here
    _check_keys(value)
    return json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True)


def _check_keys(value: Any) -> None:
    """Refuse keys that JSON would turn into text: an objective that looks for 1 would not find it."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a mapping's keys must be text, not {key!r}")
            _check_keys(below)
    elif isinstance(value, list | tuple):
        for below in value:
            _check_keys(below)


def _plainly(value: Any) -> Any:
    """Other mappings, and scalars of an array library, as JSON's own kinds."""
    if isinstance(value, Mapping):
        return dict(value)
    if callable(getattr(value, "item", None)):
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no JSON")
