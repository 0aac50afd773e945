"""rung's default beside its peers: ranks on the way, wins and losses, half of BOHB's resource, deciding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import exp, inf
from typing import Final

import numpy as np

from benchmarks.experiments import experiment
from benchmarks.experiments.ahead import PLAIN, RESOURCE
from benchmarks.experiments.judging import below, of
from benchmarks.experiments.rows import Row
from benchmarks.reports import Page, Section, criteria, deciding, pictures
from benchmarks.reports.drawing import Panel, draw
from benchmarks.reports.field import (
    BOHBS,
    FINE,
    MAIN,
    Duel,
    Field,
    duel,
    field_of,
    present,
    reached,
    shared,
    whole,
    workers_of,
)
from benchmarks.reports.markdown import chance, listed, number, picture, span, table
from benchmarks.reports.planned import about
from benchmarks.reports.ranks import LEAST, Curves, mean_ranks

_ORDER: Final = RESOURCE + PLAIN
_PANELS: Final = 6
_FEW: Final = 6  # problems that are named each

_ABOUT: Final = """\
The problems were fixed before any of the comparison ran (`benchmarks/experiments/ahead.py`), and each system
runs at the setting that it recommends. What a peer trained is kept for it: it pays only for what is more,
whatever it does about checkpoints. On the way means: at 20 points that divide the budget evenly. Regrets are
compared by their logarithm, and only on the seeds that both systems have. Systems that take a second or so
for a decision (smac, ax, syne-tune, neps) have fewer seeds than the others at the same settings, and most
of them fewer problems.
"""
_RANKS: Final = """\
A system's rank is 1, and 1 for each system that is ahead, and a half for each that ties: whose mean
difference is no more than its standard error over the seeds. It is the mean over the points of the budget,
then over the problems. By time: at points of virtual time, up to when half of a problem's searches have
ended.
"""
_MARKS: Final = """\
Mean ratio of rung's regret to the peer's on the way (below 1 is for rung); ✓ rung is ahead, ✗ the peer is, ≈
they tie.
"""


def make(rows: Mapping[str, Sequence[Row]]) -> Page:
    """The section; without rung's own rows only what is planned."""
    found = sorted(rows.get("ahead", []), key=lambda row: (_place(row), tuple(map(str, row.key))))
    name = "ahead"
    parts, drawn = [about(name, experiment(name), found), _ABOUT], {}
    fields = [field_of(found, workers) for workers in sorted({row.workers for row in found})]
    if found:
        parts += criteria.told(found, fields)
        parts += ["### Ranks\n", _RANKS, *_ranks(fields)]
        if MAIN in present(fields):
            parts += ["### Wins and losses\n", *_wins(fields)]
        parts += [*half(fields), *deciding.told(found)]
        for file, what, panels in _pictured(fields):
            drawn[file] = draw(panels)
            parts += picture(file, what)
    return Page("\n".join(parts), drawn)


def _place(row: Row) -> int:
    return _ORDER.index(row.problem) if row.problem in _ORDER else len(_ORDER)


# -- ranks ------------------------------------------------------------------------------------------------


def _ranks(fields: Sequence[Field]) -> Iterator[str]:
    columns, head = [], ["system"]
    for field in fields:
        views = [("", field.spent)] if field.workers == 1 else [("", field.spent), (" by time", field.timed)]
        for said, way in views:
            head += [f"{workers_of(field)}{said}"]
            columns.append(_pairs(way, whole(field)))
    names = {name for column in columns for name in column}
    lines = [
        [_bold(name), *(_rank(column, name) for column in columns), *_coverage(fields, name)]
        for name in sorted(names, key=lambda name: (columns[0].get(name, (inf, inf)), name))
    ]
    yield "Mean rank on the way / in the end among the systems that ran on every problem, the best in bold.\n"
    yield table([*head, "problems", "seeds"], lines)
    partial = [line for field in fields for line in _partial(field)]
    if partial:
        yield (
            "Systems that ran on some of the problems only: their mean rank on these and rung's there, among "
            "those of above and themselves.\n"
        )
        yield table(("system", "workers", "its rank", "rung's", "of", "problems"), partial)


def _partial(field: Field) -> Iterator[list[str]]:
    full = whole(field)
    for name in present([field]):
        problems = shared(field, name)
        if name not in full and problems:
            pairs = _pairs({problem: field.spent[problem] for problem in problems}, [*full, name])
            told = [" / ".join(f"{rank:.2f}" for rank in pairs[one]) for one in (name, MAIN)]
            few = listed(problems) if len(problems) <= _FEW else f"{len(problems)} of {len(field.spent)}"
            yield [name, str(field.workers), *told, str(len(full) + 1), few]


Pair = tuple[float, float]
"""Mean ranks on the way and in the end."""


