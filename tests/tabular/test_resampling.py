"""Over- and under-sampling for rare classes: of training rows alone, and probabilities stay true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.evaluate import evaluate, quietly
from rung.tabular.learners import table as learners_table
from rung.tabular.learners.base import Setting
from rung.tabular.learners.linear import LINEAR
from rung.tabular.learners.neighbors import NEIGHBORS
from rung.tabular.learners.table import Traits, defaults, search_space
from rung.tabular.metrics import METRICS
from rung.tabular.pipeline import Order, fit_pipeline
from rung.tabular.resampling import corrected, resample
from rung.tabular.splits import make_split

AUC, LOG_LOSS = METRICS["auc"], METRICS["log_loss"]


def _planted(rows: int, intercept: float = -5.0) -> tuple[Table, np.ndarray, np.ndarray]:
    """Numbers, class codes and the probabilities that they were drawn with: one row in 25 is positive."""
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, 3))
    p = 1 / (1 + np.exp(-(intercept + 1.6 * X[:, 0] - X[:, 1])))
    codes = np.empty((rows, 0), dtype=np.int32)
    return Table(X, codes, None), (rng.random(rows) < p).astype(np.int64), p


@pytest.mark.parametrize(
    ("way", "counts", "after"),
    [
        ("under", [1_000, 10], [100, 10]),
        ("under", [1_000, 90, 10], [100, 30, 10]),
        ("over", [1_000, 10], [1_000, 100]),
        ("over", [100] + [1] * 40, [100, *[1 + 3] * 40]),  # no more than as many rows again
    ],
)
def test_classes_are_brought_halfway(way: str, counts: list[int], after: list[int]) -> None:
    codes = np.repeat(np.arange(len(counts)), counts)
    found = resample(way, codes, None, seed=0)
    assert found is not None
    assert np.bincount(codes[found.rows]).tolist() == after
    times = np.bincount(found.rows, minlength=len(codes))
    assert times.max() == 1 if way == "under" else times.min() >= 1
    for c in range(len(counts)):
        assert np.ptp(times[codes == c]) <= 1, "no row of a class is more than one ahead"
    assert found.odds * after == pytest.approx(counts / np.max(np.divide(counts, after)))


def test_what_needs_no_resampling_is_left() -> None:
    assert resample("under", np.array([0, 1, 0, 1]), None, 0) is None
    assert resample("none", np.array([0, 0, 0, 1]), None, 0) is None


def test_odds_take_the_shares_back() -> None:
    """Bayes' rule with the shares before and after, by hand; the weights of the rows count."""
    weight = np.array([1.0, 1.0, 4.0, 1.0, 1.0])
    found = resample("over", np.array([0, 0, 0, 0, 1]), weight, 0)
    assert found is not None
    assert np.bincount(found.rows).tolist() == [1, 1, 1, 1, 2]
    assert corrected(np.array([[0.5, 0.5]]), found.odds) == pytest.approx(np.array([[2 / 3, 1 / 3]]))


def _fit(learner: Any, balance: str, table: Table, y: np.ndarray) -> Any:
    config = {**defaults(learner, Traits())[0], "balance": balance}
    with quietly():
        return fit_pipeline(Order(learner, config, [], 0, Deadline()), table, y.astype(float), 2).pipeline


@pytest.mark.parametrize(
    ("learner", "balance"),
    [(LINEAR, "under"), (NEIGHBORS, "over"), (NEIGHBORS, "under"), (LINEAR, "balanced")],
)
def test_probabilities_stay_what_they_are(learner: Any, balance: str) -> None:
    table, y, _ = _planted(4_000)
    pipeline = _fit(learner, balance, table, y)
    new, _, p = _planted(2_000)
    said = pipeline.predict(new)[:, 1]
    assert said.mean() == pytest.approx(p.mean(), rel=0.35)
    pipeline.odds = None
    assert pipeline.predict(new)[:, 1].mean() > 1.5 * p.mean(), "without the odds they are far too large"


def test_balanced_weights_tilt_what_labels_are_chosen_by() -> None:
    table, y, _ = _planted(2_000)
    config = {**defaults(LINEAR, Traits())[0], "balance": "balanced"}
    order = Order(LINEAR, config, [], 0, Deadline(), labels=True)
    with quietly():
        pipeline = fit_pipeline(order, table, y.astype(float), 2).pipeline
    assert pipeline.predict(table)[:, 1].mean() > 1.5 * y.mean()


def test_under_sampling_pays_where_a_learner_takes_few_rows() -> None:
    """Of 20,000 rows a learner takes 300: five positive ones among them by chance, a hundred by choice."""
    table, y, _ = _planted(20_000)
    new, truth, _ = _planted(8_000, intercept=-4.9)
    few = replace(LINEAR, most_rows=300)
    plain, under = (_fit(few, balance, table, y).predict(new) for balance in ("none", "under"))
    assert AUC.score(truth, under) > AUC.score(truth, plain) + 0.005
    assert LOG_LOSS.score(truth, under) < LOG_LOSS.score(truth, plain)


@pytest.mark.parametrize("balance", ["over", "under"])
def test_the_fold_that_scores_is_never_resampled(balance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, y, _ = _planted(600, intercept=-3.0)
    table = Table(np.column_stack([np.arange(600.0), table.numbers]), table.codes, None)
    split = make_split(y, 2, 3, 0.2, 0)
    seen: list[np.ndarray] = []

    def spy(config: Any, X: np.ndarray, goal: np.ndarray, setting: Setting) -> Any:
        seen.append(X[:, 0].astype(int))
        return LINEAR.fit(config, X, goal, setting)

    raw = LINEAR.needs._replace(scaled=False)
    monkeypatch.setitem(learners_table.learners(), "linear", replace(LINEAR, fit=spy, needs=raw))
    dataset = Dataset(table, y, 2, [], split, "log_loss", 0)
    config = {"learner": "linear", **LINEAR.defaults[0], "balance": balance}
    with quietly():
        outcome = evaluate(dataset, config, 600, 0, Deadline())
    assert outcome.prediction.shape == (600, 2), "every row is scored, and once"
    for fold, rows in enumerate(seen):
        assert not set(rows) & set(split.held_out(fold)), "nothing of the fold that scores is learned from"
        training = split.training(fold, 600)
        assert len(rows) < len(training) if balance == "under" else len(rows) > len(training)
        rare = set(training[y[training] == 1])
        assert rare <= set(rows), "no rare row is lost"
    assert outcome.score == pytest.approx(LOG_LOSS.score(y, outcome.prediction))


def test_it_is_off_by_default_and_offered_where_a_class_is_rare() -> None:
    def ways(learner: Any, **traits: bool) -> tuple[str, ...]:
        branch = dict(search_space([learner], Traits(**traits))["learner"].branches)[learner.name]
        domain = dict(branch.parameters).get("balance")
        return tuple(domain.values) if domain else ()

    assert ways(NEIGHBORS, rare=True) == ("none", "over")
    assert ways(NEIGHBORS, rare=True, many=True) == ("none", "over", "under")
    assert ways(NEIGHBORS, many=True) == ()
    assert {one["balance"] for one in defaults(NEIGHBORS, Traits(rare=True, many=True))} == {"none"}
