"""How a search's study is worded: by cells instead of an edge a parameter. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rung.nas.genotype import CellGenotype, Genotype

if TYPE_CHECKING:
    from rung.nas.space import Cell
    from rung.trials.events import Identity
    from rung.trials.history import History


class Wording(NamedTuple):
    """How a study is worded whose parameters say little one by one, such as the edges of a cell.

    Attributes:
        configuration: by a trial's number, (name, value) in place of its parameters; None for these.
        space: rows of the search space: name, what it may be, when; None for a row a parameter.
        counted: what there is in place of so many parameters, such as "2 cells"; None for these.
        per_parameter: whether plots are drawn that have a panel or an axis for each parameter.
    """

    configuration: Callable[[int], list[tuple[str, str]] | None]
    space: list[tuple[str, str, str]] | None = None
    counted: str | None = None
    per_parameter: bool = True


def wording_of(history: History) -> Wording | None:
    """A search's, by cells; None of other studies."""
    if history.identity.door != "search":
        return None

    def cells(trial: int) -> list[tuple[str, str]] | None:
        genotype = found(history, trial)
        return None if genotype is None else [(name, cell_text(cell)) for name, cell in genotype.cells]

    form = history.identity.sampler.settings.get("space")
    if form is None:  # a supernet: its study has one trial
        return Wording(cells)
    from rung.nas.discrete.configurations import space_of_form

    space = space_of_form(form)
    rows = [(cell.name, _possible(cell), "") for cell in space.cells]
    counted = f"{len(rows)} cell{'s' * (len(rows) != 1)} of space {space.name}"
    return Wording(cells, rows, counted, per_parameter=False)


def found(history: History, trial: int) -> Genotype | None:
    """The architecture of a trial: of a network of its own, or of a supernet's last epoch.

    Args:
        trial: its number.

    Returns:
        None where the study is no search, or has not come so far.
    """
    if history.identity.door != "search":
        return None
    own = architecture(history.identity, history.config(trial))
    if own is not None:
        return own
    for topic in ("result", "epoch"):
        if history.records.get(topic):
            return Genotype.from_dict(history.records[topic][-1].data["genotype"])
    return None


def architecture(identity: Identity, config: Mapping[str, Any]) -> Genotype | None:
    """The genotype that a configuration is; None where the study's trials are no networks of their own."""
    if identity.door != "search" or "strategy" not in identity.sampler.settings:
        return None
    from rung.nas.discrete.configurations import genotype_of, space_of_form

    return genotype_of(space_of_form(identity.sampler.settings["space"]), config)


def cell_text(cell: CellGenotype) -> str:
    """A cell in a line: for each node the operations that enter it, and what they read."""
    nodes = (" + ".join(f"{operation}({source})" for operation, source in edges) for edges in cell.nodes)
    return "; ".join(f"{cell.inputs + number}: {node}" for number, node in enumerate(nodes))


def cells_text(genotype: Genotype) -> str:
    """A genotype, a line a cell."""
    width = max(len(name) for name, _ in genotype.cells)
    return "\n".join(f"{name:<{width}}  {cell_text(cell)}" for name, cell in genotype.cells)


def _possible(cell: Cell) -> str:
    """What a cell may be, in words."""
    kept = ", ".join(cell.operations)
    return f"{cell.nodes} nodes, {len(cell.edges)} edges, an edge that is kept one of: {kept}"
