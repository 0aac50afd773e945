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
    sets = {
        group: (capacity, [place for place, want in enumerate(wants) if _inside(want.group, group)])
        for group, capacity in capacities.items()
    }
    classes = sorted({want.priority for want in wants}, reverse=True)
    shares = [0.0] * len(wants)
    for least_only in (True, False):
        for priority in classes:
            chosen = [place for place, want in enumerate(wants) if want.priority == priority]
            _fill_class(sets, wants, shares, chosen, least_only)
    return shares


def _inside(group: Group, other: Group) -> bool:
    return other is None or (group is not None and group <= other)


def _fill_class(
    sets: Mapping[Group, tuple[float, list[int]]],
    wants: Sequence[Want],
    shares: list[float],
    chosen: Sequence[int],
    least_only: bool,
) -> None:
    """Raise the chosen shares from what they have; the set of nodes that is full first is done first."""
    bounds = {}
    for place in chosen:
        want, low = wants[place], shares[place]
        high = min(want.least, want.most) if least_only else want.most
        bounds[place] = want.weight, low, max(low, high)
    rising = set(chosen)
    while rising:
        lowest, full = math.inf, list(rising)
        for capacity, members in sets.values():
            inside = [place for place in members if place in rising]
            if not inside:
                continue
            others = sum(shares[place] for place in members if place not in rising)
            level = level_at(capacity - others, [bounds[place] for place in inside])
            if level < lowest:
                lowest, full = level, inside
        for place in full:
            weight, low, high = bounds[place]
            shares[place] = min(high, max(low, weight * lowest))
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
