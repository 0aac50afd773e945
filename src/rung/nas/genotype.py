"""A genotype: a discrete cell architecture, its JSON form and the text form of the DARTS reference."""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rung.errors import SpaceError

Edge = tuple[str, int]  # operation, and the node or input that it reads

ZERO: Final = "none"  # the operation that gives zeros, and costs nothing

_RECURRENT: Final = "recurrent"
_INPUTS: Final = {_RECURRENT: 1}  # of a cell by name; all others read the outputs of the two cells before
_MOST: Final = 10_000  # nodes in a range
_PER_NODE: Final = {_RECURRENT: 1}  # edges of a node in the flat form; all others 2


@dataclass(frozen=True)
class CellGenotype:
    """One cell.

    Attributes:
        nodes: for each intermediate node, the edges that enter it: (operation, index of what it reads).
            Inputs are counted first: node i has the index `inputs + i`.
        concat: indices of the nodes that make the cell's output.
        inputs: how many inputs the cell has.
    """

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]
    inputs: int = 2

    def __post_init__(self) -> None:
        if not self.nodes:
            raise SpaceError("it has no node: list at least one edge for one")
        for number, edges in enumerate(self.nodes):
            index = self.inputs + number
            if not edges:
                raise SpaceError(f"node {index} of a cell has no input: list at least one edge for it")
            for operation, source in edges:
                if not 0 <= source < index:
                    raise SpaceError(
                        f"edge {operation!r} into node {index} reads {source}: it may read 0 to {index - 1}"
                    )
        last = self.inputs + len(self.nodes) - 1
        wrong = [node for node in self.concat if not 0 <= node <= last]
        if wrong:
            raise SpaceError(
                f"the output is made of node {wrong[0]}, but no input is listed for it: nodes go to {last}"
            )
        if not self.concat:
            raise SpaceError("the cell's output is made of no node: name some in its concat")

    @property
    def operations(self) -> tuple[str, ...]:
        """Those that occur, each once, in order of appearance."""
        return tuple(dict.fromkeys(operation for edges in self.nodes for operation, _ in edges))


