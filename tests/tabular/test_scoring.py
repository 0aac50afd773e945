from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as oracle
from sklearn.metrics import get_scorer, get_scorer_names, make_scorer

from rung.errors import DataError
from rung.tabular.fit import fit_table
from rung.tabular.metrics import ALIASES, FURTHER, METRICS, get_metric, named_metric
from rung.tabular.scoring import metric_of, of_no_task, pinball, scikit_learn_metric, try_out
from rung.tabular.task import Task

BINARY = Task("binary", ("a", "b"), "")
MULTI = Task("multiclass", ("a", "b", "c"), "")
NUMBER = Task("regression", (), "")
CLUSTERS = ("rand_score", "mutual_info", "homogeneity", "completeness", "v_measure", "fowlkes")


def _probabilities(k, n=60):
    rng = np.random.default_rng(k)
    p = rng.dirichlet(np.ones(k), n)
    return rng.integers(0, k, n), p


@pytest.mark.parametrize(
    "name", [x for x in get_scorer_names() if not any(c in x for c in CLUSTERS) and "samples" not in x]
)
def test_every_scorer_of_scikit_learn_is_a_metric_of_some_task(name):
    found = []
    for task, k in ((BINARY, 2), (MULTI, 3), (NUMBER, 0)):
        try:
            metric = get_metric(name, task)
        except DataError:
            continue
        if k:
            y, prediction = _probabilities(k)
        else:
            y, prediction = np.linspace(1, 2, 60), np.linspace(1.1, 1.8, 60)
        if name in ("precision", "recall", "f1", "jaccard") and k == 3:
            continue
        value = metric.score(y, prediction)
        assert np.isfinite(value) or name.endswith("likelihood_ratio")
        found.append(task.kind)
    assert found


def test_values_are_scikit_learns():
    y, p = _probabilities(3)
    assert get_metric("roc_auc_ovo", MULTI).score(y, p) == pytest.approx(
        oracle.roc_auc_score(y, p, multi_class="ovo")
    )
    y, p = _probabilities(2)
    weight = np.arange(1.0, 61)
    assert get_metric("jaccard", BINARY).score(y, p, weight) == pytest.approx(
        oracle.jaccard_score(y, p.argmax(axis=1), sample_weight=weight)
    )
    y, v = np.linspace(1, 9, 30), np.linspace(2, 8, 30)
    metric = get_metric("neg_mean_poisson_deviance", NUMBER)
    assert not metric.greater_is_better
    assert metric.score(y, v) == pytest.approx(oracle.mean_poisson_deviance(y, v))


def test_a_name_for_clusters_is_refused():
    with pytest.raises(DataError, match="'rand_score' compares clusterings"):
        get_metric("rand_score", BINARY)


def cost(y, codes):
    return -np.mean(np.where(y == 1, 5.0 * (codes == 0), codes == 1))


def test_a_function_of_the_users():
    metric = metric_of(cost, "binary")
    assert (metric.name, metric.greater_is_better, metric.needs) == ("cost", True, "labels")
    y, p = _probabilities(2)
    assert metric.score(y, p) == pytest.approx(cost(y, p.argmax(axis=1)))


def test_a_function_of_probabilities_where_less_is_better():
    def loss(y, p):
        return float(np.mean((p[:, 1] - y) ** 2))

    loss.needs, loss.greater_is_better = "probabilities", False
    metric = metric_of(loss, "binary")
    y, p = _probabilities(2)
    assert metric.loss(y, p) == pytest.approx(METRICS["brier"].loss(y, p))


def test_a_scorer_object():
    metric = metric_of(make_scorer(oracle.fbeta_score, beta=2), "binary")
    y, p = _probabilities(2)
    assert metric.score(y, p) == pytest.approx(oracle.fbeta_score(y, p.argmax(axis=1), beta=2))
    with pytest.raises(DataError, match="a name or a function, not 3"):
        metric_of(3, "binary")


def test_the_loss_of_a_quantile():
    metric = pinball("pinball_0.9")
    y, v = np.array([1.0, 2.0, 5.0]), np.array([2.0, 2.0, 2.0])
    assert metric.score(y, v) == pytest.approx(oracle.mean_pinball_loss(y, v, alpha=0.9))
    assert pinball("pinball_2") is None
    assert pinball("rmse") is None
    with pytest.raises(KeyError):
        scikit_learn_metric("nothing")


