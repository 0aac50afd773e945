"""A comparison as a picture: a row a strategy, a dot a seed, and what its searches cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rung.nas.comparing import Line, Row
from rung.nas.drawing_scene import Box, Curve, Label, Mark, Scene, text_width
from rung.nas.drawing_svg import write_svg
from rung.nas.report.charts import Scale, ticks
from rung.nas.report.words import large, plural
from rung.nas.strategies.described import strategy_title
from rung.storage.whole import write_whole

_ROW: Final = 46.0  # height, in pixels
_TOP: Final = 62.0
_ERRORS: Final = 380.0  # width of the part with the errors
_COSTS: Final = 190.0
_BETWEEN: Final = 70.0
_SOFT: Final = "#5c6b7c"
_GRID: Final = "#e2e7ed"
_DOT: Final = "#1f62a8"
_MEAN: Final = "#16202c"
_BAR: Final = "#9db8b5"


def write_picture(rows: Sequence[Row], lines: Sequence[Line], path: str | Path, what: str) -> None:
    """Write the picture as SVG, whole or not at all.

    Args:
        rows: of the comparison.
        lines: its table, in this order.
        what: the horizontal axis: "error of the retrained network", or a loss.

    Raises:
        DataError: the file cannot be written.
    """
    write_whole(path, write_svg(picture(rows, lines, what)))


def picture(rows: Sequence[Row], lines: Sequence[Line], what: str) -> Scene:
    """The drawing, before it is written."""
    names = [strategy_title(line.strategy) for line in lines]
    left = 24.0 + max([text_width(name, 12.0) for name in names], default=0.0) + 16.0
    right = left + _ERRORS + _BETWEEN
    errors = _scale(rows, lines, left)
    costs = Scale(0.0, max([line.multiply_adds for line in lines], default=0.0) or 1.0, 0.0, _COSTS)
    bottom = _TOP + _ROW * len(lines)
    marks: list[Mark] = [
        Label(left, 22.0, what[:1].upper() + what[1:], 13.0, bold=True, start=True),
        Label(left, 40.0, "a dot a seed, a bar their mean", 11.0, start=True, colour=_SOFT),
        Label(right, 22.0, "Cost of a search", 13.0, bold=True, start=True),
        Label(right, 40.0, "multiply-adds, mean over seeds", 11.0, start=True, colour=_SOFT),
    ]
    for value in ticks(errors.low, errors.high):
        marks.append(_straight(errors.at(value), _TOP, errors.at(value), bottom, _GRID, 1.0))
        marks.append(Label(errors.at(value), bottom + 14.0, f"{value:.4g}", 11.0, colour=_SOFT))
    for number, (line, name) in enumerate(zip(lines, names, strict=True)):
        y = _TOP + _ROW * (number + 0.5)
        own = [row for row in rows if row.strategy == line.strategy]
        marks.append(Label(24.0, y, name, 12.0, start=True))
        marks += _dots(own, line, errors, y)
        marks += _bar(line, right, costs.at(line.multiply_adds), y)
    described = "; ".join(
        f"{name}: {line.error:.4f} over {plural(line.seeds, 'seed')}"
        for line, name in zip(lines, names, strict=True)
    )
    return Scene(
        tuple(marks), right + _COSTS + 120.0, bottom + 34.0, "Strategies beside each other", described
    )


def _scale(rows: Sequence[Row], lines: Sequence[Line], left: float) -> Scale:
    values = [row.retrained for row in rows if row.retrained is not None] + [line.error for line in lines]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    return Scale(low - room, high + room, left, left + _ERRORS)


def _dots(rows: Sequence[Row], line: Line, scale: Scale, y: float) -> list[Mark]:
    """Seeds a little apart in height, so that none hides another; the mean across them."""
    marks: list[Mark] = [
        _straight(scale.at(line.error), y - 13.0, scale.at(line.error), y + 13.0, _MEAN, 2.4)
    ]
    known = [row for row in rows if row.retrained is not None]
    for number, row in enumerate(known):
        assert row.retrained is not None
        apart = 5.0 * (number - (len(known) - 1) / 2) / max(len(known) - 1, 1) * 2
        hint = f"seed {row.seed}: {row.retrained:.4f}, {row.parameters:,} parameters"
        marks.append(Box(scale.at(row.retrained), y + apart, 8.0, 8.0, 4.0, _DOT, "#ffffff", 1.0, hint))
    return marks


def _bar(line: Line, left: float, width: float, y: float) -> list[Mark]:
    hint = f"{line.seconds:.0f} s a search"
    bar: list[Mark] = [Box(left + width / 2, y, width, 16.0, 3.0, _BAR, _BAR, 0.0, hint)] if width else []
    return [*bar, Label(left + width + 8.0, y, large(line.multiply_adds), 11.0, start=True, colour=_SOFT)]


def _straight(x0: float, y0: float, x1: float, y1: float, colour: str, thickness: float) -> Curve:
    return Curve(((x0, y0), (x0, y0), (x1, y1), (x1, y1)), colour, thickness)
