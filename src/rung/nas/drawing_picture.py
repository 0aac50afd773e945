"""A scene as PNG or PDF, through matplotlib."""

from __future__ import annotations

from functools import singledispatch
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rung.errors import UserError
from rung.nas.drawing_scene import PAPER, Box, Curve, Label, Scene, Tip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS: Final = 0.75  # in a CSS pixel
_SMALLER: Final = 0.94  # matplotlib's own font is wider than those of browsers
_DOTS: Final = 216  # an inch
_ARC: Final = 0.5523  # where the handles of a cubic curve lie that looks like a quarter of a circle


def save(scene: Scene, path: Path) -> None:
    """Write the scene in the format that the file's ending names.

    Raises:
        UserError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise UserError(
            f"drawing to {path} needs matplotlib, which is not installed: pip install 'rung[viz]', "
            "or draw to a name that ends in .svg"
        )
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    inches = scene.width / 96, scene.height / 96
    with rc_context({"pdf.fonttype": 42}):  # fonts as text, not as outlines
        figure = Figure(figsize=inches, facecolor=PAPER)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, scene.width), ylim=(scene.height, 0))
        axes.axis("off")
        for order, mark in enumerate(scene.marks):
            _add(mark, axes, order)
        dates = {"CreationDate": None} if path.suffix.lower() == ".pdf" else {}  # the same bytes each time
        figure.savefig(path, dpi=_DOTS, metadata={"Title": scene.title, **dates})


@singledispatch
def _add(mark: object, axes: Axes, order: int) -> None:
    raise AssertionError(f"{mark!r} is no mark")


@_add.register(Box)
def _(mark: Box, axes: Axes, order: int) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    radius = min(mark.radius, mark.width / 2, mark.height / 2)
    points = _outline(mark, radius)
    codes = [Outline.MOVETO, *([Outline.LINETO] + [Outline.CURVE4] * 3) * 4, Outline.CLOSEPOLY]
    axes.add_patch(
        PathPatch(
            Outline([*points, points[0]], codes),
            facecolor=mark.fill,
            edgecolor=mark.line,
            linewidth=mark.thickness * _POINTS,
            zorder=order,
        )
    )


def _outline(mark: Box, radius: float) -> list[tuple[float, float]]:
    """A start, then for each side its end and the three points of the corner after it, clockwise."""
    across, down, bow = mark.width / 2, mark.height / 2, radius * (1 - _ARC)
    points = [(mark.x - across + radius, mark.y - down)]
    for right, low, flat in ((1, -1, True), (1, 1, False), (-1, 1, True), (-1, -1, False)):
        x, y = mark.x + right * across, mark.y + low * down
        before, after = (x - right * radius, y), (x, y - low * radius)
        near, far = (x - right * bow, y), (x, y - low * bow)
        points += [before, near, far, after] if flat else [after, far, near, before]
    return points


@_add.register(Curve)
def _(mark: Curve, axes: Axes, order: int) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    codes = [Outline.MOVETO] + [Outline.CURVE4] * (len(mark.points) - 1)
    style: Any = (0.0, tuple(length / mark.thickness for length in mark.dash)) if mark.dash else "solid"
    axes.add_patch(
        PathPatch(
            Outline(list(mark.points), codes),
            fill=False,
            edgecolor=mark.line,
            linewidth=mark.thickness * _POINTS,
            linestyle=style,
            zorder=order,
        )
    )


@_add.register(Tip)
def _(mark: Tip, axes: Axes, order: int) -> None:
    from matplotlib.patches import Polygon

    axes.add_patch(Polygon(mark.points, facecolor=mark.fill, linewidth=0, zorder=order))


@_add.register(Label)
def _(mark: Label, axes: Axes, order: int) -> None:
    low = mark.low.replace("-", "{-}")  # as a sign, without the room around an operator
    text = f"${mark.text}_{{{low}}}$" if low else mark.text.replace("$", r"\$")
    axes.text(
        mark.x,
        mark.y,
        text,
        fontsize=mark.size * _POINTS * _SMALLER,
        color=mark.colour,
        fontweight="bold" if mark.bold else "normal",
        ha="left" if mark.start else "center",
        va="center_baseline",
        zorder=order,
    )
