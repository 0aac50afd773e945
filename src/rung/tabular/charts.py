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
    raw = (high - low) / count
    if not high > low or not math.isfinite(raw):
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def number(value: float) -> str:
    """A tick's text: short, no more digits than it needs."""
    return f"{value:.3g}" if value and not 1e-4 <= abs(value) < 1e6 else f"{value:,.6g}"


def rounded(value: float, places: int = 3) -> str:
    """A number in a text, so many places of it: 48,700."""
    return number(float(f"{value:.{places}g}"))


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


def density_chart(
    a: npt.NDArray[Any],
    b: npt.NDArray[Any],
    x: str,
    y: str,
    cells: int = 36,
    weight: npt.NDArray[Any] | None = None,
) -> Markup:
    """How many points lie where, or how much they weigh, as shaded cells, with the diagonal: no single point
    can be read from it.
    """
    low, high = _padded(float(min(a.min(), b.min())), float(max(a.max(), b.max())), 0.02)
    counts, _, _ = np.histogram2d(a, b, bins=cells, range=[[low, high], [low, high]], weights=weight)
    xs = Axis(low, high, _left(low, high), WIDTH - _RIGHT, x)
    ys = Axis(low, high, HEIGHT - _BOTTOM, _TOP, y)
    w, h = (xs.end - xs.start) / cells, (ys.start - ys.end) / cells
    shade = np.log1p(counts) / (np.log1p(counts.max()) or 1.0)
    body = "".join(
        f'<rect class="cell" x="{xs.start + i * w:.1f}" y="{ys.start - (j + 1) * h:.1f}" '
        f'width="{w + 0.3:.1f}" height="{h + 0.3:.1f}" opacity="{0.12 + 0.88 * shade[i, j]:.2f}"/>'
        for i, j in np.argwhere(counts > 0)
    )
    chance = f'<path class="chance" d="M{xs.start},{ys.start}L{xs.end},{ys.end}"/>'
    return _drawing(_grid(xs, ys) + body + chance, f"{y} over {x}")


def histogram_chart(
    values: npt.NDArray[Any], x: str, cells: int = 41, weight: npt.NDArray[Any] | None = None
) -> Markup:
    """How often which value, or with how much weight, the outermost hundredth left out; a line at 0."""
    inner = np.quantile(values, [0.005, 0.995])
    low, high = _padded(float(min(inner[0], 0.0)), float(max(inner[1], 0.0)))
    counts, edges = np.histogram(values, bins=cells, range=(low, high), weights=weight)
    xs = Axis(low, high, _LEFT, WIDTH - _RIGHT, x)
    ys = Axis(0.0, float(counts.max() or 1) * 1.05, HEIGHT - _BOTTOM, _TOP, "rows")
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
            f'<text class="value" x="{after}" y="{middle + 4}">{rounded(value)}</text>'
        )
    return _drawing("".join(parts), unit, len(rows) * each + 6)


class Line(NamedTuple):
    """A named curve, with a band or whiskers from `low` to `high` if it has them."""

    name: str
    points: Sequence[tuple[float, float]]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def lines_chart(
    lines: Sequence[Line],
    x: str,
    y: str,
    *,
    unit: bool = False,
    level: float | None = None,
    marked: bool = False,
) -> Markup:
    """Several curves on common axes, the first one's band or whiskers with it, and their names above.

    Args:
        unit: both axes go from 0 to 1.
        level: where to draw a dashed horizontal; the diagonal where it is None and `unit` holds.
        marked: points with whiskers rather than a curve with a band.
    """
    every = [value for line in lines for value in (*[v for _, v in line.points], *line.low, *line.high)]
    across = [place for line in lines for place, _ in line.points]
    low, high = (0.0, 1.0) if unit else _padded(min(every), max(every))
    left, right = (0.0, 1.0) if unit else (min(across), max(across))
    top = _TOP + (18 if len(lines) > 1 else 0)
    xs = Axis(left, right if right > left else left + 1, _left(low, high), WIDTH - _RIGHT, x)
    ys = Axis(low, high, HEIGHT - _BOTTOM, top, y)
    parts = [_grid(xs, ys), _reference(xs, ys, level, unit)]
    for k, line in enumerate(lines):
        places = [(xs.at(a), ys.at(b)) for a, b in line.points]
        if line.low:
            parts.append(_spread(line, xs, ys, places, marked))
        path = "M" + "L".join(f"{a},{b}" for a, b in places)
        parts.append(f'<path class="line s{k % 5}" d="{path}"/>')
        if marked:
            parts += [f'<circle class="dot s{k % 5}" cx="{a}" cy="{b}" r="4"/>' for a, b in places]
    return _drawing("".join(parts) + _legend([line.name for line in lines], xs.start), f"{y} over {x}")


