"""The courses of a search over its epochs: losses, scores, temperature, operations left, skip connections."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from rung.errors import SpaceError
from rung.nas.drawing_scene import KINDS
from rung.nas.genotype import Genotype
from rung.nas.report.charts import Chart, Level, chart, curve
from rung.nas.report.series import cell_title
from rung.nas.report.words import known, scores, skip_words, skips
from rung.nas.result import SearchResult

Points = list[tuple[int, float | None]]

_SOFT: Final = "#5c6b7c"
_ACCENT: Final = "#0f766e"
_WARM: Final = "#b45309"
_BLUE: Final = "#1f62a8"


def charts(result: SearchResult) -> list[Chart]:
    """Of losses, scores, temperature and operations over epochs; those that have something to show."""
    losses = chart(
        "Loss",
        "In nats: the mean over the weights’ steps, and the supernet’s on held-out samples after each epoch.",
        [
            curve("training", _SOFT, _points(result, lambda r: r["train_loss"]), "5 3"),
            curve("held out", _ACCENT, _points(result, lambda r: r["loss"])),
        ],
    )
    temperature = chart(
        "Temperature",
        "Of the relaxation, on a logarithmic axis: the lower, the closer to a choice.",
        [curve("temperature", _WARM, _points(result, lambda r: r["temperature"]))],
        kind="log",
    )
    pruned = any(record["removed"] for record in result.records)
    left = chart(
        "Operations left",
        "Of all edges of all kinds of cells.",
        [curve("operations", _ACCENT, _points(result, lambda r: r["operations"]) if pruned else [])],
        kind="whole",
    )
    own = _observed(result)
    return [one for one in (losses, _score_chart(result), temperature, left, *own) if one]


def perplexity(loss: float | None) -> float | None:
    """Of a loss in nats."""
    return math.exp(loss) if loss is not None and known(loss) and loss < 700 else None


def skip_chart(result: SearchResult) -> dict[str, Any]:
    """Skip connections over epochs in the cell where they collapse, and a sentence."""
    names = [name for name, _ in result.genotype.cells]
    name = "normal" if "normal" in names else names[0]
    cell = result.genotype[name]
    words, collapsed = skip_words(name, cell, result.strategy, text=result.genotype.recurrent)
    edges = skips(cell)[1]
    counts = _points(result, lambda r: _skips_then(r["genotype"], name))
    drawn = chart(
        f"Skip connections, {cell_title(name).lower()}",
        "In the cell that would have been derived after each epoch.",
        [curve("skip connections", KINDS["skip"].line, counts)],
        [Level("half of the edges", edges / 2, _WARM)],
        kind="whole",
    )
    return {"words": words, "collapsed": collapsed, "chart": drawn}


def _points(result: SearchResult, of: Callable[[Mapping[str, Any]], Any]) -> Points:
    return [(record["epoch"], of(record)) for record in result.records]


def _score_chart(result: SearchResult) -> Chart | None:
    after = {name: value for name, value in scores(result).items() if name != "searched"}
    colours = {"derived": _WARM, "retrained": _BLUE}
    levels = [Level(name, float(v), colours[name]) for name, v in after.items() if v is not None and known(v)]
    if result.perplexity:
        levels = [level for level in levels if level.value > 0]
        own = curve("searched", _ACCENT, _points(result, lambda r: perplexity(r["loss"])))
        return chart("Perplexity", "Of held-out words, on a logarithmic axis.", [own], levels, kind="log")
    own = curve("searched", _ACCENT, _points(result, lambda r: r["accuracy"]))
    note = "Of held-out pictures: the supernet’s after each epoch; dotted, the derived network’s."
    return chart("Accuracy", note, [own], levels, kind="share")


def _observed(result: SearchResult) -> list[Chart]:
    """A chart for each figure that the strategy noted by itself."""
    names = dict.fromkeys(
        name
        for record in result.records
        for name, value in (record.get("notes") or {}).items()
        if known(value)
    )
    own = []
    for name in names:
        found = _points(result, lambda r, name=name: (r.get("notes") or {}).get(name))  # type: ignore[misc]
        title = name.replace("_", " ")
        one = chart(title[:1].upper() + title[1:], "Measured by the strategy.", [curve(title, _BLUE, found)])
        own += [one] if one else []
    return own


def _skips_then(form: Mapping[str, Any], name: str) -> float | None:
    try:
        return float(skips(Genotype.from_dict(form)[name])[0])
    except (SpaceError, KeyError):
        return None
