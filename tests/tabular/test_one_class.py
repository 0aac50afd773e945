"""Splits and weights that leave a single class to learn from, and folds that were cut short."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular import evaluate as evaluating
from rung.tabular.deadline import Deadline
from rung.tabular.evaluate import evaluate
from rung.tabular.fit import fit_table
from rung.tabular.learners.table import defaults, learners
from rung.tabular.pipeline import Fitted, fit_pipeline
from rung.tabular.plan import make_scheme
from rung.tabular.ready import Ready, make_ready
from rung.tabular.request import Request
from rung.tabular.search import traits_of


def table(rows: int = 120) -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=rows)
    later = np.arange(rows) >= rows // 2
    return pd.DataFrame(
        {
            "x": x,
            "y": np.where(later, "new", "old"),
            "when": pd.date_range("2026-01-01", periods=rows).strftime("%Y-%m-%d"),
            "fold": np.where(later, "b", "a"),
            "weight": np.where(later, 0.0, 1.0),
            "half": np.where(later, "2026-01-01", "2025-01-01"),
            "never": "2026-01-01",
        }
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"split": "time:half"}, "'time:half' would train a model on rows of class 'old' alone"),
        ({"split": "folds:fold"}, "'folds:fold' would train a model on rows of class '(old|new)' alone"),
        ({"split": "group:fold"}, "'group:fold' would train a model on rows of class '(old|new)' alone"),
        ({"split": "time:never"}, "column 'never' has one value only, which orders nothing"),
        ({"weights": "weight"}, "gives every row of class 'new' the weight 0"),
    ],
)
def test_a_single_class_is_refused_by_name(settings: dict[str, str], why: str) -> None:
    with pytest.raises(DataError, match=why):
        fit_table(table(), "y", budget=1.0, include=["linear"], **settings)


def test_a_class_that_comes_later_is_learned_from_then_on() -> None:
    frame = table().assign(y=lambda t: np.where((t.x > 0) & (np.arange(len(t)) > len(t) // 4), "yes", "no"))
    result = fit_table(frame[["x", "when", "y"]], "y", trials=1, include=["linear"], split="time:when")
    assert result.score > 0.6


@pytest.mark.parametrize(("cell", "told"), [(-1.0, "-1.0 is no weight"), (np.nan, "an empty cell is no")])
def test_a_wrong_weight_is_told_as_it_stands(cell: float, told: str) -> None:
    frame = table().assign(weight=1.0)
    frame.loc[3, "weight"] = cell
    with pytest.raises(DataError, match=f"row 4: {told}"):
        fit_table(frame, "y", budget=1.0, include=["linear"], weights="weight")


def _ready() -> Ready:
    frame = table().assign(y=lambda t: np.where(t.x > 0, "up", "down"))
    return make_ready(
        frame[["x", "y"]],
        "y",
        Request(),
        0,
        None,
        lambda rows, width, k: make_scheme(rows, width, k, 60.0, 1),
    )


@pytest.mark.parametrize(("learner", "folds"), [("svm", 1), ("lightgbm", 8)])
def test_folds_that_would_be_late_are_not_begun(
    learner: str, folds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a learner that comes back in time with what it has all are."""
    clock, begun = [0.0], []

    def fitted(order, rows, y, classes) -> Fitted:
        begun.append(order)
        clock[0] += 3.0
        return fit_pipeline(order, rows, y, classes)

    monkeypatch.setattr(evaluating, "fit_pipeline", fitted)
    dataset = _ready().dataset
    config = next(iter(defaults(learners()[learner], traits_of(dataset))))
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    late = Deadline(10.0)
    if learner == "svm":
        with pytest.raises(TimeoutError, match="longer than the time that was left"):
            evaluate(dataset, config, len(dataset), 0, late)
    else:
        evaluate(dataset, config, len(dataset), 0, late)
    assert len(begun) == folds


@pytest.mark.parametrize(("first", "handed_on"), [(0, [None, None, 2, 2]), (60, [None, 61, 61, 61])])
def test_rounds_of_a_fold_that_was_cut_short_are_handed_on_if_they_are_some(
    first: int, handed_on: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hiccup of the machine in the first fold would leave all the others with a single round."""
    told: list[dict[str, float]] = []

    def fitted(order, rows, y, classes) -> Fitted:
        told.append(dict(order.known))
        found = fit_pipeline(order, rows, y, classes)
        return found._replace(cut=len(told) == 1, known={"rounds": first + len(told), "rate": 0.1})

    monkeypatch.setattr(evaluating, "fit_pipeline", fitted)
    dataset = _ready().dataset
    config = next(iter(defaults(learners()["lightgbm"], traits_of(dataset))))
    outcome = evaluate(dataset, config, len(dataset), 0, Deadline.after(100))
    assert [known.get("rounds") for known in told][:4] == handed_on
    assert outcome.known["rounds"] == handed_on[-1]
    assert outcome.cut
