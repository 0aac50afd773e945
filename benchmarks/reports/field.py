"""The comparison's searches with one number of workers, and what is computed from them in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.experiments.ahead import RESOURCE
from benchmarks.experiments.judging import of
from benchmarks.experiments.rows import Row
from benchmarks.reports.ranks import (
    LEAST,
    Curves,
    Floats,
    by_time,
    curves,
    differences,
    outcomes,
    share_to_reach,
)

MAIN: Final = "rung"
BOHBS: Final = ("hpbandster", "rung bohb")
FINE: Final = 40  # points at which it is looked for when a value is reached


class Field(NamedTuple):
    """The searches with so many workers, as curves: by resource, by time."""

    workers: int
    rows: Sequence[Row]
    spent: Curves
    timed: Curves


def field_of(rows: Sequence[Row], workers: int) -> Field:
    """Of the rows with so many workers."""
    kept = of(rows, workers=workers)
    return Field(workers, kept, curves(kept), curves(kept, by_time(kept)))


def present(fields: Sequence[Field]) -> list[str]:
    """The systems that have rows."""
    return sorted({row.system for field in fields for row in field.rows})


def workers_of(field: Field) -> str:
    """In words."""
    return "one worker" if field.workers == 1 else f"{field.workers} workers"


class Duel(NamedTuple):
    """rung against a peer on one problem: the mean logarithm of regret ratios, a mark for who is ahead."""

    ratio: float
    mark: str


def duel(logs: Mapping[str, Mapping[int, Floats]], peer: str, end: bool, main: str = MAIN) -> Duel | None:
    """None where they share too few seeds."""
    values = differences(logs.get(main, {}), logs.get(peer, {}))
    if len(values) < LEAST:
        return None
    read = values[:, -1:] if end else values.mean(axis=1, keepdims=True)
    mark = {0.0: "✓", 0.5: "≈", 1.0: "✗"}[float(outcomes(read)[0])]
    return Duel(float(read.mean()), mark)


def shared(field: Field, name: str) -> list[str]:
    """The problems on which a system can be compared with rung."""
    return [problem for problem, logs in field.spent.items() if duel(logs, name, end=False) is not None]


def whole(field: Field) -> list[str]:
    """rung and the systems that can be compared with it on every problem."""
    names = present([field])
    return [name for name in names if name == MAIN or len(shared(field, name)) == len(field.spent)]


def reached(field: Field) -> dict[str, dict[str, float]]:
    """By problem with a resource, then by BOHB: the share of the budget at which rung has its final value."""
    kept = [row for row in field.rows if row.problem in RESOURCE]
    found: dict[str, dict[str, float]] = {}
    for problem, logs in curves(kept, points=FINE).items():
        for name in BOHBS:
            share = share_to_reach(logs.get(MAIN, {}), logs.get(name, {}))
            if share is not None:
                found.setdefault(problem, {})[name] = share
    return found
