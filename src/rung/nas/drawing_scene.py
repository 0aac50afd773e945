"""What a drawing is made of, whatever writes it: boxes, curves, tips of arrows, and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

Point = tuple[float, float]

INK: Final = "#1a1a1a"
PAPER: Final = "#ffffff"


@dataclass(frozen=True)
class Kind:
    """A kind of operation, as a drawing shows it.

    Attributes:
        title: in the legend.
        line: colour of its edges, dark enough on white (contrast of 4.5 or more).
        fill: colour of its label's ground, light enough for dark text.
        dash: lengths of strokes and of what lies between, in pixels; empty is solid.
    """

    title: str
    line: str
    fill: str
    dash: tuple[float, ...] = ()


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "separable": Kind("separable convolution", "#1f62a8", "#deebf7"),
        "dilated": Kind("dilated convolution", "#8e3a86", "#f3e2f1"),
        "convolution": Kind("convolution", "#00735c", "#d9f0e9"),
        "pool": Kind("pooling", "#a85400", "#fdebd3"),
        "tanh": Kind("tanh", "#1f62a8", "#deebf7"),
        "relu": Kind("ReLU", "#a85400", "#fdebd3"),
        "sigmoid": Kind("sigmoid", "#8e3a86", "#f3e2f1"),
        "skip": Kind("skip connection", "#4d4d4d", "#efefef", (6.0, 3.0)),
        "noise": Kind("noise", "#b3261e", "#fbe0dd", (2.0, 2.0)),
        "none": Kind("none: zero", "#757575", "#ffffff", (1.5, 3.0)),
        "other": Kind("other operation", "#5f5f00", "#f2f2d0"),
    }
)

_SIGNS: Final = (  # the first that a name contains says its kind; so it does for operations of users' own
    ("none", "none"),
    ("zero", "none"),
    ("noise", "noise"),
    ("skip", "skip"),
    ("identity", "skip"),
    ("pool", "pool"),
    ("dil", "dilated"),
    ("sep", "separable"),
    ("conv", "convolution"),
    ("tanh", "tanh"),
    ("relu", "relu"),
    ("sigmoid", "sigmoid"),
)


def kind(operation: str) -> str:
    """Key in `KINDS` of an operation, by its name."""
    name = operation.lower()
    return next((value for sign, value in _SIGNS if sign in name), "other")


@dataclass(frozen=True)
class Box:
    """A rectangle with round corners, its centre at (x, y); a circle where the radius is half a side."""

    x: float
    y: float
    width: float
    height: float
    radius: float
    fill: str
    line: str
    thickness: float = 1.2
    hint: str = ""

    def moved(self, dx: float, dy: float) -> Box:
        return replace(self, x=self.x + dx, y=self.y + dy)


@dataclass(frozen=True)
class Curve:
    """Cubic Bezier curves in a row: a start, then three points for each."""

    points: tuple[Point, ...]
    line: str
    thickness: float
    dash: tuple[float, ...] = ()
    hint: str = ""

    def moved(self, dx: float, dy: float) -> Curve:
        return replace(self, points=tuple((x + dx, y + dy) for x, y in self.points))


@dataclass(frozen=True)
class Tip:
    """The head of an arrow, a filled triangle."""

    points: tuple[Point, Point, Point]
    fill: str

    def moved(self, dx: float, dy: float) -> Tip:
        (ax, ay), (bx, by), (cx, cy) = self.points
        return replace(self, points=((ax + dx, ay + dy), (bx + dx, by + dy), (cx + dx, cy + dy)))


@dataclass(frozen=True)
class Label:
    """A line of text whose middle (or start) is at x and whose middle is at height y."""

    x: float
    y: float
    text: str
    size: float = 11.0
    low: str = ""  # a subscript after it
    bold: bool = False
    slanted: bool = False
    start: bool = False
    colour: str = INK

    def moved(self, dx: float, dy: float) -> Label:
        return replace(self, x=self.x + dx, y=self.y + dy)


Mark = Box | Curve | Tip | Label


@dataclass(frozen=True)
class Scene:
    """A drawing: marks from the lowest to the uppermost, in pixels from the upper left corner."""

    marks: tuple[Mark, ...]
    width: float
    height: float
    title: str
    description: str


_NARROW: Final = {"ijl'|": 0.24, "tfI.,:; /()[]": 0.31, "r-": 0.36, "cksvxyzJ": 0.52, "mM": 0.86, "wW": 0.8}
_WIDTHS: Final = {letter: width for letters, width in _NARROW.items() for letter in letters}


def text_width(text: str, size: float) -> float:
    """About how wide a text is in Helvetica or Arial, rather too wide than too narrow; in pixels."""
    return size * sum(_WIDTHS.get(letter, 0.7 if letter.isupper() else 0.58) for letter in text)
