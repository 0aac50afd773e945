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


def tells(order):
    """A training that tells its loss and another metric at each epoch, in this order, and returns a third."""

    def train(trial):
        for epoch in range(trial.start + 1, trial.resource + 1):
            for name in order:
                trial.report(epoch, **{name: trial.config["x"] if name == "loss" else 10.0 * epoch})
        return {"test": 0.25}

    return train


@pytest.mark.parametrize("order", [("loss", "size"), ("size", "loss")])
@pytest.mark.parametrize("scheduler", ["plain", "asha", "median"])
def test_what_is_told_where_the_result_is_stands_beside_it(order, scheduler):
    asked = {**RUNGS, "scheduler": scheduler, "trials": 6}
    result = rung.tune(tells(order), SPACE, **asked, **ASKED)
    ended = [record for record in result.trials if record.state != "stopped"]
    assert ended
    for record in ended:
        last = 10.0 * record.resource
        assert {**record.metrics} == {"loss": record.config["x"], "size": last, "test": 0.25}
    assert set(result.to_frame().columns) >= {"metric.size", "metric.test"}
    assert audit(result.events()).differences == ()
    for resource, column in result.history.results.items():
        assert len(set(column.trials)) == len(column.trials), f"a trial counts twice at {resource}"


def reported_then_told(*told, **study):
    """A study, of which each trial reports the first of a pair at its end, and then ends with the other."""
    asked = {"resource": ("epoch", 1, 4), "scheduler": "plain", "sampler": "random", **study}
    study = Study(SPACE, **asked)
    for first, last in told:
        job = study.ask()
        study.report(job, 2, 0.9)
        study.report(job, job.resource, first)
        study.tell(job, last)
    return study


def test_what_a_job_ends_with_stands_in_the_place_of_what_it_reported_there():
    study = reported_then_told((0.5, 0.1))
    assert (study.best.value, study.history.incumbent.value) == (0.1, 0.1)
    assert list(study.history.results[4].values) == [0.1]


def test_the_best_is_by_what_jobs_ended_with():
    """The first reported the best value of all, and ended with the worst."""
    study = reported_then_told((0.1, 0.8), (0.5, 0.6), (0.7, 0.7))
    assert (study.best.number, study.best.value) == (1, 0.6)
    assert list(study.history.results[4].values) == [0.8, 0.6, 0.7]


def test_a_job_that_ends_with_no_number_has_failed_whatever_it_reported_there():
    study = reported_then_told((0.1, float("nan")), (0.5, 0.6))
    assert [str(record.state) for record in study.result.trials] == ["failed", "complete"]
    assert (study.best.number, study.best.value) == (1, 0.6)


def test_what_breaks_a_constraint_in_the_end_is_not_the_best():
    study = reported_then_told(
        ({"loss": 0.1, "mem": 1.0}, {"mem": 9.0}), ({"loss": 0.5, "mem": 1.0}, 0.4), constraints=["mem <= 5"]
    )
    assert (study.best.number, {**study.best.metrics}) == (1, {"loss": 0.4, "mem": 1.0})


def test_a_rung_keeps_the_value_that_was_acted_on():
    asked = {"resource": ("epoch", 1, 4), "scheduler": "asha-stopping", "sampler": "random", "trials": 1}
    study = Study(SPACE, **asked)
    job = study.ask()
    study.report(job, 1, 0.5)
    study.report(job, 1, {"loss": 0.1, "size": 3})
    assert list(study.history.results[1].values) == [0.5]
    assert {**study.best.metrics} == {"loss": 0.5, "size": 3}
