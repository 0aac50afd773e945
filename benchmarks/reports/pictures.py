"""What pictures show of rows: regret against resource, time and workers, with medians and quartiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from benchmarks.experiments.judging import of, scales, speedups
from benchmarks.experiments.rows import Row
from benchmarks.reports.drawing import COLOURS, Axis, Curve, Panel
from benchmarks.reports.markdown import span

_COLOURS: Final = {  # a system has one colour in all pictures
    "rung": "blue",
    "rung random": "grey",
    "rung bohb": "green",
    "rung hyperband": "orange",
    "rung asha": "teal",
    "rung sha": "brown",
    "rung async-hyperband": "olive",
    "rung tpe": "red",
    "rung gp": "purple",
    "rung smac": "pink",
    "rung fabolas": "brown",
    "rung pbt 25": "pink",
    "rung pbt 500": "pink",
    "optuna": "red",
    "hpbandster": "olive",
    "smac": "purple",
    "dehb": "brown",
    "syne-tune": "teal",
    "neps": "pink",
    "ax": "orange",
}
LINES: Final = 8  # in a panel, at most: more can't be told apart
_PLACES: Final = 44  # at which a line is looked at
_DEPTH: Final = 0.03  # of the median line's end: what lies below is cut off, or the rest would be flat
_BANDS: Final = 3  # lines with bands, at most


def coloured(names: Iterable[str]) -> dict[str, str]:
    """By system; a colour of its own where another has it already, as long as there are any."""
    found: dict[str, str] = {}
    for name in names:
        wanted = _COLOURS.get(name, "blue")
        free = [colour for colour in COLOURS if colour not in found.values()]
        found[name] = free[0] if free and wanted in found.values() else wanted
    return found


def chosen(rows: Sequence[Row], always: Sequence[str] = ()) -> list[str]:
    """The systems of a picture, by name: some always, then those with the least regret."""
    known = scales(rows)
    logs: dict[str, list[float]] = {}
    for row in rows:
        if row.problem in known:
            logs.setdefault(row.system, []).append(known[row.problem].log(row.regret(row.budget)))
    best = sorted(logs, key=lambda name: (name not in always, round(float(np.mean(logs[name])), 9), name))
    return sorted(best[:LINES])


def against_resource(rows: Sequence[Row], systems: Sequence[str], main: str, title: str) -> Panel:
    """Regret against the resource spent, of the searches of one problem and setting."""
    most = max(row.budget for row in rows)
    first = min((row.points[0][0] for row in rows if row.points), default=most)
    axis = Axis("resource spent", log=True)
    return _regrets(rows, systems, main, title, axis, np.geomspace(first, most, _PLACES), Row.regret)


def against_time(rows: Sequence[Row], systems: Sequence[str], main: str, title: str) -> Panel:
    """Regret against virtual time, up to the end of all searches or of their time."""
    most = float(np.median([row.now if row.seconds is None else row.seconds for row in rows]))
    first = min((row.points[0][1] for row in rows if row.points), default=most)
    grid = np.geomspace(max(first, most / 1000), most, _PLACES)
    return _regrets(rows, systems, main, title, Axis("virtual time", log=True), grid, Row.regret_at)


def _regrets(
    rows: Sequence[Row],
    systems: Sequence[str],
    main: str,
    title: str,
    axis: Axis,
    grid: np.ndarray,
    regret: Callable[[Row, float], float | None],
) -> Panel:
    scale, colours = scales(rows)[rows[0].problem], coloured(systems)
    curves, counts = [], set()
    for name in systems:
        found = of(rows, system=name)
        read = [[regret(row, at * (1 + 1e-9)) for at in grid] for row in found]
        there = np.mean([[one is not None for one in row] for row in read], axis=0) >= 0.5 if read else []
        if not np.any(there):
            continue
        counts.add(len(found))
        logs = np.array([[scale.log(one) for one in row] for row in read])[:, there]
        low, middle, high = np.exp(np.quantile(logs, [0.25, 0.5, 0.75], axis=0))
        band = name == main or len(systems) <= _BANDS
        curves.append(
            Curve(
                _short(name),
                colours[name],
                grid[there],
                middle,
                low if band else None,
                high if band else None,
                step=True,
                wide=name == main,
                dash=name == "rung random",
            )
        )
    seeds = f"{span(counts)} seed{'s' * (counts != {1})}"
    least = _DEPTH * float(np.median([one.y[-1] for one in curves])) if curves else None
    up = Axis(f"regret, median of {seeds}", log=True, least=least)
    return Panel(title, axis, up, tuple(curves))


def _short(name: str) -> str:
    """Of a line's end: rung's methods without its name, but for those that a peer has, too."""
    return name.removeprefix("rung ") if name not in ("rung bohb", "rung smac", "rung dehb") else name


def speedup_panel(rows: Sequence[Row], systems: Sequence[str], main: str, title: str) -> Panel:
    """How many times sooner so many workers reach what one has after a quarter of its time."""
    colours, curves, most = coloured(systems), [], [1.0]
    for name in systems:
        found = [one for one in speedups(of(rows, system=name)) if one.ratio > 0.0 and one.low > 0.0]
        if not found:
            continue
        table = np.array([(1.0, 1.0, 1.0, 1.0), *found])
        most = max(most, table[:, 0].tolist())
        low, high = (table[:, 2], table[:, 3]) if name == main else (None, None)
        curves.append(
            Curve(_short(name), colours[name], table[:, 0], table[:, 1], low, high, wide=name == main)
        )
    line = np.array(most)
    linear = Curve("linear", "grey", line, line, dash=True)
    places = tuple(most)
    return Panel(
        title,
        Axis("workers", True, places),
        Axis("times sooner than one worker, 95 % band", True, places),
        (*curves, linear),
    )


def workers_panel(rows: Sequence[Row], name: str, title: str) -> Panel:
    """One system's regret against virtual time, a line for each number of workers."""
    counts = sorted({row.workers for row in rows if row.system == name})
    kept = of(rows, system=name)
    most = max(row.now for row in kept if row.workers == counts[0])
    first = min(row.points[0][1] for row in kept if row.points)
    scale, curves = scales(rows)[rows[0].problem], []
    order = ("grey", "purple", "pink", "red", "orange", "green", "teal", "blue")
    for count, colour in zip(counts, order[-len(counts) :], strict=False):
        found = of(kept, workers=count)
        grid = np.geomspace(first, min(most, max(row.now for row in found)), _PLACES)
        logs = [[scale.log(row.regret_at(at * (1 + 1e-9))) for at in grid] for row in found]
        curves.append(Curve(f"{count}", colour, grid, np.exp(np.median(logs, axis=0)), step=True))
    label = Axis("regret, median; at the lines' ends the workers", log=True)
    return Panel(title, Axis("virtual time", log=True), label, tuple(curves))


def way_panel(means: Mapping[str, np.ndarray], main: str, title: str, whole: str) -> Panel:
    """Mean ranks on the way, 1 on top."""
    colours = coloured(means)
    shares = np.arange(1, len(next(iter(means.values()))) + 1) * 100.0 / len(next(iter(means.values())))
    curves = tuple(
        Curve(_short(name), colours[name], shares, rank, wide=name == main, dash=name == "rung random")
        for name, rank in means.items()
    )
    return Panel(title, Axis(f"% of the {whole}"), Axis("mean rank, 1 is best", reverse=True), curves)


def measured_panel(
    table: Mapping[str, Mapping[float, Sequence[float]]], main: str, title: str, x: Axis, y: Axis
) -> Panel:
    """Something else than regret: by system, then by place on the axis, the values of all seeds."""
    colours, curves = coloured(table), []
    for name, columns in table.items():
        places = sorted(columns)
        low, middle, high = np.array([np.quantile(columns[at], [0.25, 0.5, 0.75]) for at in places]).T
        curves.append(
            Curve(_short(name), colours[name], np.array(places), middle, low, high, wide=name == main)
        )
    return Panel(title, x, y, tuple(curves))
