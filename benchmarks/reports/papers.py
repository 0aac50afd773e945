"""A section for each of the papers' experiments: final regrets, a paired test, deciding, pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import exp, inf
from re import split
from typing import Any, Final

import numpy as np

from benchmarks.experiments import experiment, experiments
from benchmarks.experiments.asha_stragglers import first_trained, trained
from benchmarks.experiments.judging import below, differences, group, of
from benchmarks.experiments.rows import Row
from benchmarks.reports import Page, Section, pictures
from benchmarks.reports.drawing import Axis, Panel, draw
from benchmarks.reports.markdown import chance, number, picture, quartiles, span, table
from benchmarks.reports.planned import about

_ORDER: Final = (
    "counting-ones",
    "svm",
    "feed-forward",
    "bayesian-nets",
    "reinforcement",
    "convolutional",
    "parallel-scaling",
    "robustness",
    "asha-sequential",
    "asha-workers",
    "asha-stragglers",
)
_PANELS: Final = 6  # of a picture
_SHOWN: Final = ("rung", "rung bohb", "rung asha", "rung hyperband", "rung random")


def make(name: str, rows: Mapping[str, Sequence[Row]]) -> Page:
    """The section of one experiment."""
    found = sorted(rows.get(name, []), key=lambda row: tuple(map(str, row.key)))
    parts, drawn = [about(name, experiment(name), found)], {}
    if found:
        main = method(name)
        parts += _SPECIAL.get(name, results)(found, main)
        for file, what, panels in _PICTURED.get(name, _pictured)(name, found, main):
            drawn[file] = draw(panels)
            parts += picture(file, what)
    return Page("\n".join(parts), drawn)


def method(name: str) -> str:
    """The system of which an experiment's paper tells."""
    return "rung asha" if name.startswith("asha") else "rung bohb"


# -- tables -----------------------------------------------------------------------------------------------


