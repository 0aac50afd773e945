"""A section for each experiment: a table of final regrets, and how regret falls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from scipy.stats import wilcoxon

from benchmarks.experiments import experiments
from benchmarks.experiments.rows import Row
from benchmarks.reports import Page, Section
from benchmarks.reports.drawing import Curve, Panel, draw
from benchmarks.reports.measures import Place, floor_of, moments, places, quartiles, regrets

_APART: Final = ("ahead",)  # has a section of its own
_PANELS: Final = 9
_REFERENCE: Final = "rung bohb"  # with which others are paired, or `rung asha`


def make(rows: Mapping[str, Sequence[Row]]) -> Page:
    """All experiments that have rows."""
    texts, pictures = [], {}
    for name, one in experiments().items():
        found = rows.get(name, ())
        if name in _APART or not found:
            continue
        pictures[f"{name}.svg"] = picture(found)
        minutes = sum(row.wall for row in found) / 60
        texts.append(
            f"### {name}\n\n{one.what[0].upper()}{one.what[1:]}. {len(found):,} searches, {minutes:.0f} "
            f"minutes of computing: `python -m benchmarks.experiments run {name}`.\n\n{table(found)}\n\n"
            f"![{name}: regret](images/experiments/{name}.svg)"
        )
    return Page("## The experiments\n\n" + "\n\n".join(texts), pictures)


def table(rows: Sequence[Row]) -> str:
    """Places by systems: median and quartiles of the final regret, the best in bold; * differs."""
    found = places(rows)
    systems = list(dict.fromkeys(row.system for row in rows))
    reference = _REFERENCE if _REFERENCE in systems else "rung asha"
    lines = [f"| | {' | '.join(systems)} |", f"| --- |{' ---: |' * len(systems)}"]
    for place, searched in found.items():
        ends = {name: _ends(searched.get(name, {})) for name in systems}
        medians = {name: quartiles(values)[1] for name, values in ends.items() if values}
        best = min(medians.values())
        cells = []
        for name in systems:
            if not ends[name]:
                cells.append("")
                continue
            low, middle, high = quartiles(ends[name])
            text = f"{middle:.3g}"
            text = f"**{text}**" if middle <= best else text
            star = "\\*" if differs(searched.get(name, {}), searched.get(reference, {})) else ""
            cells.append(f"{text}{star} ({low:.3g}, {high:.3g})")
        count = max(len(values) for values in ends.values())
        lines.append(f"| {place.title} (n = {count}) | {' | '.join(cells)} |")
    deciding = {name: np.mean([row.deciding for row in rows if row.system == name]) for name in systems}
    lines.append(f"| *seconds to decide, mean* | {' | '.join(f'{deciding[name]:.2g}' for name in systems)} |")
    note = f"Final regret: median (quartiles); \\* differs from {reference}, Wilcoxon signed-rank, p < 0.05."
    return "\n".join(lines) + f"\n\n{note}"


def _ends(seeds: Mapping[int, Row]) -> list[float]:
    return [
        math.inf if row.true is None else max(row.true - row.optimum, 0.0) for _, row in sorted(seeds.items())
    ]


def differs(mine: Mapping[int, Row], other: Mapping[int, Row]) -> bool:
    """Whether final regrets on common seeds differ, by the test."""
    common = sorted(mine.keys() & other.keys())
    pairs = [(mine[s].true, other[s].true) for s in common]
    values = [a - b for a, b in pairs if a is not None and b is not None and a != b]
    if mine is other or len(values) < 6:  # with five, p can't be below 0.05
        return False
    return bool(wilcoxon(values).pvalue < 0.05)


def picture(rows: Sequence[Row]) -> str:
    """Regret against resource, or against virtual time where that ends searches or workers vary."""
    clock = any(row.seconds for row in rows) or len({row.workers for row in rows}) > 1
    found = places(rows)
    if clock and len({row.workers for row in rows}) > 2:
        panels = _by_workers(rows)
    else:
        panels = [_panel(place, searched, clock) for place, searched in found.items()]
    return draw(panels[:_PANELS])


def _panel(place: Place, searched: Mapping[str, Mapping[int, Row]], clock: bool) -> Panel:
    curves = [_curve(name, list(seeds.values()), clock) for name, seeds in searched.items()]
    return Panel(place.title, "virtual seconds" if clock else "resource spent", "regret", curves)


def _by_workers(rows: Sequence[Row]) -> list[Panel]:
    """For each problem and system, a curve for each number of workers."""
    found: dict[tuple[str, str], dict[int, list[Row]]] = {}
    for row in rows:
        found.setdefault((row.problem, row.system), {}).setdefault(row.workers, []).append(row)
    return [
        Panel(
            f"{problem}: {system}",
            "virtual seconds",
            "regret",
            [_curve(_workers(count), many, True) for count, many in sorted(by.items())],
        )
        for (problem, system), by in found.items()
        if len(by) > 1
    ]


def _workers(count: int) -> str:
    return f"{count} worker{'s' * (count > 1)}"


def _curve(name: str, rows: Sequence[Row], clock: bool) -> Curve:
    """The median over seeds and the quartiles, from where half of the seeds have an incumbent."""
    end = max(row.now if clock else row.budget for row in rows)
    firsts = [row.points[0][clock] for row in rows if row.points]
    if not firsts or not end:
        return Curve(name, [])
    at = moments(end, float(np.median(firsts)))
    values = np.maximum(np.nan_to_num(regrets(rows, at, clock), nan=math.inf), floor_of(rows))
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0, method="nearest")
    return Curve(
        name,
        [(x, float(y)) for x, y in zip(at, middle, strict=True)],
        [(float(a), float(b)) for a, b in zip(low, high, strict=True)],
    )


ENTRIES: Final = {"experiments": Section(20, make)}
