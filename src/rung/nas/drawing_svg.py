"""A scene as SVG: one self-contained element, to be a file or to stand in a page."""

from __future__ import annotations

from functools import singledispatch
from xml.sax.saxutils import escape, quoteattr

from rung.nas.drawing_scene import PAPER, Box, Curve, Label, Scene, Tip

_FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def write_svg(scene: Scene, width: float | None = None) -> str:
    """The element, without an XML declaration.

    Args:
        width: of the picture on the page, in CSS pixels; its own if not given.
    """
    across = scene.width if width is None else width
    down = scene.height * across / scene.width
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(across)}" height="{_n(down)}" '
        f'viewBox="0 0 {_n(scene.width)} {_n(scene.height)}" role="img" aria-label={quoteattr(scene.title)} '
        f'font-family="{_FONT}">',
        f"<title>{escape(scene.title)}</title>",
        f"<desc>{escape(scene.description)}</desc>",
        f'<rect width="{_n(scene.width)}" height="{_n(scene.height)}" fill="{PAPER}"/>',
        *(_mark(mark) for mark in scene.marks),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


@singledispatch
def _mark(mark: object) -> str:
    raise AssertionError(f"{mark!r} is no mark")


@_mark.register
def _(mark: Box) -> str:
    radius = min(mark.radius, mark.width / 2, mark.height / 2)
    left, top = mark.x - mark.width / 2, mark.y - mark.height / 2
    return (
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(mark.width)}" '
        f'height="{_n(mark.height)}" rx="{_n(radius)}" fill="{mark.fill}" stroke="{mark.line}" '
        f'stroke-width="{_n(mark.thickness)}"{_end("rect", mark.hint)}'
    )


@_mark.register
def _(mark: Curve) -> str:
    (x, y), *rest = mark.points
    path = f"M{_n(x)} {_n(y)}" + "".join(
        "C" + " ".join(f"{_n(px)} {_n(py)}" for px, py in rest[i : i + 3]) for i in range(0, len(rest), 3)
    )
    dash = f' stroke-dasharray="{" ".join(map(_n, mark.dash))}"' if mark.dash else ""
    return (
        f'<path d="{path}" fill="none" stroke="{mark.line}" stroke-width="{_n(mark.thickness)}"{dash}'
        f"{_end('path', mark.hint)}"
    )


@_mark.register
def _(mark: Tip) -> str:
    return f'<polygon points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in mark.points)}" fill="{mark.fill}"/>'


@_mark.register
def _(mark: Label) -> str:
    looks = ' font-weight="bold"' if mark.bold else ""
    looks += ' font-style="italic"' if mark.slanted else ""
    anchor = "" if mark.start else ' text-anchor="middle"'
    low = ""
    if mark.low:
        size = mark.size * 0.72
        low = f'<tspan font-size="{_n(size)}" dy="{_n(mark.size * 0.25)}">{escape(_minus(mark.low))}</tspan>'
    return (
        f'<text x="{_n(mark.x)}" y="{_n(mark.y + mark.size * 0.35)}" font-size="{_n(mark.size)}" '
        f'fill="{mark.colour}"{anchor}{looks}>{escape(mark.text)}{low}</text>'
    )


def _minus(text: str) -> str:
    """With the sign for minus, which is as wide as a digit."""
    return text.replace("-", "\N{MINUS SIGN}")


def _end(tag: str, hint: str) -> str:
    return f"><title>{escape(hint)}</title></{tag}>" if hint else "/>"


def _n(value: float) -> str:
    """A number with at most two decimals, the shortest way."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
