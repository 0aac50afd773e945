"""The ideal division of slots: weighted max-min fairness by water filling.

Bertsekas and Gallager, *Data Networks* (1992), section 6.5.2: all shares rise together, in proportion to
their weights, until each meets its bound. Here each starts at its minimum, classes of priority rise one
after the other, and studies that only some nodes can run are bound by these nodes' slots as well. Sets of
nodes that are nested or apart are divided exactly; of sets that overlap otherwise each is kept, but not each
union.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Group = frozenset[str] | None


class Want(NamedTuple):
    """What one study may have: at least `least` if there is room, at most `most` (slots)."""

    weight: float
    priority: int
    least: float
    most: float
    group: Group = None  # nodes that can run it; None for all


def water_fill(capacities: Mapping[Group, float], wants: Sequence[Want]) -> list[float]:
    """The ideal share of each, in slots.

    Args:
        capacities: slots by set of nodes: all (None), and each `group` that a want names.
        wants: of the studies with demand.
    """
    sets: list[tuple[float, Sequence[int]]] = [(capacities[None], range(len(wants)))]
    for group, capacity in capacities.items():
        if group is not None:
            sets.append((capacity, [at for at, want in enumerate(wants) if _inside(want.group, group)]))
    shares = [0.0] * len(wants)
    classes: dict[int, list[int]] = {}
    for at, want in enumerate(wants):
        classes.setdefault(want.priority, []).append(at)
    highest_first = sorted(classes, reverse=True)
    if any(want.least for want in wants):
        for priority in highest_first:
            bounds = {at: min(wants[at].least, wants[at].most) for at in classes[priority]}
            _raise(sets, wants, shares, bounds)
    for priority in highest_first:
        _raise(sets, wants, shares, {at: wants[at].most for at in classes[priority]})
    return shares


def _inside(group: Group, other: frozenset[str]) -> bool:
    return group is not None and group <= other


def _raise(
    sets: Sequence[tuple[float, Sequence[int]]],
    wants: Sequence[Want],
    shares: list[float],
    upper: dict[int, float],
) -> None:
    """Raise the shares that have an upper bound here; the set of nodes that is full first is done first."""
    bounds = {at: (wants[at].weight, shares[at], max(shares[at], high)) for at, high in upper.items()}
    rising = set(bounds)
    while rising:
        lowest, full = math.inf, list(rising)
        for capacity, members in sets:
            inside = [at for at in members if at in rising]
            if not inside:
                continue
            room = capacity
            if len(inside) < len(members):
                room -= sum(shares[at] for at in members if at not in rising)
            level = level_at(room, [bounds[at] for at in inside])
            if level < lowest:
                lowest, full = level, inside
        for at in full:
            weight, low, high = bounds[at]
            shares[at] = min(high, max(low, weight * lowest))
        rising.difference_update(full)


def level_at(capacity: float, bounds: Sequence[tuple[float, float, float]]) -> float:
    """The height at which shares of height x weight, each kept in its bounds, sum to `capacity`.

    Args:
        capacity: slots.
        bounds: (weight, lower bound, upper bound) of each.

    Returns:
        infinity if all fit at their upper bounds, 0 if the lower ones fill it alone.
    """
    total = slope = height = 0.0
    turns: list[tuple[float, float]] = []
    for weight, low, high in bounds:
        total += low
        if high > low:
            turns.append((low / weight, weight))
            turns.append((high / weight, -weight))
    if total >= capacity:
        return 0.0
    turns.sort()
    for turn, change in turns:
        room = capacity - total
        if slope > 0.0 and slope * (turn - height) >= room:
            return height + room / slope
        total += slope * (turn - height)
        height = turn
        slope += change
    return math.inf
