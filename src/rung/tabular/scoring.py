"""Metrics that are not rung's own: scikit-learn's scorers by name, the user's functions, quantile losses."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rung.errors import DataError
from rung.tabular.metric import CLASSES, NUMBERS, Metric
from rung.tabular.names import listed
from rung.tabular.task import label_array

if TYPE_CHECKING:
    from rung.tabular.metric import Array
    from rung.tabular.task import Label

_OF_CLUSTERS: Final = ("rand_score", "mutual_info", "homogeneity", "completeness", "v_measure", "fowlkes")
_OF_NUMBERS: Final = ("error", "r2", "variance", "deviance", "absolute")
_FLOORS: Final = {"deviance": 1e-9, "log_error": -1 + 1e-9}  # such scorers refuse what lies below
_ERRORS: Final = ("error", "loss", "deviance", "mae", "mse", "mape", "rmsle")  # ends of words
_TURNED: Final = ("neg", "negative", "minus")  # first words of an error's name that make more better
_OF_BOTH: Final = ("log_loss", "d2_log_loss_score")  # take the probabilities of both classes
_OF_TWO: Final = ("precision", "recall", "f1", "jaccard")


@lru_cache(maxsize=64)
def scikit_learn_metric(name: str) -> Metric:
    """The scorer of that name as a metric; slower than rung's own, as scikit-learn checks each call.

    Raises:
        KeyError: scikit-learn has no scorer of that name for a task of rung's.
    """
    from sklearn.metrics import get_scorer, get_scorer_names

    known = {x for x in get_scorer_names() if of_no_task(x) is None}
    found = next((x for x in (name, f"neg_{name}", f"neg_{name}_score", f"{name}_score") if x in known), None)
    if found is None:
        raise KeyError(name)
    return _of_scorer(get_scorer(found), found.removeprefix("neg_"), _tasks(found))


def of_no_task(name: str) -> str | None:
    """Why this scorer of scikit-learn's judges no task of rung's; None if it does, or there is none."""
    from sklearn.metrics import get_scorer_names

    if name not in get_scorer_names():
        return None
    if name.endswith("_samples"):
        return f"metric {name!r} is for rows of several labels each; take another average, such as f1_macro"
    if any(part in name for part in _OF_CLUSTERS):
        return (
            f"metric {name!r} compares clusterings, not predictions with the truth; take another, such as mcc"
        )
    return None


def _tasks(name: str) -> tuple[str, ...]:
    if any(part in name for part in _OF_NUMBERS) and "brier" not in name and "log_loss" not in name:
        return NUMBERS
    if name in (*_OF_TWO, "roc_auc", "average_precision") or "likelihood_ratio" in name:
        return ("binary",)
    return ("multiclass",) if name == "top_k_accuracy" else CLASSES


def _of_scorer(scorer: Any, name: str, tasks: tuple[str, ...], classes: tuple[Label, ...] = ()) -> Metric:
    """What a scorer of scikit-learn's computes, from predictions in place of a model.

    Args:
        classes: the labels that the scorer may speak of; none if it speaks of codes.
    """
    function, sign, extra = scorer._score_func, scorer._sign, dict(scorer._kwargs)
    positive = 1 if len(classes) != 2 else _positive(scorer, name, classes)
    methods = scorer._response_method
    wants = (methods,) if isinstance(methods, str) else tuple(methods or ("predict",))
    needs = "values" if tasks == NUMBERS else ("labels" if wants == ("predict",) else "probabilities")
    floor = next((low for part, low in _FLOORS.items() if part in name), None)

    labels = None
    if classes and ("labels" in extra or not str(getattr(function, "__module__", "")).startswith("sklearn.")):
        labels = label_array(classes)
    elif len(classes) == 2:
        extra = _told(function, extra, positive)
    told = _Scorer(function, extra, needs, floor, positive, labels)
    return Metric(name, sign > 0, needs, tasks, told, None)


def _positive(scorer: Any, name: str, classes: tuple[Label, ...]) -> int:
    """The code of the class of two that is positive: of the scorer's `pos_label`, else of its function's
    (mostly 1) where there is such a class, else the second.

    Raises:
        DataError: the scorer's own is none of them.
    """
    usual = inspect.signature(scorer._score_func).parameters.get("pos_label")
    label = scorer._kwargs.get("pos_label", None if usual is None else usual.default)
    code = next((code for code, one in enumerate(classes) if one == label), None)
    if code is None and scorer._kwargs.get("pos_label") is not None:
        raise DataError(
            f"the scorer {name} has pos_label={label!r}, which is none of the classes "
            f"{listed(map(repr, classes), 'and')}: name one of them"
        )
    return 1 if code is None else code


def _told(function: Callable[..., Any], extra: dict[str, Any], positive: int) -> dict[str, Any]:
    """The arguments of a function of scikit-learn's, with the positive class's code, which no mean has."""
    usual = inspect.signature(function).parameters
    if "pos_label" not in usual or extra.get("pos_label", positive) is None:
        return extra
    binary = "average" in usual and usual["average"].default == "binary"
    mean = binary and extra.get("average", "binary") != "binary"
    return {**extra, "pos_label": None if mean else positive}


def other_class(name: str, classes: tuple[Label, ...]) -> bool:
    """Whether the scorer of this name takes the first of two classes as the positive one: that of label 1."""
    return name in (*_OF_TWO, "average_precision") and len(classes) == 2 and classes[0] == 1


@dataclass(frozen=True, eq=False)
class _Scorer:
    """The function of a scorer of scikit-learn's as a metric's.

    Attributes:
        extra: its arguments by keyword.
        floor: predictions below are taken as this; None if it takes any.
        positive: the code of the class whose probability it is told.
        labels: of the classes, if it is to see them in place of their codes.
    """

    function: Callable[..., Any]
    extra: dict[str, Any]
    needs: str
    floor: float | None
    positive: int = 1
    labels: Array | None = None

    @property
    def weighted(self) -> bool:
        """Whether it takes weights."""
        return "sample_weight" in _parameters(self.function)

    def __call__(self, y: Array, prediction: Array, weight: Array) -> float:
        values = prediction if self.floor is None else np.maximum(prediction, self.floor)
        extra = self.extra
        if self.needs == "probabilities":
            values = prediction / prediction.sum(axis=1, keepdims=True)
            one = values.shape[1] == 2 and getattr(self.function, "__name__", "") not in _OF_BOTH
            values = values[:, self.positive] if one else values
            if values.ndim == 2 and "labels" in _parameters(self.function) - extra.keys():
                every = np.arange(values.shape[1]) if self.labels is None else self.labels
                extra = {**extra, "labels": every}
        return _called(self.function, *_shown(self, y, values), weight, extra)


def _shown(metric: _Scorer | _Own, y: Array, values: Array) -> tuple[Array, Array]:
    """The truth and the prediction, labels in place of codes where the metric's function sees them."""
    if metric.labels is None:
        return y, values
    said = metric.labels[values.astype(np.intp)] if metric.needs == "labels" else values
    return metric.labels[y.astype(np.intp)], said


