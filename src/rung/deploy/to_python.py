"""The heaviest member of a model as a scikit-learn script that fits it anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rung.deploy.script_parts import Step, estimator_step, first_code, first_step, left_out, preparation_steps
from rung.deploy.script_text import Content, fill
from rung.errors import UserError
from rung.tabular.columns import Kind
from rung.tabular.model import Member, Model
from rung.tabular.names import listed
from rung.tabular.pages import write_text
from rung.tabular.pipeline import Constant

_OF_CLASSES = {
    "auc": "roc_auc",
    "auc_ovr": "roc_auc_ovr",
    "log_loss": "neg_log_loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f1_macro": "f1_macro",
    "mcc": "matthews_corrcoef",
}
_OF_VALUES = {
    "rmse": "neg_root_mean_squared_error",
    "mse": "neg_mean_squared_error",
    "mae": "neg_mean_absolute_error",
    "mape": "neg_mean_absolute_percentage_error",
    "r2": "r2",
}


class Script(NamedTuple):
    """What was written: where, and which member the script fits."""

    path: Path
    member: str


def export_python(model: Model, path: str | Path) -> Script:
    """Write the script to `path`; it takes a table's path, and prints a cross-validated score.

    Raises:
        UserError: no member has a form in scikit-learn, columns are embedded by a pretrained model, or the
            file cannot be written.
    """
    embedded = getattr(model.encoder, "embeddings", None)
    if embedded:
        raise UserError(
            "columns of this model are embedded by a pretrained model, which a script cannot say: use --to "
            "mlflow, or rung serve"
        )
    text, member = script(model, Path(path).name)
    place = Path(path)
    write_text(place, text, "--out")
    return Script(place, member.name)


def script(model: Model, name: str = "model.py") -> tuple[str, Member]:
    """The script's text, and the member that it fits."""
    member, step = _heaviest(model)
    pipeline = member.pipelines[0]
    parts = [] if isinstance(pipeline, Constant) else preparation_steps(pipeline, member.name, model.encoder)
    steps = [first_step(), *parts, step] if parts else [step]
    kinds = {kind: model.encoder.names(kind) for kind in (Kind.NUMBER, Kind.CATEGORY, Kind.DATE, Kind.TEXT)}
    formats = {c.name: c.format or "ISO8601" for c in model.columns if c.kind == Kind.DATE}
    content = Content(
        name=name,
        about=_about(model, member),
        imports=_imports(steps, model),
        formats=formats,
        forms={c.name: c.form for c in model.columns if c.form and not c.unit},
        columns={str(kind): names for kind, names in kinds.items()},
        target=model.target,
        steps=steps,
        scoring=_scoring(model),
        quantile=model.task.quantile,
        classes=model.task.is_classification,
        split=_split(model),
    )
    return fill(content), member


def _heaviest(model: Model) -> tuple[Member, Step]:
    for member, _ in model.shares():
        step = estimator_step(member, model.task, first_code(model.encoder))
        if step is not None:
            return member, step
    names = ", ".join(sorted({member.name for member in model.members}))
    raise UserError(
        f"no member of the model ({names}) has a form in scikit-learn: take --to onnx or --to mlflow"
    )


def _about(model: Model, member: Member) -> list[str]:
    """Lines of the script's docstring: what it is part of."""
    lines = []
    shares = model.shares()
    heaviest = shares[0][0]
    if member.config != heaviest.config:
        lines.append(f"The heaviest member, {heaviest.name}, has no form in scikit-learn.")
    lines.append(
        f"It has {next(w for one, w in shares if one.config == member.config):.0%} of the weight in a mean "
        f"of {len(shares)}: the whole model is a little better."
        if len(shares) > 1
        else "It is the model's only member."
    )
    if member.name == "mlp":
        lines.append("rung lowers the learning rate while it trains, which scikit-learn has no setting for.")
    pipeline = member.pipelines[0]
    missing = [] if isinstance(pipeline, Constant) else left_out(pipeline)
    if member.config.get("balance") == "balanced":
        missing.append("the weights that make classes count the same")
    if member.config.get("balance") in ("over", "under"):
        missing.append("the resampling of the rows for rare classes")
    missing += _temperature(model, member)
    if weights := model.notes.get("weights"):
        missing.append(f"the rows' weights (column {weights!r})")
    if missing:
        lines.append(f"The script leaves out {listed(missing, 'and')}.")
    if "split" in model.notes and not _split(model)[0]:
        lines.append(
            f"Rows were held out by {model.notes['split']}; the script's folds are random: its score may be "
            "too good."
        )
    return lines


def _temperature(model: Model, member: Member) -> list[str]:
    """What the member's probabilities are calibrated by, where one digit shows it."""
    temperature = member.temperature * model.temperature
    if not model.task.is_classification or f"{temperature:.1f}" == "1.0":
        return []
    sure = "too sure" if temperature > 1 else "less sure than it may be"
    return [f"the temperature of {temperature:.1f}, without which it is {sure} of its classes"]


def _split(model: Model) -> tuple[str, str]:
    """How the script holds rows out, and by which column: those of a time it cannot order."""
    way, _, column = str(model.notes.get("split", "")).partition(":")
    return (way, column) if way in ("group", "folds") else ("", "")


def _scoring(model: Model) -> str:
    metric = str(model.notes.get("metric", ""))
    if model.task.quantile is not None:
        return "neg_mean_pinball_loss"
    if not model.task.is_classification:
        return _OF_VALUES.get(metric, "neg_root_mean_squared_error")
    if metric == "auc" and model.task.kind == "multiclass":
        return "roc_auc_ovr"
    return _OF_CLASSES.get(metric, "neg_log_loss")


def _imports(steps: Sequence[Step], model: Model) -> list[str]:
    lines = {line for step in steps for line in step.imports}
    lines |= {
        "from sklearn.model_selection import cross_val_score",
        "from sklearn.pipeline import make_pipeline",
    }
    if kind := {"group": "GroupKFold", "folds": "LeaveOneGroupOut"}.get(_split(model)[0]):
        lines.add(f"from sklearn.model_selection import {kind}")
    if _scoring(model) == "roc_auc_ovr":
        lines.add("from sklearn.metrics import roc_auc_score")
    if model.task.quantile is not None:
        lines.add("from sklearn.metrics import make_scorer, mean_pinball_loss")
    if not model.task.is_classification:
        lines |= {
            "from sklearn.compose import TransformedTargetRegressor",
            "from sklearn.preprocessing import StandardScaler",
        }
    names: dict[str, set[str]] = {}
    for line in lines:
        module, imported = line.removeprefix("from ").split(" import ")
        names.setdefault(module, set()).update(imported.split(", "))
    return [f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)]
