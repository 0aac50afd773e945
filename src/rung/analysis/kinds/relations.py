"""Lineage and Pareto front: how trials stand to each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from rung.analysis.charts import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    RED,
    SKY,
    Axis,
    Chart,
    Line,
    Mark,
    Panel,
    Points,
    short,
    value_axis,
)
from rung.analysis.data.fronts import Front, front, top_resource
from rung.analysis.data.lineage import Link, ancestry, links
from rung.analysis.data.progress import Curve, curves, latest
from rung.analysis.data.values import Floats, choose_resource, thin
from rung.analysis.kinds.options import Options, amount, described
from rung.analysis.subject import Subject
from rung.errors import StudyError
from rung.space.domains import Integer
from rung.study.lineage import lineage as lineage_of


def lineage(subject: Subject, options: Options) -> Chart:
    """Which trial began from which, and how the parameters changed on the best one's way."""
    found = links(subject)
    if not found:
        raise StudyError(f"no trial of study {subject.name!r} began from another: there is no lineage")
    best = subject.best
    line = ancestry(found, best) if best is not None else []
    if any(link.start for link in found) and subject.unit:
        panels = [_descent(subject, options, found, line), *_schedules(subject, line)]
        note = "A dashed line leads from a trial to one that went on from its checkpoint."
    else:
        panels = [_family(subject, options, found, line)]
        note = "A line leads from a trial to one whose configuration was made from its own."
    if len(line) > 1:
        ancestors = f"{len(line) - 1} ancestor{'s' if len(line) > 2 else ''}"
        note += f" Red: trial {line[-1]}, the best, and its {ancestors}."
    elif line:
        note += f" The best, trial {line[-1]}, began on its own."
    return Chart("lineage", "Who descends from whom", panels, 1, note, height=1.0 + 0.35 * (len(panels) - 1))


def _descent(subject: Subject, options: Options, found: list[Link], line: list[int]) -> Panel:
    """Learning curves, and links from the parent's to the child's."""
    goal = subject.goal(options.goal)
    every = {curve.trial: curve for curve in curves(subject, goal)}
    marks: list[Mark] = []
    known = [link for link in found if link.child in every and link.parent in every]
    for colour, name, width, ours in (
        (FAINT, "trials", 1.2, False),
        (RED, "the best and its ancestors", 2.4, True),
    ):
        group = [curve for trial, curve in every.items() if (trial in line) is ours]
        shown = [link for link in known if (link.child in line) is ours]
        if group:
            marks.append(_joined([_points(curve) for curve in group[-400:]], colour, name, width))
        if shown:
            marks.append(_joined([_bridge(every, link) for link in shown[-400:]], colour, "", 1.0, dash=True))
    values = np.concatenate([curve.values for curve in every.values()])
    losses = -values if goal.mode == "max" else values
    return Panel(Axis(amount(subject), whole=True), value_axis(goal.metric, values, losses), marks)


_Path = tuple[list[float], list[float], str]


def _points(curve: Curve) -> _Path:
    return curve.resources.astype(float).tolist(), curve.values.tolist(), f"trial {curve.trial}"


def _bridge(every: dict[int, Curve], link: Link) -> _Path:
    """From where the parent's checkpoint was to the child's first point."""
    parent, child = every[link.parent], every[link.child]
    at = int(np.abs(parent.resources - link.start).argmin())
    x = [float(parent.resources[at]), float(child.resources[0])]
    return x, [float(parent.values[at]), float(child.values[0])], f"trial {link.parent} to {link.child}"


def _joined(paths: list[_Path], colour: str, name: str, width: float, dash: bool = False) -> Line:
    x: list[float] = []
    y: list[float] = []
    text: list[str] = []
    for xs, ys, words in paths:
        x += [*xs, np.nan]
        y += [*ys, np.nan]
        text += [words] * (len(xs) + 1)
    return Line(np.array(x), np.array(y), colour, name, width, dash=dash, text=text)


def _schedules(subject: Subject, line: list[int]) -> list[Panel]:
    """How the numeric parameters changed on the way to the best trial, three of them at most."""
    stages = lineage_of(subject.history, line[-1]) if len(line) > 1 else ()
    panels: list[Panel] = []
    for name, domain in zip(subject.space.names, subject.space.domains, strict=True):
        values = [stage.config.get(name) for stage in stages]
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if not numeric or len(set(values)) < 2 or len(panels) == 3:
            continue
        x = np.array([*(float(stage.start) for stage in stages), float(stages[-1].until)])
        y = np.array([*values, values[-1]], np.float64)
        text = [f"{name} = {short(v)}" for v in y.tolist()]
        axis = Axis(name, log=bool(getattr(domain, "log", False)), whole=isinstance(domain, Integer))
        steps = Line(x, y, RED, "", 2.0, step=True, text=text)
        panels.append(Panel(Axis(amount(subject), whole=True), axis, [steps]))
    return panels