def _pairs(way: Curves, among: Sequence[str]) -> dict[str, Pair]:
    return {name: (float(rank.mean()), float(rank[-1])) for name, rank in mean_ranks(way, among).items()}


def _bold(name: str) -> str:
    return f"**{name}**" if name == MAIN else name


def _rank(column: Mapping[str, Pair], name: str) -> str:
    if name not in column:
        return ""
    least = np.min(list(column.values()), axis=0)
    cells = [f"{one:.2f}" for one in column[name]]
    return " / ".join(
        f"**{cell}**" if one <= best + 1e-9 else cell
        for cell, one, best in zip(cells, column[name], least, strict=True)
    )


def _coverage(fields: Sequence[Field], name: str) -> tuple[str, str]:
    counts = [len(logs[name]) for field in fields for logs in field.spent.values() if name in logs]
    problems = [sum(name in logs for logs in field.spent.values()) for field in fields]
    return span(problems), span(counts)


# -- wins and losses --------------------------------------------------------------------------------------


def _wins(fields: Sequence[Field]) -> Iterator[str]:
    peers = [name for name in present(fields) if name != MAIN]
    lines = [line for field in fields for name in peers for line in _score(field, name)]
    yield (
        "Problems on which rung is ahead – ties – behind; the ratio is the mean over the problems, and p is "
        "that of Wilcoxon's signed-rank test over them, two-sided.\n"
    )
    yield table(
        ("peer", "workers", "on the way", "ratio", "p", "in the end", "ratio", "p", "problems"), lines
    )
    for field in fields:
        yield f"With {workers_of(field)}, by problem. {_MARKS}"
        lines = []
        for problem, logs in field.spent.items():
            duels = [duel(logs, name, end=False) for name in peers]
            lines.append([problem, *("" if one is None else _ratio(one) for one in duels)])
        yield table(("problem", *peers), lines)


def _ratio(one: Duel) -> str:
    return f"{number(exp(one.ratio))} {one.mark}"


def _score(field: Field, peer: str) -> Iterator[list[str]]:
    cells = []
    for end in (False, True):
        found = [duel(logs, peer, end) for logs in field.spent.values()]
        duels = [one for one in found if one is not None]
        if not duels:
            return
        values = np.array([one.ratio for one in duels])
        marks = [one.mark for one in duels]
        p = min(1.0, 2.0 * min(below(values), below(-values)))
        counts = " – ".join(str(marks.count(mark)) for mark in "✓≈✗")
        cells += [counts, number(exp(float(values.mean()))), chance(p)]
    yield [peer, str(field.workers), *cells, str(len(duels))]


# -- half of the resource ---------------------------------------------------------------------------------


def half(fields: Sequence[Field]) -> Iterator[str]:
    """A table of these shares."""
    lines = []
    for field in fields:
        for problem, shares in reached(field).items():
            lines.append([problem, str(field.workers), *(_share(shares.get(name)) for name in BOHBS)])
    if lines:
        yield (
            "### Half of BOHB's resource\n\n"
            "The share of the budget at which rung's median regret is what BOHB's is in the end, in the "
            f"authors' own program and as rung's `bohb`, on the problems with a resource (in steps of "
            f"{1 / FINE:.3g}; a half or less in bold).\n"
        )
        yield table(("problem", "workers", *BOHBS), lines, 1)


def _share(share: float | None) -> str:
    if share is None:
        return ""
    return f"**{number(share)}**" if share <= 0.5 else number(share)


# -- pictures ---------------------------------------------------------------------------------------------


def _pictured(fields: Sequence[Field]) -> Iterator[tuple[str, str, list[Panel]]]:
    ways = []
    for field in fields:
        ranks = mean_ranks(field.spent, whole(field))
        if ranks:
            ways.append(pictures.way_panel(ranks, MAIN, _title(field), "budget"))
    if ways:
        yield "ahead.svg", "mean rank of each system on the way", ways
    for field in fields:
        panels = [_panel(field, problem) for problem in field.spent]
        for start in range(0, len(panels), _PANELS):
            file = f"ahead-{field.workers}-{start // _PANELS + 1}.svg"
            yield file, f"regret on the way, {workers_of(field)}", panels[start : start + _PANELS]


def _title(field: Field) -> str:
    return workers_of(field).capitalize()


def _panel(field: Field, problem: str) -> Panel:
    """Against time where several workers train for times of their own, else against the resource.

    A system's single search is no line: beside medians of many it would look like more than it is.
    """
    counts = Counter(row.system for row in of(field.rows, problem))
    often = [row for row in of(field.rows, problem) if counts[row.system] >= LEAST]
    rows = often or of(field.rows, problem)
    timed = field.workers > 1 and problem in RESOURCE
    against = pictures.against_time if timed else pictures.against_resource
    return against(rows, pictures.chosen(rows, (MAIN, "rung random")), MAIN, problem)


ENTRIES: Final = {"ahead": Section(10, make)}
