import re
import time
from functools import cache
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular import charts
from rung.tabular.columns import prepare
from rung.tabular.importance import _ranked, permutation_importance
from rung.tabular.metrics import get_metric
from rung.tabular.report import Findings, Subject, explain, find, render_report, write_report
from rung.tabular.report import page as pages
from rung.tabular.result import FitResult
from support.tables import KINDS, fitted, result

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Checker(HTMLParser):
    """Follows the open elements; fails at one that is closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def words(page: str) -> str:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return " ".join(" ".join(checker.text).split())


COMMAND = "rung fit data.csv --target y --budget 3s"


@cache
def page_of(kind: str, held: bool) -> tuple[FitResult, pd.DataFrame, str]:
    """A result, the table that it was found on, and the page of both."""
    found, frame = result(kind, held=held)
    findings = find(found, frame, time.monotonic() + 60)
    return found, frame, render_report(found, Subject("data.csv", COMMAND), findings)


@pytest.mark.parametrize(
    ("kind", "held"), [*product(KINDS, [True]), ("binary", False), ("regression", False)]
)
def test_the_page_says_what_was_found(kind: str, held: bool) -> None:
    found, _, page = page_of(kind, held)
    text = words(page)
    assert "y in data.csv" in text
    assert COMMAND in text
    assert "brave-otter" in text
    assert ("the 40 rows held out from the start" in text) is held
    assert ("LightGBM’s defaults" in text) is held
    assert ("Confusion matrix" in text) is (kind != "regression")
    assert ("ROC curve" in text) is (kind != "regression")
    assert ("Predicted and true" in text) is (kind == "regression")
    assert "What the model looks at" in text
    assert "3 more" in text  # of 15 rows of the leaderboard, 12 are shown at once
    for column in found.columns:
        assert column.name in text


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_needs_no_network_and_holds_no_row(kind: str) -> None:
    _, frame, page = page_of(kind, True)
    assert not re.search(r"(src|href)\s*=|url\(|@import|<script|https?://", page)
    assert "secret" not in page
    assert not any(day in page for day in frame["day"])
    assert len(page) < 200_000


def test_hostile_names_are_escaped() -> None:
    found, frame = result("binary")
    found.model.target = "<script>alert(1)</script>"
    importance = Findings(explain(found, frame))
    page = render_report(found, Subject("<b>x</b>.csv", "rung fit '<i>'"), importance)
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page
    assert "<i>'" not in page
    assert "&lt;x&gt;" in charts.bar_chart([("<x>", 1.0, 0.0)], "<y>")


def test_a_search_that_found_nothing_has_a_page_too() -> None:
    found, _ = result("binary", trials=0)
    assert "No configuration had a score" in words(render_report(found, Subject("a table")))


def test_the_file_is_whole_or_not_there(tmp_path: Path) -> None:
    found, frame = result("regression")
    place = write_report(tmp_path / "report.html", found, frame, None, time.monotonic() + 20)
    assert place.read_text(encoding="utf-8").endswith("</html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(DataError, match="cannot be written"):
        write_report(tmp_path / "no" / "report.html", found, frame, None, time.monotonic())


def test_importance_finds_the_columns_that_matter() -> None:
    model, frame = fitted("regression", "linear", "lightgbm")
    y = model.task.encode(frame["y"])
    ready = prepare(frame, model.columns)
    before = ready.copy()
    found = permutation_importance(model, ready, y, get_metric("rmse", model.task), time.monotonic() + 60)
    assert [c.name for c in found.columns[:2]] in (["a", "b"], ["b", "a"])
    assert {c.name for c in found.columns} == {c.name for c in model.columns if c.used}
    assert found.columns[0].mean > 5 * abs(found.columns[-1].mean)
    assert (found.rows, found.note) == (120, "")
    assert ready.equals(before)


def test_importance_counts_rows_by_their_weight() -> None:
    model, frame = fitted("regression", "linear")
    y = model.task.encode(frame["y"])
    metric, end = get_metric("rmse", model.task), time.monotonic() + 60
    ready = prepare(frame, model.columns)
    weight = np.where(np.arange(len(y)) < 60, 1.0, 0.0)
    wrong = np.where(weight > 0, y, 1e6)  # without weight: as if they were not there
    found = permutation_importance(model, ready, wrong, metric, end, weight=weight)
    assert found.columns == permutation_importance(model, ready, y, metric, end, weight=weight).columns


def test_importance_of_labels_is_of_those_that_are_said() -> None:
    model, frame = fitted("binary")
    y, metric = model.task.encode(frame["y"]), get_metric("f1", model.task)
    ready = prepare(frame, model.columns)
    found = permutation_importance(model, ready, y, metric, time.monotonic() + 60)
    assert found.columns[0].mean > 0.1
    model.factors = np.array([1.0, 1e9])  # yes is said of every row, whatever its cells are
    found = permutation_importance(model, ready, y, metric, time.monotonic() + 60)
    assert {column.mean for column in found.columns} == {0.0}


@pytest.mark.parametrize("repeats", [2, 5])
def test_the_whiskers_of_an_importance_hold_its_mean_as_often_as_said(
    repeats: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = result("regression")
    rises = {str(i): some for i, some in enumerate(np.random.default_rng(0).normal(size=(2_000, repeats)))}
    ranked = _ranked(list(rises), rises, 9, repeats)
    monkeypatch.setattr(pages, "MOST_BARS", len(rises))
    monkeypatch.setattr(charts, "bar_chart", lambda rows, unit: rows)
    held = [abs(mean) <= reach for _, mean, reach in pages._bars(ranked, found)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_importance_is_left_out_where_no_time_is_left() -> None:
    found, frame = result("binary")
    late = explain(found, frame, time.monotonic() - 1)
    assert late.columns == ()
    page = render_report(found, Subject("t"), Findings(late))
    assert "What the model looks at. Left out: no time was left for it." in words(page)
    assert "<h2>What the model looks at" not in page, "a line, no card"


def drawn(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)  # our own


def test_charts_are_well_formed_and_stay_inside() -> None:
    rng = np.random.default_rng(0)
    made = [
        charts.step_chart([(0.1, 0.5), (2.0, 0.7)], 3.0, "seconds", "best"),
        charts.step_chart([(0.1, 0.5)], 0.1, "seconds", "best"),
        charts.density_chart(rng.normal(size=50), rng.normal(size=50), "x", "y"),
        charts.density_chart(np.ones(3), np.ones(3), "x", "y"),
        charts.histogram_chart(rng.normal(size=50), "x"),
        charts.histogram_chart(np.zeros(3), "x"),
        charts.bar_chart([("a", 0.5, 0.1), ("b", -0.1, 0.0)], "x"),
        charts.bar_chart([("a", 0.0, 0.0)], "x"),
        charts.lines_chart([charts.Line("a", [(0.0, 1.0), (2.0, 3.0)], [0.5, 2.5], [1.5, 3.5])], "x", "y"),
        charts.lines_chart([charts.Line(n, [(0, 0), (1, 1)]) for n in "abcdefg"], "x", "y", unit=True),
        charts.lines_chart([charts.Line("a", [(1.0, 1.0)], [1.0], [1.0])], "x", "y", level=0, marked=True),
        charts.dot_chart([charts.Dot("a", 1.0, 0.5, 2.0, "9 rows"), charts.Dot("b", 0.0, 0, 0)], "x", 1.0),
        charts.swarm_chart(["a", "b"], rng.normal(size=(90, 2)), rng.random((90, 2)), "x"),
        charts.swarm_chart(["a"], np.zeros((90, 1)), np.full((90, 1), np.nan), "x"),
        charts.points_chart([(0.1, 0.5, True), (10.0, 0.7, False), (2.0, -900.0, False)], "x", "y"),
        charts.points_chart([(1.0, 0.5, True)] * 3, "x", "y"),
    ]
    for markup in made:
        root = drawn(markup)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for element in root.iter():
            for name, limit in (("x", width), ("cx", width), ("y", height), ("cy", height)):
                if name in element.attrib:
                    assert -1 <= float(element.attrib[name]) <= limit + 1


def test_long_tick_labels_leave_the_axis_name_alone() -> None:
    """The name's letters, 12 pixels high, end at 18; a digit is at least 6 wide."""
    chart = drawn(charts.step_chart([(0.1, 1_234_000.0), (2.0, -950_000.0)], 3.0, "seconds", "best"))
    texts = [e for e in chart.iter("text") if e.get("text-anchor") == "end"]
    assert max(len(e.text or "") for e in texts) >= 8
    assert all(float(e.attrib["x"]) - 6 * len(e.text or "") > 18 for e in texts)


def test_a_bad_beginning_does_not_hide_the_later_steps() -> None:
    points = [(0.1, 60.0), (0.2, 1.0), (0.5, 0.8), (0.9, 0.75)]
    heights = [float(e.attrib["cy"]) for e in drawn(charts.step_chart(points, 1.0, "x", "y")).iter("circle")]
    assert heights[2] - heights[1] > 40
    even = [(0.1, 1.0), (0.2, 0.9), (0.5, 0.8)]
    heights = [float(e.attrib["cy"]) for e in drawn(charts.step_chart(even, 1.0, "x", "y")).iter("circle")]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.1)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0.889, 0.9163, [0.89, 0.9, 0.91]),
        (0, 30, [0, 10, 20, 30]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert charts.ticks(low, high) == pytest.approx(expected)
