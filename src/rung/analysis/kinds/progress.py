"""History, learning curves, distribution: how values came about over trials and resources."""

from __future__ import annotations

from typing import Final

import numpy as np

from rung.analysis.charts import (
    BLUE,
    INK,
    RED,
    SKY,
    Axis,
    Chart,
    Line,
    Mark,
    Panel,
    Points,
    sequence,
    value_axis,
)
from rung.analysis.data.progress import Curve, Latest, best_so_far, curves, distribution, latest
from rung.analysis.data.values import Floats, Ints, choose_resource, measured, thin
from rung.analysis.kinds.options import SHOWN, Options, amount, described
from rung.analysis.subject import Subject
from rung.errors import StudyError
from rung.trials.events import Goal

CURVES: Final = 200  # shown at most
STOPS: Final = 100  # points of one curve at most


def history(subject: Subject, options: Options) -> Chart:
    """Every trial's last value, and the best so far."""
    goals = subject.goals if options.goal is None else (subject.goal(options.goal),)
    panels = [_history_panel(subject, goal) for goal in goals]
    note = "The line is the best so far"
    if subject.unit:
        note += f", among the trials at the largest {subject.unit} that any had reached by then"
    return Chart("history", "Every trial, and the best so far", panels, len(panels), f"{note}.")


def _history_panel(subject: Subject, goal: Goal) -> Panel:
    found = latest(subject, goal)
    if not len(found.trials):
        raise StudyError(f"no trial of study {subject.name!r} has a value of {goal.metric} yet")
    losses = -found.values if goal.mode == "max" else found.values
    shown = thin(losses, SHOWN)
    marks: list[Mark] = list(_by_resource(subject, goal, found, shown))
    axis = value_axis(goal.metric, found.values, losses)
    x, best = best_so_far(subject, goal, found)
    if len(x):
        end = float(len(subject.history) - 1)
        marks.append(Line(np.append(x, end), np.append(best, best[-1]), INK, "best so far", step=True))
        marks += _star(subject, found, goal)
    if len(found.failed):
        marks.append(_failed(found, axis))
    return Panel(Axis("trial", whole=True), axis, marks)


def _star(subject: Subject, found: Latest, goal: Goal) -> list[Mark]:
    """The best trial; of several objectives, that of this one among those at the largest resource."""
    if len(subject.goals) == 1:
        at = np.flatnonzero(found.trials == subject.best)
    else:
        top = np.flatnonzero(found.kept & (found.resources == found.resources.max(initial=1)))
        sign = -1.0 if goal.mode == "max" else 1.0
        at = top[np.argsort(sign * found.values[top], kind="stable")[:1]]
    text = [f"best: trial {trial}" for trial in found.trials[at].tolist()]
    x = found.trials[at].astype(np.float64)
    return [Points(x, found.values[at], RED, "best", 13, "star", 1.0, text)] if len(at) else []


def _by_resource(subject: Subject, goal: Goal, found: Latest, shown: Ints) -> list[Points]:
    """The points, one mark for each rung that trials came to."""
    resources = found.resources[shown]
    rungs = np.array(sorted(subject.history.results))
    place = np.clip(np.searchsorted(rungs, resources, side="right") - 1, 0, len(rungs) - 1)
    resources = rungs[place]
    levels = np.unique(resources)
    many = subject.unit is not None and len(levels) > 1
    colours = sequence(len(levels)) if many else [SKY]
    marks = []
    for level, colour in zip(levels.tolist(), colours, strict=True):
        rows = shown[resources == level]
        name = f"{subject.unit} {level}" if many else "trial"
        text = [
            described(
                subject,
                subject.records[found.trials[i]],
                f"{goal.metric} {found.values[i]:.5g}{subject.at(int(found.resources[i]))}",
            )
            for i in rows.tolist()
        ]
        x = found.trials[rows].astype(np.float64)
        marks.append(Points(x, found.values[rows], colour, name, 6.0, text=text))
    return marks


def _failed(found: Latest, axis: Axis) -> Points:
    """Crosses along the worse edge, one a failed trial."""
    edge = axis.span or (float(found.values.min()), float(found.values.max()))
    rows = thin(np.arange(len(found.failed), dtype=np.float64), 500)
    y = np.full(len(rows), edge[1])
    text = [f"trial {trial} failed" for trial in found.failed[rows].tolist()]
    return Points(found.failed[rows].astype(np.float64), y, RED, "failed", 7.0, "cross", text=text)