def cases(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows by problem and setting, each with a name that says what differs."""
    several = len({row.workers for row in rows}) > 1
    limited = len({row.seconds for row in rows}) > 1
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(rows, key=_natural):
        found.setdefault((row.problem, row.workers, row.seconds, row.variant), []).append(row)
    named = {}
    for (problem, workers, seconds, variant), group_of in found.items():
        parts = [problem, f"{workers} worker{'s' * (workers > 1)}" if several else ""]
        parts += [f"to {seconds:g}" if limited and seconds else "", variant]
        named[", ".join(part for part in parts if part)] = group_of
    return named


def _natural(row: Row) -> tuple[Any, ...]:
    """An order of cases in which "8+8" comes before "16+16"."""
    words = [(part.isdigit(), int(part) if part.isdigit() else part) for part in split(r"(\d+)", row.problem)]
    return words, row.workers, row.seconds or inf, row.variant


def results(rows: Sequence[Row], main: str) -> Iterator[str]:
    """Final regrets by system and case, and a test of each system against the paper's."""
    known = cases(rows)
    systems = sorted({row.system for row in rows}, key=lambda name: (name != main, name))
    if len(known) > len(systems):  # the longer side goes down
        yield _turned(known, systems)
    lines = [list(_line(rows, {} if len(known) > len(systems) else known, name, main)) for name in systems]
    columns = [] if len(known) > len(systems) else list(known)
    head = ("system", *columns, "seeds", f"ratio to {main}", "p", "deciding, s")
    yield (
        "The regret in the end, median and quartiles in brackets; the median ratio of regrets, with the p of "
        "Wilcoxon's signed-rank test (two-sided, paired by problem, seed and setting; n pairs); the mean "
        "time of a search that went into deciding.\n"
    )
    yield table(head, lines)


def _turned(known: Mapping[str, Sequence[Row]], systems: Sequence[str]) -> str:
    lines = [[case, *(_regrets(of(rows, system=name)) for name in systems)] for case, rows in known.items()]
    return table(("", *systems), lines)


def _line(rows: Sequence[Row], known: Mapping[str, Sequence[Row]], name: str, main: str) -> Iterator[str]:
    yield f"**{name}**" if name == main else name
    for one in known.values():
        yield _regrets(of(one, system=name))
    yield span(len(of(one, system=name)) for one in cases(rows).values() if of(one, system=name))
    yield from compared(rows, name, main)
    yield number(float(np.mean([row.decided for row in of(rows, system=name)])))


def _regrets(rows: Sequence[Row]) -> str:
    known = [row.regret(inf) for row in rows]
    return quartiles([inf if one is None else one for one in known]) if known else ""


def compared(rows: Sequence[Row], name: str, main: str) -> tuple[str, str]:
    """The ratio of regrets to the main system's, and the test's p with its number of pairs."""
    values = differences(rows, group(name), group(main))
    if name == main or not len(values):
        return "", ""
    p = min(1.0, 2.0 * min(below(values), below(-values)))
    return number(exp(float(np.median(values)))), f"{chance(p)} (n = {len(values)})"


def hazards(rows: Sequence[Row], main: str) -> Iterator[str]:
    """Of the workload: how many configurations were trained to the end, and when the first one was."""
    yield "The mean of all seeds: configurations trained to R, and when the first one was.\n"
    systems = sorted({row.system for row in rows})
    lines = []
    for (spread, drop), group_of in sorted(_hazards(rows).items()):
        cells = [f"{spread:g}", f"{drop:g}"]
        for measure in (trained, first_trained):
            cells += [number(float(np.mean([measure(r) for r in of(group_of, system=s)]))) for s in systems]
        lines.append([*cells, span(len(of(group_of, system=s)) for s in systems)])
    head = ["stragglers", "drop", *(f"{s}: trained" for s in systems), *(f"{s}: first" for s in systems)]
    yield table([*head, "seeds"], lines)


def _hazards(rows: Sequence[Row]) -> dict[tuple[float, float], list[Row]]:
    found: dict[tuple[float, float], list[Row]] = {}
    for row in rows:
        known = dict(part.rsplit(" ", 1) for part in row.variant.split(", ") if part)
        at = float(known.get("stragglers", 0.0)), float(known.get("drop", 0.0))
        found.setdefault(at, []).append(row)
    return found


# -- pictures ---------------------------------------------------------------------------------------------

Picture = tuple[str, str, list[Panel]]


def _pictured(name: str, rows: Sequence[Row], main: str) -> Iterator[Picture]:
    """Regret against resource, or against time where time ends the searches; by problem and setting."""
    timed = any(row.seconds is not None for row in rows)
    against = pictures.against_time if timed else pictures.against_resource
    known = {case: one for case, one in cases(rows).items() if len({row.system for row in one}) > 1}
    panels = [against(one, pictures.chosen(one, _SHOWN), main, case) for case, one in known.items()]
    whole = "virtual time" if timed else "the resource spent"
    for start in range(0, len(panels), _PANELS):
        file = f"{name}.svg" if start == 0 else f"{name}-{start // _PANELS + 1}.svg"
        yield file, f"{name}: regret against {whole}", panels[start : start + _PANELS]


def _workers(name: str, rows: Sequence[Row], main: str) -> Iterator[Picture]:
    systems = sorted({row.system for row in rows})
    for problem in sorted({row.problem for row in rows}):
        one = of(rows, problem)
        panels = [
            pictures.workers_panel(one, main, f"{main} with so many workers"),
            pictures.speedup_panel(one, systems, main, "Speed-up"),
        ]
        yield f"{name}.svg", f"{name}: regret against time by workers, and the speed-up", panels


def _stragglers(name: str, rows: Sequence[Row], main: str) -> Iterator[Picture]:
    known = _hazards(rows)
    panels = []
    for spread in sorted({at[0] for at in known}):
        measured = {
            system: {drop: [trained(row) for row in of(known[spread, drop], system=system)] for drop in drops}
            for system in sorted({row.system for row in rows})
            for drops in [sorted(at[1] for at in known if at[0] == spread)]
        }
        x = Axis("chance of a drop in a unit of time")
        y = Axis("configurations trained to R, quartiles")
        panels.append(pictures.measured_panel(measured, main, f"straggler deviation {spread:g}", x, y))
    yield f"{name}.svg", f"{name}: configurations trained to the end against the chance of a drop", panels


_SPECIAL: Final[dict[str, Callable[..., Iterator[str]]]] = {"asha-stragglers": hazards}
_PICTURED: Final[dict[str, Callable[..., Iterator[Picture]]]] = {
    "parallel-scaling": _workers,
    "asha-stragglers": _stragglers,
}


def in_order(names: Iterable[str]) -> list[str]:
    """Experiments as the papers have them; those that are not theirs come last."""
    return sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))


ENTRIES: Final = {
    name: Section(100 + place, partial(make, name))
    for place, name in enumerate(in_order(experiments()))
    if name != "ahead"
}
