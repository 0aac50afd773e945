"""A search as a row: what is written of it, a line of JSON each, and read again by reports."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.problems import Problem
from benchmarks.systems import Setting
from benchmarks.systems.pace import QUIET
from benchmarks.systems.trace import Trace

ROWS: Final = Path(__file__).resolve().parents[1] / "data" / "experiments"


class Row(NamedTuple):
    """One search.

    Attributes:
        system, problem, seed, workers: what ran.
        budget: the resource that it could spend; `seconds`: the virtual time that it had, if limited.
        variant: what else is special of the setting, "" for nothing.
        evaluations, full: results in all, and at the largest resource.
        resource, now: that it spent, and the virtual time of its last result.
        deciding: processor seconds that the system took to decide; `wall`: real seconds of the search.
        optimum: the least true value.
        observed, true: of the last incumbent: what the system saw, and how good it is; None without one.
        points: [resource spent, virtual seconds, observed, true] at each change of the incumbent.
        pace: processor seconds that a fixed piece of work took meanwhile, see `benchmarks.systems.pace`; None
            in rows of before it was looked at.
    """

    system: str
    problem: str
    seed: int
    workers: int
    budget: float
    seconds: float | None
    variant: str
    evaluations: int
    full: int
    resource: float
    now: float
    deciding: float
    wall: float
    optimum: float
    observed: float | None
    true: float | None
    points: tuple[tuple[float, float, float, float], ...]
    pace: float | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells a search from all others of its experiment."""
        return self[:7]

    @property
    def decided(self) -> float:
        """Seconds of deciding, as on a core that nothing disturbs; without a pace as they were measured."""
        return self.deciding if self.pace is None else self.deciding * QUIET / self.pace

    def regret(self, resource: float) -> float | None:
        """Of the incumbent when so much of the resource was spent; None where there was none yet."""
        return self._regret(0, resource)

    def regret_at(self, moment: float) -> float | None:
        """Of the incumbent at a moment of virtual time."""
        return self._regret(1, moment)

    def _regret(self, column: int, limit: float) -> float | None:
        known = [point[3] for point in self.points if point[column] <= limit]
        return max(known[-1] - self.optimum, 0.0) if known else None


def key(system: str, problem: str, setting: Setting, largest: int) -> tuple[Any, ...]:
    """The key of the row that such a search gives."""
    budget = float(setting.evaluations * largest)
    return (system, problem, setting.seed, setting.workers, budget, setting.seconds, _variant(setting))


def _variant(setting: Setting) -> str:
    plain = Setting()
    names = ("stragglers", "drop", "trials", "eta")
    given = [(name, getattr(setting, name)) for name in names]
    return ", ".join(f"{name} {value:g}" for name, value in given if value != getattr(plain, name))


def row_of(system: str, name: str, problem: Problem, setting: Setting, trace: Trace, wall: float) -> Row:
    """The row of a search that ended."""
    last = trace.points[-1] if trace.points else None
    pace = trace.pace.mean()
    return Row(
        *key(system, name, setting, problem.largest),
        evaluations=trace.evaluations,
        full=trace.full,
        resource=trace.spent,
        now=round(trace.now, 3),
        deciding=round(trace.deciding, 4),
        wall=round(wall, 3),
        optimum=problem.optimum,
        observed=None if last is None else last[2],
        true=None if last is None else last[3],
        points=tuple((a, round(b, 3), _short(c), _short(d)) for a, b, c, d in trace.points),
        pace=None if pace is None else round(pace, 6),
    )


def _short(value: float) -> float:
    """Nine digits: enough for any regret that is told, and rows stay small."""
    return float(f"{value:.9g}")


def read(path: Path) -> list[Row]:
    """The rows of a file, none if it is not there; a last line that was cut off is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            fields = json.loads(line)
            found.append(Row(**fields | {"points": tuple(map(tuple, fields["points"]))}))
    return found


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows, each a line; a line that an earlier run left half written is cut away first.

    Several processes may add rows to a file at the same time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        file.seek(0)
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)
        for row in rows:
            file.write(json.dumps(row._asdict()).encode() + b"\n")
