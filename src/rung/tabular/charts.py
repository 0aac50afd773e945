"""Charts as inline SVG: a few kinds, coloured by the page's own style, readable without a script.

All take numbers and return markup. Sizes are in units of the view box; the page scales it to its width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from markupsafe import Markup, escape

if TYPE_CHECKING:
    import numpy.typing as npt

WIDTH: Final = 560
HEIGHT: Final = 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 40  # margins of a chart with axes
_DIGIT = 6.6  # width of a letter of a tick's text


class Axis(NamedTuple):
    """A linear axis: what it shows, from where to where, on which stretch of the drawing."""

    low: float
    high: float
    start: float
    end: float
    label: str = ""

    def at(self, value: float) -> float:
        """Where a value lies in the drawing."""
        share = (value - self.low) / (self.high - self.low or 1.0)
        return round(self.start + share * (self.end - self.start), 2)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from `low` to `high`."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def number(value: float) -> str:
    """A tick's text: short, no more digits than it needs."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-4):
        return f"{value:.3g}"
    return f"{value:,.6g}"


def _left(low: float, high: float) -> float:
    """The left margin that the texts of a vertical axis need, its turned name beside them."""
    return max(_LEFT, 30 + _DIGIT * max(len(number(value)) for value in ticks(low, high)))


def step_chart(points: Sequence[tuple[float, float]], end: float, x: str, y: str) -> Markup:
    """A staircase of (x, value), drawn on to `end`: what was the best so far, and since when."""
    low, high = _padded(*_of_interest([value for _, value in points]))
    xs = Axis(0.0, end, _left(low, high), WIDTH - _RIGHT, x)
    ys = Axis(low, high, HEIGHT - _BOTTOM, _TOP, y)
    places = [(xs.at(when), ys.at(min(max(value, low), high))) for when, value in points]
    path = f"M{places[0][0]},{places[0][1]}" + "".join(f"H{a}V{b}" for a, b in places[1:]) + f"H{xs.end}"
    area = f"{path}V{ys.start}H{places[0][0]}Z"
    dots = "".join(f'<circle class="dot" cx="{a}" cy="{b}" r="3"/>' for a, b in places)
    body = f'<path class="area" d="{area}"/><path class="line" d="{path}"/>{dots}'
    return _drawing(_grid(xs, ys) + body, f"{y} over {x}")


def _of_interest(values: Sequence[float]) -> tuple[float, float]:
    """The range of a sequence of ever better values, without first ones that would hide the later steps."""
    best = values[-1]
    gaps = [abs(value - best) for value in values]
    first = next(
        i for i in range(len(gaps)) if i == len(gaps) - 1 or gaps[i] <= 8 * max(gaps[i + 1], gaps[0] / 50)
    )
    return min(values[first:]), max(values[first:])


def curve_chart(points: Sequence[tuple[float, float]], x: str, y: str, filled: bool = True) -> Markup:
    """A curve inside the unit square, with the diagonal; filled below, or else with its points marked."""
    xs = Axis(0.0, 1.0, _LEFT, WIDTH - _RIGHT, x)
    ys = Axis(0.0, 1.0, HEIGHT - _BOTTOM, _TOP, y)
    path = "M" + "L".join(f"{xs.at(a)},{ys.at(b)}" for a, b in points)
    more = f'<path class="area" d="{path}L{xs.end},{ys.start}L{xs.start},{ys.start}Z"/>'
    if not filled:
        more = "".join(f'<circle class="dot" cx="{xs.at(a)}" cy="{ys.at(b)}" r="4"/>' for a, b in points)
    chance = f'<path class="chance" d="M{xs.start},{ys.start}L{xs.end},{ys.end}"/>'
    return _drawing(_grid(xs, ys) + chance + more + f'<path class="line" d="{path}"/>', f"{y} over {x}")


def density_chart(a: npt.NDArray[Any], b: npt.NDArray[Any], x: str, y: str, cells: int = 36) -> Markup:
    """How many points lie where, as shaded cells, with the diagonal: no single point can be read from it."""
    low, high = _padded(float(min(a.min(), b.min())), float(max(a.max(), b.max())), 0.02)
    counts, _, _ = np.histogram2d(a, b, bins=cells, range=[[low, high], [low, high]])
    xs = Axis(low, high, _left(low, high), WIDTH - _RIGHT, x)
    ys = Axis(low, high, HEIGHT - _BOTTOM, _TOP, y)
    w, h = (xs.end - xs.start) / cells, (ys.start - ys.end) / cells
    shade = np.log1p(counts) / np.log1p(counts.max())
    body = "".join(
        f'<rect class="cell" x="{xs.start + i * w:.1f}" y="{ys.start - (j + 1) * h:.1f}" '
        f'width="{w + 0.3:.1f}" height="{h + 0.3:.1f}" opacity="{0.12 + 0.88 * shade[i, j]:.2f}"/>'
        for i, j in np.argwhere(counts > 0)
    )
    chance = f'<path class="chance" d="M{xs.start},{ys.start}L{xs.end},{ys.end}"/>'
    return _drawing(_grid(xs, ys) + body + chance, f"{y} over {x}")


