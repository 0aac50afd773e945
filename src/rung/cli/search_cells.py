"""`rung search draw`, `show` and `count`: what is in a cell file."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rung.cli import output
from rung.cli.options import Json
from rung.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rung.nas.genotype import Genotype
    from rung.nas.space import Space

CellFile = Annotated[
    Path,
    typer.Argument(
        metavar="CELL",
        help="What a search wrote, or a bare genotype: JSON, or text such as Genotype(normal=...).",
    ),
]
Own = Annotated[
    str | None,
    typer.Option("--space", metavar="FILE.py:NAME", help="Your own space, if the cell has its operations."),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="Ends in .svg, or in .png or .pdf (needs matplotlib).")
]
Channels = Annotated[
    int | None,
    typer.Option(min=1, help="Of a node in the first cells.", show_default="36; 48 with the imagenet stem"),
]
Layers = Annotated[
    int | None, typer.Option(min=1, help="Cells in the stack.", show_default="20; 14 with the imagenet stem")
]
ImageSize = Annotated[
    int | None,
    typer.Option(min=1, help="Side of a picture, in pixels.", show_default="32; 224 with the imagenet stem"),
]
Classes = Annotated[
    int | None, typer.Option(min=1, help="Of the pictures.", show_default="10; 1000 with the imagenet stem")
]
Stem = Annotated[
    Literal["cifar", "imagenet"] | None,
    typer.Option(
        help="What stands before the cells: imagenet divides the size by eight.", show_default="cifar"
    ),
]
Auxiliary = Annotated[
    bool, typer.Option("--auxiliary", help="Count the second head too, which is there in training only.")
]
Hidden = Annotated[
    int | None, typer.Option(min=1, help="Of a recurrent cell: width of its state.", show_default="850")
]
Vocabulary = Annotated[
    int | None, typer.Option(min=1, help="Of a recurrent cell: number of words.", show_default="10000")
]


def draw(cell: CellFile, out: Out = Path("cell.svg"), space: Own = None) -> None:
    """Draw a cell file's cells: inputs, nodes, and the operation on every edge."""
    from rung.cli.begin import check_apart, check_writable
    from rung.nas.drawing import draw as write

    check_apart(out, "--out", {"the cell file": cell})
    check_writable(out, "--out")
    path = write(read_cell(cell, own_operations(space)), out)
    output.say(f"drawn: {path}")


def show(cell: CellFile, space: Own = None, json: Json = False) -> None:
    """Show a cell file: its edges, its text form, and if a search wrote it, how good and how dear it was."""
    genotype = read_cell(cell, own_operations(space))
    facts = figures(cell)
    if json:
        output.print_json({"genotype": genotype.to_dict(), **facts})
        return
    console = output.out()
    for name, _ in genotype.cells:
        console.print(f"{name}", style="bold")
        console.print(_table(genotype, name))
        console.print()
    console.print(genotype.to_text(), soft_wrap=True)
    rows = _rows(facts)
    if rows:
        console.print()
    for label, text in rows:
        console.print(f"{label:<16} ", style="bold", end="")
        console.print(text)


def count(  # noqa: PLR0913  # a door
    cell: CellFile,
    channels: Channels = None,
    layers: Layers = None,
    image_size: ImageSize = None,
    classes: Classes = None,
    stem: Stem = None,
    auxiliary: Auxiliary = False,
    hidden: Hidden = None,
    vocabulary: Vocabulary = None,
    space: Own = None,
    json: Json = False,
) -> None:
    """Count a cell's network: parameters and multiply-adds, exact; without options, the papers' network."""
    from rung.deploy.extras import need

    need("torch", "rung search count")
    own = own_operations(space)
    genotype = read_cell(cell, own)
    pictures = {
        "--channels": channels,
        "--layers": layers,
        "--image-size": image_size,
        "--classes": classes,
        "--stem": stem,
        "--auxiliary": auxiliary or None,
    }
    text = {"--hidden": hidden, "--vocabulary": vocabulary}
    _only(genotype, pictures, text)
    from rung.nas.counting import count as counted
    from rung.nas.counting import count_recurrent

    if genotype.recurrent:
        counts = count_recurrent(genotype, hidden or 850, vocabulary or 10_000)
    else:
        large = stem == "imagenet"
        counts = counted(
            genotype,
            channels or (48 if large else 36),
            layers or (14 if large else 20),
            classes or (1000 if large else 10),
            image_size=image_size or (224 if large else 32),
            stem=stem or "cifar",
            auxiliary=auxiliary,
            table=own_table(space),
        )
    if json:
        output.print_json(counts._asdict())
        return
    console = output.out()
    console.print(f"{counts.parameters:,} parameters, {counts.multiply_adds:,} multiply-adds")
    console.print(counts.convention, style="dim", soft_wrap=True)


def _only(genotype: Genotype, pictures: dict[str, Any], text: dict[str, Any]) -> None:
    """Refuse options of the other kind of cell.

    Raises:
        UserError: one was given.
    """
    wrong, fitting = (pictures, text) if genotype.recurrent else (text, pictures)
    given = [name for name, value in wrong.items() if value is not None]
    if given:
        kind = "a recurrent cell" if genotype.recurrent else "a cell for pictures"
        raise UserError(f"{given[0]} does not apply to {kind}: it takes {', '.join(fitting)}")


