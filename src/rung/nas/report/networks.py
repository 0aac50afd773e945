"""The networks of a search that trained each on its own: their course, and a table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rung.nas.genotype import Genotype
from rung.nas.report.charts import Chart, Kind, Level, chart, curve
from rung.nas.report.words import known, score, scores
from rung.nas.result import SearchResult

_ACCENT: Final = "#0f766e"
_SOFT: Final = "#5c6b7c"
_BLUE: Final = "#1f62a8"
_APART: Final = 8.0  # times as large, from where an axis is logarithmic


def network_charts(result: SearchResult) -> list[Chart]:
    """How good each network is in the order in which they were trained, and the best so far.

    That is the accuracy of held-out pictures, or the perplexity of held-out words.
    """
    words = bool(result.perplexity)
    each = [(one["number"], _figure(one)) for one in result.tried]
    retrained = scores(result)["retrained"]
    again = "the best, trained once more" + (": of the test part" if words else "")
    drawn = chart(
        f"{'Perplexity' if words else 'Accuracy'} of the networks",
        f"Of held-out {'words' if words else 'pictures'}, in the order in which they were trained"
        f"{': the lower, the better' if words else ''}.",
        [
            curve("best so far", _ACCENT, _best_so_far(result)),
            curve("each network", _SOFT, each)._replace(scattered=True),
        ],
        [Level(again, retrained, _BLUE)] if retrained is not None and known(retrained) else [],
        kind=_axis(each) if words else "share",
        over="network",
    )
    return [drawn] if drawn else []


def network_rows(result: SearchResult) -> list[dict[str, Any]]:
    """The table of networks, with the cell of each as text, and whether it is the one that was chosen."""
    chosen = result.genotype.to_dict()
    same = (one for one in result.tried if one["genotype"] == chosen and one["score"] is not None)
    first = next((one["number"] for one in same), None)
    return [
        {
            **one,
            "figure": None if _figure(one) is None else score(result, _figure(one)),
            "cell": Genotype.from_dict(one["genotype"]).to_text(),
            "chosen": one["number"] == first,
        }
        for one in result.tried
    ]


def _axis(each: Sequence[tuple[int, float | None]]) -> Kind:
    """Of perplexities: logarithmic where one is many times another."""
    values = [value for _, value in each if value is not None and known(value)]
    return "log" if values and max(values) > _APART * min(values) else "plain"


def _figure(one: Mapping[str, Any]) -> float | None:
    """The accuracy, or of text, which has no error, the perplexity."""
    value: float | None = one["score"] if one["error"] is None else 1.0 - one["error"]
    return value


def _best_so_far(result: SearchResult) -> list[tuple[int, float | None]]:
    """Of the one with the least score until then, of those whose cells have grown to as many nodes."""
    grown = _nodes(result.genotype)
    best: Mapping[str, Any] | None = None
    points: list[tuple[int, float | None]] = []
    for one in result.tried:
        of_its_size = _nodes(Genotype.from_dict(one["genotype"])) == grown
        if one["score"] is not None and of_its_size and (best is None or one["score"] < best["score"]):
            best = one
        points.append((one["number"], None if best is None else _figure(best)))
    return points


def _nodes(genotype: Genotype) -> dict[str, int]:
    """By cell."""
    return {name: len(cell.nodes) for name, cell in genotype.cells}
