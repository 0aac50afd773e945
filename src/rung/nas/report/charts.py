"""Curves over epochs (or networks) as inline SVG, readable without a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH: Final = 560
HEIGHT: Final = 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 36
_DIGIT: Final = 6.8  # width of a letter of a tick


Kind = Literal["plain", "log", "share", "whole"]


class Curve(NamedTuple):
    """A line of a chart: (epoch, value) points, those without a finite value left out; or points alone."""

    name: str
    colour: str
    points: tuple[tuple[int, float], ...]
    dash: str = ""
    scattered: bool = False


class Level(NamedTuple):
    """A horizontal line: a figure that is no course of epochs."""

    name: str
    value: float
    colour: str = "#5c6b7c"


class Chart(NamedTuple):
    """A titled chart and its drawing."""

    title: str
    note: str
    curves: tuple[Curve, ...]
    levels: tuple[Level, ...]
    drawing: Markup


class Scale(NamedTuple):
    """From values to places in the drawing."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        share = (value - low) / ((high - low) or 1.0)
        return round(self.start + share * (self.end - self.start), 2)


def curve(name: str, colour: str, points: Sequence[tuple[int, float | None]], dash: str = "") -> Curve:
    """A line of the points that have a finite value."""
    kept = tuple((x, y) for x, y in points if y is not None and math.isfinite(y))
    return Curve(name, colour, kept, dash)


def chart(
    title: str,
    note: str,
    curves: Sequence[Curve],
    levels: Sequence[Level] = (),
    *,
    kind: Kind = "plain",
    over: str = "epoch",
) -> Chart | None:
    """A chart of curves over epochs, None where no curve has a point.

    Args:
        levels: horizontal lines; they widen the axis.
        kind: of the axis: "log" (for positive values), "share" (ticks in per cent), "whole" (from zero, ticks
            in whole numbers), or "plain".
        over: what is counted along the axis.
    """
    log, whole = kind == "log", kind == "whole"
    drawn = tuple(one for one in curves if one.points)
    values = [y for one in drawn for _, y in one.points] + [level.value for level in levels]
    if not drawn or (log and min(values) <= 0):
        return None
    low, high = _padded(min(values), max(values), log, whole)
    marks = _log_ticks(low, high) if log else ticks(low, high)
    if whole:
        marks = [mark for mark in marks if mark == int(mark)]
    texts = [f"{mark:.4g}" if kind != "share" else f"{100 * mark:.4g}%" for mark in marks]
    left = max(_LEFT, 18 + _DIGIT * max(map(len, texts), default=0))
    epochs = [x for one in drawn for x, _ in one.points]
    xs = Scale(min(epochs), max(epochs), left, WIDTH - _RIGHT)
    ys = Scale(low, high, HEIGHT - _BOTTOM, _TOP, log)
    body = _axes(xs, ys, list(zip(marks, texts, strict=True)), over)
    body += "".join(_level(level, xs, ys) for level in levels)
    body += "".join(_line(one, xs, ys) for one in drawn)
    return Chart(title, note, drawn, tuple(levels), _svg(body, title, (xs, ys), kind == "share", over))


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from `low` to `high`."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / count))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= (high - low) / count * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        marks = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(marks) >= 3:
            break
    step = math.ceil(len(marks) / 6) if marks else 1
    return marks[::step] or [low]


def _padded(low: float, high: float, log: bool, whole: bool) -> tuple[float, float]:
    if whole:
        return 0.0, max(high, 1.0) * 1.05
    if log:
        return (low / 1.15, high * 1.15)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - (room if low - room >= 0 or low < 0 else low), high + room


def _axes(xs: Scale, ys: Scale, marks: Sequence[tuple[float, str]], over: str) -> str:
    lines = []
    for value, text in marks:
        y = ys.at(value)
        lines.append(f'<path class="grid-line" d="M{xs.start} {y}H{xs.end}"/>')
        lines.append(f'<text x="{xs.start - 8}" y="{y + 4}" text-anchor="end">{text}</text>')
    lines += [
        f'<text x="{xs.at(value)}" y="{ys.start + 18}" text-anchor="middle">{value}</text>'
        for value in dict.fromkeys(round(tick) for tick in ticks(xs.low, xs.high, 6))
    ]
    middle = (xs.start + xs.end) / 2
    lines.append(f'<text x="{middle:g}" y="{HEIGHT - 3}" text-anchor="middle">{over}</text>')
    return "".join(lines)


def _level(level: Level, xs: Scale, ys: Scale) -> str:
    y = ys.at(level.value)
    return (
        f'<path d="M{xs.start} {y}H{xs.end}" stroke="{level.colour}" stroke-width="1.4" '
        'stroke-dasharray="2 3" fill="none"/>'
    )


def _line(one: Curve, xs: Scale, ys: Scale) -> str:
    from markupsafe import escape

    places = [f"{xs.at(x)},{ys.at(y)}" for x, y in one.points]
    dots = "".join(
        f'<circle cx="{place.split(",")[0]}" cy="{place.split(",")[1]}" r="2.6" fill="{one.colour}"/>'
        for place in (places if len(places) <= 30 or one.scattered else [])
    )
    colour = "none" if one.scattered else one.colour
    dash = f' stroke-dasharray="{one.dash}"' if one.dash else ""
    return (
        f'<polyline points="{" ".join(places)}" data-n="{escape(one.name)}" fill="none" '
        f'stroke="{colour}" stroke-width="2"{dash} stroke-linejoin="round"/>{dots}'
    )


def _svg(body: str, title: str, scales: tuple[Scale, Scale], share: bool, over: str) -> Markup:
    from markupsafe import Markup, escape

    xs, ys = scales
    numbers = (xs.low, xs.high, xs.start, xs.end, ys.low, ys.high, ys.start, ys.end)
    where = " ".join(f"{value:g}" for value in numbers)
    kind = "log" if ys.log else "share" if share else "plain"
    return Markup(  # numbers, and names that were escaped
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'data-where="{where}" data-kind="{kind}" data-over="{over}">{body}</svg>'
    )
