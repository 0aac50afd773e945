"""Builds an ONNX graph, one operator a call; all arithmetic in double precision, as the model computes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OPSET: Final = 18
ML_OPSET: Final = 5  # the first with trees whose thresholds and sums are doubles
IR_VERSION: Final = 9
ML: Final = "ai.onnx.ml"

NONE: Final[Mapping[str, Any]] = {}

Value = str | float | NDArray[Any]
"""A tensor of the graph by its name, or a constant (Python's floats are doubles)."""


class Unwritable(Exception):  # noqa: N818  # no error yet: all members are looked at first
    """A member has no form as a graph; the message says what of it."""


class Graph:
    """The nodes, constants and inputs of a graph under construction.

    Args:
        taken: names that the columns have.

    Attributes:
        probes: for each number that goes into the graph (by its index), values at which the model's answer
            may change: rows for the comparison are drawn there.
    """

    def __init__(self, taken: Collection[str] = ()) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.probes: dict[int, list[NDArray[np.float64]]] = {}
        self.taken = frozenset(taken)
        self._count = 0

    def name(self) -> str:
        """A new name, unlike any column's."""
        while True:
            self._count += 1
            if (name := f"rung/{self._count}") not in self.taken:
                return name

    def inner(self) -> Graph:
        """A graph inside this one, whose names are others."""
        graph = Graph(self.taken)
        graph._count = self._count + 1_000_000
        return graph

    def constant(self, value: float | NDArray[Any]) -> str:
        """A constant tensor; Python's floats are doubles without a dimension."""
        from onnx import numpy_helper

        name = self.name()
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(
        self,
        kind: str,
        *inputs: Value,
        domain: str = "",
        output: str = "",
        settings: Mapping[str, Any] = NONE,
    ) -> str:
        """Add a node with one output; `settings` are its attributes. Returns the output's name."""
        from onnx import helper

        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        output = output or self.name()
        self.nodes.append(helper.make_node(kind, names, [output], domain=domain, **settings))
        return output

    def ops(self, kind: str, count: int, *inputs: Value, settings: Mapping[str, Any] = NONE) -> list[str]:
        """Add a node with several outputs."""
        from onnx import helper

        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        outputs = [self.name() for _ in range(count)]
        self.nodes.append(helper.make_node(kind, names, outputs, **settings))
        return outputs

    def cast(self, value: str, kind: type[np.generic]) -> str:
        from onnx import helper

        return self.op("Cast", value, settings={"to": helper.np_dtype_to_tensor_dtype(np.dtype(kind))})

    def take(self, value: str, columns: NDArray[np.integer[Any]] | list[int]) -> str:
        """Columns of a matrix: (n, len(columns))."""
        return self.op("Gather", value, np.asarray(columns, dtype=np.int64), settings={"axis": 1})

    def join(self, blocks: list[str]) -> str:
        """Matrices side by side."""
        return blocks[0] if len(blocks) == 1 else self.op("Concat", *blocks, settings={"axis": 1})

    def bounded(self, value: str, low: float, high: float) -> str:
        """Cut at both ends; NaN stays."""
        cut = self.op("Clip", value, low, high)
        return self.op("Where", self.op("IsNaN", value), value, cut)

    def two(self, second: str) -> str:
        """Probabilities of two classes, (n, 2), from the second's, (n, 1)."""
        return self.join([self.op("Sub", 1.0, second), second])

    def probe(self, column: int, values: NDArray[np.float64]) -> None:
        """Note values of a number at which the answer may change."""
        self.probes.setdefault(column, []).append(np.asarray(values, dtype=np.float64))