def own_table(space: str | None) -> dict[str, Any]:
    """All operations by name, those of a user's own space among them.

    Raises:
        UserError: as for `own_operations`.
    """
    from rung.nas.operations import OPERATIONS

    return {**OPERATIONS, **own_operations(space)}


def own_operations(space: str | None) -> dict[str, Any]:
    """The operations of a user's own space, by name.

    Raises:
        UserError: the file or the variable is not there, or is no space.
    """
    return {} if space is None else dict(space_given(space).operations)


def space_given(text: str) -> Space:
    """A shipped space by name, or a user's own.

    Raises:
        UserError: there is none of this name; or as for `space_named`.
    """
    from rung.cli.search_run import space_named
    from rung.nas.space import SPACES, Space

    found = space_named(text)
    if isinstance(found, Space):
        return found
    if found not in SPACES:
        raise UserError(f"unknown space {found!r}: there are {', '.join(SPACES)}, or write FILE.py:NAME")
    return SPACES[found]


def read_cell(path: str | Path, own: Mapping[str, Any] | None = None) -> Genotype:
    """The genotype in a cell file, its operations checked against those there are.

    Without torch only the operations of the shipped spaces are known, and others are let pass.

    Args:
        own: operations beside those there are, by name.

    Raises:
        SpaceError: it cannot be read, is no genotype, or names an unknown operation.
    """
    from importlib.util import find_spec

    from rung.errors import SpaceError
    from rung.nas.genotype import Genotype
    from rung.nas.space import SPACES

    genotype = Genotype.read(path)
    shipped = [cell for space in SPACES.values() for cell in space.cells]
    known = {
        name
        for cell in shipped
        if (cell.name == "recurrent") == genotype.recurrent
        for name in cell.operations
    }
    known |= set(own or ())
    if set(genotype.operations) <= known:
        return genotype
    if not genotype.recurrent:
        if find_spec("torch") is None:
            return genotype
        from rung.nas.operations import OPERATIONS

        known |= set(OPERATIONS)
    try:
        return genotype.check(dict.fromkeys(known))
    except SpaceError as error:
        hint = "" if own else "; for a space of your own give --space FILE.py:NAME"
        raise SpaceError(f"{path}: {error}{hint}") from error


ACCURACIES = ("searched", "derived", "retrained")
GAPS = ("outputs", "accuracy")
COSTS = ("seconds", "passes", "images")


def figures(path: Path) -> dict[str, Any]:
    """What a search's result says of itself; None where that is unknown, as all is of a bare genotype.

    What is no number, in a file that was edited by hand, is unknown, too.
    """
    form = _result(path)
    perplexity = _part(form, "perplexity", ())  # of recurrent cells
    return {
        "parameters": _number(form.get("parameters")),
        "cost": _part(form, "cost", COSTS),
        "accuracy": _part(form, "accuracy", ACCURACIES),
        "relaxation_gap": _part(form, "relaxation_gap", GAPS),
        **({"perplexity": perplexity} if perplexity else {}),
    }


def _result(path: Path) -> dict[str, Any]:
    """A search's result as it was written; empty of a bare genotype."""
    try:
        form = jsons.loads(path.read_text(encoding="utf-8"))
    except jsons.JSONDecodeError:  # the reference's text form
        return {}
    return form if isinstance(form, dict) and "genotype" in form else {}


def space_searched(path: Path) -> Space | None:
    """The shipped space that a cell file says its cell was searched in, if the cell is one of it."""
    from rung.nas.genotype import Genotype
    from rung.nas.retraining_transfer import holds
    from rung.nas.space import SPACES

    name = _result(path).get("space")
    space = SPACES.get(name) if isinstance(name, str) else None
    return space if space is not None and holds(space, Genotype.read(path)) else None


def _part(form: dict[str, Any], key: str, names: tuple[str, ...]) -> dict[str, Any]:
    """An object of the result, with these names first."""
    part = form.get(key)
    part = part if isinstance(part, dict) else {}
    return {**dict.fromkeys(names), **{name: _number(value) for name, value in part.items()}}


def _number(value: Any) -> int | float | None:
    """What is one; None of anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _table(genotype: Genotype, name: str) -> Any:
    from rung.nas.drawing_cell import input_name

    cell = genotype[name]
    table = output.grid("node", "operation", "input", right=("node",))
    for number, edges in enumerate(cell.nodes):
        for operation, source in edges:
            said = str(source)
            if source < cell.inputs and not genotype.recurrent:
                said += f"  {input_name(source, cell.inputs).plain}"
            table.add_row(str(cell.inputs + number), operation, said)
    table.add_row("out", "", ", ".join(map(str, cell.concat)))
    return table


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What is known, as label and text."""
    rows = []
    if facts["parameters"] is not None:
        rows.append(("parameters", f"{facts['parameters']:,}"))
    titles = {
        "cost": "cost",
        "accuracy": "accuracy",
        "perplexity": "perplexity",
        "relaxation_gap": "relaxation gap",
    }
    for key, title in titles.items():
        part = facts.get(key, {})
        known = [f"{name} {_figure(value)}" for name, value in part.items() if value is not None]
        if known:
            rows.append((title, ", ".join(known)))
    return rows


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else output.number(value)
