"""A whole model as one ONNX graph, compared with the model row by row before the file is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung import __version__
from rung.deploy.extras import need
from rung.deploy.onnx_estimators import emitter
from rung.deploy.onnx_graph import IR_VERSION, ML, ML_OPSET, OPSET, Graph, Unwritable
from rung.deploy.onnx_inputs import add_inputs
from rung.deploy.onnx_preparation import add_preparation
from rung.deploy.sample_rows import sample_rows
from rung.errors import UserError
from rung.storage.whole import write_whole
from rung.tabular.columns import Column, Kind, prepare
from rung.tabular.frames import as_pandas
from rung.tabular.model import Member, Model
from rung.tabular.names import listed
from rung.tabular.pipeline import Classifying, Constant
from rung.tabular.stacking import Stacked
from rung.tabular.task import label_array

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE: Final = 1e-4
"""How far a probability may be off, or a value in parts of its size (or of the predictions' deviation)."""
STACKED_FLOOR: Final = 1e-6  # probabilities below it are taken as this one, as the stack does
_BATCH: Final = 2_000  # rows of one call


class Exported(NamedTuple):
    """What was written.

    Attributes:
        size: in bytes.
        rows: compared with the model.
        difference: the largest, in the terms of `TOLERANCE`.
    """

    path: Path
    size: int
    rows: int
    difference: float
    inputs: list[str]
    outputs: list[str]


def export_onnx(
    model: Model, path: str | Path, frame: pd.DataFrame | None = None, drop: Sequence[str] = ()
) -> Exported:
    """Write `model` to `path` as ONNX, if onnxruntime then predicts the same.

    Numbers go in as doubles (NaN where missing), categories as strings ("" where missing), dates as doubles
    of seconds since 1970-01-01 UTC, each of shape (n, 1). Out come `prediction`, (n,), labels or values,
    and for classes `probabilities`, (n, k), in the order of `model.task.classes`.

    Args:
        frame: rows to compare on; rows that fit the columns are made up if none are given.
        drop: names of members that are left out; the weights of the others rise in proportion.

    Raises:
        UserError: a column or a member cannot be written as ONNX, the graph predicts otherwise, or the
            libraries are not installed.
        DataError: `frame` lacks a column.
    """
    need("onnx", "exporting to ONNX")
    model = without(model, drop)
    graph, content = _content(model)
    probes = {place: np.concatenate(values) for place, values in graph.probes.items()}
    frame = sample_rows(model.encoder, probes) if frame is None else frame
    session = _session(content)
    difference = _compare(model, session, frame)
    place = Path(path)
    write_whole(place, content, "--out")
    inputs, outputs = session.get_inputs(), session.get_outputs()
    names = [x.name for x in inputs], [x.name for x in outputs]
    return Exported(place, len(content), len(frame), difference, *names)


def without(model: Model, drop: Sequence[str]) -> Model:
    """The model without the members of these names, the other weights raised to sum to 1.

    Raises:
        UserError: there is no such member, or no other.
    """
    names = sorted({member.name for member in model.members})
    for name in drop:
        if name not in names:
            raise UserError(f"the model has no member {name!r} to drop; it has {listed(names, 'and')}")
    kept = [member for member in model.members if member.name not in drop]
    if not kept:
        raise UserError(f"dropping {listed(sorted(set(drop)), 'and')} leaves no member: keep at least one")
    total = sum(member.weight for member in kept)
    if len(kept) == len(model.members) or total <= 0:
        return replace(model, members=kept)
    return replace(model, members=[replace(member, weight=member.weight / total) for member in kept])


# -- the graph --------------------------------------------------------------------------------------------


def _content(model: Model) -> tuple[Graph, bytes]:
    """The graph under construction, and the file's bytes."""
    from onnx import helper

    graph = Graph({column.name for column in model.columns})
    numbers, codes = add_inputs(graph, model.encoder)
    rows = graph.op("Shape", model_input(model), settings={"start": 0, "end": 1})
    total = _mixture(graph, model.members, (numbers, codes, rows))
    if model.task.is_classification:
        total = _tempered(graph, total, model.temperature, model.intercepts)
    elif model.shift:
        total = graph.op("Add", total, model.shift)
    outputs = _outputs(graph, model, total)
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "rung", graph.inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)],
        ir_version=IR_VERSION,
        producer_name="rung",
        producer_version=__version__,
    )
    helper.set_model_props(proto, _facts(model))
    if proto.ByteSize() >= 2**31:
        raise UserError(
            "the graph would be larger than 2 GB, which no ONNX file can be: leave its largest members out "
            "with --drop-member, or fit again with a smaller budget"
        )
    return graph, proto.SerializeToString()


