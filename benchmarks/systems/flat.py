"""A problem's space as a flat list of parameters, as peers are told of it, and its configurations back.

Each parameter is a mapping: `name`; `kind`, "float", "integer", "categorical" or "ordinal"; `low`, `high` and
`log` of numbers; `values`, how many a list has: peers give an index, so that no value is lost in a peer's own
types; `when`, (choice, index) for a branch's own parameters, else None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import rung


def flat(space: Mapping[str, Any], when: tuple[str, int] | None = None) -> Iterator[dict[str, Any]]:
    """The parameters of a space, a choice before those of its branches.

    Raises:
        TypeError: a domain that peers are not told of.
    """
    for name, domain in space.items():
        about: dict[str, Any] = {"name": name, "when": when}
        if isinstance(domain, rung.Float | rung.Integer):
            kind = "float" if isinstance(domain, rung.Float) else "integer"
            yield about | {"kind": kind, "low": domain.low, "high": domain.high, "log": domain.log}
        elif isinstance(domain, rung.Categorical | rung.Ordinal | rung.Choice):
            kind = "ordinal" if isinstance(domain, rung.Ordinal) else "categorical"
            yield about | {"kind": kind, "values": len(domain.values)}
            if isinstance(domain, rung.Choice):
                for index, (_, branch) in enumerate(domain.branches):
                    yield from flat(dict(branch.parameters), (name, index))
        else:
            raise TypeError(f"{name}: peers are not told of {type(domain).__name__}")


def restored(space: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a peer gave, its indices as values, in the space's own order."""
    found: dict[str, Any] = {}
    for name, domain in space.items():
        if isinstance(domain, rung.Float):
            found[name] = min(max(float(given[name]), domain.low), domain.high)
        elif isinstance(domain, rung.Integer):
            found[name] = int(given[name])
        else:
            found[name] = domain.values[int(given[name])]
        if isinstance(domain, rung.Choice):
            found |= restored(dict(dict(domain.branches)[found[name]].parameters), given)
    return found
