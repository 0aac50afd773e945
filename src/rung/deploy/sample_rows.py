"""Rows that a model could be given, made from what it knows of its columns: to compare two forms of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Kind
from rung.tabular.encode import DATE_PARTS, Encoder

if TYPE_CHECKING:
    import pandas as pd

ROWS = 500
_DAY = 86_400


def sample_rows(
    encoder: Encoder, probes: Mapping[int, NDArray[np.float64]], rows: int = ROWS, seed: int = 0
) -> pd.DataFrame:
    """Rows with all used columns.

    Args:
        probes: for the encoder's numbers, by their place, values where answers may change: rows lie at them
            and around them.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    cells: dict[str, Any] = {}
    for place, name in enumerate(encoder.names(Kind.NUMBER)):
        cells[name] = _numbers(rng, probes.get(place), rows)
    place = len(cells)
    for name in encoder.names(Kind.DATE):
        days = _numbers(rng, probes.get(place), rows)
        seconds = np.clip(days, -40_000, 40_000) * _DAY
        cells[name] = pd.to_datetime(pd.Series(np.floor(seconds)), unit="s")
        place += len(DATE_PARTS)
    for name, levels in zip(encoder.names(Kind.CATEGORY), encoder.levels, strict=True):
        drawn = rng.choice(np.array([*map(str, levels), None, "?unseen?"], dtype=object), rows)
        cells[name] = pd.Series(drawn, dtype=object)
    for name in encoder.names(Kind.TEXT):
        cells[name] = pd.Series([""] * rows, dtype=object)
    return pd.DataFrame(cells)


def _numbers(rng: np.random.Generator, probes: NDArray[np.float64] | None, rows: int) -> NDArray[np.float64]:
    """At the probes, between and beyond them; a twentieth is missing."""
    known = np.unique(probes[np.isfinite(probes)]) if probes is not None else np.empty(0)
    if not len(known):
        known = np.array([-1.0, 0.0, 1.0, 10.0])
    at, other = rng.choice(known, rows), rng.choice(known, rows)
    share = rng.choice([0.0, rng.random(), 1.3], rows)
    values = at + share * (other - at)
    whole = rng.random(rows) < 0.2
    values = np.where(whole, np.round(values), values)
    return np.where(rng.random(rows) < 0.05, np.nan, values)
