"""rung's default beside its peers: mean ranks, wins and losses, time to decide, half of BOHB's resource."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from benchmarks.experiments.rows import Row
from benchmarks.reports import Page, Section
from benchmarks.reports.drawing import Curve, Panel, draw
from benchmarks.reports.measures import POINTS, Place, floor_of, places, ranks, scores
from benchmarks.systems import systems

OURS: Final = "rung"
Searched = Mapping[Place, Mapping[str, Mapping[int, Row]]]


def make(rows: Mapping[str, Sequence[Row]]) -> Page:
    """The section; empty without rows."""
    found = rows.get("ahead", ())
    if not found:
        return Page("", {})
    parts = [
        "## rung beside its peers",
        "The problems were fixed beforehand (`benchmarks/experiments/ahead.py`); each system runs at the "
        "setting that it recommends. A search's score is the mean, over 20 points of its budget, of the "
        "logarithm of its incumbent's regret; a rank counts those that are better and half of those that are "
        "level (within the standard error of the paired difference). Peers are paid for what they train "
        "beyond what a configuration was trained to before, whatever they do about checkpoints.",
    ]
    pictures = {}
    for workers in sorted({row.workers for row in found}):
        here = places(row for row in found if row.workers == workers)
        title = "One worker" if workers == 1 else f"{workers} simulated workers"
        parts += [f"### {title}", summary(here), by_problem(here)]
        pictures[f"ahead-{workers}.svg"] = draw([_ranks_on_the_way(here, title)])
        parts.append(f"![{title}: mean rank](images/experiments/ahead-{workers}.svg)")
    parts += ["### Half of BOHB's resource", half(found), "### Time to decide", deciding(found)]
    return Page("\n\n".join(parts), pictures)


def summary(found: Searched) -> str:
    """Systems by mean rank, with rung's wins and losses against each, and the seeds there are."""
    table = {place: ranks(scores(searched)) for place, searched in found.items()}
    names = sorted({name for one in table.values() for name in one}, key=lambda name: _mean(table, name))
    lines = [
        "| system | mean rank | problems | seeds | rung better, level, worse |",
        "| --- " + "| ---: " * 4 + "|",
    ]
    for name in names:
        seeds = [len(searched[name]) for searched in found.values() if name in searched]
        won = _against(found, name) if name != OURS else ""
        several = f"{min(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
        lines.append(f"| {name} | {_mean(table, name):.2f} | {len(seeds)} | {several} | {won} |")
    return "\n".join(lines)


def _mean(table: Mapping[Place, Mapping[str, float]], name: str) -> float:
    return float(np.mean([one[name] for one in table.values() if name in one]))


def _against(found: Searched, name: str) -> str:
    """On how many problems rung's score is better, level and worse."""
    counts = [0, 0, 0]
    for searched in found.values():
        if OURS in searched and name in searched:
            both = scores({OURS: searched[OURS], name: searched[name]})
            place = ranks(both)[OURS]
            counts[round(2 * (place - 1.0))] += 1
    return ", ".join(map(str, counts))


def by_problem(found: Searched) -> str:
    """Each problem's scores, the best in bold."""
    names = list(dict.fromkeys(name for searched in found.values() for name in searched))
    lines = [f"| score | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for place, searched in sorted(found.items()):
        means = {name: float(np.mean(list(seeds.values()))) for name, seeds in scores(searched).items()}
        best = min(means.values())
        cells = [
            ""
            if name not in means
            else f"**{means[name]:.2f}**"
            if means[name] <= best
            else f"{means[name]:.2f}"
            for name in names
        ]
        lines.append(f"| {place.problem} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ranks_on_the_way(found: Searched, title: str) -> Panel:
    """The mean rank at each point of the budget, by the incumbents' regret there."""
    sums: dict[str, list[list[float]]] = {}
    for place, searched in found.items():
        floor = floor_of(row for seeds in searched.values() for row in seeds.values())
        for point in range(1, POINTS + 1):
            at = place.budget * point / POINTS
            here = {
                name: {seed: _log(row.regret(at), floor) for seed, row in seeds.items()}
                for name, seeds in searched.items()
            }
            for name, rank in ranks(here).items():
                sums.setdefault(name, [[] for _ in range(POINTS)])[point - 1].append(rank)
    curves = [
        Curve(name, [((n + 1) / POINTS, float(np.mean(one))) for n, one in enumerate(many)])
        for name, many in sorted(sums.items(), key=lambda item: np.mean(item[1][-1]))
    ]
    return Panel(title, "share of the budget", "mean rank", curves, log_x=False, log_y=False)


def _log(regret: float | None, floor: float) -> float:
    return 99.0 if regret is None else math.log10(max(regret, floor))


def half(rows: Sequence[Row]) -> str:
    """Where rung has with half of the resource what BOHB has at the end, by the median over common seeds."""
    lines = [
        "| problem | workers | BOHB at the end | rung with half of that | reached |",
        "| --- | ---: " + "| ---: " * 2 + "| --- |",
    ]
    counts: dict[str, list[bool]] = {}
    for place, searched in sorted(places(rows).items()):
        for bohb in ("hpbandster", "rung bohb"):
            common = sorted(searched.get(OURS, {}).keys() & searched.get(bohb, {}).keys())
            if not common or not _has_resource(searched[bohb]):
                continue
            theirs = float(np.median([searched[bohb][s].regret(math.inf) or 0.0 for s in common]))
            spent = [searched[bohb][s].resource / 2 for s in common]
            ours = [searched[OURS][s].regret(at) for s, at in zip(common, spent, strict=True)]
            median = float(np.median([math.inf if one is None else one for one in ours]))
            reached = median <= theirs + 1e-12
            counts.setdefault(bohb, []).append(reached)
            lines.append(
                f"| {place.problem} | {place.workers} | {theirs:.3g} ({bohb}, n = {len(common)}) "
                f"| {median:.3g} | {'yes' if reached else 'no'} |"
            )
    told = "; ".join(f"{sum(one)} of {len(one)} against {name}" for name, one in counts.items())
    return f"Reached: {told or 'no rows yet'}.\n\n" + "\n".join(lines)


def _has_resource(seeds: Mapping[int, Row]) -> bool:
    """Whether a problem has a resource: BOHB then has results that are not full ones."""
    return any(row.evaluations > row.full for row in seeds.values())


def deciding(rows: Sequence[Row]) -> str:
    """Seconds to decide: the sum over a search, and per result, beside rung's on the same searches."""
    lines = [
        "| system | model | seconds a search | milliseconds a result | times rung's |",
        "| --- | --- " + "| ---: " * 3 + "|",
    ]
    ours = {row.key[1:]: row.deciding for row in rows if row.system == OURS}
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.system, []).append(row)
    for name, many in sorted(found.items(), key=lambda item: np.mean([row.deciding for row in item[1]])):
        both = [(row.deciding, ours[row.key[1:]]) for row in many if row.key[1:] in ours]
        ratio = f"{sum(a for a, _ in both) / sum(b for _, b in both):.3g}" if both else ""
        each = 1e3 * sum(row.deciding for row in many) / max(sum(row.evaluations for row in many), 1)
        model = systems()[name].model if name in systems() else ""
        mean = np.mean([row.deciding for row in many])
        lines.append(f"| {name} | {model} | {mean:.3g} | {each:.3g} | {ratio} |")
    return "\n".join(lines)


ENTRIES: Final = {"ahead": Section(30, make)}