def _mixture(graph: Graph, members: Sequence[Member], given: tuple[str, str, str]) -> str:
    """The weighted mean of the members; all that cannot be written are named at once."""
    total, reasons = "", {}
    for member in members:
        try:
            found = _tempered(graph, _member(graph, member, given), member.temperature)
            part = graph.op("Mul", found, float(member.weight))
        except Unwritable as reason:
            reasons[member.name] = str(reason)
            continue
        total = graph.op("Add", total, part) if total else part
    if reasons:
        told = listed([f"{name!r} ({why})" for name, why in reasons.items()], "and")
        if not total:
            raise UserError(
                f"no member of the model can be written as ONNX: {told}; serve it with rung serve, or take "
                "--to mlflow"
            )
        noun, them = ("the member", "it") if len(reasons) == 1 else ("the members", "them")
        hint = " ".join(f"--drop-member {name}" for name in reasons)
        raise UserError(
            f"{noun} {told} cannot be written as ONNX: leave {them} out with {hint}, or serve the model with "
            "rung serve"
        )
    return total


def _tempered(
    graph: Graph, probabilities: str, temperature: float, intercepts: NDArray[np.float64] | None = None
) -> str:
    """As `rung.tabular.decide.tempered`."""
    if temperature == 1.0 and intercepts is None:
        return probabilities
    logs = graph.op("Log", graph.op("Clip", probabilities, 1e-12, 1.0))
    logs = graph.op("Div", logs, float(temperature))
    if intercepts is not None:
        logs = graph.op("Add", logs, intercepts)
    return graph.op("Softmax", logs, settings={"axis": -1})


def model_input(model: Model) -> str:
    """The first column that the model reads."""
    return next(column.name for column in model.columns if column.used)


def _facts(model: Model) -> dict[str, str]:
    columns = [
        {"name": c.name, "kind": str(c.kind), **({"form": c.form} if c.form else {})}
        for c in model.columns
        if c.used
    ]
    return {
        "task": model.task.kind,
        "target": model.target,
        "classes": json.dumps(list(model.task.classes), ensure_ascii=False),
        "columns": json.dumps(columns, ensure_ascii=False),
    }


def _member(graph: Graph, member: Member, given: tuple[str, str, str]) -> str:
    parts = [_pipeline(graph, pipeline, given) for pipeline in member.pipelines]
    return graph.op("Div", graph.op("Sum", *parts), float(len(parts)))


def _pipeline(graph: Graph, pipeline: Any, given: tuple[str, str, str]) -> str:
    """Probabilities (n, k), or values (n, 1)."""
    numbers, codes, rows = given
    if isinstance(pipeline, Constant):
        width = np.array([max(pipeline.prediction.size, 1)])
        shape = graph.op("Concat", rows, width, settings={"axis": 0})
        return graph.op("Expand", pipeline.prediction.reshape(1, -1).astype(np.float64), shape)
    if isinstance(pipeline, Stacked):
        return _stacked(graph, pipeline, given)
    emit = emitter(pipeline.estimator, pipeline.preparation.sizes)
    matrix = add_preparation(graph, pipeline.preparation, numbers, codes)
    if emit is None or matrix is None:
        raise Unwritable(type(pipeline.estimator).__name__)
    raw = emit(graph, pipeline.estimator, matrix)
    if isinstance(pipeline, Classifying):
        return _trusted(graph, pipeline, raw)
    known = graph.op("Where", graph.op("IsNaN", raw), 0.0, raw)
    value = graph.op("Add", graph.op("Mul", known, float(pipeline.scale)), float(pipeline.center))
    if pipeline.log:
        size = graph.op("Exp", graph.op("Min", graph.op("Abs", value), 700.0))
        away = graph.op("Mul", graph.op("Sub", size, 1.0), float(pipeline.unit))
        value = graph.op("Mul", graph.op("Sign", value), away)
    return graph.op("Clip", value, float(pipeline.low), float(pipeline.high))


def _stacked(graph: Graph, pipeline: Stacked, given: tuple[str, str, str]) -> str:
    """The head on what the bases predict: log odds against the first class, or values."""
    told = [_tempered(graph, _member(graph, base, given), base.temperature) for base in pipeline.bases]
    if pipeline.classes:
        rest = np.arange(1, pipeline.classes)
        logs = [graph.op("Log", graph.op("Clip", one, STACKED_FLOOR, 1.0)) for one in told]
        told = [graph.op("Sub", graph.take(log, rest), graph.take(log, [0])) for log in logs]
    emit = emitter(pipeline.head)
    if emit is None:
        raise Unwritable(type(pipeline.head).__name__)
    raw = emit(graph, pipeline.head, graph.join(told))
    if pipeline.classes:
        return raw
    return graph.op("Clip", raw, float(pipeline.low), float(pipeline.high))


