"""A lighter ensemble where its prediction would take too long: fewer members, or fewer folds of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rung.tabular.encode import Table
from rung.tabular.model import Member

PREDICT_TIME = 0.3e-3  # seconds for a row of a thousand, unless asked otherwise
_ROWS = 1_000
_MEMBERS = 0.85  # of the time is theirs; the rest is for reading the cells


def lighten(members: Sequence[Member], table: Table, limit: float) -> list[Member]:
    """What of the members predicts a row, of a thousand at once, within `limit` seconds.

    Each member in turn, the heaviest first, gets one more of its folds' models as long as there is time; one
    of all is kept in any case. Weights sum to 1 again.
    """
    if not len(table):
        return list(members)
    rows = table.take(np.arange(_ROWS) % len(table))
    ordered = sorted(members, key=lambda one: -one.weight)
    each = [_seconds(member, rows) for member in ordered]
    counts = _shared(_MEMBERS * limit * _ROWS, each, [len(member.pipelines) for member in ordered])
    kept = [
        replace(member, pipelines=member.pipelines[:count])
        for member, count in zip(ordered, counts, strict=True)
        if count
    ]
    if not kept:
        fastest = ordered[int(np.argmin(each))]
        kept = [replace(fastest, pipelines=fastest.pipelines[:1])]
    total = sum(member.weight for member in kept)
    return [replace(member, weight=member.weight / total) for member in kept]


def _shared(left: float, each: Sequence[float], most: Sequence[int]) -> list[int]:
    """How many models of each member fit, one after the other in turns."""
    counts = [0] * len(each)
    for turn in range(max(most)):
        for i, seconds in enumerate(each):
            if counts[i] == turn < most[i] and seconds <= left:
                counts[i] += 1
                left -= seconds
    return counts


def _seconds(member: Member, rows: Table) -> float:
    """Of one of its pipelines, for all rows; the first call, which unpacks the model, does not count."""
    pipeline = member.pipelines[0]
    pipeline.predict(rows.take(np.arange(min(2, len(rows)))))
    began = time.perf_counter()
    pipeline.predict(rows)
    return time.perf_counter() - began
