"""Whether a finished model predicts as fast as it was asked to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from rung.tabular.encode import Table
    from rung.tabular.model import Model, Seen

_ROWS: Final = 1_000
_TIMES: Final = 3
_SURE: Final = 1.25  # times the limit: less may be the machine


def seconds_a_row(model: Model, table: Table) -> float:
    """Seconds of processor time that the model's members take for a row, of a thousand at once.

    The least of three goes; reading the cells is not in it.

    Args:
        table: encoded rows, at least one; they are repeated up to a thousand.
    """
    rows = table.take(np.arange(_ROWS) % len(table))
    found = []
    for _ in range(_TIMES):
        seen: Seen = {}
        began = time.process_time()
        for member in model.members:
            member.predict(rows, seen)
        found.append(time.process_time() - began)
    return min(found) / _ROWS


def slower_than(model: Model, table: Table, limit: float) -> str | None:
    """A sentence where a row takes clearly longer than `limit` seconds, None where it does not."""
    if not len(table):
        return None
    seconds = seconds_a_row(model, table)
    if seconds <= _SURE * limit:
        return None
    return (
        f"predicting a row takes about {_said(seconds)}, not {_said(limit)} as asked: this is the fastest of "
        "what was found; give a longer --predict-time, or --include a faster learner, such as linear or bayes"
    )


def _said(seconds: float) -> str:
    return f"{seconds * 1e3:.2g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2g} us"
