"""Lines with bands, drawn as SVG by hand: small files, the same bytes from the same numbers everywhere.

Names stand at the ends of their lines. A picture brings its own ground and follows whether its reader prefers
light or dark. No scripts, identifiers, dates or fonts of its own are in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, floor, log10
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COLOURS: Final = {  # on light, on dark
    "blue": ("#0a58a8", "#58a6ff"),
    "orange": ("#bf6500", "#ffab57"),
    "green": ("#0a7a55", "#45d19c"),
    "red": ("#c0302c", "#ff7b72"),
    "purple": ("#7c3fb0", "#c79bf2"),
    "pink": ("#b93c7c", "#f28cbb"),
    "teal": ("#14809c", "#62cfee"),
    "olive": ("#7a7400", "#d3cd4e"),
    "brown": ("#7d4e2d", "#d3a680"),
    "grey": ("#68727d", "#98a3ae"),
}
_PLOT: Final = (278.0, 186.0)  # of one panel: its width and height
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 118.0, 42.0, 40.0
_WIDE, _HIGH = _LEFT + _PLOT[0] + _RIGHT, _TOP + _PLOT[1] + _BOTTOM
_GAP: Final = 13.5  # between names, at least
_STYLE: Final = (
    "text{{font:11.5px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}}"
    ".t{{font-weight:600;font-size:13px}}.n{{font-size:12px}}.m{{text-anchor:middle}}.e{{text-anchor:end}}"
    "path{{fill:none;stroke-width:1.6;stroke-linejoin:round}}.w{{stroke-width:3}}.d{{stroke-dasharray:4 3}}"
    ".g{{stroke-width:1}}.l{{stroke-width:.8;opacity:.7}}.b{{stroke:none;opacity:.13}}"
    "{light}@media (prefers-color-scheme:dark){{{dark}}}"
)
_GROUND: Final = {  # ground, frame, text, soft text, grid; on light and on dark
    "rect": ("fill:#ffffff;stroke:#d8dee4", "fill:#0d1117;stroke:#30363d"),
    "text": ("fill:#1f2933", "fill:#e6edf3"),
    ".s": ("fill:#5b6773", "fill:#9aa5b1"),
    ".g": ("stroke:#e6eaee", "stroke:#232a33"),
}


class Curve(NamedTuple):
    """A line through x, y (n,), with a band from `low` to `high` if given; `step`: flat until the next x."""

    name: str
    colour: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    step: bool = False
    wide: bool = False
    dash: bool = False


class Axis(NamedTuple):
    """One axis; `ticks` are the places of numbers where others would be less clear; `least` cuts it off."""

    label: str
    log: bool = False
    ticks: tuple[float, ...] = ()
    reverse: bool = False
    least: float | None = None


class Panel(NamedTuple):
    """One pair of axes with its lines."""

    title: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]


class _Ruler(NamedTuple):
    """From numbers to places: `low` is drawn at `start`, `high` at `end`."""

    axis: Axis
    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        at = log10(max(value, 1e-300)) if self.axis.log else value
        share = min(max((at - self.low) / (self.high - self.low), -0.02), 1.02)
        return self.start + share * (self.end - self.start)


def draw(panels: Sequence[Panel], columns: int = 2) -> str:
    """The picture of some panels, in rows of `columns`."""
    columns = min(columns, len(panels))
    wide, high = 8 + columns * _WIDE, 8 + ceil(len(panels) / columns) * _HIGH
    used = [name for name in COLOURS if any(curve.colour == name for one in panels for curve in one.curves)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" width="{wide:g}">',
        f"<style>{_style(used)}</style>",
        f'<rect x=".5" y=".5" width="{wide - 1:g}" height="{high - 1:g}" rx="6"/>',
    ]
    for number, panel in enumerate(panels):
        left, top = 6 + number % columns * _WIDE, 6 + number // columns * _HIGH
        parts += [f'<g transform="translate({left:g} {top:g})">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _style(used: Iterable[str]) -> str:
    def themed(which: int) -> str:
        ground = "".join(f"{name}{{{kinds[which]}}}" for name, kinds in _GROUND.items())
        lines = (
            f".{name}{{stroke:{COLOURS[name][which]}}}text.{name},.b.{name}{{stroke:none;fill:{COLOURS[name][which]}}}"
            for name in used
        )
        return ground + "".join(lines)

    return _STYLE.format(light=themed(0), dark=themed(1))


def _panel(panel: Panel) -> Iterator[str]:
    wide, high = _LEFT + _PLOT[0], _TOP + _PLOT[1]
    x = _ruler(panel.x, [curve.x for curve in panel.curves], _LEFT, wide, 0.0)
    known = [values for one in panel.curves for values in (one.y, one.low, one.high) if values is not None]
    ends = (_TOP, high) if panel.y.reverse else (high, _TOP)
    y = _ruler(panel.y, known, *ends, 0.03)
    yield f'<text class="t" x="{_LEFT:g}" y="16">{escape(panel.title)}</text>'
    yield f'<text class="s" x="{_LEFT:g}" y="32">{escape(panel.y.label)}</text>'
    yield f'<text class="s e" x="{wide:g}" y="{high + 34:g}">{escape(panel.x.label)}</text>'
    for at in ticks(y):
        place = round(y.place(at), 1)
        yield f'<path class="g" d="M{_LEFT:g} {place:g}H{wide:g}"/>'
        yield f'<text class="s e" x="{_LEFT - 6:g}" y="{place + 4:g}">{told(at)}</text>'
    for at in ticks(x):
        place = round(x.place(at), 1)
        yield f'<path class="g" d="M{place:g} {high:g}v4"/>'
        yield f'<text class="s m" x="{place:g}" y="{high + 17:g}">{told(at)}</text>'
    for curve in panel.curves:
        if curve.low is not None and curve.high is not None:
            upper, lower = _points(curve, curve.high, x, y), _points(curve, curve.low, x, y)
            yield f'<path class="b {curve.colour}" d="{_path(upper + lower[::-1])}Z"/>'
    for curve in sorted(panel.curves, key=lambda one: one.wide):
        extra = " w" * curve.wide + " d" * curve.dash
        yield f'<path class="{curve.colour}{extra}" d="{_path(_points(curve, curve.y, x, y))}"/>'
    yield from _names(panel.curves, x, y)


def _points(curve: Curve, values: Floats, x: _Ruler, y: _Ruler) -> list[tuple[int, int]]:
    """The corners of a line, in tenths."""
    found: list[tuple[int, int]] = []
    for at, value in zip(curve.x, values, strict=True):
        right, down = round(10 * x.place(float(at))), round(10 * y.place(float(value)))
        corners = [(right, found[-1][1])] if curve.step and found else []
        for point in (*corners, (right, down)):
            if len(found) > 1 and found[-2][1] == found[-1][1] == point[1]:
                found.pop()  # on the way along a level
            found.append(point)
    return found


def _path(points: Sequence[tuple[int, int]]) -> str:
    """A line through points that are in tenths."""
    (left, top), parts = points[0], [f"M{points[0][0] / 10:g} {points[0][1] / 10:g}"]
    for x, y in points[1:]:
        right, down = f"{(x - left) / 10:g}", f"{(y - top) / 10:g}"
        if (x, y) != (left, top):
            parts.append(f"v{down}" if x == left else f"h{right}" if y == top else f"l{right} {down}")
        left, top = x, y
    return "".join(parts)


def _names(curves: Sequence[Curve], x: _Ruler, y: _Ruler) -> Iterator[str]:
    ends = [(x.place(float(one.x[-1])), y.place(float(one.y[-1]))) for one in curves]
    apart = spread([end[1] for end in ends], _TOP, _TOP + _PLOT[1])
    for curve, (right, end), place in zip(curves, ends, apart, strict=True):
        edge, at = round(_LEFT + _PLOT[0], 1), round(place, 1)
        leader = f"M{right:.1f} {end:.1f}L{edge:g} {end:.1f}L{edge + 9:g} {at:g}"
        yield f'<path class="l {curve.colour}" d="{leader}"/>'
        kind = ("n t " if curve.wide else "n ") + curve.colour
        yield f'<text class="{kind}" x="{edge + 12:g}" y="{at + 4:g}">{escape(curve.name)}</text>'


def spread(places: Sequence[float], top: float, bottom: float, gap: float = _GAP) -> list[float]:
    """Places in the same order that are `gap` apart, between top and bottom as far as there is room.

    Places that are too near form a group around their mean; groups that touch become one.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(places)), key=lambda i: places[i]):
        groups.append([index])
        while len(groups) > 1 and _begin(groups[-1], places, gap, top, bottom) < (
            _begin(groups[-2], places, gap, top, bottom) + gap * len(groups[-2])
        ):
            last = groups.pop()
            groups[-1] += last
    found = [0.0] * len(places)
    for group in groups:
        begin = _begin(group, places, gap, top, bottom)
        for number, index in enumerate(group):
            found[index] = begin + gap * number
    return found


