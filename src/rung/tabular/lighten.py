"""A lighter ensemble where its prediction would take too long: fewer members, or fewer folds of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from rung.tabular.encode import Table
from rung.tabular.model import Member, Seen

PREDICT_TIME = 0.3e-3  # seconds for a row of a thousand, unless asked otherwise
_ROWS, _FEW = 1_000, 2
_MEMBERS = 0.85  # of the time is theirs; the rest is for reading the cells
_SURELY = 0.7  # of it is what members may take whose weights are to be chosen: measurements differ
_FAIR = 10.0  # times its weight's share of the time a first model may take, but for the heaviest


def lighten(members: Sequence[Member], table: Table, limit: float) -> list[Member]:
    """What of the members predicts a row, of a thousand at once, within `limit` seconds.

    First one model of each member, the heaviest first, but none that takes far more of the time than its
    share of the weight; then further folds' models, those first that lower the variance of the mean most for
    their time. One model is kept in any case. Weights sum to 1 again.
    """
    if not len(table):
        return list(members)
    rows = table.take(np.arange(_ROWS) % len(table))
    ordered, allowed = sorted(members, key=lambda one: -one.weight), _MEMBERS * limit * _ROWS
    costs = _costs(ordered, rows)
    kept = _kept(ordered, costs, allowed)
    took = _together(kept, rows)
    if took > allowed:  # each one alone, twice in a row, is faster than all of them in turns
        kept = _kept(ordered, costs, allowed**2 / took)
    weights = [_weight_of(kept, ordered, member) for member in kept]
    return [replace(one, weight=weight / sum(weights)) for one, weight in zip(kept, weights, strict=True)]


def _weight_of(kept: Sequence[Member], before: Sequence[Member], member: Member) -> float:
    """Its own, and its part of what is left out of the same configuration (its folds' models, or that of all
    rows).
    """
    some, whole = (
        sum(one.weight for one in all_of if one.config == member.config) for all_of in (kept, before)
    )
    return member.weight * whole / some


def _kept(ordered: Sequence[Member], costs: Mapping[int, float], seconds: float) -> list[Member]:
    """The members, the heaviest first, with as many of their models as fit."""
    budget = _Budget(ordered, costs, seconds)
    for i, member in enumerate(ordered):
        if i == 0 or budget.needed(i) <= _FAIR * member.weight * seconds:
            budget.take(i)
    while (best := budget.best()) is not None:
        budget.take(best)
    kept = [
        replace(member, pipelines=member.pipelines[:count])
        for member, count in zip(ordered, budget.counts, strict=True)
        if count
    ]
    if kept:
        return kept
    fastest = ordered[int(np.argmin([budget.needed(i) for i in range(len(ordered))]))]
    return [replace(fastest, pipelines=fastest.pipelines[:1])]


class Pace:
    """How long a model predicts a thousand rows, by a quarter of them: measured once, when it is asked for.

    Args:
        model: whatever has `predict`.
        table: whose rows are predicted.
    """

    def __init__(self, model: Any, table: Table) -> None:
        self._model, self._table = model, table

    @cached_property
    def seconds(self) -> float:
        """What any call takes, and the rows' part of it."""
        few, quarter = (_seconds(self._model, self._rows(count)) for count in (_FEW, _ROWS // 4))
        return few + max(quarter - few, 0.0) * (_ROWS - _FEW) / (_ROWS // 4 - _FEW)

    def _rows(self, count: int) -> Table:
        return self._table.take(np.arange(count) % len(self._table))


def too_slow(models: Sequence[tuple[float, Pace]], limit: float) -> list[int]:
    """Which of these, given with their weights, `lighten` would leave out because they predict slowly.

    To be known before the weights are chosen for good: without them the others' are other ones. What is near
    the limit counts as slow, or the heaviest member might be left out after all.
    """
    left = allowed = _SURELY * _MEMBERS * limit * _ROWS
    found = []
    for place, i in enumerate(sorted(range(len(models)), key=lambda i: -models[i][0])):
        weight, pace = models[i]
        most = min(left, _FAIR * weight * allowed) if place else left
        if pace.seconds > most:
            found.append(i)
        else:
            left -= pace.seconds
    return found


def _costs(members: Sequence[Member], rows: Table) -> dict[int, float]:
    """Seconds of each pipeline, by its identity; the folds of a member cost the same."""
    costs: dict[int, float] = {}
    for member in members:
        first = _parts(member.pipelines[0])
        each = [costs.get(id(part)) or _seconds(part, rows) for part in first]
        for pipeline in member.pipelines:
            for part, cost in zip(_parts(pipeline), each, strict=True):
                costs.setdefault(id(part), cost)
    return costs


class _Budget:
    """Seconds that are left, and what they were given to; what members share is paid once.

    Attributes:
        counts: models of each member that are kept, the first ones.
    """

    def __init__(self, members: Sequence[Member], costs: Mapping[int, float], seconds: float) -> None:
        self.counts = [0] * len(members)
        self._members, self._costs, self._left = members, costs, seconds
        self._paid: set[int] = set()

    def needed(self, i: int) -> float:
        """Seconds of the next model of a member that are not paid yet."""
        parts = _parts(self._members[i].pipelines[self.counts[i]])
        return sum(self._costs[id(part)] for part in parts if id(part) not in self._paid)

    def take(self, i: int) -> None:
        """The next model of a member, if there is time."""
        seconds = self.needed(i)
        if seconds > self._left:
            return
        self._left -= seconds
        self._paid |= {id(part) for part in _parts(self._members[i].pipelines[self.counts[i]])}
        self.counts[i] += 1

    def best(self) -> int | None:
        """The member whose next model is worth most for its time; None where there is time for none.

        With c models the mean's variance has a part weight^2 / c.
        """
        worth = {}
        for i, (member, count) in enumerate(zip(self._members, self.counts, strict=True)):
            if count < len(member.pipelines) and (seconds := self.needed(i)) <= self._left:
                gain = member.weight**2 / (count * (count + 1)) if count else member.weight
                worth[i] = gain / max(seconds, 1e-9)
        return max(worth, key=worth.__getitem__) if worth else None


def _parts(pipeline: Any) -> list[Any]:
    """The pipelines that it is made of: itself, or a stack's bases."""
    return [base.pipelines[0] for base in pipeline.bases] if hasattr(pipeline, "bases") else [pipeline]


def _seconds(pipeline: Any, rows: Table) -> float:
    """For all rows; the first call, which unpacks the model, does not count."""
    pipeline.predict(rows.take(np.arange(min(_FEW, len(rows)))))
    clock = _Clock()
    pipeline.predict(rows)
    return clock.seconds()


def _together(members: Sequence[Member], rows: Table) -> float:
    """Seconds of all of them, one after the other, for all rows."""
    seen: Seen = {}
    clock = _Clock()
    for member in members:
        member.predict(rows, seen)
    return clock.seconds()


class _Clock:
    """Seconds since it was made: of the wall or of the processor, whichever are fewer.

    Those of the wall count what else the machine does, those of the processor each thread of a model that
    predicts with several.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        """Since it was made."""
        wall, processor = self._began
        return min(time.perf_counter() - wall, time.process_time() - processor)
