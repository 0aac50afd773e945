"""The networks of a search that trained each on its own: their course, and a table of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rung.nas.genotype import Genotype
from rung.nas.report.charts import Chart, Level, chart, curve
from rung.nas.result import SearchResult

_ACCENT: Final = "#0f766e"
_SOFT: Final = "#5c6b7c"
_BLUE: Final = "#1f62a8"


def network_charts(result: SearchResult) -> list[Chart]:
    """The accuracy of each network in the order in which they were trained, and of the best so far."""
    each = [(one["number"], _accuracy(one)) for one in result.tried]
    retrained = result.accuracy.retrained
    drawn = chart(
        "Accuracy of the networks",
        "Of held-out pictures, in the order in which they were trained.",
        [
            curve("best so far", _ACCENT, _best_so_far(result)),
            curve("each network", _SOFT, each)._replace(scattered=True),
        ],
        [Level("the best, trained once more", retrained, _BLUE)] if retrained is not None else [],
        kind="share",
        over="network",
    )
    return [drawn] if drawn else []


def network_rows(result: SearchResult) -> list[dict[str, Any]]:
    """The table of networks, with the cell of each as text, and whether it is the one that was chosen."""
    chosen = result.genotype.to_dict()
    known = (one for one in result.tried if one["genotype"] == chosen and one["score"] is not None)
    first = next((one["number"] for one in known), None)
    return [
        {
            **one,
            "accuracy": _accuracy(one),
            "cell": Genotype.from_dict(one["genotype"]).to_text(),
            "chosen": one["number"] == first,
        }
        for one in result.tried
    ]


def _accuracy(one: Mapping[str, Any]) -> float | None:
    return None if one["error"] is None else 1.0 - one["error"]


def _best_so_far(result: SearchResult) -> list[tuple[int, float | None]]:
    """The accuracy of the one with the least score until then."""
    best: Mapping[str, Any] | None = None
    points: list[tuple[int, float | None]] = []
    for one in result.tried:
        if one["score"] is not None and (best is None or one["score"] < best["score"]):
            best = one
        points.append((one["number"], None if best is None else _accuracy(best)))
    return points
