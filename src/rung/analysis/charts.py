"""What a plot is before it is drawn: panels with axes, and marks on them; two renderers draw it.

A mark is a frozen value of plain arrays. Colours are fixed (`BLUE`), by state, by rung, or by a number
(`Scale`). All are told apart by the colour-blind, too: Okabe and Ito's eight, and a sequence that also
changes in lightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INK: Final = "#16202c"
SOFT: Final = "#6b7a8a"
FAINT: Final = "#b9c4cf"
BLUE: Final = "#0072b2"
SKY: Final = "#56b4e9"
GREEN: Final = "#009e73"
ORANGE: Final = "#e69f00"
RED: Final = "#d55e00"
PINK: Final = "#cc79a7"
STATES: Final = {
    "complete": GREEN,
    "paused": SKY,
    "stopped": ORANGE,
    "running": BLUE,
    "interrupted": PINK,
    "failed": RED,
    "infeasible": "#7f4f24",
}
_SEQUENCE: Final = ("#c3df63", "#5ec962", "#21918c", "#3b528b", "#440154")  # viridis, without its yellow end


@dataclass(frozen=True)
class Axis:
    """One axis; `ticks` are (position, text) where the numbers themselves would say nothing.

    `whole`: only whole numbers mean something on it.
    """

    label: str = ""
    log: bool = False
    ticks: Sequence[tuple[float, str]] | None = None
    span: tuple[float, float] | None = None
    whole: bool = False


@dataclass(frozen=True)
class Scale:
    """Colours by number, with a bar that says which is which."""

    values: Floats
    label: str
    log: bool = False
    reverse: bool = False  # the smallest number is the darkest


@dataclass(frozen=True)
class Points:
    """Dots at x, y (n,); `text` is shown where the pointer is."""

    x: Floats
    y: Floats
    colour: str | Scale = BLUE
    name: str = ""
    size: float = 6.0
    symbol: str = "circle"  # or star, cross, diamond, open
    opacity: float = 0.8
    text: Sequence[str] = ()


@dataclass(frozen=True)
class Line:
    """A line through x, y (n,), broken where they are NaN; `step`: flat until the next x."""

    x: Floats
    y: Floats
    colour: str = BLUE
    name: str = ""
    width: float = 2.0
    step: bool = False
    dash: bool = False
    opacity: float = 1.0
    text: Sequence[str] = ()


@dataclass(frozen=True)
class Bars:
    """Horizontal bars at heights y (n,), from `start`, of this `length`."""

    y: Floats
    length: Floats
    colour: str = BLUE
    name: str = ""
    start: Floats | None = None
    spread: Floats | None = None
    thickness: float = 0.7
    text: Sequence[str] = ()


@dataclass(frozen=True)
class Surface:
    """Values z (len(y), len(x)) over a grid, NaN where nothing is known, as filled contours.

    `log`: they are powers of ten, and the bar says the numbers themselves.
    """

    x: Floats
    y: Floats
    z: Floats
    label: str
    log: bool = False
    reverse: bool = False


@dataclass(frozen=True)
class Coordinates:
    """Parallel coordinates: every row of `values` (n, k) is a line over k axes, each from 0 to 1.

    `ticks` are, by axis, (position, text).
    """

    names: Sequence[str]
    values: Floats
    ticks: Sequence[Sequence[tuple[float, str]]]
    colour: Scale
    best: int | None = None


Mark = Points | Line | Bars | Surface | Coordinates


@dataclass(frozen=True)
class Panel:
    """One pair of axes with what is on them."""

    x: Axis
    y: Axis
    marks: Sequence[Mark]
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """A whole plot: one panel or several, in rows of `columns`.

    Attributes:
        kind, title: what it is, in one word and in one line.
        note: what to know to read it.
        height: of the whole, as a multiple of the usual one.
        widths: of the columns, relative to each other; even if empty.
    """

    kind: str
    title: str
    panels: Sequence[Panel]
    columns: int = 1
    note: str = ""
    height: float = 1.0
    widths: Sequence[float] = field(default_factory=tuple)


def sequence(count: int) -> list[str]:
    """`count` colours from light to dark, for rungs from the lowest up."""
    if count == 1:
        return [_SEQUENCE[-2]]
    return [_mixed(i / (count - 1)) for i in range(count)]


def stops() -> list[tuple[float, str]]:
    """The sequence as (position in [0, 1], colour)."""
    return [(i / (len(_SEQUENCE) - 1), colour) for i, colour in enumerate(_SEQUENCE)]


def _mixed(place: float) -> str:
    at = place * (len(_SEQUENCE) - 1)
    left = min(int(at), len(_SEQUENCE) - 2)
    low, high = ([int(_SEQUENCE[left + i][j : j + 2], 16) for j in (1, 3, 5)] for i in (0, 1))
    share = at - left
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(low, high, strict=True))


def value_axis(label: str, values: Floats, losses: Floats | None = None) -> Axis:
    """An axis for a metric: logarithmic where values are positive and of many sizes; far outliers outside.

    Args:
        losses: the same values, minimised: only what is much *worse* than the rest is an outlier.
    """
    sound = values[np.isfinite(values)]
    if len(sound) < 2:
        return Axis(label)
    low, high = float(sound.min()), float(sound.max())
    if low > 0.0 and high / low > 50.0:
        return Axis(label, log=True)
    worse = sound if losses is None else losses[np.isfinite(losses)]
    quarter, most = np.quantile(worse, [0.25, 0.75])
    fence = most + 4.0 * (most - quarter)
    if most > quarter and worse.max() > fence:
        inside = sound[worse <= fence]
        low, high = float(inside.min()), float(inside.max())
        pad = 0.06 * (high - low)
        return Axis(label, span=(low - pad, high + pad))
    return Axis(label)


def short(value: object) -> str:
    """A value in a few letters: numbers with four digits, text cut off."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 24 else text[:23] + "…"
