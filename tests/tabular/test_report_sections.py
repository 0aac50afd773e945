"""The sections of a report that look at groups, columns and rows, and what is said where one is left out."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from rung.tabular import charts
from rung.tabular.explain.scores import Interval
from rung.tabular.explain.shapley import explain_row
from rung.tabular.explain.trees import Contributions
from rung.tabular.fit import fit_table
from rung.tabular.metrics import get_metric
from rung.tabular.report import Findings, Subject, find, render_report, write_report
from rung.tabular.report.page import failures
from rung.tabular.report.pictures import Judged, _ranked, _roc, confusion, judged, pictures
from rung.tabular.result import FitResult
from rung.tabular.task import guess_task
from support.tables import KINDS, fitted, result


def _later() -> float:
    return time.monotonic() + 60


def _page(found: FitResult, findings: Findings) -> str:
    return render_report(found, Subject("t"), findings)


@pytest.mark.parametrize("kind", KINDS)
def test_all_sections_are_there_when_there_is_time(kind: str) -> None:
    found, frame = result(kind, held=False)
    findings = find(found, frame, _later())
    assert findings.missing == {}
    assert findings.slices is not None
    assert findings.slices.groups > 3
    assert findings.contributions is not None
    assert findings.interval is not None
    assert findings.interval.low <= found.score <= findings.interval.high
    assert {one.column for one in findings.dependence} >= {"a", "b"}
    page = _page(found, findings)
    for heading in ("Where it is worse", "How the prediction moves", "Row by row", "Score and cost"):
        assert f"<h2>{heading}</h2>" in page
    assert ("<h2>Precision and recall</h2>" in page) is (kind != "regression")
    assert ("<h2>Errors by prediction</h2>" in page) is (kind == "regression")
    assert "95 %" in page


def test_without_time_each_part_is_a_sentence() -> None:
    found, frame = result("binary")
    findings = find(found, frame, time.monotonic() - 1)
    assert set(findings.missing) == {"slices", "dependence", "contributions"}
    page = _page(found, findings)
    for name in ("Where it is worse", "How the prediction moves", "Row by row"):
        assert f"<b>{name}.</b> Left out: no time was left for it." in page
        assert f"<h2>{name}</h2>" not in page


def test_too_few_rows_for_groups_are_said() -> None:
    found, frame = result("binary")
    found = dataclasses.replace(
        found, held=None, valid=found.valid[:15], y=found.y[:15], prediction=found.prediction[:15]
    )
    page = _page(found, find(found, frame, _later()))
    assert "<b>Where it is worse.</b> Left out: no group has twenty rows." in page


def test_trees_are_explained_by_their_library() -> None:
    found, frame = result("regression")
    model, _ = fitted("regression", "linear", "lightgbm")
    findings = find(dataclasses.replace(found, model=model), frame, _later())
    assert findings.contributions is not None
    assert findings.contributions.what == "y of lightgbm"
    assert len(findings.contributions.amounts) == 40


def test_other_members_are_explained_by_sampling() -> None:
    found, frame = result("regression")
    part = find(found, frame, _later()).contributions
    assert part is not None
    assert part.what == "y"
    assert len(part.amounts) >= 15
    assert part.base + part.amounts.sum(axis=1) == pytest.approx(part.margin, abs=0.5)


def test_hostile_cells_and_columns_are_escaped() -> None:
    found, frame = result("binary", held=False)
    findings = find(found, frame, _later())
    evil = "<img src=x>"
    assert findings.slices is not None
    assert findings.contributions is not None
    worst = tuple(dataclasses.replace(s, column=evil, label=evil) for s in findings.slices.worst)
    part = findings.contributions
    page = _page(
        found,
        dataclasses.replace(
            findings,
            slices=dataclasses.replace(findings.slices, worst=worst),
            dependence=tuple(
                dataclasses.replace(
                    one,
                    column=evil,
                    series=(evil,),
                    grid=one.grid if one.numeric else (evil,) * len(one.grid),
                )
                for one in findings.dependence
            ),
            contributions=Contributions(
                evil, (evil,) * len(part.columns), part.amounts, part.ranks, part.base, part.margin
            ),
            missing={"slices": evil},
        ),
    )
    assert "<img" not in page
    assert "&lt;img" in page


def test_the_ladder_counts_who_came_how_far() -> None:
    found, _ = result("binary")
    board = [row._replace(rows=80 if row.rank <= 3 else 20) for row in found.leaderboard]
    page = _page(dataclasses.replace(found, leaderboard=board), Findings())
    assert "<h2>The ladder</h2>" in page
    assert '<td class="r">20</td><td class="r">15</td>' in page
    assert '<td class="r">80</td><td class="r">3</td>' in page
    assert "<h2>The ladder</h2>" not in _page(found, Findings()), "one rung is no ladder"


def test_failures_are_told_with_their_reasons() -> None:
    found, _ = result("binary")
    assert failures(found) == []
    object.__setattr__(found, "failures", {"out of\nmemory": 1, "too slow": 4})
    object.__setattr__(found, "failed", 5)
    assert failures(found) == [("too slow", 4), ("out of memory", 1)]
    assert "Why they have none: too slow (4); out of memory (1)." in _page(found, Findings())


def test_what_the_end_cut_off_is_told() -> None:
    found, _ = result("binary")
    object.__setattr__(found, "failures", {"too slow": 1})
    object.__setattr__(found, "failed", 3)
    assert failures(found) == [("cut off when the time was over", 2), ("too slow", 1)]


@pytest.mark.parametrize(
    ("split", "folds", "words"),
    [
        (None, 5, "5-fold cross-validation"),
        (None, 1, "a holdout"),
        ("group:patient", 5, "5-fold cross-validation of whole groups"),
        ("time:day", 3, "3 times rows later than those trained on"),
        ("time:day", 1, "the last rows, rows later than those trained on"),
    ],
)
def test_how_rows_were_held_out(split: str | None, folds: int, words: str) -> None:
    found, _ = result("binary", held=False)
    found.model.notes.update({"split": split} if split else {})
    object.__setattr__(found, "folds", folds)
    assert found.validation == words
    assert f"({words})" in _page(found, Findings())


def test_a_stack_and_a_constant_are_among_the_members() -> None:
    found, _ = result("binary")
    one = found.model.members[0]
    found.model.members[:] = [
        dataclasses.replace(one, weight=0.7),
        dataclasses.replace(one, name="constant", weight=0.3),
    ]
    page = _page(found, Findings())
    assert "A weighted mean of 2 members" in page
    assert '<tr><td>constant</td><td></td><td></td><td class="r">30%</td></tr>' in page


def test_the_score_has_its_interval() -> None:
    found, _ = result("binary")
    assert "0.10000 – 0.90000, 95 %" in _page(found, Findings(interval=Interval(0.5, 0.1, 0.9)))


def _many(classes: int) -> FitResult:
    """A result of a task with many classes, of which each third row is said to be the next."""
    import pandas as pd

    found, _ = result("multiclass", held=False)
    y = np.arange(classes * 6) % classes
    task = guess_task(pd.Series([f"c{k:02d}" for k in y], name="y"))
    said = np.where(np.arange(len(y)) % 3 == 0, (y + 1) % classes, y)
    prediction = 0.9 * np.eye(classes)[said] + 0.1 / classes
    return dataclasses.replace(
        found, task=task, y=y, prediction=prediction, valid=np.arange(len(y)), metric=get_metric(None, task)
    )


def test_many_classes_are_cut_to_the_frequent_ones() -> None:
    found = _many(40)
    table = confusion(found, judged(found))
    assert table is not None
    assert (len(table.labels), table.left_out) == (20, 20)
    assert len(table.pairs) == 10
    assert all(rows > 0 and own != other for own, other, rows, _ in table.pairs)
    recall = {label: r for label, _, _, r in table.rates}
    codes = found.prediction.argmax(axis=1)
    assert recall["c03"] == pytest.approx((codes[found.y == 3] == 3).mean())
    assert [heading for heading, _, _ in pictures(found, judged(found))] == [
        "ROC curve",
        "Precision and recall",
        "Calibration",
    ]


def test_calibration_says_how_far_off_it_is() -> None:
    found = _many(3)
    words = next(w for heading, w, _ in pictures(found, judged(found)) if heading == "Calibration")
    hit = (found.prediction.argmax(axis=1) == found.y).mean()
    off = abs(found.prediction.max(axis=1).mean() - hit)
    assert f"{off:.1%} off it" in words


def test_calibration_is_of_the_class_that_is_said() -> None:
    """By the factors the first class is said of all rows, which has half of the probability of another."""
    found, _ = result("multiclass")
    found.model.factors = np.array([10.0, 1.0, 1.0])
    p = np.tile([0.3, 0.6, 0.1], (100, 1))
    rows = Judged(np.tile([0, 0, 0, 1, 1, 1, 1, 2, 2, 2], 10), p, "some rows", np.ones(100))
    assert "are 0.0% off it" in pictures(found, rows)[-1][1], "said of all rows, and right of 30 %"


def test_rows_of_one_prediction_are_together_whatever_their_order() -> None:
    """In a table that is sorted by its target a constant is as calibrated as in any other."""
    found, _ = result("binary")
    y = np.sort(np.arange(400) % 4 == 0).astype(int)
    rows = Judged(y, np.tile([0.75, 0.25], (400, 1)), "some rows", np.ones(400))
    assert "are 0.0% off it" in pictures(found, rows)[-1][1]


def test_labels_follow_the_models_factors() -> None:
    found, _ = result("binary")
    found.model.factors = np.array([1.0, 1e9])
    table = confusion(found, judged(found))
    assert table is not None
    assert [row[0] for row in table.counts] == [0, 0], "the first class is never said"


def test_curves_count_rows_by_their_weight() -> None:
    rng = np.random.default_rng(3)
    y, p = rng.integers(0, 2, 60), rng.random(60).round(1)
    times = rng.integers(0, 4, 60)
    repeated = np.repeat(np.arange(60), times)
    weighted = _ranked(p, y, times.astype(float))
    whole = _ranked(p[repeated], y[repeated], np.ones(len(repeated)))
    assert _roc(*weighted)[-1] == (1.0, 1.0)
    area = [np.trapezoid(*np.asarray(_roc(*one)).T[::-1]) for one in (weighted, whole)]
    assert area[0] == pytest.approx(area[1], abs=1e-3)
    assert area[0] == pytest.approx(roc_auc_score(y, p, sample_weight=times), abs=1e-3)


def test_confusion_counts_rows_by_their_weight() -> None:
    """As repeated rows would, but that the matrix still adds up to the rows."""
    found = _many(3)
    rows, times = judged(found), np.arange(len(found.y)) % 4
    twice = np.repeat(np.arange(len(rows.y)), times)
    weighted = confusion(found, rows._replace(weight=times.astype(float)))
    whole = confusion(found, Judged(rows.y[twice], rows.prediction[twice], "", np.ones(len(twice))))
    assert weighted is not None
    assert whole is not None
    np.testing.assert_allclose(weighted.shares, whole.shares)
    assert [rate[2] for rate in weighted.rates] == pytest.approx([rate[2] for rate in whole.rates])
    assert np.sum(weighted.counts) == pytest.approx(len(rows.y), abs=5)


def test_a_histogram_of_weights_is_that_of_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    values, times = rng.normal(size=80), rng.integers(1, 4, 80)
    inner = np.clip(values, *np.quantile(values, [0.3, 0.7]))  # with the same ends, however often they are
    weighted = charts.histogram_chart(inner, "x", weight=times)
    assert weighted == charts.histogram_chart(np.repeat(inner, times), "x")
    assert weighted != charts.histogram_chart(inner, "x")


def test_long_names_keep_both_ends():
    assert charts._shortened("age ≤ 30", 180) == "age ≤ 30"
    short = charts._shortened("chV1_intrinsicReflections: 24.5 to 36", 180)
    assert short.startswith("chV1_intri")
    assert short.endswith("…ons: 24.5 to 36"[-10:])
    assert "…" in short
    assert charts._shortened("x" * 50, 1) == "x…"


def test_numbers_in_texts_have_no_exponent_that_they_can_do_without():
    assert [charts.rounded(x) for x in (48_712.4, -33_600, 0.12345, 1.5e7)] == [
        "48,700",
        "-33,600",
        "0.123",
        "1.5e+07",
    ]


@pytest.mark.parametrize("of", ["huge", "constant"])
def test_reports_of_tables_at_the_edge(of: str, tmp_path: Path) -> None:
    """Losses that overflow, and a model that reads no column: the report was a traceback after a good fit."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    frame = {
        "huge": pd.DataFrame({"x": x, "c": rng.choice(["a", "b"], 200), "y": x * 1e300}),
        "constant": pd.DataFrame({"x": 1, "y": np.where(x > 0, "yes", "no")}),
    }[of]
    found = fit_table(frame, "y", trials=2, include=("linear",))
    page = write_report(tmp_path / "r.html", found, frame, None, _later()).read_text()
    assert "</html>" in page
    if of == "constant":
        assert "the model reads no column" in page
        assert explain_row(found.model, frame, 3).contributions == ()
    else:
        assert "nan" not in page.partition("<body")[2].partition("<script")[0]


def test_ticks_of_a_range_that_overflows() -> None:
    assert charts.ticks(-1.7e308, 1.7e308) == [-1.7e308]
