"""Tables of entries, one file each: a package's modules that hold `ENTRIES` are the table.

A new problem, system, experiment or report is a file put into its package.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class Unavailable(Exception):  # noqa: N818  # a state, not a fault
    """What a row needs is not there; the message says what, and how to get it."""


def collect(package: ModuleType) -> dict[str, Any]:
    """The entries of all modules of a package, by name, in the order of the modules' names.

    Raises:
        ValueError: two modules have an entry of the same name.
    """
    found: dict[str, Any] = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda one: one.name):
        if module.name.startswith("_"):
            continue
        entries: Mapping[str, Any] = getattr(
            import_module(f"{package.__name__}.{module.name}"), "ENTRIES", {}
        )
        twice = sorted(found.keys() & entries.keys())
        if twice:
            raise ValueError(f"{package.__name__}.{module.name} has entries that another module has: {twice}")
        found |= entries
    return found


def pick(entries: Mapping[str, Any], name: str, kind: str) -> Any:
    """The entry of this name.

    Raises:
        ValueError: there is none; the message names those there are.
    """
    if name not in entries:
        raise ValueError(f"no {kind} named {name!r}; there are {', '.join(entries)}")
    return entries[name]
