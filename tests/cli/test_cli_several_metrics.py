"""Studies with several metrics, or whose best was confirmed: each place shows the same numbers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import rung as package
from rung.cli.follow import follow
from rung.cli.progress import status
from rung.service.views import study_detail


def judge(config):
    return {"error": config["x"], "weight": 2 - config["x"], "note": 7.0}


@pytest.fixture
def front(folder) -> package.Study:
    """A study of two objectives, in rung.db."""
    study = package.Study(
        {"x": package.Float(0, 1)}, metric=["error", "weight"], trials=6, storage="rung.db", study="front"
    )
    with study:
        study.run(judge)
    return study


def test_every_objective_is_shown_and_exported(rung, front) -> None:
    lines = rung("show", "front").stdout.splitlines()
    assert any(line.split()[:4] == ["trial", "error", "weight", "state"] for line in lines)
    best = json.loads(rung("show", "front", "--json").stdout)["best"][0]
    assert best["metrics"] == {"error": best["value"], "weight": 2 - best["value"], "note": 7.0}
    rows = list(csv.DictReader(io.StringIO(rung("export", "front", "--format", "csv").stdout)))
    assert "metric.error" not in rows[0]  # it is the column `value`
    for row in rows:
        assert float(row["metric.weight"]) == 2 - float(row["value"])
        assert row["metric.note"] == "7.0"


def test_a_frame_has_every_metric(front) -> None:
    frame = front.result.to_frame()
    assert (frame["metric.weight"] + frame["value"]).tolist() == pytest.approx([2.0] * 6)
    assert list(frame.columns)[:6] == ["number", "state", "value", "resource", "metric.weight", "metric.note"]


def test_a_confirmed_best_is_the_same_everywhere(rung, folder) -> None:
    """The mean of its repeats, not the luckiest single value."""
    study = package.Study(
        {"x": package.Float(0, 1)}, trials=6, confirm=2, noisy=True, storage="rung.db", study="twice"
    )
    with study:
        result = study.run(lambda trial: trial.seed / 2**31)
    assert result.best.value != study.history.incumbent.value
    (row,) = json.loads(rung("list", "--json").stdout)
    assert row["best"] == result.best.value
    shown = json.loads(rung("show", "twice", "--json").stdout)["incumbent"]
    assert (shown["number"], shown["value"]) == (result.best.number, result.best.value)
    exported = json.loads(rung("export", "twice").stdout)
    assert [trial["number"] for trial in exported if trial["incumbent"]] == [result.best.number]
    rows = list(csv.DictReader(io.StringIO(rung("export", "twice", "--format", "csv").stdout)))
    assert [int(row["number"]) for row in rows if row["incumbent"] == "true"] == [result.best.number]
    seen = study_detail(study.history)["incumbent"]
    assert (seen["trial"], seen["value"]) == (result.best.number, result.best.value)
    assert f"{result.best.value:.6g} (trial {result.best.number})" in status(study.history, 1.0)
    assert [stage.trial for stage in result.lineage()] == [result.best.number]
    words = f"best {result.best.value:g} by trial {result.best.number}>"
    assert repr(study) == f"<Study 'twice': {len(result.trials)} trials, {words}"
    assert repr(result) == f"<Result of 'twice': {len(result.trials)} trials, {words}"


def test_a_best_that_broke_a_constraint_later_is_shown_where_it_kept_it(rung, folder) -> None:
    def train(trial):
        for epoch in range(1, 5):
            trial.report(epoch, loss=trial.config["x"] + 1 / epoch, memory=epoch)

    study = package.Study(
        {"x": package.Float(0, 1)},
        resource=("epoch", 1, 4),
        scheduler="plain",
        constraints=["memory <= 3"],
        trials=3,
        storage="rung.db",
        study="grows",
    )
    with study:
        best = study.run(train).best
    shown = json.loads(rung("show", "grows", "--json").stdout)["incumbent"]
    assert (shown["number"], shown["value"]) == (best.number, best.value)
    assert (shown["resource"], shown["metrics"]) == (3, {"loss": best.value, "memory": 3.0})


class Log:
    """A service's client that has the log of one study."""

    def __init__(self, study: package.Study) -> None:
        self.rows = list(enumerate(study.events()))

    def events(self, name, start=0, follow=True):
        return self.rows[start:]


def test_a_study_of_a_service_ends_in_the_same_words(rung, front, capsys) -> None:
    """Its front, the values of its best, and None as a value."""
    follow(Log(front), "front", "http://127.0.0.1:1")
    there = capsys.readouterr().out
    assert "Pareto front: " in there
    assert f"best error {front.best.value:.6g} by trial {front.best.number}" in there


@pytest.mark.parametrize(("trials", "words"), [(9, "nothing is left to try"), (2, "all that was asked for")])
def test_a_study_of_a_service_says_why_it_ended(folder, capsys, trials, words) -> None:
    study = package.Study({"x": package.Integer(1, 3)}, trials=trials, sampler="random")
    with study:
        study.run(lambda config: config["x"])
    follow(Log(study), "short", "http://127.0.0.1:1")
    assert f"{min(trials, 3)} trials, {words}\n" in capsys.readouterr().err


def test_a_confirmed_best_and_a_none_over_a_service(folder, capsys) -> None:
    study = package.Study(
        {"x": package.Float(0, 1), "y": package.Constant(None)}, trials=6, confirm=2, noisy=True
    )
    with study:
        result = study.run(lambda trial: trial.seed / 2**31)
    follow(Log(study), "twice", "http://127.0.0.1:1")
    there = capsys.readouterr().out
    assert f"best loss {result.best.value:.6g} by trial {result.best.number}" in there
    assert "the mean of 2 repeats" in there
    assert "y = None" in there


def test_a_study_begun_from_python_is_resumed_with_its_objective(rung, front) -> None:
    """The log of one that `rung tune` began knows where its objective lies."""
    said = "rung resume front --objective FILE.py:FUNCTION"
    assert said in rung("extend", "front", "--trials", 2).stderr
    rung("report", "front", "--out", "front.html")
    assert said in Path("front.html").read_text()


def test_a_study_begun_by_a_command_is_resumed_by_name(rung, objective) -> None:
    rung("tune", objective, "--trials", 2, "--study", "typed", "--sampler", "random")
    assert rung("extend", "typed", "--trials", 2).stderr.endswith("go on with: rung resume typed\n")


NAN_AT_THE_END = """
def train(trial):
    for epoch in range(trial.start + 1, trial.resource + 1):
        bad = epoch == 9 and trial.number == 0
        trial.report(epoch, loss=float("nan") if bad else 0.5 + trial.number, ms=epoch)
"""


def test_a_trial_that_ended_in_nan_is_on_no_front(rung, folder) -> None:
    Path("train.py").write_text(NAN_AT_THE_END)
    Path("space.yaml").write_text("parameters:\n  x: {type: float, low: 0.0, high: 1.0}\n")
    settings = ("--metric", "loss,ms", "--resource", "epoch:1:9", "--scheduler", "plain", "--trials", "2")
    said = rung("tune", "train.py:train", "--space", "space.yaml", *settings, "--study", "s").stdout
    assert "Pareto front: 1 trial; hypervolume 0" in said
    assert any(line.split()[:3] == ["1", "1.5", "9"] for line in said.splitlines())
    rows = [line.split() for line in rung("show", "s").stdout.splitlines()]
    assert [row[4] for row in rows if row[:1] in (["0"], ["1"])] == ["complete", "failed"]
