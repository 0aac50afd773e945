"""The page about a search: one HTML file that needs no network and no other file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rung.nas.drawing import svg
from rung.nas.genotype import Genotype
from rung.nas.report.courses import charts, perplexity, skip_chart
from rung.nas.report.networks import network_charts, network_rows
from rung.nas.report.pruning import bands, pruning_words
from rung.nas.report.rendering import rendered
from rung.nas.report.series import Look, Series, final_weights, looks, series
from rung.nas.report.words import (
    duration,
    extent,
    gap_words,
    known,
    large,
    plain_words,
    score,
    scores,
    summary,
)
from rung.nas.result import SearchResult
from rung.nas.strategies.described import strategy_title
from rung.storage.whole import write_whole


class Bar(NamedTuple):
    """A bar: a name, its length as a share of the longest, and what it says."""

    name: str
    share: float
    text: str


def write_page(result: SearchResult, path: str | Path, command: str | None = None) -> Path:
    """Write the page, whole or not at all.

    Args:
        path: of the HTML file.
        command: what searches the same again; None from Python.

    Raises:
        DataError: the file cannot be written.
    """
    write_whole(path, render_page(result, command))
    return Path(path)


def render_page(result: SearchResult, command: str | None = None) -> str:
    """The page as text; whatever is put in is escaped."""
    return rendered("search.html.j2", _context(result, command))


def _context(result: SearchResult, command: str | None) -> dict[str, Any]:
    drawn = series(result) if result.records else None
    return {
        "result": result,
        "strategy": strategy_title(result.strategy),
        "summary": summary(result),
        "stages": [(stage, score(result, value)) for stage, value in scores(result).items()],
        "best": _last_known(result),
        "facts": _facts(result),
        "drawing": _drawing(result),
        "weighted": final_weights(result) is not None,
        "command": command,
        "notes": _notes(result),
        "charts": network_charts(result) if result.tried else charts(result),
        "networks": network_rows(result),
        "priced": any(one["error"] not in (None, one["score"]) for one in result.tried),
        "series": drawn,
        "keys": _keys(drawn),
        "pruned": pruning_words(result) if drawn else None,
        "bands": bands(drawn) if drawn and any(r["removed"] for r in result.records) else (),
        "skips": None if result.tried else skip_chart(result),
        "bars": _bars(result),
        "gap": gap_words(result),
        "cost": _cost(result),
        "passes": _passes(result.cost),
        "forms": _forms(result.genotype),
        "settings": _settings(result.settings),
        "words": bool(result.perplexity),
        "rows": _rows(result),
    }


def _last_known(result: SearchResult) -> str | None:
    """The last stage that has a score."""
    return next((stage for stage, value in reversed(scores(result).items()) if known(value)), None)


def _facts(result: SearchResult) -> list[tuple[str, str]]:
    facts = [
        ("space", result.space),
        ("data", result.data),
        ("preset", result.preset),
        ("seed", str(result.seed)),
        ("parameters", f"{result.parameters:,}"),
    ]
    if result.multiply_adds is not None:
        facts.append(("multiply-adds", large(result.multiply_adds)))
    facts.append(("searched for", f"{extent(result)}, {duration(result.cost.get('seconds'))}"))
    return facts + ([("study", result.study)] if result.study else [])


def _drawing(result: SearchResult) -> Any:
    from markupsafe import Markup

    return Markup(svg(result.genotype, alphas=final_weights(result)))  # escapes names itself


def _notes(result: SearchResult) -> list[str]:
    stopped = ["the search was interrupted before its end: the cell is what would be derived then"]
    return (stopped if result.interrupted else []) + list(result.notes)


def _keys(drawn: Series | None) -> dict[str, Look]:
    """One legend for all small plots."""
    cells = drawn.cells if drawn else ()
    return looks(list(dict.fromkeys(op for cell in cells for op in cell.operations)))


def _bars(result: SearchResult) -> list[Bar]:
    found = scores(result)
    longest = max([float(v) for v in found.values() if v is not None and known(v)], default=1.0) or 1.0
    full = longest if result.perplexity else 1.0
    return [
        Bar(stage, value / full if value is not None and known(value) else 0.0, score(result, value))
        for stage, value in found.items()
    ]


def _cost(result: SearchResult) -> list[tuple[str, str]]:
    cost = result.cost
    facts = [
        ("time", duration(cost.get("seconds"))),
        ("training passes", large(cost.get("passes"))),
        ("samples" if result.perplexity else "pictures", large(cost.get("images"))),
        ("multiply-adds", large(cost.get("multiply_adds"))),
    ]
    epochs = len(result.records)
    if epochs and known(cost.get("seconds")):
        facts.append(("time an epoch", duration(cost["seconds"] / epochs)))
    return facts


def _passes(cost: Mapping[str, Any]) -> list[Bar]:
    """How passes divide between weights and alphas."""
    parts = [("weights", cost.get("weight_passes")), ("alphas", cost.get("alpha_passes"))]
    counts = [(name, int(count)) for name, count in parts if count is not None and known(count)]
    total = sum(count for _, count in counts)
    if any(count == total for _, count in counts):  # nothing divides
        return []
    return [Bar(name, n / total, f"{name}: {n:,} passes, {n / total:.0%}") for name, n in counts if total]


def _forms(genotype: Genotype) -> list[tuple[str, str, str]]:
    return [
        ("reference", "As the DARTS reference writes it", genotype.to_text()),
        ("json", "As JSON, a cell file of its own", json.dumps(genotype.to_dict())),
    ]


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    groups = [(name, settings[name]) for name in ("strategy", "recipe") if settings.get(name)]
    return [
        (name, [(key, plain_words(value)) for key, value in dict(group).items()]) for name, group in groups
    ]


def _rows(result: SearchResult) -> list[dict[str, Any]]:
    """The table of epochs."""
    before: Any = None
    rows = []
    for record in result.records:
        changed = before is not None and record["genotype"] != before
        before = record["genotype"]
        value = perplexity(record["loss"]) if result.perplexity else record["accuracy"]
        rows.append(
            {**record, "score": score(result, value), "changed": changed, "gone": len(record["removed"])}
        )
    return rows
