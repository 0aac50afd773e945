"""Pickling by value, also of functions that `functools.cache` or `lru_cache` has wrapped.

cloudpickle sends a function of the user's script by value, but what the two make of it by name, and in a
worker process the script is not the main module: there is no such name.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import cloudpickle

_Cached = type(functools.cache(len))


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is _Cached and _goes_by_value(obj):
            return _cached, (obj.__wrapped__, obj.cache_parameters())
        return super().reducer_override(obj)


def dumps(objective: Any) -> bytes:
    """As `cloudpickle.dumps`; a cache arrives empty."""
    with io.BytesIO() as file:
        _Pickler(file).dump(objective)
        return file.getvalue()


def _goes_by_value(function: Any) -> bool:
    """Whether another process would not find it by its name."""
    by_value = ("__main__", *cloudpickle.list_registry_pickle_by_value())
    return function.__module__ in by_value or "<locals>" in function.__qualname__


def _cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Callable[..., Any]:
    again: Callable[..., Any] = functools.lru_cache(**parameters)(function)
    return again