def _begin(group: Sequence[int], places: Sequence[float], gap: float, top: float, bottom: float) -> float:
    middle = sum(places[index] for index in group) / len(group)
    half = gap * (len(group) - 1) / 2
    return max(min(middle - half, bottom - 2 * half), top)


def _ruler(axis: Axis, values: Sequence[Floats], start: float, end: float, pad: float) -> _Ruler:
    every = np.concatenate([np.ravel(one) for one in values])
    if axis.least is not None:
        every = np.maximum(every, axis.least)
    if axis.log:
        every = np.log10(every[every > 0.0])
    low, high = float(every.min()), float(every.max())
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    room = pad * (high - low)
    return _Ruler(axis, low - room, high + room, start, end)


def ticks(ruler: _Ruler) -> list[float]:
    """Where numbers stand: the axis' own; else powers of ten, or round numbers where these are too few."""
    if ruler.axis.ticks:
        return list(ruler.axis.ticks)
    if not ruler.axis.log:
        return _round_numbers(ruler.low, ruler.high)
    every = max(1, ceil((ruler.high - ruler.low) / 6))
    powers = [10.0**k for k in range(ceil(ruler.low - 1e-9), floor(ruler.high + 1e-9) + 1) if k % every == 0]
    if len(powers) >= 3:
        return powers
    decades = range(floor(ruler.low), ceil(ruler.high) + 1)
    for steps in ((1, 3), (1, 2, 5)):
        found = [step * 10.0**k for k in decades for step in steps]
        found = [at for at in found if ruler.low - 1e-9 <= log10(at) <= ruler.high + 1e-9]
        if len(found) >= 3:
            return found
    return _round_numbers(10.0**ruler.low, 10.0**ruler.high)


def _round_numbers(low: float, high: float) -> list[float]:
    """About five multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= rough * 0.8)
    return [round(k * step, 12) for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def told(value: float) -> str:
    """A tick's number; powers of ten where it has many noughts."""
    if value == 0.0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.6g}"
    power = floor(log10(abs(value)) + 1e-9)
    first = round(value / 10.0**power, 6)
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if first == 1.0 else f"{first:g}·10{raised}"
