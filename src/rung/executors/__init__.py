"""Where jobs run: in line, in local processes, on a Ray cluster, on a virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rung.executors.base import Executor
    from rung.executors.setup import Setup

GROUP: Final = "rung.executors"
"""The entry points' group by which other packages offer engines: a name, and what makes one of a `Setup`."""

EXECUTORS: Final[Mapping[str, str]] = {
    "inline": "rung.executors.inline:InlineExecutor",
    "local": "rung.executors.local:LocalExecutor",
    "ray": "rung.executors.ray:on_ray",
    "simulated": "rung.executors.simulated:simulate",
}
"""Our own by name: "module:callable", called with a `Setup`."""


def make_executor(name: str, setup: Setup) -> Executor:
    """The executor of this name, loaded when first asked for.

    Raises:
        StudyError: there is none of this name (the message has the closest), it cannot be loaded, or it
            cannot run this objective.
    """
    from rung.executors.table import load

    made: Executor = load(name)(setup)
    return made