def _called(function: Callable[..., Any], y: Array, values: Array, weight: Array, extra: Any) -> float:
    """The function's value; weights are told to it only where they say something."""
    uneven = bool(len(weight)) and bool((weight != weight[0]).any())
    told = {"sample_weight": weight} if uneven and "sample_weight" in _parameters(function) else {}
    return float(function(y, values, **told, **extra))


@lru_cache(maxsize=64)
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def scorer_name(given: Any) -> str | None:
    """Under which name scikit-learn has this scorer object (`get_scorer("f1_macro")`), or the scorer of this
    function of its own (`mean_absolute_error`); None for all else.
    """
    from sklearn.metrics import get_scorer, get_scorer_names

    scorer = hasattr(given, "_score_func") and hasattr(given, "_response_method")
    same = _same if scorer else _of_function
    return next((name for name in get_scorer_names() if same(get_scorer(name), given)), None)


def _of_function(scorer: Any, function: Any) -> bool:
    """Whether the scorer calls this function, and as it is."""
    if scorer._score_func is not function:
        return False
    usual = inspect.signature(function).parameters
    return all(usual[name].default == value for name, value in scorer._kwargs.items())


def _same(one: Any, other: Any) -> bool:
    parts = ("_score_func", "_sign", "_kwargs", "_response_method")
    return type(one) is type(other) and all(getattr(one, part) == getattr(other, part) for part in parts)


