import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from rung.errors import DataError
from rung.tabular.explain.scores import determined
from rung.tabular.metrics import DEFAULTS, METRICS, get_metric
from rung.tabular.ready import make_ready
from rung.tabular.request import Request
from rung.tabular.task import Task

BINARY = Task("binary", ("no", "yes"), "")
MULTI = Task("multiclass", ("a", "b", "c", "d"), "")
NUMBER = Task("regression", (), "")

ORACLES = {
    ("auc", "binary"): lambda y, p, w: sk.roc_auc_score(y, p[:, 1], sample_weight=w),
    ("average_precision", "binary"): lambda y, p, w: sk.average_precision_score(y, p[:, 1], sample_weight=w),
    ("precision", "binary"): lambda y, p, w: sk.precision_score(
        y, p.argmax(1), sample_weight=w, zero_division=0
    ),
    ("recall", "binary"): lambda y, p, w: sk.recall_score(y, p.argmax(1), sample_weight=w, zero_division=0),
    ("f1", "binary"): lambda y, p, w: sk.f1_score(y, p.argmax(1), sample_weight=w, zero_division=0),
    ("jaccard", "binary"): lambda y, p, w: sk.jaccard_score(y, p.argmax(1), sample_weight=w),
    ("positive_likelihood_ratio", "binary"): lambda y, p, w: sk.class_likelihood_ratios(
        y, p.argmax(1), sample_weight=w
    )[0],
    ("neg_negative_likelihood_ratio", "binary"): lambda y, p, w: sk.class_likelihood_ratios(
        y, p.argmax(1), sample_weight=w
    )[1],
    ("brier", "binary"): lambda y, p, w: sk.brier_score_loss(y, p[:, 1], sample_weight=w),
    ("auc_ovr", "multiclass"): lambda y, p, w: np.mean(
        [sk.roc_auc_score(y == k, p[:, k], sample_weight=w) for k in range(4)]
    ),
    ("roc_auc_ovr_weighted", "multiclass"): lambda y, p, w: np.average(
        [sk.roc_auc_score(y == k, p[:, k], sample_weight=w) for k in range(4)],
        weights=np.bincount(y, weights=w),
    ),
    ("rmse", "regression"): lambda y, v, w: sk.root_mean_squared_error(y, v, sample_weight=w),
    ("mse", "regression"): lambda y, v, w: sk.mean_squared_error(y, v, sample_weight=w),
    ("mae", "regression"): lambda y, v, w: sk.mean_absolute_error(y, v, sample_weight=w),
    ("mape", "regression"): lambda y, v, w: sk.mean_absolute_percentage_error(y, v, sample_weight=w),
    ("r2", "regression"): lambda y, v, w: sk.r2_score(y, v, sample_weight=w),
}
for kind in ("binary", "multiclass"):
    ORACLES |= {
        ("log_loss", kind): lambda y, p, w: sk.log_loss(y, p, sample_weight=w, labels=range(p.shape[1])),
        ("accuracy", kind): lambda y, p, w: sk.accuracy_score(y, p.argmax(1), sample_weight=w),
        ("balanced_accuracy", kind): lambda y, p, w: sk.balanced_accuracy_score(
            y, p.argmax(1), sample_weight=w
        ),
        **{
            (f"{name}_{average}", kind): lambda y, p, w, score=score, average=average: score(
                y, p.argmax(1), average=average, sample_weight=w, zero_division=0
            )
            for name, score in (
                ("precision", sk.precision_score),
                ("recall", sk.recall_score),
                ("f1", sk.f1_score),
                ("jaccard", sk.jaccard_score),
            )
            for average in ("macro", "micro", "weighted")
        },
        ("mcc", kind): lambda y, p, w: sk.matthews_corrcoef(y, p.argmax(1), sample_weight=w),
    }


