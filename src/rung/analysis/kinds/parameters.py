"""Slice, contour, parallel coordinates, importance: what the parameters have to do with the metric."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from rung.analysis.charts import (
    BLUE,
    INK,
    RED,
    Axis,
    Bars,
    Chart,
    Coordinates,
    Mark,
    Panel,
    Points,
    Scale,
    Surface,
    short,
    value_axis,
)
from rung.analysis.data.surface import SIDE, smoothed
from rung.analysis.data.values import Floats, Ints, Measured, choose_resource, measured, thin
from rung.analysis.importances import PLACE, Importances, importance
from rung.analysis.kinds.options import Options
from rung.analysis.regions import varying
from rung.analysis.subject import Subject
from rung.errors import StudyError
from rung.space.axes import Axis as Axis_
from rung.space.axes import make_axis
from rung.space.domains import Float, Integer

PANELS: Final = 12  # parameters that a slice plot shows at most
POINTS: Final = 1000  # of one small panel
AXES: Final = 10  # of parallel coordinates
LINES: Final = 600


class Column(NamedTuple):
    """One parameter of some trials.

    Attributes:
        name: its shortest name that no other has.
        axis: how to draw it.
        places: (n,) on that axis, NaN where not active.
        cube: (n,) in [0, 1], NaN where not active.
        listed: whether it is one of several values.
    """

    name: str
    axis: Axis
    places: Floats
    cube: Floats
    listed: bool


def column(subject: Subject, dimension: int, trials: Ints) -> Column:
    """A parameter's values in these trials."""
    space = subject.space
    domain, cube = space.domains[dimension], subject.history.matrix(space)[trials][:, dimension]
    name = shown_name(subject, dimension)
    axis, active = make_axis(domain), ~np.isnan(cube)
    places = np.full(len(cube), np.nan)
    places[active] = axis.raw(np.clip(cube[active], 0.0, 1.0)).astype(np.float64)
    if axis.values is not None:
        ticks = [(float(i), short(value)) for i, value in enumerate(axis.values)]
        drawn = Axis(name, ticks=ticks, span=(-0.5, len(ticks) - 0.5))
        return Column(name, drawn, places, cube, True)
    drawn = Axis(name, log=bool(getattr(domain, "log", False)), whole=isinstance(domain, Integer))
    return Column(name, drawn, places, cube, False)


def shown_name(subject: Subject, dimension: int) -> str:
    """A parameter's public name, or its full one where two branches share it."""
    space = subject.space
    name = space.names[dimension]
    return name if space.names.count(name) == 1 else space.keys[dimension]


def chosen(subject: Subject, options: Options, resource: int, most: int) -> list[int]:
    """The dimensions to show: those asked for, else the most important ones.

    Raises:
        StudyError: a parameter that is asked for is not in the space.
    """
    space = subject.space
    columns: list[int] = varying(space).tolist()
    if options.parameters is not None:
        found = []
        for name in options.parameters:
            matches = [i for i in range(space.size) if name in (space.keys[i], space.names[i])]
            if not matches:
                raise StudyError(f"the space has no parameter {name!r}: it has {', '.join(space.keys)}")
            found += matches[:1]
        return found
    try:
        ranked = _importances(subject, resource, options.goal).parameters
    except StudyError:  # too few trials to rank them: as they were declared
        return columns[:most]
    order = {one.parameter: place for place, one in enumerate(ranked)}
    return sorted(columns, key=lambda i: order[space.keys[i]])[:most]


def _start(subject: Subject, options: Options, least: int) -> tuple[Measured, int]:
    resource = choose_resource(subject, options.resource, least)
    found = measured(subject, resource, options.goal)
    if len(found.values) < least:
        raise StudyError(f"study {subject.name!r} has too few values of {found.goal.metric} to draw")
    return found, resource