def histogram_chart(values: npt.NDArray[Any], x: str, cells: int = 41) -> Markup:
    """How often which value, the outermost hundredth left out; a line at 0."""
    inner = np.quantile(values, [0.005, 0.995])
    low, high = _padded(float(min(inner[0], 0.0)), float(max(inner[1], 0.0)))
    counts, edges = np.histogram(values, bins=cells, range=(low, high))
    xs = Axis(low, high, _LEFT, WIDTH - _RIGHT, x)
    ys = Axis(0.0, float(counts.max()) * 1.05, HEIGHT - _BOTTOM, _TOP, "rows")
    bars = "".join(
        f'<rect class="bar" x="{xs.at(e) + 0.5:.1f}" y="{ys.at(c)}" '
        f'width="{max(xs.at(f) - xs.at(e) - 1, 0.5):.1f}" height="{ys.start - ys.at(c):.1f}"/>'
        for c, e, f in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        if c
    )
    zero = f'<path class="chance" d="M{xs.at(0)},{ys.start}V{ys.end}"/>'
    return _drawing(_grid(xs, ys) + bars + zero, f"how often which {x}")


def bar_chart(rows: Sequence[tuple[str, float, float]], unit: str) -> Markup:
    """Horizontal bars of (name, value, deviation), a whisker for the deviation; values below 0 are drawn
    grey.
    """
    each, left, right = 26, 190, 76
    top = max((value + deviation for _, value, deviation in rows), default=1.0)
    low = min(0.0, *(value - deviation for _, value, deviation in rows))
    xs = Axis(low, max(top, 1e-12), left, WIDTH - right)
    parts = []
    for i, (name, value, deviation) in enumerate(rows):
        y = i * each + 4
        a, b = sorted((xs.at(0), xs.at(value)))
        middle = y + 9
        after = xs.at(max(value + deviation, 0)) + 8
        parts.append(
            f'<text class="name" x="{left - 10}" y="{middle + 4}" text-anchor="end">'
            f"{escape(_shortened(name, left - 14))}<title>{escape(name)}</title></text>"
            f'<rect class="bar{" weak" if value <= 0 else ""}" x="{a}" y="{y}" width="{max(b - a, 1):.1f}" '
            f'height="18" rx="3"/>'
            f'<path class="whisker" d="M{xs.at(value - deviation)},{middle}H{xs.at(value + deviation)}"/>'
            f'<text class="value" x="{after}" y="{middle + 4}">{number(float(f"{value:.3g}"))}</text>'
        )
    return _drawing("".join(parts), unit, len(rows) * each + 6)


def _shortened(name: str, width: float) -> str:
    """The name, cut where it would be wider than `width` at 13 pixels (capitals and wide scripts counted
    more).
    """
    used = 0.0
    for i, letter in enumerate(name):
        used += 9.4 if letter.isupper() or ord(letter) > 0x2E80 else 7.0
        if used > width:
            return name[: max(i - 1, 1)] + "…"
    return name


def _padded(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    room = (high - low) * share or abs(high) * 0.01 or 0.5
    return low - room, high + room


def _grid(xs: Axis, ys: Axis) -> str:
    """Lines at round numbers, their texts, the axes' names."""
    parts = []
    for value in ticks(ys.low, ys.high):
        y = ys.at(value)
        parts.append(f'<path class="grid" d="M{xs.start},{y}H{xs.end}"/>')
        parts.append(
            f'<text class="tick" x="{xs.start - 8}" y="{y + 4}" text-anchor="end">{number(value)}</text>'
        )
    for value in ticks(xs.low, xs.high):
        place = f'x="{xs.at(value)}" y="{ys.start + 17}"'
        parts.append(f'<text class="tick" {place} text-anchor="middle">{number(value)}</text>')
    middle = (xs.start + xs.end) / 2
    parts.append(
        f'<text class="label" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(xs.label)}</text>'
    )
    across = (ys.start + ys.end) / 2
    turned = f'transform="rotate(-90 12 {across})"'
    label = f'<text class="label" x="12" y="{across}" {turned} text-anchor="middle">{escape(ys.label)}</text>'
    return "".join([*parts, label])


def _drawing(body: str, title: str, height: float = HEIGHT) -> Markup:
    return Markup(  # made above, of numbers and escaped texts
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{body}</svg>'
    )