def learning_curves(subject: Subject, options: Options) -> Chart:
    """The learning curves, coloured by how far each trial went."""
    goal = subject.goal(options.goal)
    found = curves(subject, goal)
    if not any(len(curve.resources) > 1 for curve in found):
        raise StudyError(
            f"no trial of study {subject.name!r} reported {goal.metric} twice, so there is no curve"
        )
    sign = -1.0 if goal.mode == "max" else 1.0
    order = np.array([-1e12 * curve.reached + sign * curve.values[-1] for curve in found])
    kept = [found[i] for i in thin(order, CURVES).tolist()]
    levels = _levels(subject, found)
    groups: dict[int, list[Curve]] = {level: [] for level in levels}
    for curve in kept:
        groups[max(level for level in levels if level <= curve.reached or level == levels[0])].append(curve)
    marks: list[Mark] = []
    for level, colour in zip(levels, sequence(len(levels)), strict=True):
        if groups[level]:
            marks.append(_bundle(groups[level], colour, f"up to {subject.unit} {level}"))
    marks += _best_curve(subject, goal, found)
    values = np.concatenate([curve.values for curve in kept])
    log = len(levels) <= 7 and max(levels) >= 8 * min(levels)
    ticks = [(float(level), str(level)) for level in levels] if log else None
    x = Axis(amount(subject), log=log, ticks=ticks, whole=True)
    note = (
        ""
        if len(kept) == len(found)
        else f"{len(kept)} of {len(found):,} trials are shown, the best among them."
    )
    panel = Panel(x, value_axis(goal.metric, values, sign * values), marks)
    return Chart("curves", f"Learning curves, by the {subject.unit} reached", [panel], note=note)


def _levels(subject: Subject, found: list[Curve]) -> list[int]:
    """The rungs by which curves are coloured."""
    rungs = sorted(subject.history.results)
    top = max(curve.reached for curve in found)
    return [rung for rung in rungs if rung <= top] or [top]


def _bundle(group: list[Curve], colour: str, name: str) -> Line:
    """Many curves as one line with gaps."""
    x: list[float] = []
    y: list[float] = []
    text: list[str] = []
    for curve in group:
        rows = np.unique(np.linspace(0, len(curve.values) - 1, STOPS).astype(np.int64))
        x += [*curve.resources[rows].tolist(), np.nan]
        y += [*curve.values[rows].tolist(), np.nan]
        text += [f"trial {curve.trial}"] * (len(rows) + 1)
    return Line(np.array(x, np.float64), np.array(y, np.float64), colour, name, 1.3, opacity=0.6, text=text)


def _best_curve(subject: Subject, goal: Goal, found: list[Curve]) -> list[Mark]:
    best = subject.best
    if best is None or goal != subject.goals[0]:
        return []
    curve = next((curve for curve in found if curve.trial == best), None)
    if curve is None:
        return []
    x, name = curve.resources.astype(np.float64), f"best: trial {curve.trial}"
    text = [name] * len(x)
    end = Points(x[-1:], curve.values[-1:], RED, "", 12, "star", 1.0, [name])
    return [Line(x, curve.values, RED, name, 2.4, text=text), end]


def edf(subject: Subject, options: Options) -> Chart:
    """Which share of the trials is how good, at each fidelity."""
    goal = subject.goal(options.goal)
    results = subject.history.results
    resources = [options.resource] if options.resource is not None else sorted(results)
    resources = [r for r in resources if len(results.get(r, ())) >= 2][-6:]
    if not resources:
        choose_resource(subject, options.resource, 2)
    marks: list[Mark] = []
    every: list[Floats] = []
    for resource, colour in zip(resources, sequence(len(resources)), strict=True):
        found = measured(subject, resource, goal.metric)
        if len(found.values) < 2:
            continue
        every.append(found.values)
        x, share = distribution(found.values)
        rows = np.unique(np.linspace(0, len(x) - 1, 400).astype(np.int64))
        name = f"{len(x):,} trials{subject.at(resource)}"
        marks.append(Line(x[rows], share[rows], colour if subject.unit else BLUE, name, step=True))
    if not marks:
        raise StudyError(f"study {subject.name!r} has fewer than two trials with a value of {goal.metric}")
    values = np.concatenate(every)
    axis = value_axis(goal.metric, values, -values if goal.mode == "max" else values)
    note = f"The share of the trials whose {goal.metric} is at most this."
    return Chart(
        "edf", "Distribution of the values", [Panel(axis, Axis("share of trials"), marks)], note=note
    )
