"""The picture of the sharing's simulation: who waits how long, and who gets how much of the ideal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from benchmarks.reports.drawing import Axis, Curve, Panel, draw
from benchmarks.sharing_cluster import Figures

_COLOURS: Final = {"fair": "blue", "first come": "orange", "fixed parts": "grey"}


def picture(found: Mapping[str, Figures]) -> str:
    """Two panels as SVG: completion times and shares of the ideal, each as a part of all studies."""
    times = [_curve(name, np.asarray(one.times) / 3600.0) for name, one in found.items()]
    shares = [_curve(name, np.maximum(np.asarray(one.shares), 0.05)) for name, one in found.items()]
    return draw(
        [
            Panel("How long studies take", Axis("hours from arrival to end", log=True), _up(), tuple(times)),
            Panel(
                "Slots got, beside the ideal", Axis("got / ideal over life", log=True), _up(), tuple(shares)
            ),
        ]
    )


def _up() -> Axis:
    return Axis("part of the studies")


def _curve(name: str, values: np.ndarray) -> Curve:
    part = np.arange(1, len(values) + 1) / len(values)
    return Curve(name, _COLOURS[name], values, part, step=True, wide=name == "fair")