def _reference(xs: Axis, ys: Axis, level: float | None, unit: bool) -> str:
    if level is not None:
        return f'<path class="chance" d="M{xs.start},{ys.at(level)}H{xs.end}"/>'
    return f'<path class="chance" d="M{xs.start},{ys.start}L{xs.end},{ys.end}"/>' if unit else ""


def _spread(line: Line, xs: Axis, ys: Axis, places: Sequence[tuple[float, float]], marked: bool) -> str:
    ends = [(ys.at(a), ys.at(b)) for a, b in zip(line.low, line.high, strict=True)]
    if marked:
        pairs = zip(places, ends, strict=True)
        return "".join(f'<path class="whisker" d="M{x},{a}V{b}"/>' for (x, _), (a, b) in pairs)
    over = [f"{x},{b}" for (x, _), (_, b) in zip(places, ends, strict=True)]
    under = [f"{x},{a}" for (x, _), (a, _) in zip(places, ends, strict=True)]
    return f'<path class="area" d="M{"L".join([*over, *reversed(under)])}Z"/>'


def _legend(names: Sequence[str], start: float) -> str:
    """Names above the drawing, each after a stroke of its colour; none where there is one curve."""
    if len(names) < 2:
        return ""
    parts, x = [], start
    for k, name in enumerate(names):
        short = _shortened(name, 120)
        parts.append(f'<path class="line s{k % 5}" d="M{x:.0f},12h14"/>')
        parts.append(f'<text class="tick" x="{x + 19:.0f}" y="16">{escape(short)}</text>')
        x += 34 + 7.0 * len(short)
        if x > WIDTH - 60:
            break
    return "".join(parts)


class Dot(NamedTuple):
    """A named value with its interval, and what to write after it."""

    name: str
    value: float
    low: float
    high: float
    text: str = ""


def dot_chart(rows: Sequence[Dot], x: str, level: float | None = None) -> Markup:
    """Values with their intervals below each other; a dashed line at `level`."""
    each, left, right = 26, 210, 84
    ends = [end for row in rows for end in (row.low, row.high, row.value)] + (
        [] if level is None else [level]
    )
    low, high = _padded(min(ends), max(ends), 0.04)
    bottom = len(rows) * each + 8
    xs = Axis(low, high, left, WIDTH - right)
    parts = []
    for value in ticks(low, high, 4):
        parts.append(f'<path class="grid" d="M{xs.at(value)},2V{bottom}"/>')
        parts.append(_tick(xs.at(value), bottom + 14, value))
    if level is not None:
        parts.append(f'<path class="chance" d="M{xs.at(level)},2V{bottom}"/>')
    for i, row in enumerate(rows):
        y = i * each + 16
        parts.append(
            f'<text class="name" x="{left - 10}" y="{y + 4}" text-anchor="end">'
            f"{escape(_shortened(row.name, left - 14))}<title>{escape(row.name)}</title></text>"
            f'<path class="whisker" d="M{xs.at(row.low)},{y}H{xs.at(row.high)}"/>'
            f'<circle class="dot" cx="{xs.at(row.value)}" cy="{y}" r="4.5"/>'
            f'<text class="value" x="{WIDTH - right + 8}" y="{y + 4}">{escape(row.text)}</text>'
        )
    label = f'<text class="label" x="{(xs.start + xs.end) / 2}" y="{bottom + 31}" text-anchor="middle">'
    return _drawing("".join(parts) + f"{label}{escape(x)}</text>", x, bottom + 36)


def swarm_chart(names: Sequence[str], amounts: npt.NDArray[Any], shades: npt.NDArray[Any], x: str) -> Markup:
    """For each name a row of points, spread where many lie together; shaded by `shades`, 0 to 1 or NaN.

    Args:
        amounts, shades: (n, names).
    """
    each, left, right = 30, 150, 16
    low, high = _padded(float(min(amounts.min(), 0.0)), float(max(amounts.max(), 0.0)))
    bottom = len(names) * each + 4
    xs = Axis(low, high, left, WIDTH - right)
    parts = [f'<path class="chance" d="M{xs.at(0)},2V{bottom}"/>']
    parts += [_tick(xs.at(value), bottom + 14, value) for value in ticks(low, high)]
    for j, name in enumerate(names):
        middle = j * each + each / 2 + 2
        places = np.array([xs.at(float(v)) for v in amounts[:, j]])
        heights = _stacked(places, each / 2 - 4)
        parts.append(
            f'<path class="grid" d="M{left},{middle}H{WIDTH - right}"/><text class="name" x="{left - 10}" '
            f'y="{middle + 4}" text-anchor="end">{escape(_shortened(name, left - 14))}'
            f"<title>{escape(name)}</title></text>"
        )
        shade = np.where(np.isnan(shades[:, j]), 5, np.minimum(4, (shades[:, j] * 5).astype(float)))
        for k in range(6):
            here = np.flatnonzero(np.floor(np.nan_to_num(shade, nan=5)) == k)
            dots = "".join(f"M{places[i]:.1f},{middle + heights[i]:.1f}h0" for i in here)
            parts.append(f'<path class="swarm q{k}" d="{dots}"/>' if dots else "")
    label = f'<text class="label" x="{(xs.start + xs.end) / 2}" y="{bottom + 31}" text-anchor="middle">'
    return _drawing("".join(parts) + f"{label}{escape(x)}</text>", x, bottom + 36)


