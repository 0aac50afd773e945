"""Configurations as mappings from names to values; loads no array library, for readers that only look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rung.space.layout import Layout, lay_out
from rung.space.values import INACTIVE, Values


class Naming:
    """The parameters' names, by dimension of the space, and how a configuration reads under them.

    Attributes:
        names: by dimension, the public name; two branches may share one.
    """

    def __init__(self, layout: Layout) -> None:
        self.names: tuple[str, ...] = tuple(slot.name for slot in layout.slots)
        self._always_active = all(gate is None for gate in layout.gates)
        self._lists = [  # by slot, the texts that stand for a list or a mapping
            (j, frozenset(lists))
            for j, lists in enumerate(getattr(slot.domain, "lists", ()) for slot in layout.slots)
            if lists
        ]

    def to_mapping(self, values: Values) -> dict[str, Any]:
        """The configuration as a flat mapping from public name to value, only what is active."""
        if self._always_active:
            found: dict[str, Any] = dict(zip(self.names, values, strict=True))
        else:
            found = {name: v for name, v in zip(self.names, values, strict=True) if v is not INACTIVE}
        for slot, lists in self._lists:
            if values[slot] in lists:
                found[self.names[slot]] = json.loads(str(values[slot]))
        return found


def naming_of(space: Mapping[str, Any]) -> Naming:
    """The naming of a space in its JSON form, as a log keeps it.

    Raises:
        SpaceError: it is not valid.
    """
    from rung.space.schema import from_json

    return Naming(lay_out(from_json(space)))