def _trusted(graph: Graph, pipeline: Classifying, raw: str) -> str:
    """All classes' probabilities, (n, k), from those of the classes seen, (n, m), mixed with their shares."""
    seen, shares = pipeline.seen, pipeline.shares
    raw = graph.op("Where", graph.op("IsNaN", raw), 1.0 / len(seen), raw)
    total = graph.op("ReduceSum", raw, np.array([1]), settings={"keepdims": 1})
    share = graph.op("Div", raw, graph.op("Max", total, 1e-300))
    if pipeline.odds is not None:
        share = graph.op("Mul", share, pipeline.odds[None, :])
        total = graph.op("ReduceSum", share, np.array([1]), settings={"keepdims": 1})
        share = graph.op("Div", share, graph.op("Max", total, 1e-300))
    if len(seen) < len(shares):
        share = graph.op("MatMul", share, np.eye(len(shares))[seen])
    told = graph.op("Mul", share, float(pipeline.trust))
    return graph.op("Add", told, (1 - float(pipeline.trust)) * shares[None, :])


def _outputs(graph: Graph, model: Model, total: str) -> list[Any]:
    from onnx import TensorProto, helper

    columns = {column.name for column in model.columns}
    first, second = (_free(name, columns) for name in ("prediction", "probabilities"))
    if not model.task.is_classification:
        graph.op("Squeeze", total, np.array([1]), output=first)
        return [helper.make_tensor_value_info(first, TensorProto.DOUBLE, ["rows"])]
    graph.op("Identity", total, output=second)
    weighed = total if model.factors is None else graph.op("Mul", total, model.factors[None, :])
    best = graph.op("ArgMax", weighed, settings={"axis": 1, "keepdims": 0})
    labels = label_array(model.task.classes)
    if labels.dtype == object:
        labels = np.array([str(label) for label in labels], dtype=object)
    graph.op("Gather", labels, best, output=first)
    kind = {"O": TensorProto.STRING, "i": TensorProto.INT64, "b": TensorProto.BOOL, "f": TensorProto.DOUBLE}
    return [
        helper.make_tensor_value_info(first, kind[labels.dtype.kind], ["rows"]),
        helper.make_tensor_value_info(second, TensorProto.DOUBLE, ["rows", len(labels)]),
    ]


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


# -- the comparison ---------------------------------------------------------------------------------------


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feeds(columns: tuple[Column, ...], frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """What the graph takes for this frame's rows: for each used column (n, 1)."""
    cells = prepare(as_pandas(frame), columns)
    given: dict[str, NDArray[Any]] = {}
    for column in columns:
        if not column.used:
            continue
        cell = cells[column.name]
        if column.kind == Kind.CATEGORY:
            words = np.array(["" if x is None else x for x in cell.to_numpy(dtype=object)], dtype=object)
            given[column.name] = words[:, None]
        elif column.kind == Kind.DATE:
            stamps = cell.to_numpy(dtype="datetime64[ns]")
            seconds = stamps.astype(np.int64) / 1e9
            given[column.name] = np.where(np.isnat(stamps), np.nan, seconds)[:, None]
        else:
            given[column.name] = cell.to_numpy(dtype=np.float64)[:, None]
    return given


def _run(session: Any, columns: tuple[Column, ...], frame: pd.DataFrame) -> NDArray[np.float64]:
    """Probabilities (n, k), or values (n,)."""
    name = session.get_outputs()[-1].name
    parts = [
        session.run([name], feeds(columns, frame.iloc[i : i + _BATCH]))[0]
        for i in range(0, len(frame), _BATCH)
    ]
    return np.concatenate(parts)


def _compare(model: Model, session: Any, frame: pd.DataFrame) -> float:
    difference = _difference(model, _run(session, model.columns, frame), frame)
    if difference.max() <= TOLERANCE:
        return float(difference.max())
    row = int(difference.argmax())
    names = _guilty(model, frame)
    whose = f"; the difference is that of {listed(names, 'and')}" if names else ""
    hint = " ".join(f"--drop-member {name}" for name in names) or "fit again with another seed"
    raise UserError(
        f"the graph predicts otherwise than the model, by {difference[row]:.2g} in row {row + 1} "
        f"({int((difference > TOLERANCE).sum())} of {len(frame)} rows differ by more than {TOLERANCE:g})"
        f"{whose}: nothing was written; try {hint}"
    )


def _difference(model: Model, found: NDArray[np.float64], frame: pd.DataFrame) -> NDArray[np.float64]:
    """(n,), in the terms of `TOLERANCE`."""
    from rung.tabular.evaluate import quietly

    with quietly():
        wanted = model.raw(frame)
    if model.task.is_classification:
        return np.asarray(np.abs(found - wanted).max(axis=1))
    size = np.maximum(np.abs(wanted), np.std(wanted))
    return np.asarray(np.abs(found - wanted) / np.maximum(size, 1e-300))


def _guilty(model: Model, frame: pd.DataFrame) -> list[str]:
    """The members whose own graphs differ from them."""
    names = []
    for name in dict.fromkeys(member.name for member in model.members):
        others = [other.name for other in model.members if other.name != name]
        single = without(model, others)
        session = _session(_content(single)[1])
        if (_difference(single, _run(session, model.columns, frame), frame) > TOLERANCE).any():
            names.append(name)
    return names
