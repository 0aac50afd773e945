"""Fair sharing beside first come first served and fixed parts: `python -m benchmarks.sharing [--small]`.

Studies of rung's own ASHA arrive over time at a cluster on a virtual clock. Their losses and durations are
made up, all else is the product: which job is next is asked of the study, who starts and stops of the
sharing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.rows import Row, show
from benchmarks.sharing_cluster import Cluster, Figures, Workload
from benchmarks.sharing_peers import FixedParts, fair, first_come

DATA: Final = Path("benchmarks/data/sharing.json")
PICTURE: Final = Path("docs/images/sharing.svg")
LARGE: Final = Workload(studies=200, nodes=625, slots=8, apart=10.0)
SMALL: Final = Workload(studies=20, nodes=20, slots=8, apart=600.0)


def main() -> None:
    """Simulate the three ways, print their figures; the full form is kept and drawn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="20 studies on 160 slots; not kept, not drawn")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    workload = SMALL if arguments.small else LARGE
    names = list(ways(workload))
    with ProcessPoolExecutor(len(names)) as pool:
        found = dict(zip(names, pool.map(_simulate, names, [workload] * len(names)), strict=True))
    print(show(rows(found), as_json=arguments.json))
    if not arguments.small:
        DATA.write_text(json.dumps({name: figures._asdict() for name, figures in found.items()}) + "\n")
        from benchmarks.sharing_picture import picture

        PICTURE.write_text(picture(found))


def ways(workload: Workload) -> dict[str, Callable[..., list]]:
    """Who decides, by name; fixed parts are what each study would get if all were there."""
    part = workload.nodes * workload.slots // workload.studies
    return {"fair": fair, "first come": first_come, "fixed parts": FixedParts(part)}


def _simulate(name: str, workload: Workload) -> Figures:
    return Cluster(workload, ways(workload)[name]).run()


def within(shares: list[float], of: float = 0.05) -> int:
    """How many are within this part of 1."""
    return sum(abs(share - 1.0) <= of for share in shares)


def rows(found: dict[str, Figures]) -> list[Row]:
    """A line for each figure, fair sharing beside the better of the others."""
    lines: list[Row] = []
    for what, unit, read, largest in (
        ("completion time, mean", "h", lambda one: one.mean / 3600, False),
        ("completion time, 95 %", "h", lambda one: one.late / 3600, False),
        ("slowdown against alone, mean", "times", lambda one: one.slowdown, False),
        ("slowdown against alone, 95 %", "times", lambda one: one.worst, False),
        ("Jain's index of got / ideal over life", "", lambda one: one.jain, True),
        ("studies within 5 % of their ideal", "", lambda one: float(within(one.shares)), True),
        ("least got / ideal over life", "", lambda one: min(one.shares), True),
        ("slots in use, of those that are wanted", "", lambda one: one.utilisation, True),
        ("jobs stopped", "", lambda one: float(one.preempted), False),
        ("jobs", "", lambda one: float(one.jobs), False),
        ("folding and deciding, per event", "ms", lambda one: one.cost, False),
        ("all done after", "h", lambda one: one.end / 3600, False),
    ):
        for name, figures in found.items():
            lines.append(Row(f"{what}, {name}", read(figures), unit, at_least=largest))
    return lines


if __name__ == "__main__":
    main()