def metric_of(given: Any, kind: str, classes: tuple[Label, ...] = ()) -> Metric:
    """A scorer object of scikit-learn's, or a function of true and predicted values where more is better.

    A function gets the labels of the true classes and of the predicted ones, (n,) each, or values. It may say
    otherwise by attributes: `needs = "probabilities"` for the probabilities of the classes in their order,
    (n, k), in place of predicted ones, and `greater_is_better = False`.

    Args:
        classes: the task's; without them their codes 0, 1, ... are the labels.

    Raises:
        DataError: it cannot be called, asks for a class that there is none of, or is named for an error
            without saying whether more is better.
    """
    if not callable(given):
        raise DataError(f"a metric is a name or a function, not {given!r}; give one of them")
    if hasattr(given, "_score_func") and hasattr(given, "_sign"):
        name = getattr(given._score_func, "__name__", "metric")
        return _of_scorer(given, name, CLASSES if kind in CLASSES else NUMBERS, classes)
    needs = "values" if kind in NUMBERS else str(getattr(given, "needs", "labels"))
    if needs not in ("values", "labels", "probabilities"):
        raise DataError(f"a metric needs labels or probabilities, not {needs!r}; correct its attribute")
    name = str(getattr(getattr(given, "func", given), "__name__", type(given).__name__))  # of a partial
    own = _Own(given, needs, label_array(classes) if classes else None)
    return Metric(name, _more_is_better(given, name), needs, (kind,), own, None)


def try_out(metric: Metric, y: Array, classes: int) -> None:
    """Call a function that is not rung's once, with a perfect prediction, before a search rests on it.

    Args:
        y: (n,) codes of so many classes, or values.

    Raises:
        DataError: it raises, or gives no number.
    """
    if not isinstance(metric.function, _Own | _Scorer):
        return
    perfect = np.eye(classes)[y.astype(np.intp)] if metric.needs == "probabilities" else y
    try:
        with warnings.catch_warnings(action="ignore"):
            metric.score(y, perfect)
    except Exception as error:  # it is anybody's code
        why = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise DataError(
            f"the metric {metric.name} fails on a perfect prediction of this target "
            f"({type(error).__name__}: {why}); correct the function, or name another metric"
        ) from error


def _more_is_better(function: Any, name: str) -> bool:
    """As the function's attribute says, else yes.

    Raises:
        DataError: nothing says so, and its name is an error's.
    """
    told = getattr(function, "greater_is_better", None)
    if told is not None:
        return bool(told)
    words = name.lower().split("_")
    if words[0] not in _TURNED and words[-1] != "score" and any(word.endswith(_ERRORS) for word in words):
        raise DataError(
            f"the metric {name} is named for an error, and of a function more is taken as better: give "
            f"sklearn.metrics.make_scorer({name}, greater_is_better=False), or set its attribute "
            "greater_is_better"
        )
    return True


class _Own:
    """The user's function as a metric's: a class, so that it goes to worker processes."""

    def __init__(self, function: Callable[..., Any], needs: str, labels: Array | None) -> None:
        self.function = function
        self.needs = needs
        self.labels = labels  # of the classes, None for numbers

    @property
    def weighted(self) -> bool:
        """Whether it takes weights."""
        return "sample_weight" in _parameters(self.function)

    def __call__(self, y: Array, prediction: Array, weight: Array) -> float:
        return _called(self.function, *_shown(self, y, prediction), weight, {})


def pinball(name: str) -> Metric | None:
    """The loss of a quantile (Koenker, Bassett 1978), `pinball_0.9`; None for another name."""
    head, _, level = name.partition("_")
    try:
        quantile = float(level) if head == "pinball" else -1.0
    except ValueError:
        return None
    if not 0 < quantile < 1:
        return None

    return Metric(name, False, "values", NUMBERS, partial(_pinball, quantile=quantile), 0.0)


def _pinball(y: Array, v: Array, w: Array, *, quantile: float) -> float:
    error = y - v
    return float(np.average(np.maximum(quantile * error, (quantile - 1) * error), weights=w))