def _tick(x: float, y: float, value: float) -> str:
    return f'<text class="tick" x="{x}" y="{y}" text-anchor="middle">{number(value)}</text>'


def _stacked(places: npt.NDArray[Any], room: float) -> npt.NDArray[Any]:
    """How far from the middle each point stands, so that points at the same place lie apart: (n,)."""
    out = np.zeros(len(places))
    bins = np.round(places / 4).astype(int)
    for cell in np.unique(bins):
        here = np.flatnonzero(bins == cell)
        steps = np.array([(k + 1) // 2 * (1 if k % 2 else -1) for k in range(len(here))], dtype=float)
        out[here] = steps * min(3.4, room / max(1.0, float(np.abs(steps).max())))
    return out


def points_chart(points: Sequence[tuple[float, float, bool]], x: str, y: str) -> Markup:
    """Points of (x > 0, y, whether it stands out), x on a logarithmic scale."""
    logs = [math.log10(max(a, 1e-4)) for a, _, _ in points]
    values = [b for _, b, _ in points]
    low, high = _padded(*_inner(values))
    first, last = math.floor(min(logs) * 2) / 2, math.ceil(max(logs) * 2) / 2
    xs = Axis(first, last if last > first else first + 1, _left(low, high), WIDTH - _RIGHT, x)
    ys = Axis(low, high, HEIGHT - _BOTTOM, _TOP, y)
    dots = "".join(
        f'<circle class="dot{"" if strong else " faint"}" cx="{xs.at(a)}" '
        f'cy="{ys.at(min(max(b, low), high))}" r="{5 if strong else 3.5}"/>'
        for a, (_, b, strong) in sorted(zip(logs, points, strict=True), key=lambda one: one[1][2])
    )
    powers = [k / 2 for k in range(round(first * 2), round(xs.high * 2) + 1)]
    powers = powers if len(powers) <= 7 else [p for p in powers if p == int(p)]
    across = [(xs.at(p), f"{10**p:.2g}") for p in powers]
    return _drawing(_grid(xs, ys, across) + dots, f"{y} over {x}")


def _inner(values: Sequence[float]) -> tuple[float, float]:
    """The range of the values without outliers: as far as three times the middle half's width."""
    a, b = np.quantile(values, [0.25, 0.75])
    reach = 3 * float(b - a) or float(np.ptp(values))
    inside = [v for v in values if a - reach <= v <= b + reach] or list(values)
    return min(inside), max(inside)


def _shortened(name: str, width: float) -> str:
    """The name, cut in its middle (both ends say most) where it is wider than `width` at 13 pixels."""
    widths = [9.4 if letter.isupper() or ord(letter) > 0x2E80 else 7.0 for letter in name]
    if sum(widths) <= width:
        return name
    kept, used = [0, 0], 9.0  # letters at the beginning, and at the end
    for i in range(len(name)):
        used += widths[-1 - kept[1] if i % 2 else kept[0]]
        if i and used > width:
            break
        kept[i % 2] += 1
    return f"{name[: kept[0]]}…{name[len(name) - kept[1] :]}"


def _padded(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    room = (high - low) * share or abs(high) * 0.01 or 0.5
    return low - room, high + room


def _grid(xs: Axis, ys: Axis, across: Sequence[tuple[float, str]] | None = None) -> str:
    """Lines at round numbers, their texts (`across`: those of the horizontal axis), the axes' names."""
    parts = []
    for value in ticks(ys.low, ys.high):
        y = ys.at(value)
        parts.append(f'<path class="grid" d="M{xs.start},{y}H{xs.end}"/>')
        parts.append(
            f'<text class="tick" x="{xs.start - 8}" y="{y + 4}" text-anchor="end">{number(value)}</text>'
        )
    for at, text in across or [(xs.at(value), number(value)) for value in ticks(xs.low, xs.high)]:
        parts.append(f'<text class="tick" x="{at}" y="{ys.start + 17}" text-anchor="middle">{text}</text>')
    middle = (xs.start + xs.end) / 2
    parts.append(
        f'<text class="label" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(xs.label)}</text>'
    )
    height = (ys.start + ys.end) / 2
    turned = f'transform="rotate(-90 12 {height})"'
    label = f'<text class="label" x="12" y="{height}" {turned} text-anchor="middle">{escape(ys.label)}</text>'
    return "".join([*parts, label])


def _drawing(body: str, title: str, height: float = HEIGHT) -> Markup:
    return Markup(  # made above, of numbers and escaped texts
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{body}</svg>'
    )
