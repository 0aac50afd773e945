"""Metrics of one result that are told one after the other."""

import pytest

import rung
from rung.study.audit import audit
from rung.study.study import Study

SPACE = {"x": rung.Float(0, 1)}
ASKED = {"sampler": "random", "quiet": True}
RUNGS = {"resource": ("epoch", 1, 4), "scheduler": "asha", "metric": "loss"}


def another_metric_first(trial):
    for epoch in range(trial.start, trial.resource):
        trial.report(epoch + 1, accuracy=0.9)
        trial.report(epoch + 1, loss=trial.config["x"])


def another_metric_and_the_loss_returned(trial):
    trial.report(trial.resource, accuracy=0.9)
    return trial.config["x"]


@pytest.mark.parametrize("train", [another_metric_first, another_metric_and_the_loss_returned])
def test_a_report_without_the_studys_metric_is_no_result(train):
    result = rung.tune(train, SPACE, trials=4, **RUNGS, **ASKED)
    assert [record.value for record in result.trials] == [record.config["x"] for record in result.trials]
    assert {**result.best.metrics} == {"accuracy": 0.9, "loss": result.best.value}
    assert audit(result.events()).differences == ()


def test_what_is_returned_stands_beside_what_was_reported():
    def train(trial):
        trial.report(mem=5.0, loss=1.0)
        return 0.5

    best = rung.tune(train, SPACE, trials=3, constraints=["mem <= 10"], **ASKED).best
    assert (best.value, {**best.metrics}) == (0.5, {"mem": 5.0, "loss": 0.5})


def test_several_objectives_are_told_in_parts():
    study = Study(SPACE, metric=["a", "b"], mode=["min", "min"], trials=1, sampler="random")
    job = study.ask()
    study.report(job, 1, {"a": 1.0, "b": 2.0})
    study.tell(job, {"a": 0.5})
    assert {**study.result.trials[0].metrics} == {"a": 0.5, "b": 2.0}
    assert study.history.latest[0] == 0.5


def test_at_a_larger_resource_the_parts_are_told_anew():
    asked = {"resource": ("epoch", 1, 4), "scheduler": "plain", "sampler": "random"}
    study = Study(SPACE, metric=["a", "b"], mode=["min", "min"], **asked)
    job = study.ask()
    study.report(job, 1, {"b": 2.0})
    study.report(job, 2, {"a": 0.5})
    assert study.history.reached[0] == 0  # nothing is whole yet
    study.report(job, 2, {"b": 1.0})
    assert study.history.reached[0] == 2
    assert {**study.result.trials[0].metrics} == {"a": 0.5, "b": 1.0}