@pytest.mark.parametrize("name", ["f1_macro", "precision_weighted", "roc_auc", "neg_log_loss", "accuracy"])
def test_a_scorer_that_scikit_learn_has_a_name_for_is_the_metric_of_that_name(name):
    assert get_metric(get_scorer(name), BINARY) is get_metric(name, BINARY)


def test_a_scorer_of_another_task_is_refused_as_its_name_is():
    with pytest.raises(DataError, match="metric 'f1' is for binary and the task is multiclass"):
        get_metric(get_scorer("f1"), MULTI)
    averaged = make_scorer(oracle.fbeta_score, beta=2, average="macro", pos_label=None)
    assert metric_of(averaged, "binary").name == "fbeta_score"


OF_SCIKIT_LEARN = [name for name in get_scorer_names() if of_no_task(name) is None]


@pytest.mark.parametrize("name", sorted({*METRICS, *FURTHER, *ALIASES, *OF_SCIKIT_LEARN, "pinball_0.9"}))
def test_every_metric_goes_through_a_pickle(name):
    try:
        metric = named_metric(name)
    except KeyError:  # under this name get_metric alone knows it
        metric = named_metric(ALIASES.get(name.removeprefix("neg_"), name.removeprefix("neg_")))
    kind = metric.tasks[-1]
    y, prediction = _probabilities({"binary": 2}.get(kind, 3))
    if kind == "quantile":
        y, prediction = np.linspace(1, 2, 60), np.linspace(1.1, 1.8, 60)
    read = pickle.loads(pickle.dumps(metric))
    assert read.score(y, prediction) == metric.score(y, prediction)
    assert (read.name, read.weighted) == (metric.name, metric.weighted)


def test_a_scorer_object_as_a_metric_goes_through_a_pickle():
    metric = metric_of(make_scorer(oracle.fbeta_score, beta=2), "binary")
    y, p = _probabilities(2)
    assert pickle.loads(pickle.dumps(metric)).score(y, p) == metric.score(y, p)


@pytest.mark.parametrize(
    ("function", "task", "name"),
    [
        (oracle.mean_absolute_error, NUMBER, "mae"),
        (oracle.mean_poisson_deviance, NUMBER, "mean_poisson_deviance"),
        (oracle.d2_absolute_error_score, NUMBER, "d2_absolute_error_score"),
        (oracle.log_loss, MULTI, "log_loss"),
        (oracle.f1_score, BINARY, "f1"),
        (oracle.roc_auc_score, BINARY, "auc"),
    ],
)
def test_a_function_that_scikit_learn_has_a_scorer_of_is_that_one(function, task, name):
    assert get_metric(function, task).name == name
    assert get_metric(function, task).greater_is_better is named_metric(name).greater_is_better


def relative_error(y, v):
    return float(np.mean(np.abs(y - v) / np.abs(y)))


@pytest.mark.parametrize(
    "function", [relative_error, oracle.mean_pinball_loss, partial(oracle.mean_pinball_loss, alpha=0.9)]
)
def test_a_function_that_is_named_for_an_error_says_what_is_better(function):
    with pytest.raises(DataError, match=r"is named for an error, and of a function more is taken as better"):
        get_metric(function, NUMBER)
    assert not get_metric(make_scorer(function, greater_is_better=False), NUMBER).greater_is_better


@pytest.mark.parametrize("name", ["neg_error", "d2_error_score", "profit"])
def test_a_function_of_another_name_is_better_the_more_it_is(name):
    function = lambda y, v: 0.0  # noqa: E731
    function.__name__ = name
    assert get_metric(function, NUMBER).greater_is_better


ONE_TWO = Task("binary", (1, 2), "")


@pytest.mark.parametrize(
    "scorer",
    [
        get_scorer("f1"),
        oracle.f1_score,
        make_scorer(oracle.f1_score),
        make_scorer(oracle.f1_score, pos_label=1),
        make_scorer(oracle.f1_score, pos_label=2),
        make_scorer(oracle.f1_score, average="macro"),
        make_scorer(oracle.f1_score, labels=[1], average="macro", pos_label=None),
    ],
)
def test_the_positive_class_of_a_scorer_is_the_one_of_its_label(scorer):
    y, p = _probabilities(2)
    asked = getattr(scorer, "_kwargs", {})
    expected = oracle.f1_score(y + 1, p.argmax(axis=1) + 1, **asked)
    assert get_metric(scorer, ONE_TWO).score(y, p) == pytest.approx(expected)


