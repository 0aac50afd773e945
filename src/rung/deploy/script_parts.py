"""A fitted member as the expressions of scikit-learn that make it anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Any, Final, NamedTuple

from rung.deploy.onnx_trees import lightgbm_trees
from rung.deploy.script_layout import quoted
from rung.tabular.columns import Kind
from rung.tabular.encode import DATE_PARTS, WORDS, Encoder
from rung.tabular.learners.xgboost import RATE
from rung.tabular.model import Member
from rung.tabular.pipeline import Classifying, Constant, Regressing
from rung.tabular.preparation import Preparation
from rung.tabular.target_encoding import SMOOTHING
from rung.tabular.task import Task

Fitted = Classifying | Regressing


class Step(NamedTuple):
    """A step of the pipeline.

    Attributes:
        code: a Python expression, of several lines where it is long.
        imports: lines such as "from sklearn.svm import SVC".
        helpers: names of the script's functions that it calls.
        codes: columns of its matrix that it must be told, when it is fitted, to hold categories.
    """

    code: str
    imports: tuple[str, ...]
    helpers: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()


# -- estimators -------------------------------------------------------------------------------------------


def estimator_step(member: Member, task: Task, first: int) -> Step | None:
    """The last step; None where scikit-learn has nothing like it.

    Args:
        first: where the categories begin in the script's matrix.
    """
    pipeline = member.pipelines[0]
    if isinstance(pipeline, Constant):
        kind = "DummyClassifier" if task.is_classification else "DummyRegressor"
        told = {} if task.quantile is None else {"strategy": "quantile", "quantile": task.quantile}
        return Step(f"{kind}({_arguments(told)})", (f"from sklearn.dummy import {kind}",))
    if not isinstance(pipeline, Classifying | Regressing):
        return None
    make = _BOOSTERS.get(type(pipeline.estimator).__name__)
    if make is not None:
        codes = _moved(pipeline.preparation.categorical, pipeline.preparation, first)
        kind = "Classifier" if task.is_classification else "Regressor"
        loss = (
            {}
            if task.quantile is None
            else _QUANTILE_LOSSES[type(pipeline.estimator).__name__](task.quantile)
        )
        return make(member, pipeline, kind, codes, loss)
    if type(pipeline.estimator).__name__ == "Scaled":
        inner = _built(pipeline.estimator.machine)
        source = "from sklearn.calibration import CalibratedClassifierCV"
        return Step(f"CalibratedClassifierCV({inner.code}, ensemble=False, cv=3)", (*inner.imports, source))
    if type(pipeline.estimator).__module__.startswith("sklearn."):
        return _built(pipeline.estimator, pipeline.preparation, first)
    return None


def _moved(columns: Iterable[int], preparation: Preparation, first: int) -> list[int]:
    """Where these columns of codes stand in the script's matrix, which leaves no constant column out."""
    start = min(preparation.categorical, default=0)
    return [first + int(j) - start for j in columns]


def _built(estimator: Any, preparation: Preparation | None = None, first: int = 0) -> Step:
    """A call with the settings that differ from scikit-learn's own."""
    kind = type(estimator)
    if kind.__name__ == "Pipeline":
        parts = [_built(step) for _, step in estimator.steps]
        code = f"make_pipeline({', '.join(part.code for part in parts)})"
        return Step(code, tuple(line for part in parts for line in part.imports))
    usual = kind().get_params(deep=False)
    after = _AFTER.get(kind.__name__.replace("Regressor", "Classifier"))
    given = estimator.get_params(deep=False) | (after(estimator) if after else {})
    told = {
        name: value
        for name, value in given.items()
        if name not in _SILENT and value is not None and repr(usual[name]) != repr(value)
    }
    codes = given.get("categorical_features")
    if preparation is not None and isinstance(codes, list):
        told["categorical_features"] = _moved(codes, preparation, first)
    imports = [f"from {_public(kind)} import {kind.__name__}"]
    if "kernel" in told and not isinstance(told["kernel"], str):
        imports.append(
            "from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel"
        )
    return Step(f"{kind.__name__}({_arguments(told)})", tuple(imports))


