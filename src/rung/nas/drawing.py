"""Genotypes drawn: a layered picture of every cell, as SVG or through matplotlib as PNG or PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rung.errors import UserError
from rung.nas.drawing_cell import input_name, picture
from rung.nas.drawing_scene import KINDS, Box, Curve, Label, Mark, Scene, kind, text_width
from rung.nas.drawing_svg import write_svg
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.space import Cell
from rung.storage.whole import write_whole

Weights = Mapping[str, Sequence[Sequence[float]]]

ENDINGS: Final = (".svg", ".png", ".pdf")
_TITLES: Final = {"normal": "Normal cell", "reduce": "Reduction cell", "recurrent": "Recurrent cell"}
_MARGIN: Final = 18.0


def svg(
    genotype: Genotype, *, alphas: Weights | None = None, width: float | None = None, legend: bool = True
) -> str:
    """The drawing of a genotype as an SVG element: all cells one above the other, and a legend.

    Args:
        alphas: by cell, for each node, the weights (shares from 0 to 1) of its edges in the genotype's order;
            shown in the labels, and as thickness of the edges. `edge_weights` makes them of mixtures.
        width: of the picture on a page, in CSS pixels; its own if not given.
        legend: whether the kinds of operations are explained below.
    """
    return write_svg(scene(genotype, alphas=alphas, legend=legend), width)


def draw(genotype: Genotype, path: str | Path, *, alphas: Weights | None = None) -> Path:
    """Write the drawing of a genotype to a file.

    Args:
        path: ends in .svg, .png or .pdf; the latter two need matplotlib.
        alphas: as of `svg`.

    Raises:
        UserError: another ending, no matplotlib, or the file cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UserError(
            f"cannot draw to {path}: its name must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        )
    made = scene(genotype, alphas=alphas)
    try:
        if ending == ".svg":
            write_whole(path, write_svg(made), "--out")
        else:
            from rung.nas.drawing_picture import save

            save(made, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def edge_weights(
    space_cell: Cell, cell: CellGenotype, mixture: Sequence[Sequence[float]]
) -> list[list[float]]:
    """The weights of a derived cell's edges, for `svg`.

    Args:
        space_cell: the cell that was searched.
        cell: the cell that was derived.
        mixture: a row an edge of `space_cell`, a column one of its operations.
    """
    rows = dict(zip(space_cell.edges, mixture, strict=True))
    columns = {name: column for column, name in enumerate(space_cell.operations)}
    return [
        [float(rows[source, cell.inputs + number][columns[name]]) for name, source in edges]
        for number, edges in enumerate(cell.nodes)
    ]


def scene(genotype: Genotype, *, alphas: Weights | None = None, legend: bool = True) -> Scene:
    """The drawing of a genotype, before it is written."""
    marks: list[Mark] = []
    y, across = _MARGIN, 0.0
    pictures = [
        (name, picture(cell, name == "recurrent", None if alphas is None else alphas.get(name)))
        for name, cell in genotype.cells
    ]
    across = max(made.width for _, made in pictures)
    for name, made in pictures:
        marks.append(Label(_MARGIN, y + 7, _title(name), 14.0, bold=True, start=True))
        y += 28.0
        marks += [mark.moved(_MARGIN + (across - made.width) / 2, y) for mark in made.marks]
        y += made.height + 26.0
    if legend:
        keys, height = _legend(genotype, across)
        marks += [mark.moved(_MARGIN, y) for mark in keys]
        y += height
    title = " and ".join(_title(name).lower() for name, _ in genotype.cells)
    return Scene(tuple(marks), across + 2 * _MARGIN, y, title[:1].upper() + title[1:], describe(genotype))


def describe(genotype: Genotype) -> str:
    """The genotype in sentences, for those who do not see the drawing."""
    return " ".join(_sentences(name, cell) for name, cell in genotype.cells)


def _sentences(name: str, cell: CellGenotype) -> str:
    def called(index: int) -> str:
        if index >= cell.inputs:
            return f"node {index}"
        return "the first state" if name == "recurrent" else input_name(index, cell.inputs).plain

    nodes = [
        f"node {cell.inputs + number} is "
        + " plus ".join(f"{op} of {called(source)}" for op, source in edges)
        for number, edges in enumerate(cell.nodes)
    ]
    output = ", ".join(called(index) for index in cell.concat)
    return f"{_title(name)}: {'; '.join(nodes)}; the output is made of {output}."


def _title(name: str) -> str:
    return _TITLES.get(name, f"Cell {name}")


def _legend(genotype: Genotype, across: float) -> tuple[list[Mark], float]:
    """A line and a name for every kind of operation that occurs; and its height."""
    present = {kind(name) for name in genotype.operations}
    marks: list[Mark] = []
    x, y = 0.0, 8.0
    for look in [look for key, look in KINDS.items() if key in present]:
        width = 42.0 + text_width(look.title, 11.0) + 20.0
        if x and x + width > across:
            x, y = 0.0, y + 22.0
        line = (x, y), (x + 12, y), (x + 24, y), (x + 36, y)
        marks.append(Curve(line, look.line, 1.6, look.dash))
        marks.append(Box(x + 18, y, 16, 12, 6, look.fill, look.line))
        marks.append(Label(x + 43, y, look.title, 11.0, start=True))
        x += width
    return marks, y + 20.0
