"""Peers of rung, each in an environment of its own, made by `make peers`, asked by `call.py` or `session.py`.

They are no dependency of rung, nor of its tests. What a benchmark says of a peer comes from running it.

A peer is a file `scripts/<peer>_tune.py` (it searches a space) or `scripts/<peer>_fit.py` (it fits a table,
see `benchmarks.cash`), which runs with the peer's Python. Its constant `ABOUT`, a plain mapping that is read
without running the file, says what pip installs ("requirements"), what of the peer is compared ("note"), and
which "systems" that search a space the script is: from a name to its note, its model, and where these are not
the defaults whether it uses a resource ("multi_fidelity") and the script's "option".
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

_SCRIPTS: Final = Path(__file__).with_name("scripts")


class Peer(NamedTuple):
    """A peer: what pip installs, what of it is compared, the systems that it is."""

    name: str
    requirements: tuple[str, ...]
    note: str
    systems: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


def about(script: Path) -> Peer:
    """What a peer's script says of it.

    Raises:
        ValueError: the script has no `ABOUT`, or one that is no plain mapping.
    """
    name = script.stem.removesuffix("_tune").removesuffix("_fit").replace("_", "-")
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ABOUT":
            said = ast.literal_eval(node.value)
            return Peer(name, tuple(said["requirements"]), said["note"], said["systems"])
    raise ValueError(f"{script.name} has no ABOUT = {{...}}")


_FILES: Final = (*sorted(_SCRIPTS.glob("*_tune.py")), *sorted(_SCRIPTS.glob("*_fit.py")))
PEERS: Final = {peer.name: peer for peer in map(about, _FILES)}