def _family(subject: Subject, options: Options, found: list[Link], line: list[int]) -> Panel:
    """Trials by number and value, and links from parents to children."""
    goal = subject.goal(options.goal)
    values = latest(subject, goal)
    value = dict(zip(values.trials.tolist(), values.values.tolist(), strict=True))
    marks: list[Mark] = []
    for colour, width, inside in ((FAINT, 1.0, False), (RED, 2.2, True)):
        shown = [link for link in found if (link.child in line) is inside]
        shown = [link for link in shown if link.child in value and link.parent in value][-600:]
        paths: list[_Path] = [
            ([float(n.parent), float(n.child)], [value[n.parent], value[n.child]], f"{n.parent} to {n.child}")
            for n in shown
        ]
        if paths:
            marks.append(_joined(paths, colour, "", width))
    losses = -values.values if goal.mode == "max" else values.values
    rows = thin(losses, 1000)
    text = [
        described(subject, subject.records[values.trials[i]], f"{goal.metric} {values.values[i]:.5g}")
        for i in rows
    ]
    marks.append(
        Points(values.trials[rows].astype(np.float64), values.values[rows], BLUE, "trials", 6.0, text=text)
    )
    return Panel(Axis("trial", whole=True), value_axis(goal.metric, values.values, losses), marks)


def pareto(subject: Subject, options: Options) -> Chart:
    """The objectives against each other, and the trials that none dominates."""
    if len(subject.goals) < 2:
        raise StudyError(f"study {subject.name!r} has one objective, so there is no Pareto front")
    wanted = options.resource
    resource = top_resource(subject) if wanted is None else choose_resource(subject, wanted, 1)
    found = front(subject, resource)
    if not len(found.trials):
        raise StudyError(f"no trial of study {subject.name!r} has all objectives yet")
    pairs = list(combinations(range(len(subject.goals)), 2))[:6]
    panels = [_pair_panel(subject, found, i, j) for i, j in pairs]
    title = f"Pareto front: {int(found.front.sum())} of {len(found.trials):,} trials{subject.at(resource)}"
    senses = ", ".join(f"{goal.metric} {goal.mode}imised" for goal in subject.goals)
    columns = min(2, len(panels))
    return Chart(
        "pareto", title, panels, columns, f"{senses}.", height=max(1.1, 0.7 * -(-len(panels) // columns))
    )


def _pair_panel(subject: Subject, found: Front, i: int, j: int) -> Panel:
    x, y = found.values[:, i], found.values[:, j]
    names = (subject.goals[i].metric, subject.goals[j].metric)
    marks: list[Mark] = []
    groups = (
        ("breaks a constraint", ~found.kept, ORANGE, 5.0, 0.5, "cross"),
        ("dominated", found.kept & ~found.front, SKY, 5.0, 0.55, "circle"),
        ("on the front", found.front, RED, 9.0, 1.0, "circle"),
    )
    if len(subject.goals) == 2 and found.front.any():
        marks.append(_staircase(subject, x[found.front], y[found.front]))
    for name, inside, colour, size, opacity, symbol in groups:
        rows = np.flatnonzero(inside)
        rows = rows[thin(np.arange(len(rows), dtype=np.float64), 1500)]
        if len(rows):
            text = [_objectives(subject, found, row) for row in rows.tolist()]
            marks.append(Points(x[rows], y[rows], colour, name, size, symbol, opacity, text))
    marks += _reference(subject, i, j)
    axes = [
        value_axis(name, values, -values if subject.goals[k].mode == "max" else values)
        for name, values, k in zip(names, (x, y), (i, j), strict=True)
    ]
    return Panel(axes[0], axes[1], marks)


def _objectives(subject: Subject, found: Front, row: int) -> str:
    values = zip(subject.goals, found.values[row].tolist(), strict=True)
    what = "<br>".join(f"{goal.metric} {value:.5g}" for goal, value in values)
    return described(subject, subject.records[found.trials[row]], what)


def _staircase(subject: Subject, x: Floats, y: Floats) -> Line:
    """The border of what the front dominates, of two objectives."""
    order = np.argsort(x, kind="stable")
    xs, ys = x[order], y[order]
    up = subject.goals[0].mode == "max"  # then each step is taken before going to the next x
    corners_x = np.repeat(xs, 2)[1:] if not up else np.repeat(xs, 2)[:-1]
    corners_y = np.repeat(ys, 2)[:-1] if not up else np.repeat(ys, 2)[1:]
    return Line(corners_x, corners_y, RED, "", 1.2, opacity=0.6)


def _reference(subject: Subject, i: int, j: int) -> list[Mark]:
    a, b = subject.goals[i].reference, subject.goals[j].reference
    if a is None or b is None:
        return []
    return [Points(np.array([a]), np.array([b]), INK, "reference", 9.0, "diamond")]