@dataclass(frozen=True)
class Genotype:
    """The cells of an architecture, by name: "normal" and "reduce", or "recurrent", or a space's own."""

    cells: tuple[tuple[str, CellGenotype], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.cells]
        for name in names:
            if not name.isidentifier() or keyword.iskeyword(name) or name.endswith(("concat", "_inputs")):
                raise SpaceError(
                    f"{name!r} cannot name a cell: a name is letters, digits and _, and does not end in "
                    "concat or _inputs"
                )
        if not names or len(set(names)) != len(names):
            raise SpaceError("a genotype has at least one cell, each with a name of its own")

    def __getitem__(self, name: str) -> CellGenotype:
        return dict(self.cells)[name]

    def __contains__(self, name: object) -> bool:
        return name in dict(self.cells)

    @property
    def operations(self) -> tuple[str, ...]:
        """Those that occur in any cell, each once."""
        return tuple(dict.fromkeys(name for _, cell in self.cells for name in cell.operations))

    @property
    def recurrent(self) -> bool:
        """Whether this is a cell of a language model."""
        return _RECURRENT in self

    def to_dict(self) -> dict[str, Any]:
        """The form of the JSON file: `{"normal": [[operation, input], ...], "normal_concat": [...], ...}`.

        A cell whose nodes do not have two inputs each (one in a recurrent cell) has one list a node instead,
        and one whose number of inputs is not the usual says it in `NAME_inputs`.
        """
        form: dict[str, Any] = {}
        for name, cell in self.cells:
            flat = all(len(edges) == _PER_NODE.get(name, 2) for edges in cell.nodes)
            nodes = [[list(edge) for edge in edges] for edges in cell.nodes]
            form[name] = [edge for edges in nodes for edge in edges] if flat else nodes
            form["concat" if name == _RECURRENT else f"{name}_concat"] = list(cell.concat)
            if cell.inputs != _INPUTS.get(name, 2):
                form[f"{name}_inputs"] = cell.inputs
        return form

    @staticmethod
    def from_dict(form: Mapping[str, Any]) -> Genotype:
        """The inverse of `to_dict`.

        Raises:
            SpaceError: it is not such a form; the message says where.
        """
        names = [name for name in form if not name.endswith(("concat", "_inputs"))]
        if not names:
            raise SpaceError('a genotype names its cells: {"normal": [[operation, input], ...], ...}')
        for name in form:
            owner = name.removesuffix("_concat").removesuffix("_inputs")
            if owner not in (*names, "concat"):
                raise SpaceError(f"there is {name}, but no cell {owner!r}: list its edges, or leave it out")
        return Genotype(tuple((name, _cell(name, form)) for name in names))

    def to_text(self) -> str:
        """The form of the DARTS reference: `Genotype(normal=[('sep_conv_3x3', 1), ...], ...)`."""
        parts = []
        for key, value in self.to_dict().items():
            if key.endswith("concat"):
                parts.append(f"{key}={_span(value)}")
            elif isinstance(value, list):
                parts.append(f"{key}={_tuples(value)!r}")
            else:
                parts.append(f"{key}={value!r}")
        return f"Genotype({', '.join(parts)})"

    @staticmethod
    def from_text(text: str) -> Genotype:
        """Read `Genotype(normal=[...], normal_concat=range(2, 6), ...)`, as the DARTS reference prints it.

        Raises:
            SpaceError: it is not such a text.
        """
        try:
            call = ast.parse(text.strip(), mode="eval").body
            if not isinstance(call, ast.Call) or call.args:
                raise ValueError
            form = {word.arg or "": _literal(word.value) for word in call.keywords}
            if len(form) != len(call.keywords):
                raise ValueError  # a name twice
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
            raise SpaceError(
                "this is no genotype's text: expected Genotype(normal=[('sep_conv_3x3', 1), ...], ...)"
            ) from error
        return Genotype.from_dict(form)

    @staticmethod
    def parse(text: str) -> Genotype:
        """Read either form, JSON or the reference's; of a search's result, its genotype.

        Raises:
            SpaceError: it is neither.
        """
        if re.match(r"\s*(\w+\s*=\s*)?Genotype\(", text):
            return Genotype.from_text(text[text.index("Genotype(") :])
        try:
            form = json.loads(text)
        except json.JSONDecodeError as error:
            raise SpaceError(
                f"neither JSON nor a text such as Genotype(normal=...): {error.msg} in line {error.lineno}"
            ) from error
        except RecursionError as error:
            raise SpaceError("this is no genotype: it is nested too deeply") from error
        if isinstance(form, dict) and isinstance(form.get("genotype"), dict | str):
            form = form["genotype"]
        if isinstance(form, str):
            return Genotype.from_text(form)
        if not isinstance(form, dict):
            raise SpaceError(f"a genotype is a JSON object, not {type(form).__name__}")
        return Genotype.from_dict(form)

    @staticmethod
    def read(path: str | Path) -> Genotype:
        """Read a cell file.

        Raises:
            SpaceError: it cannot be read, or holds no genotype.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SpaceError(f"cannot read the cell file {path}: {why}") from error
        try:
            return Genotype.parse(text)
        except SpaceError as error:
            raise SpaceError(f"{path}: {error}") from error

    def check(self, known: Mapping[str, Any]) -> Genotype:
        """The same, if every operation is in the table `known`.

        Raises:
            SpaceError: naming the first that is not, and those there are.
        """
        for name in self.operations:
            if name not in known:
                raise SpaceError(f"unknown operation {name!r}: known are {', '.join(sorted(known))}")
        return self


def _cell(name: str, form: Mapping[str, Any]) -> CellGenotype:
    inputs = form.get(f"{name}_inputs", _INPUTS.get(name, 2))
    if not _is_index(inputs) or inputs < 1:
        raise SpaceError(f"{name}_inputs is a number of inputs, from 1, not {inputs!r}")
    nodes = tuple(
        tuple(_edge(name, edge) for edge in _edges(name, edges))
        for edges in _listed(name, form[name], inputs)
    )
    concat = form.get(
        "concat" if name == _RECURRENT else f"{name}_concat", range(inputs, inputs + len(nodes))
    )
    if not isinstance(concat, Sequence) or not all(_is_index(node) for node in concat):
        raise SpaceError(f"the concat of cell {name!r} is a list of nodes, not {concat!r}")
    try:
        return CellGenotype(nodes, tuple(concat), inputs)
    except SpaceError as error:
        raise SpaceError(f"cell {name!r}: {error}") from error


def _listed(name: str, listed: Any, inputs: int) -> Sequence[Any]:
    """The nodes of a cell, of a list of nodes or of a flat list of edges."""
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise SpaceError(f"cell {name!r} is a list of [operation, input], not {listed!r}")
    if not any(_is_edge(item) for item in listed):
        return listed
    per_node = _PER_NODE.get(name, 2)
    if len(listed) % per_node:
        raise SpaceError(
            f"cell {name!r} lists {len(listed)} edge{'s' * (len(listed) > 1)}, but each node has {per_node}: "
            f"node {inputs + len(listed) // per_node} lacks an input"
        )
    return [listed[i : i + per_node] for i in range(0, len(listed), per_node)]


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_edge(item: Any) -> bool:
    return isinstance(item, Sequence) and len(item) == 2 and isinstance(item[0], str)


def _edges(name: str, edges: Any) -> Sequence[Any]:
    if not isinstance(edges, Sequence) or isinstance(edges, str):
        raise SpaceError(f"cell {name!r}: a node is a list of [operation, input], not {edges!r}")
    return edges


def _edge(name: str, edge: Any) -> Edge:
    if not _is_edge(edge) or not _is_index(edge[1]):
        raise SpaceError(
            f'cell {name!r}: an edge is [operation, input], such as ["skip_connect", 0], not {edge!r}'
        )
    return edge[0], edge[1]


def _tuples(value: list[Any]) -> list[Any]:
    return [tuple(item) if _is_edge(item) else _tuples(item) for item in value]


def _span(nodes: list[int]) -> str:
    if len(nodes) > 1 and nodes == list(range(nodes[0], nodes[-1] + 1)):
        return f"range({nodes[0]}, {nodes[-1] + 1})"
    return repr(nodes)


def _literal(node: ast.expr) -> Any:
    """A literal, or `range(a, b)` of two."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        span = range(*(int(ast.literal_eval(argument)) for argument in node.args))
        if len(span) > _MOST:
            raise ValueError
        return list(span)
    return ast.literal_eval(node)