def test_a_label_is_the_positive_class_of_words_and_of_probabilities_too():
    y, p = _probabilities(2)
    words = np.array(["a", "b"])
    one = make_scorer(oracle.recall_score, pos_label="a")
    found = get_metric(one, BINARY).score(y, p)
    assert found == oracle.recall_score(words[y], words[p.argmax(axis=1)], pos_label="a")
    ranked = make_scorer(oracle.average_precision_score, response_method="predict_proba")
    found = get_metric(ranked, ONE_TWO).score(y, p)
    assert found == pytest.approx(oracle.average_precision_score(y + 1, p[:, 0], pos_label=1))
    assert get_metric(get_scorer("average_precision"), ONE_TWO).score(y, p) == pytest.approx(found)
    second = get_metric(make_scorer(oracle.f1_score), BINARY)
    assert second.score(y, p) == pytest.approx(METRICS["f1"].score(y, p))  # no label is 1


@pytest.mark.parametrize("label", [0, 1, "c"])
def test_a_positive_class_that_is_none_of_the_classes_is_refused(label):
    with pytest.raises(DataError, match=f"pos_label={label!r}, which is none of the classes 'a' and 'b'"):
        get_metric(make_scorer(oracle.f1_score, pos_label=label), BINARY)


def test_a_function_within_a_scorer_sees_labels():
    def said_a(true, said):
        return float(np.mean((true == "a") & (said == "a")))

    y, p = _probabilities(2)
    assert get_metric(make_scorer(said_a), BINARY).score(y, p) == np.mean((y == 0) & (p.argmax(axis=1) == 0))


def missed(true, said):
    """Ten for each yes that is missed, one for each no."""
    return -float(np.mean(10.0 * ((true == "yes") & (said == "no")) + ((true == "no") & (said == "yes"))))


def test_a_function_of_the_users_sees_labels_as_they_stood():
    metric = get_metric(missed, Task("binary", ("no", "yes"), ""))
    y, p = _probabilities(2)
    said = p.argmax(axis=1)
    assert metric.score(y, p) == pytest.approx(
        missed(np.take(["no", "yes"], y), np.take(["no", "yes"], said))
    )
    assert metric.score(y, p) < 0
    assert pickle.loads(pickle.dumps(metric)).score(y, said) == metric.score(y, p)
    kappa = get_metric(oracle.cohen_kappa_score, MULTI)
    y, p = _probabilities(3)
    assert kappa.score(y, p) == pytest.approx(oracle.cohen_kappa_score(y, p.argmax(axis=1)))


def test_a_function_of_probabilities_sees_true_labels():
    def likely(true, p):
        return float(np.mean(np.where(true == 2, p[:, 1], p[:, 0])))

    likely.needs = "probabilities"
    y, p = _probabilities(2)
    assert get_metric(likely, ONE_TWO).score(y, p) == pytest.approx(p[np.arange(60), y].mean())


def nothing(true, predicted):
    return None


def of_two(true, predicted, extra):
    return 1.0


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (nothing, "the metric nothing fails on a perfect prediction of this target .TypeError: float"),
        (of_two, "the metric of_two fails .* of_two.. missing 1 required positional argument: 'extra'"),
        (
            make_scorer(oracle.fbeta_score, beta=2),
            "the metric fbeta_score fails .*ValueError: Target is multiclass.*; correct the function, or",
        ),
    ],
)
def test_a_function_that_fails_is_told_before_the_search(given, why):
    metric = get_metric(given, MULTI)
    with pytest.raises(DataError, match=why):
        try_out(metric, np.array([0, 1, 2, 0]), 3)


def test_a_fit_tries_its_metric_before_it_searches():
    frame = pd.DataFrame({"x": np.arange(60.0), "y": np.tile(["a", "b", "c"], 20)})
    with pytest.raises(DataError, match="the metric nothing fails on a perfect prediction of this target"):
        fit_table(frame, "y", metric=nothing, trials=1)


def test_a_function_that_works_is_called_once_with_a_perfect_prediction():
    seen = []

    def noted(true, predicted):
        seen.append((true.tolist(), predicted.tolist()))
        return 1.0

    try_out(get_metric(noted, MULTI), np.array([0, 1, 2, 0]), 3)
    classes = np.array(MULTI.classes)
    ((true, predicted),) = seen
    assert true == predicted == classes[[0, 1, 2, 0]].tolist()


def test_metrics_of_rungs_own_are_not_tried(monkeypatch):
    monkeypatch.setattr(type(METRICS["mcc"]), "score", nothing)  # which takes no more than two
    assert try_out(METRICS["mcc"], np.array([0, 1, 2, 0]), 3) is None