def slices(subject: Subject, options: Options) -> Chart:
    """The metric over each parameter, the most important first."""
    found, resource = _start(subject, options, 2)
    dimensions = _used(subject, found, chosen(subject, options, resource, PANELS))
    shown = thin(found.losses, POINTS)
    y = _shared(value_axis(found.goal.metric, found.values, found.losses), found.values)
    columns = min(len(dimensions), 4 if len(dimensions) > 6 else 3)
    panels = []
    for place, dimension in enumerate(dimensions):
        axis = y if place % columns == 0 else Axis("", y.log, span=y.span)
        panels.append(_slice(subject, found, shown, dimension, axis))
    rows = -(-len(panels) // columns)
    left_out = len(varying(subject.space)) - PANELS
    note = "The most important first; darker trials came later."
    if left_out > 0 and options.parameters is None:
        note += f" {left_out} less important parameters are left out."
    title = f"{found.goal.metric} over each parameter{subject.at(resource)}"
    return Chart("slice", title, panels, columns, note, height=max(1.0, 0.65 * rows))


def _shared(axis: Axis, values: Floats) -> Axis:
    """An axis with the same ends in every panel."""
    if axis.span is not None:
        return axis
    low, high = float(values.min()), float(values.max())
    if axis.log:
        pad = (high / low) ** 0.06
        return Axis(axis.label, True, span=(low / pad, high * pad))
    pad = 0.06 * (high - low) or 0.5
    return Axis(axis.label, span=(low - pad, high + pad))


def _used(subject: Subject, found: Measured, dimensions: list[int]) -> list[int]:
    """Those that any of the trials has.

    Raises:
        StudyError: none has.
    """
    active = ~np.isnan(subject.history.matrix(subject.space)[found.trials])
    used = [dimension for dimension in dimensions if active[:, dimension].any()]
    if not used:
        raise StudyError(f"no trial of study {subject.name!r} with a value has any parameter to show")
    return used


def _slice(subject: Subject, found: Measured, shown: Ints, dimension: int, axis: Axis) -> Panel:
    one = column(subject, dimension, found.trials)
    x = one.places.copy()
    if one.listed:  # the trials of one value beside each other, always in the same way
        x += 0.5 * (found.trials * 0.618033988749895 % 1.0 - 0.5)
    rows = shown[~np.isnan(x[shown])]
    numbers = found.trials[rows].astype(np.float64)
    text = [
        f"trial {trial}<br>{one.name} {_told(one, i)}<br>{found.goal.metric} {found.values[i]:.5g}"
        for i, trial in zip(rows.tolist(), found.trials[rows].tolist(), strict=True)
    ]
    marks: list[Mark] = [
        Points(x[rows], found.values[rows], Scale(numbers, "trial"), "trials", 5.5, text=text)
    ]
    best = found.best
    if best is not None and not np.isnan(x[best]):
        name = f"best: trial {found.trials[best]}"
        star = x[[best]], found.values[[best]]
        marks.append(Points(*star, colour=RED, name="best", size=13, symbol="star", opacity=1.0, text=[name]))
    return Panel(one.axis, axis, marks)


def _told(one: Column, row: int) -> str:
    """A parameter's value in words."""
    place = one.places[row]
    if one.axis.ticks is not None:
        return one.axis.ticks[int(place)][1]
    return f"{place:.5g}"


def contour(subject: Subject, options: Options) -> Chart:
    """The metric over two parameters, the two most important ones unless named."""
    found, resource = _start(subject, options, 10)
    if options.parameters is not None and len(options.parameters) != 2:
        raise StudyError(f"a contour plot has two parameters, not {len(options.parameters)}")
    pair = _pair(subject, options, resource, found)
    left, right = (column(subject, dimension, found.trials) for dimension in pair)
    both = ~(np.isnan(left.cube) | np.isnan(right.cube))
    if both.sum() < 10:
        raise StudyError(f"fewer than 10 trials have both {left.name} and {right.name}: nothing to draw")
    values = found.values[both]
    log = value_axis("", values, found.losses[both])
    z = smoothed(left.cube[both], right.cube[both], np.log10(values) if log.log else _inside(values, log))
    x, y = (_grid(subject, dimension) for dimension in pair)
    surface = Surface(x, y, z, found.goal.metric, log.log, found.goal.mode == "min")
    rows = np.flatnonzero(both)[thin(found.losses[both], POINTS)]
    text = [f"trial {found.trials[i]}<br>{found.goal.metric} {found.values[i]:.5g}" for i in rows.tolist()]
    marks: list[Mark] = [
        surface,
        Points(left.places[rows], right.places[rows], INK, "trials", 4.0, opacity=0.5, text=text),
    ]
    best = found.best
    if best is not None and both[best]:
        star = left.places[[best]], right.places[[best]]
        marks.append(Points(*star, colour=RED, name="best", size=14, symbol="star", opacity=1.0))
    title = f"{found.goal.metric} over {left.name} and {right.name}{subject.at(resource)}"
    note = "Smoothed between the trials; white where there are none."
    return Chart("contour", title, [Panel(left.axis, right.axis, marks)], note=note)


def _pair(subject: Subject, options: Options, resource: int, found: Measured) -> list[int]:
    """The two parameters: the most important numbers that enough trials have together."""
    if options.parameters is not None:
        return chosen(subject, options, resource, 2)
    matrix = subject.history.matrix(subject.space)[found.trials]
    ranked = chosen(subject, options, resource, subject.space.size)
    numbers = [i for i in ranked if not subject.space.levels[i]]
    for i in numbers:
        for j in numbers:
            if i != j and (~np.isnan(matrix[:, [i, j]])).all(axis=1).sum() >= 10:
                return [i, j]
    raise StudyError(f"study {subject.name!r} has no two numeric parameters that go together")


def _grid(subject: Subject, dimension: int) -> Floats:
    """The surface's cells along a parameter's own axis."""
    axis = make_axis(subject.space.domains[dimension])
    domain = subject.space.domains[dimension]
    centres = (np.arange(SIDE) + 0.5) / SIDE
    if axis.count is None:
        return axis.raw(centres).astype(np.float64)
    low, high = axis.raw(np.array([0.0, 1.0])).astype(np.float64)
    if getattr(domain, "log", False):
        low, high = max(low - 0.5, 0.5), high + 0.5
        return np.asarray(low * (high / low) ** centres)
    half = 0.5 * (high - low) / max(axis.count - 1, 1)
    return np.asarray(low - half + centres * (high - low + 2 * half))


def _inside(values: Floats, axis: Axis) -> Floats:
    return values if axis.span is None else np.clip(values, *axis.span)


def parallel(subject: Subject, options: Options) -> Chart:
    """Every trial as a line over its parameters, coloured by the metric."""
    found, resource = _start(subject, options, 2)
    dimensions = chosen(subject, options, resource, AXES)
    shown = thin(found.losses, LINES)
    columns = [column(subject, dimension, found.trials[shown]) for dimension in dimensions]
    metric, ticks = _metric_axis(found, shown)
    places = [np.where(np.isnan(one.cube), -0.12, one.cube) for one in columns]
    every = [_cube_ticks(subject, d, one) for d, one in zip(dimensions, columns, strict=True)]
    values = found.values[shown]
    axis = value_axis("", values, found.losses[shown])
    best = found.best
    at = np.flatnonzero(shown == best) if best is not None else np.array([], int)
    marks = [
        Coordinates(
            [*(one.name for one in columns), found.goal.metric],
            np.column_stack([*places, metric]),
            [*every, ticks],
            Scale(_inside(values, axis), found.goal.metric, axis.log, reverse=found.goal.mode == "min"),
            int(at[0]) if len(at) else None,
        )
    ]
    title = f"Parallel coordinates{subject.at(resource)}"
    note = "Better trials are darker."
    return Chart("parallel", title, [Panel(Axis(), Axis(), marks)], note=note, height=1.1)


def _metric_axis(found: Measured, shown: Ints) -> tuple[Floats, list[tuple[float, str]]]:
    """The metric's own axis from 0 to 1, and its ticks."""
    values = found.values[shown]
    axis = value_axis("", values, found.losses[shown])
    inside = _inside(values, axis)
    line = np.log10(inside) if axis.log else inside
    low, high = float(line.min()), float(line.max())
    width = (high - low) or 1.0
    marks = [low + share * width for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    ticks = [((m - low) / width, short(float(10**m if axis.log else m))) for m in marks]
    return (line - low) / width, ticks


def _cube_ticks(subject: Subject, dimension: int, one: Column) -> list[tuple[float, str]]:
    """Ticks of a parameter along [0, 1]; one below it for "not active" where that happens."""
    axis = make_axis(subject.space.domains[dimension])
    if axis.values is not None and len(axis.values) <= 12:
        ticks = [((i + 0.5) / len(axis.values), short(value)) for i, value in enumerate(axis.values)]
    else:
        at = _even_places(axis, subject.space.domains[dimension])
        ticks = [(float(x), short(v)) for x, v in zip(at, axis.python(axis.raw(at.copy())), strict=True)]
        ticks = [t for i, t in enumerate(ticks) if t[1] not in [u[1] for u in ticks[:i]]]
    if np.isnan(one.cube).any():
        ticks.insert(0, (-0.12, "not active"))
    return ticks


def _even_places(axis: Axis_, domain: object) -> Floats:
    """Where to say a parameter's value: at powers of ten where it is logarithmic, and its ends."""
    even = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    if not isinstance(domain, Float | Integer) or not domain.log:
        return even
    powers = 10.0 ** np.arange(np.ceil(np.log10(domain.low)), np.floor(np.log10(domain.high)) + 1)
    if len(powers) < 2:
        return even
    places = axis.cube(powers[:: -(-len(powers) // 6)])
    ends = [end for end in (0.0, 1.0) if np.abs(places - end).min() > 0.08]
    return np.sort(np.concatenate([places, ends]))


def _importances(subject: Subject, resource: int, goal: str | None) -> Importances:
    """What `importance` finds, kept for the next plot."""
    key = ("importance", resource, goal)
    if key not in subject.kept:
        subject.kept[key] = importance(subject, resource=resource, goal=goal)
    found: Importances = subject.kept[key]
    return found


def importances(subject: Subject, options: Options) -> Chart:
    """How much each parameter matters."""
    resource = choose_resource(subject, options.resource, 1)
    found = _importances(subject, resource, options.goal)
    rows = found.parameters[:20]
    y = np.arange(len(rows), dtype=np.float64)[::-1]
    values = np.array([one.value for one in rows])
    spread = np.array([one.spread for one in rows])
    text = [f"{one.parameter}<br>{one.value:.1%} ± {one.spread:.1%}" for one in rows]
    keys = subject.space.keys
    names = [
        (float(place), shown_name(subject, keys.index(one.parameter)))
        for place, one in zip(y, rows, strict=True)
    ]
    bars = Bars(y, values, BLUE, "", spread=spread, text=text)
    at = "" if found.resource is None else subject.at(found.resource)
    about = "all objectives together depend" if found.metric == PLACE else f"the {found.metric} depends"
    title = f"What {about} on{at}"
    note = (
        f"PED-ANOVA over {found.trials:,} trials: shares of what each parameter tells about the best "
        f"{found.best:,}."
    )
    x = Axis("importance", span=(0.0, float(min(1.02, (values + spread).max() * 1.08))))
    panel = Panel(x, Axis(ticks=names, span=(-0.6, len(rows) - 0.4)), [bars])
    height = min(1.4, max(0.45, 0.12 * len(rows) + 0.2))
    return Chart("importance", title, [panel], note=note, height=height)
