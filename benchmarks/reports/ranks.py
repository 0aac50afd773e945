"""How systems rank against each other on the way: by pairs of searches, ties within the standard error split.

All is computed from logarithms of regrets as `benchmarks.experiments.judging` makes them, at `POINTS` points
that divide the budget evenly. Two systems are compared on the seeds that both of them ran, never on others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.judging import scales
from benchmarks.experiments.rows import Row

POINTS: Final = 20
LEAST: Final = 2  # seeds that two systems share, without which nothing is said of them
EXACT: Final = 1e-9  # two logarithms that differ by less are the same

Floats = NDArray[np.float64]
Curves = Mapping[str, Mapping[str, Mapping[int, Floats]]]
"""By problem, system and seed: the logarithm of the regret on the way, (points,)."""

Reading = Callable[[Row, float], float | None]
"""The regret of a search at a share of the whole."""


def by_resource(row: Row, share: float) -> float | None:
    """The whole is the budget."""
    return row.regret(share * row.budget)


def by_time(rows: Iterable[Row]) -> Reading:
    """The whole is the virtual time that half of a problem's searches have ended by."""
    ends: dict[str, list[float]] = {}
    for row in rows:
        ends.setdefault(row.problem, []).append(row.now)
    typical = {name: float(np.median(found)) for name, found in ends.items()}
    return lambda row, share: row.regret_at(share * typical[row.problem])


def curves(rows: Sequence[Row], reading: Reading = by_resource, points: int = POINTS) -> Curves:
    """The searches of one setting, at shares 1 / points, 2 / points, ..., 1; problems in their order."""
    known = scales(rows)
    found: dict[str, dict[str, dict[int, Floats]]] = {}
    for row in rows:
        if row.problem in known:
            logs = [known[row.problem].log(reading(row, (i + 1) / points)) for i in range(points)]
            found.setdefault(row.problem, {}).setdefault(row.system, {})[row.seed] = np.array(logs)
    return found


def differences(first: Mapping[int, Floats], second: Mapping[int, Floats]) -> Floats:
    """The first system's logarithms less the second's, of the seeds that both have, (seeds, points)."""
    shared = [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
    return np.array(shared) if shared else np.empty((0, 0))


def outcomes(values: Floats) -> Floats:
    """1 where the first is behind, 0 where it is ahead, a half where they tie; (seeds, points) to (points,).

    They tie where the mean difference is no more than its standard error.
    """
    mean = values.mean(axis=0)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    tied = np.abs(mean) <= error + EXACT
    return np.where(tied, 0.5, np.where(mean > 0.0, 1.0, 0.0))


def ranks(logs: Mapping[str, Mapping[int, Floats]], among: Sequence[str]) -> dict[str, Floats]:
    """On one problem: each system's rank on the way, 1 the best, (points,).

    A rank is 1 and the number of systems that are ahead, and half of those that tie. With all the systems
    there and no two of them tied this is the usual rank; where ties are a chain (the first ties with the
    second, the second with the third, the first is ahead of the third) it still adds up to that of all
    systems. What is not known of some others is taken from those that are, as a share.
    """
    found = {}
    for name in among:
        rivals = [differences(logs.get(name, {}), logs.get(other, {})) for other in among if other != name]
        behind = [outcomes(values) for values in rivals if len(values) >= LEAST]
        if behind:
            found[name] = 1.0 + np.mean(behind, axis=0) * (len(among) - 1)
    return found


def mean_ranks(table: Curves, among: Sequence[str]) -> dict[str, Floats]:
    """Each system's rank on the way, (points,): the mean over the problems where it has one; best first."""
    found: dict[str, list[Floats]] = {}
    for logs in table.values():
        for name, rank in ranks(logs, among).items():
            found.setdefault(name, []).append(rank)
    means = {name: np.mean(each, axis=0) for name, each in found.items()}
    return dict(sorted(means.items(), key=lambda one: (round(float(one[1].mean()), 9), one[0])))


def share_to_reach(mine: Mapping[int, Floats], other: Mapping[int, Floats]) -> float | None:
    """The share of the budget at which one system's median is as low as the other's in the end.

    Of the seeds that both have, with as many points as the curves have; inf where it never is, None where
    they share too few seeds.
    """
    shared = sorted(mine.keys() & other.keys())
    if len(shared) < LEAST:
        return None
    target = np.median([other[seed][-1] for seed in shared])
    way = np.median([mine[seed] for seed in shared], axis=0)
    there = np.flatnonzero(way <= target + EXACT)
    return float(there[0] + 1) / len(way) if len(there) else float("inf")
