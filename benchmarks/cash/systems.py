"""The systems that are compared: a script each, and the Python that runs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.entries import Unavailable, pick
from benchmarks.peers.call import python_of

OWN: Final = Path(__file__).with_name("scripts")
PEER: Final = Path(__file__).resolve().parents[1] / "peers" / "scripts"


class System(NamedTuple):
    """One way to fit a table.

    Attributes:
        script: of `scripts` here or of the peers'.
        note: what is compared.
        peer: whose environment runs it; "" for rung's own.
        option: told to the script.
        timed: it is given a budget; one that is not runs once, and stands beside all budgets.
    """

    name: str
    script: Path
    note: str
    peer: str = ""
    option: str = ""
    timed: bool = True

    def python(self) -> Path:
        """The Python that runs the script.

        Raises:
            Unavailable: the peer is not installed.
        """
        if not self.peer:
            return Path(sys.executable)
        found = python_of(self.peer)
        if found is None:
            raise Unavailable(f"{self.peer} is not installed: make peers PEERS={self.peer}")
        return found


_ALL: Final = (
    System("rung", OWN / "rung_fit.py", "`fit_table` with its defaults"),
    System("flaml", PEER / "flaml_fit.py", "FLAML's `AutoML` with its defaults", "flaml"),
    System(
        "autogluon",
        PEER / "autogluon_fit.py",
        "AutoGluon's `TabularPredictor`, preset medium quality (its default)",
        "autogluon",
        "medium_quality",
    ),
    System(
        "autogluon-best",
        PEER / "autogluon_fit.py",
        "the same, preset best quality (bags and stacks), dynamic stacking off: with it short fits fail",
        "autogluon",
        "best_quality",
    ),
    System(
        "lightgbm", OWN / "lightgbm_fit.py", "LightGBM with the library's defaults, no budget", timed=False
    ),
    System(
        "forest",
        OWN / "forest_fit.py",
        "scikit-learn's random forest with its defaults, no budget",
        timed=False,
    ),
)
SYSTEMS: Final = {system.name: system for system in _ALL}


def chosen(names: Sequence[str]) -> list[System]:
    """The systems of these names.

    Raises:
        ValueError: there is none of a name.
    """
    return [pick(SYSTEMS, name, "system") for name in names]
