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


def lighten(members: Sequence[Member], table: Table, limit: float) -> list[Member]:
    """What of the members predicts a row, of a thousand at once, within `limit` seconds.

    The heaviest come first; one that does not fit keeps as many of its fold's models as do, at least one of
    all being kept. Weights sum to 1 again.
    """
    if not len(table):
        return list(members)
    rows = table.take(np.arange(_ROWS) % len(table))
    left, kept = limit * _ROWS, []
    for member in sorted(members, key=lambda one: -one.weight):
        each = _seconds(member, rows)
        count = min(len(member.pipelines), int(left / max(each, 1e-9)))
        if count:
            kept.append(replace(member, pipelines=member.pipelines[:count]))
            left -= count * each
    if not kept:
        fastest = min(members, key=lambda one: _seconds(one, rows))
        kept = [replace(fastest, pipelines=fastest.pipelines[:1])]
    total = sum(member.weight for member in kept)
    return [replace(member, weight=member.weight / total) for member in kept]


def _seconds(member: Member, rows: Table) -> float:
    """Of one of its pipelines, for all rows; the first call, which unpacks the model, does not count."""
    pipeline = member.pipelines[0]
    pipeline.predict(rows.take(np.arange(min(2, len(rows)))))
    began = time.perf_counter()
    pipeline.predict(rows)
    return time.perf_counter() - began