def drawn(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n, weight = 200, rng.uniform(0.1, 3, 200)
    if not task.is_classification:
        return rng.normal(3, 1, n), rng.normal(3, 1, n), weight
    k = len(task.classes)
    p = np.round(rng.dirichlet(np.ones(k), n), 2) + 1e-3  # rounded, so that there are ties
    return np.r_[np.arange(k), rng.integers(0, k, n - k)], p / p.sum(axis=1, keepdims=True), weight


@pytest.mark.parametrize(("name", "kind"), ORACLES)
@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_learn_has_it(name: str, kind: str, seed: int) -> None:
    task = {"binary": BINARY, "multiclass": MULTI, "regression": NUMBER}[kind]
    y, prediction, weight = drawn(task, seed)
    metric = get_metric(name, task)
    oracle = ORACLES[name, kind]
    assert metric.score(y, prediction) == pytest.approx(oracle(y, prediction, None), rel=1e-9)
    assert metric.score(y, prediction, weight) == pytest.approx(oracle(y, prediction, weight), rel=1e-9)


def test_median_and_logarithmic_errors() -> None:
    y, v = np.array([1.0, 2.0, 10.0]), np.array([1.5, 2.0, 4.0])
    assert get_metric("median_absolute_error", NUMBER).score(y, v) == sk.median_absolute_error(y, v)
    assert get_metric("rmsle", NUMBER).score(y, v) == pytest.approx(sk.root_mean_squared_log_error(y, v))
    assert get_metric("median_absolute_error", NUMBER).score(y, v, np.array([1.0, 1.0, 9.0])) == 6.0


def test_a_first_row_of_no_weight_has_no_precision() -> None:
    y, p, w = np.array([0, 1, 1, 0]), np.array([0.9, 0.5, 0.3, 0.1]), np.array([0.0, 1.0, 1.0, 1.0])
    found = METRICS["average_precision"].score(y, np.column_stack([1 - p, p]), w)
    assert found == sk.average_precision_score(y, p, sample_weight=w) == 1.0


@pytest.mark.parametrize("unit", [1e-170, 1e-300, 1e170])
def test_values_whose_squares_are_no_numbers_are_judged_as_others(unit):
    rng = np.random.default_rng(0)
    y, v, w = rng.normal(size=50), rng.normal(size=50), rng.random(50)
    for name, power in (("rmse", 1), ("r2", 0)):
        metric = METRICS[name]
        assert metric.score(y * unit, v * unit, w) == pytest.approx(
            metric.score(y, v, w) * unit**power, rel=1e-9, abs=0.0
        )


def test_an_error_whose_square_is_no_float_any_more() -> None:
    assert METRICS["rmse"].score(np.array([3e300, 1e300]), np.array([0.0, 1e300])) == pytest.approx(
        3e300 / 2**0.5
    )
    assert METRICS["rmse"].score(np.array([1.0, np.inf]), np.array([1.0, 1.0])) == np.inf


def test_a_class_that_no_row_has_is_no_error() -> None:
    y = np.array([0, 0, 2, 2, 1])
    p = np.full((5, 4), 0.25)
    for metric in METRICS.values():
        if "multiclass" in metric.tasks:
            assert np.isfinite(metric.score(y, p))
    ones = np.zeros(3, dtype=int)
    for metric in METRICS.values():
        if "binary" in metric.tasks:
            assert np.isfinite(metric.score(ones, np.full((3, 2), 0.5)))
    assert get_metric("auc", BINARY).score(ones, np.full((3, 2), 0.5)) == 0.5
    assert np.isfinite(get_metric("log_loss", BINARY).score(np.array([1]), np.array([[1.0, 0.0]])))


@pytest.mark.parametrize("task", [BINARY, MULTI, NUMBER], ids=lambda t: t.kind)
def test_losses_order_as_scores_do(task: Task) -> None:
    y, good, _ = drawn(task, 0)
    if task.is_classification:
        good = np.eye(len(task.classes))[y]
    bad = np.roll(good, 1, axis=0)
    for metric in METRICS.values():
        if task.kind in metric.tasks:
            truth = good if task.is_classification else y
            assert metric.loss(y, truth) < metric.loss(y, bad)
            assert metric.loss(y, truth) == pytest.approx(0, abs=1e-9)
            better = metric.score(y, truth) > metric.score(y, bad)
            assert better is metric.greater_is_better


def test_names() -> None:
    assert [get_metric(None, t).name for t in (BINARY, MULTI, NUMBER)] == list(DEFAULTS.values())
    assert get_metric("roc_auc", BINARY).name == "auc"
    assert get_metric("neg_root_mean_squared_error", NUMBER).name == "rmse"
    assert get_metric("Log-Loss", MULTI).name == "log_loss"
    with pytest.raises(DataError, match=r"no metric 'acuracy'; did you mean accuracy"):
        get_metric("acuracy", BINARY)
    with pytest.raises(
        DataError, match="'rmse' is for regression or quantile and the task is binary; take one of auc, "
    ):
        get_metric("rmse", BINARY)


def test_each_of_scikit_learns_scorers_is_taken_or_refused_by_a_sentence() -> None:
    refused = {}
    for name in sk.get_scorer_names():
        for task in (BINARY, MULTI, NUMBER):
            y, prediction, weight = drawn(task, 0)
            try:
                below = prediction if task is not NUMBER else prediction - 4
                value = get_metric(name, task).score(np.abs(y), below, weight)
            except DataError as error:
                refused[name] = str(error)
            else:
                assert np.isfinite(value), name
    assert "compares clusterings" in refused["rand_score"]
    assert "several labels" in refused["f1_samples"]


def test_a_model_without_a_false_alarm_has_a_ratio() -> None:
    """It is the best there is; scikit-learn's is undefined."""
    ratio = get_metric("positive_likelihood_ratio", BINARY)
    y = np.array([0, 0, 1, 1])
    perfect, good = np.eye(2)[y], np.eye(2)[[0, 0, 0, 1]]
    assert ratio.score(y, perfect) == 4.0 > ratio.score(y, good) == 2.0


@pytest.mark.parametrize(
    ("name", "average"), [("roc_auc_ovo", "macro"), ("roc_auc_ovo_weighted", "weighted")]
)
def test_pairs_of_classes(name: str, average: str) -> None:
    """scikit-learn's takes no weights; a row of weight two counts as two."""
    y, p, _ = drawn(MULTI, 1)
    metric, weight = get_metric(name, MULTI), np.random.default_rng(0).integers(1, 4, len(y))
    oracle = sk.roc_auc_score(y, p, multi_class="ovo", average=average)
    assert metric.score(y, p) == pytest.approx(oracle, rel=1e-9)
    twice = np.repeat(np.arange(len(y)), weight)
    assert metric.score(y, p, weight) == pytest.approx(metric.score(y[twice], p[twice]), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "least", "words"),
    [
        ("rmsle", -1.0, "above -1"),
        ("neg_mean_squared_log_error", -1.0, "above -1"),
        ("neg_mean_poisson_deviance", -0.05, "of 0 or more"),
        ("neg_mean_gamma_deviance", 0.0, "above 0"),
    ],
)
def test_a_metric_refuses_a_target_that_it_is_not_defined_of(name, least, words):
    metric = get_metric(name, NUMBER)
    frame = pd.DataFrame({"x": np.arange(40.0), "y": np.linspace(least, 9, 40)})
    with pytest.raises(DataError, match=f"metric {metric.name} is for numbers {words}, and column 'y' holds"):
        make_ready(frame, "y", Request(metric=name), 0, None, lambda *_: None)
    assert not determined(metric, frame["y"].to_numpy())
    metric.check(frame["y"].to_numpy() + 0.1, "y")
    assert np.isfinite(metric.score(frame["y"].to_numpy() + 0.1, np.full(40, least - 1)))
    get_metric("rmse", NUMBER).check(frame["y"].to_numpy(), "y")
