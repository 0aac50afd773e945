"""Small line charts as SVG, written by hand: the same rows give the same bytes, whatever is installed.

Colours are Okabe and Ito's, told apart by the colour-blind; texts and axes are of a grey that is read
on white and on black.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

_OKABE_AND_ITO: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
COLOURS: Final = (*_OKABE_AND_ITO, "#7f4f24", "#888888", "#6a51a3", "#1b9e77")
_INK: Final = "#77808a"
_WIDTH, _HEIGHT = 280, 190  # of a panel's inside
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 30, 14, 42  # around it
_COLUMNS: Final = 3
_LEGEND: Final = 20  # of a legend's line


class Curve(NamedTuple):
    """A line through (x, y), and a band between two further values of each x where there is one."""

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]] = ()


class Panel(NamedTuple):
    """One chart; only positive numbers are drawn on an axis in logarithm."""

    title: str
    x: str
    y: str
    curves: Sequence[Curve]
    log_x: bool = True
    log_y: bool = True


def draw(panels: Sequence[Panel]) -> str:
    """All panels, three a row, under one legend; a name has one colour in all of them."""
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    columns = min(_COLUMNS, len(panels))
    wide, high = _WIDTH + _LEFT + _RIGHT, _HEIGHT + _TOP + _BOTTOM
    rows = math.ceil(len(panels) / columns)
    legend = list(_legend(names, colours, columns * wide))
    height = rows * high + (legend[-1][1] + _LEGEND if legend else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * wide} {height}" '
        f'width="{columns * wide}" height="{height}" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="11" fill="{_INK}">'
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        parts.append(f'<g transform="translate({column * wide + _LEFT} {row * high + _TOP})">')
        parts += [*_panel(panel, colours), "</g>"]
    for x, y, name, colour in legend:
        y += rows * high + 8
        parts.append(f'<path d="M{x} {y}h18" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(f'<text x="{x + 23}" y="{y + 4}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _legend(names: Sequence[str], colours: dict[str, str], width: int) -> Iterator[tuple[int, int, str, str]]:
    x, y = _LEFT, 0
    for name in names:
        room = 40 + 7 * len(name)
        if x + room > width and x > _LEFT:
            x, y = _LEFT, y + _LEGEND
        yield x, y, name, colours[name]
        x += room


class _Scale:
    """Numbers as places on an axis of so many pixels, with ticks."""

    def __init__(self, values: Sequence[float], log: bool, pixels: float) -> None:
        known = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
        self._log, self._pixels = log, pixels
        low, high = self._of(min(known)), self._of(max(known))
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        room = 0.03 * (high - low)
        self._low, self._high = low - room, high + room

    def _of(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def place(self, value: float) -> float:
        return self._pixels * (self._of(value) - self._low) / (self._high - self._low)

    def shows(self, value: float) -> bool:
        return math.isfinite(value) and (value > 0 or not self._log)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts: powers of ten with what lies between where there are few, else round steps."""
        if self._log:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            factors = (1, 2, 5) if self._high - self._low < 1.6 else (1,)
            step = max(1, math.ceil((self._high - self._low) / 6))
            values = [f * 10.0**p for p in powers if p % step == 0 for f in factors]
        else:
            step = 10.0 ** math.floor(math.log10((self._high - self._low) / 3))
            step *= next(f for f in (5, 2, 1) if (self._high - self._low) / (f * step) >= 3)
            first = math.ceil(self._low / step)
            values = [step * (first + n) for n in range(12)]
        return [(self.place(v), f"{v:.6g}") for v in values if self._low <= self._of_tick(v) <= self._high]

    def _of_tick(self, value: float) -> float:
        return self._of(value) if value > 0 or not self._log else -math.inf


def _panel(panel: Panel, colours: dict[str, str]) -> Iterator[str]:
    whole = [point for curve in panel.curves for point in curve.points]
    x = _Scale([a for a, _ in whole], panel.log_x, _WIDTH)
    y = _Scale([b for _, b in whole], panel.log_y, _HEIGHT)
    yield f'<text x="0" y="-12" font-size="12" font-weight="bold">{escape(panel.title)}</text>'
    for place, text in x.ticks():
        yield f'<path d="M{place:.1f} 0v{_HEIGHT}" stroke="{_INK}" stroke-opacity=".18"/>'
        yield f'<text x="{place:.1f}" y="{_HEIGHT + 14}" text-anchor="middle">{text}</text>'
    for place, text in y.ticks():
        yield f'<path d="M0 {_HEIGHT - place:.1f}h{_WIDTH}" stroke="{_INK}" stroke-opacity=".18"/>'
        yield f'<text x="-6" y="{_HEIGHT - place + 4:.1f}" text-anchor="end">{text}</text>'
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="{_INK}" stroke-opacity=".5"/>'
    yield f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT + 31}" text-anchor="middle">{escape(panel.x)}</text>'
    yield (
        f'<text transform="translate(-43 {_HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(panel.y)}</text>"
    )
    for curve in panel.curves:
        yield from _curve(curve, colours[curve.name], x, y)


def _curve(curve: Curve, colour: str, x: _Scale, y: _Scale) -> Iterator[str]:
    def inside(value: float) -> float:
        return _HEIGHT - min(max(y.place(value), 0.0), _HEIGHT)

    shown = [(x.place(a), number) for number, (a, b) in enumerate(curve.points) if x.shows(a) and y.shows(b)]
    band = [(a, n) for a, n in shown if curve.band and all(y.shows(v) for v in curve.band[n])]
    if len(band) > 1:
        lower = [f"{a:.1f} {inside(curve.band[n][0]):.1f}" for a, n in band]
        upper = [f"{a:.1f} {inside(curve.band[n][1]):.1f}" for a, n in reversed(band)]
        yield f'<path d="M{"L".join(lower + upper)}Z" fill="{colour}" fill-opacity=".13"/>'
    if shown:
        places = [f"{a:.1f} {inside(curve.points[n][1]):.1f}" for a, n in shown]
        yield f'<path d="M{"L".join(places)}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