_SILENT: Final = ("n_jobs", "warm_start", "verbose", "copy_X_train", "cache_size", "categorical_features")


def _public(kind: type) -> str:
    """The module that a class of scikit-learn is imported from."""
    return ".".join(takewhile(lambda part: not part.startswith("_"), kind.__module__.split(".")))


def _kernel(estimator: Any) -> Any:
    """As it was fitted; of several classes, each of which has its own, as it began."""
    return estimator.kernel if type(estimator.kernel_).__name__ == "CompoundKernel" else estimator.kernel_


def _boosted_rounds(estimator: Any) -> dict[str, Any]:
    gone = dict.fromkeys(("validation_fraction", "n_iter_no_change", "scoring"))
    return {"max_iter": estimator.n_iter_, "early_stopping": False, **gone}


_AFTER: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {  # what fitting found out
    "HistGradientBoostingClassifier": _boosted_rounds,
    "MLPClassifier": lambda estimator: {"max_iter": len(estimator.loss_curve_)},
    "GaussianProcessClassifier": lambda estimator: {"kernel": _kernel(estimator)},
}


def _arguments(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    """As Python writes it; numpy's numbers as plain ones."""
    if isinstance(value, float):
        return f"{float(value):.6g}" if value != int(value) or abs(value) > 1e6 else repr(float(value))
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _value(value.item())
    return quoted(value) if isinstance(value, str) else repr(value)


# -- boosting libraries -----------------------------------------------------------------------------------


def _lightgbm(member: Member, pipeline: Fitted, kind: str, codes: list[int], loss: Mapping[str, Any]) -> Step:
    config, model = member.config, pipeline.estimator
    rounds = len(lightgbm_trees(model.text)) // (model.classes if model.classes > 2 else 1)
    settings = {
        **loss,
        "n_estimators": rounds,
        "learning_rate": _last_shrinkage(model.text) or config["learning_rate"],
        "num_leaves": config["leaves"],
        "min_child_samples": config["min_data_in_leaf"],
        "colsample_bytree": config["feature_fraction"],
        "subsample": config["bagging_fraction"],
        "subsample_freq": 1,
        "reg_lambda": config["l2"],
        "extra_trees": config["extra_trees"],
        "min_data_per_group": 10,
        "verbosity": -1,
    }
    name = f"LGBM{kind}"
    return Step(f"{name}({_arguments(settings)})", (f"from lightgbm import {name}",), codes=tuple(codes))


def _last_shrinkage(text: str) -> float | None:
    """The rate of the latest trees: it rises where there is little time for the rounds that are needed.

    The first tree of some losses has 1, as it holds the mean alone.
    """
    rates = [float(rate) for rate in re.findall(r"^shrinkage=(.+)$", text, re.MULTILINE)]
    return next((rate for rate in reversed(rates) if rate != 1), None)


def _xgboost(member: Member, pipeline: Fitted, kind: str, codes: list[int], loss: Mapping[str, Any]) -> Step:
    config, model = member.config, pipeline.estimator
    settings = {
        **loss,
        "n_estimators": model.rounds,
        "learning_rate": float(model.booster.attr(RATE) or config["learning_rate"]),
        "max_depth": config["depth"],
        "min_child_weight": config["min_child_weight"],
        "subsample": config["subsample"],
        "colsample_bynode": config["colsample"],
        "reg_lambda": config["l2"],
        "tree_method": "hist",
    }
    if "c" in model.types:
        start = min(pipeline.preparation.categorical, default=0)
        # the script has every number before the categories, constant ones too, and none that rung generated
        types = ["q"] * min(codes) + model.types[start:]
        settings |= {"feature_types": types, "enable_categorical": True, "max_cat_to_onehot": 12}
    name = f"XGB{kind}"
    return Step(f"{name}({_arguments(settings)})", (f"from xgboost import {name}",))


def _catboost(member: Member, pipeline: Fitted, kind: str, codes: list[int], loss: Mapping[str, Any]) -> Step:
    config = member.config
    settings = {
        **loss,
        "iterations": int(pipeline.estimator.model.tree_count_),
        "learning_rate": pipeline.estimator.model.get_all_params()["learning_rate"],
        "depth": config["depth"],
        "l2_leaf_reg": config["l2"],
        "random_strength": config["random_strength"],
        "one_hot_max_size": 12,
        "max_ctr_complexity": 2,
        "bootstrap_type": "Bernoulli",
        "subsample": 0.85,
        "border_count": 128,
        "allow_writing_files": False,
        "verbose": False,
    }
    name = f"CatBoost{kind}"
    return Step(f"{name}({_arguments(settings)})", (f"from catboost import {name}",), codes=tuple(codes))


_QUANTILE_LOSSES: Final[Mapping[str, Callable[[float], dict[str, Any]]]] = {
    "LightGBMModel": lambda q: {"objective": "quantile", "alpha": q},
    "XGBoostModel": lambda q: {"objective": "reg:quantileerror", "quantile_alpha": q},
    "CatBoostModel": lambda q: {"loss_function": f"Quantile:alpha={q:g}"},
}
_BOOSTERS: Final = {"LightGBMModel": _lightgbm, "XGBoostModel": _xgboost, "CatBoostModel": _catboost}


# -- preparation ------------------------------------------------------------------------------------------


def first_code(encoder: Encoder) -> int:
    """Where the categories begin in the script's matrix: after the numbers and the parts of dates."""
    return len(encoder.names(Kind.NUMBER)) + len(DATE_PARTS) * len(encoder.names(Kind.DATE))


def preparation_steps(pipeline: Fitted, name: str, encoder: Encoder) -> list[Step]:
    """From a frame to the estimator's matrix: numbers, dates, categories, texts, then one scale for all."""
    preparation = pipeline.preparation
    blocks = [
        *_number_blocks(preparation, encoder),
        *([_category_block(preparation)] if encoder.names(Kind.CATEGORY) else []),
        *_text_blocks(preparation, encoder),
    ]
    code = f"ColumnTransformer([{', '.join(block.code for block in blocks)}])"
    steps = [
        Step(
            code,
            (
                "from sklearn.compose import ColumnTransformer",
                *(x for block in blocks for x in block.imports),
            ),
            tuple(x for block in blocks for x in block.helpers),
        )
    ]
    if preparation.needs.scaled:
        steps.append(_scaler(preparation))
    steps += _reduction(preparation)
    if name == "catboost" and preparation.categorical:
        steps.append(Step("FunctionTransformer(whole_codes)", (_FUNCTION,), ("whole_codes",)))
    return steps


def _reduction(preparation: Preparation) -> list[Step]:
    step = preparation.parts.get("reduce")
    if step is None:
        return []
    if hasattr(step, "k"):
        judge = step.score_func.__name__
        source = f"from sklearn.feature_selection import SelectKBest, {judge}"
        return [Step(f"SelectKBest({judge}, k={step.k})", (source,))]
    narrower = preparation.expand != "none"  # the script generates no columns
    return [
        Step(f"PCA({0.99 if narrower else step.n_components})", ("from sklearn.decomposition import PCA",))
    ]


def left_out(pipeline: Fitted) -> list[str]:
    """What the member does beyond its script, in words."""
    preparation = pipeline.preparation
    found = {
        "columns that rung generated": preparation.expand == "pairs",
        "products of strong columns": preparation.expand == "squares",
        "the hashing of categories (they are ranks here)": preparation.categories == "hash",
        "the imputation of each column from the others": preparation.impute == "iterative",
        "the logarithm of the target": getattr(pipeline, "log", False),
    }
    return [what for what, there in found.items() if there]


_FUNCTION: Final = "from sklearn.preprocessing import FunctionTransformer"


def first_step() -> Step:
    """What a table's cells mean: in the pipeline, so that a saved one takes frames of `pandas.read_csv`."""
    return Step("FunctionTransformer(meant)", (_FUNCTION,), ("meant",))


def _number_blocks(preparation: Preparation, encoder: Encoder) -> list[Step]:
    strategy = "median" if preparation.impute == "iterative" else preparation.impute
    imputer = f"SimpleImputer(strategy={quoted(strategy)}, add_indicator=True)"
    source = "from sklearn.impute import SimpleImputer"
    blocks = []
    if encoder.names(Kind.NUMBER):
        plain = preparation.needs.missing
        code = '"passthrough"' if plain else imputer
        blocks.append(Step(f'("numbers", {code}, NUMBERS)', () if plain else (source,)))
    if encoder.names(Kind.DATE):
        parts = "FunctionTransformer(date_parts)"
        if preparation.needs.missing:
            blocks.append(Step(f'("dates", {parts}, DATES)', (_FUNCTION,), ("date_parts",)))
        else:
            code = f'("dates", make_pipeline({parts}, {imputer}), DATES)'
            blocks.append(Step(code, (source, _FUNCTION), ("date_parts",)))
    return blocks


def _category_block(preparation: Preparation) -> Step:
    if preparation.categories == "onehot":
        levels = preparation.parts["onehot"].max_categories
        name, settings = (
            "OneHotEncoder",
            (
                f'handle_unknown="infrequent_if_exist", max_categories={levels}, min_frequency=2, '
                "sparse_output=False"
            ),
        )
    elif preparation.categories == "target":
        name, settings = "TargetEncoder", f"smooth={SMOOTHING}"
    else:
        gone = 'float("nan")' if preparation.needs.missing else "-1"
        name, settings = (
            "OrdinalEncoder",
            (f'handle_unknown="use_encoded_value", unknown_value={gone}, encoded_missing_value={gone}'),
        )
    return Step(
        f'("categories", {name}({settings}), CATEGORIES)', (f"from sklearn.preprocessing import {name}",)
    )


def _text_blocks(preparation: Preparation, encoder: Encoder) -> list[Step]:
    norm = ", norm=None" if encoder.counted else ""
    words = f"HashingVectorizer(n_features={WORDS}, alternate_sign=False{norm})"
    imports = (
        "from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer",
        "from sklearn.decomposition import TruncatedSVD",
    )
    components = preparation.parts["words"][-1].n_components if "words" in preparation.parts else 1
    steps = f"{words}, TfidfTransformer(sublinear_tf=True), TruncatedSVD({components})"
    return [
        Step(f'("text {i}", make_pipeline({steps}), TEXTS[{i}])', imports)
        for i in range(len(encoder.names(Kind.TEXT)))
    ]


def _scaler(preparation: Preparation) -> Step:
    """The scale of all columns, or of those of many values where the others become 0 and 1."""
    scaler = preparation.parts["scale"]
    one = _one_scale(getattr(scaler, "inner", scaler))
    if not hasattr(scaler, "inner"):
        return one
    imports = (
        "from sklearn.compose import ColumnTransformer",
        "from sklearn.preprocessing import MinMaxScaler",
    )
    code = f'ColumnTransformer([("varied", {one.code}, varied)], remainder=MinMaxScaler())'
    return Step(code, (*one.imports, *imports), (*one.helpers, "varied"))


def _one_scale(scaler: Any) -> Step:
    kind = type(scaler).__name__
    if kind == "SmoothScaler":
        source = "from sklearn.preprocessing import FunctionTransformer, RobustScaler"
        return Step("make_pipeline(RobustScaler(), FunctionTransformer(squash))", (source,), ("squash",))
    settings = ""
    if kind == "QuantileTransformer":
        settings = f'n_quantiles={scaler.n_quantiles}, output_distribution="normal"'
    return Step(f"{kind}({settings})", (f"from sklearn.preprocessing import {kind}",))
