"""The encoder as ONNX: one input a used column; numbers, seconds of dates, and the words of categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from rung.deploy.onnx_graph import ML, Graph
from rung.errors import UserError
from rung.tabular.columns import Column, Kind
from rung.tabular.encode import Encoder

_LARGEST = 1e30  # as the encoder cuts
_DAY = 86_400.0


def add_inputs(graph: Graph, encoder: Encoder) -> tuple[str, str]:
    """Inputs for all used columns; returns numbers, (n, a) doubles, and codes, (n, b) int64, -1 if unknown.

    Raises:
        UserError: a column is text, has "" among its levels, or no column is used.
    """
    used = [column for column in encoder.columns if column.used]
    for column in used:
        if column.kind == Kind.TEXT:
            raise UserError(
                f"column {column.name!r} is text, which ONNX has no operator for: fit again without it "
                "(rung fit --drop) or with its cells whole (--kinds NAME=category), or serve the model with "
                "rung serve"
            )
    for name, levels in zip(encoder.names(Kind.CATEGORY), encoder.levels, strict=True):
        if "" in levels:
            raise UserError(
                f"column {name!r} has empty words as a level, which ONNX cannot tell from a missing cell: "
                "make them missing, or name them, and fit again; rung serve takes the model as it is"
            )
    if not used:
        raise UserError(
            "the model reads no column, so that a graph would have no input: fit it on a table with columns "
            "that tell something"
        )
    for column in used:
        graph.inputs.append(_input(column))
    numbers = [_finite(graph, name) for name in encoder.names(Kind.NUMBER)]
    numbers += [part for name in encoder.names(Kind.DATE) for part in _date_parts(graph, name)]
    codes = [_code(graph, *pair) for pair in zip(encoder.names(Kind.CATEGORY), encoder.levels, strict=True)]
    return _joined(graph, numbers, used[0], np.float64), _joined(graph, codes, used[0], np.int64)


def _input(column: Column) -> Any:
    from onnx import TensorProto, helper

    kind = TensorProto.STRING if column.kind == Kind.CATEGORY else TensorProto.DOUBLE
    return helper.make_tensor_value_info(column.name, kind, ["rows", 1])


def _joined(graph: Graph, blocks: list[str], first: Column, kind: type[np.generic]) -> str:
    """Side by side; a matrix without columns where there are none."""
    if blocks:
        return graph.join(blocks)
    rows = graph.op("Shape", first.name, settings={"start": 0, "end": 1})
    shape = graph.op("Concat", rows, np.zeros(1, dtype=np.int64), settings={"axis": 0})
    return graph.op("Expand", np.zeros((1, 1), dtype=kind)[:, :0], shape)


def _finite(graph: Graph, name: str) -> str:
    known = graph.op("Where", graph.op("IsInf", name), float("nan"), name)
    return graph.bounded(known, -_LARGEST, _LARGEST)


def _code(graph: Graph, name: str, levels: Any) -> str:
    return graph.op(
        "LabelEncoder",
        name,
        domain=ML,
        settings={
            "keys_strings": [str(level) for level in levels],
            "values_int64s": list(range(len(levels))),
            "default_int64": -1,
        },
    )


def _date_parts(graph: Graph, name: str) -> list[str]:
    """Days since 1970, year, month, day, weekday (Monday is 0) and hour of seconds since 1970: six (n, 1).

    The calendar is that of Howard Hinnant, "chrono-compatible low-level date algorithms" (civil_from_days);
    whole numbers in doubles, so that NaN stays NaN.
    """

    def op(kind: str, *given: Any) -> str:
        return graph.op(kind, *given)

    def whole(value: str, by: float) -> str:
        return op("Floor", op("Div", value, by))

    def rest(value: str, by: float) -> str:
        return op("Sub", value, op("Mul", whole(value, by), by))

    seconds = op("Where", op("IsInf", name), float("nan"), name)
    days = op("Div", seconds, _DAY)
    day = op("Floor", days)
    hour = whole(op("Sub", seconds, op("Mul", day, _DAY)), 3600.0)
    weekday = rest(op("Add", day, 3.0), 7.0)  # 1970 began on a Thursday
    shifted = op("Add", day, 719_468.0)  # from 1 March of the year 0
    era, of_era = whole(shifted, 146_097.0), rest(shifted, 146_097.0)
    leaps = op("Sub", op("Add", op("Sub", of_era, whole(of_era, 1460.0)), whole(of_era, 36_524.0)),
               whole(of_era, 146_096.0))  # fmt: skip
    year_of_era = whole(leaps, 365.0)
    before = op("Sub", op("Add", op("Mul", year_of_era, 365.0), whole(year_of_era, 4.0)),
                whole(year_of_era, 100.0))  # fmt: skip
    day_of_year = op("Sub", of_era, before)
    shifted_month = whole(op("Add", op("Mul", day_of_year, 5.0), 2.0), 153.0)  # March is 0
    past = whole(op("Add", op("Mul", shifted_month, 153.0), 2.0), 5.0)
    day_of_month = op("Add", op("Sub", day_of_year, past), 1.0)
    late = op("Less", shifted_month, 9.5)  # March to December
    month = op("Add", shifted_month, op("Where", late, 3.0, -9.0))
    year = op("Add", op("Add", year_of_era, op("Mul", era, 400.0)), op("Where", late, 0.0, 1.0))
    return [days, year, month, day_of_month, weekday, hour]
