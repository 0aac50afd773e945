"""Every trial's record, from the log alone."""

import msgspec
import pytest

import rung
from rung.space import compile_space, to_json
from rung.space.domains import Float
from rung.study.records import trials
from rung.trials import events as ev
from rung.trials.events import Failure
from support.driver import identity

SPACE = compile_space({"x": Float(0.0, 1.0)})


def records(*events, plain=False, goals=1):
    who = msgspec.structs.replace(identity(1, 9, plain=plain, goals=goals), space=to_json(SPACE.space))
    return trials([ev.StudyCreated(who, "test"), *events])


def seen(record):
    return [(o.resource, o.metrics["loss"]) for o in record.observations]


def test_observations_are_those_that_the_history_counts():
    (record,) = records(
        ev.JobStarted(0, 3, values=(0.5,)),
        ev.Reported(0, 1, {"loss": 3.0}),
        ev.Reported(0, 1, {"loss": 9.0}),  # doubled
        ev.Reported(0, 2, {"loss": 8.0}, attempt=5),  # of no job that runs
        ev.Reported(0, 7, {"loss": 2.0}),  # beyond the job's end
        ev.Reported(0, 8, {"loss": 7.0}),  # reported there already
        ev.JobFinished(0),
        ev.Reported(0, 9, {"loss": 1.0}),  # late
    )
    assert seen(record) == [(1, 3.0), (3, 2.0)]
    assert (record.value, record.resource, str(record.state)) == (2.0, 3, "paused")


def test_a_job_that_runs_again_doubles_nothing():
    lost = ev.JobFailed(0, Failure.LOST, "gone", time=5.0)
    (record,) = records(
        ev.JobStarted(0, 3, values=(0.5,)),
        ev.Reported(0, 1, {"loss": 3.0}),
        lost,
        ev.JobStarted(0, 3, attempt=1),
        *(ev.Reported(0, n, {"loss": 3.0 / n}, 1) for n in (1, 2, 3)),
        ev.JobFinished(0, 1),
    )
    assert seen(record) == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert (record.timing.attempts, record.timing.message) == (2, "gone")


def test_a_report_that_lacks_a_metric_is_there_once():
    """Whether the rest follows in the same job, or all is told anew by one that runs again."""
    (record,) = records(
        ev.JobStarted(0, 3, values=(0.5,)),
        ev.Reported(0, 1, {"loss": 3.0}),
        ev.Reported(0, 1, {"size": 7.0}),
        ev.Reported(0, 2, {"loss": 2.0}),
        ev.JobFailed(0, Failure.INTERRUPTED),
        ev.JobStarted(0, 3, attempt=1),
        ev.Reported(0, 1, {"loss": 3.0}, 1),
        ev.Reported(0, 2, {"loss": 2.0}, 1),
        ev.Reported(0, 2, {"speed": 5.0}, 1),
        ev.Reported(0, 3, {"loss": 1.0}, 1),
        ev.JobFinished(0, 1, {"speed": 6.0}),
        goals=2,
    )
    assert [(each.resource, {**each.metrics}) for each in record.observations] == [
        (1, {"loss": 3.0}),
        (2, {"loss": 2.0, "speed": 5.0}),
        (3, {"loss": 1.0, "speed": 6.0}),
    ]


def test_without_a_resource_a_job_that_runs_again_goes_on_after_its_checkpoint():
    (record,) = records(
        ev.JobStarted(0, 1, values=(0.5,)),
        *(ev.Reported(0, n, {"loss": 1.0 / n}) for n in (1, 2, 3)),
        ev.CheckpointSaved(0, 2, "there"),
        ev.JobFailed(0, Failure.LOST),
        ev.JobStarted(0, 1, start=2, attempt=1, checkpoint="there"),
        *(ev.Reported(0, n, {"loss": 1.0 / n}, 1) for n in (3, 4)),
        ev.JobFinished(0, 1),
        plain=True,
    )
    assert seen(record) == [(n, 1.0 / n) for n in (1, 2, 3, 4)]
    assert (record.value, record.checkpoint) == (0.25, "there")


def test_a_trial_whose_values_are_no_numbers_has_none():
    (record,) = records(
        ev.JobStarted(0, 3, values=(0.5,)),
        ev.Reported(0, 1, {"loss": float("nan")}),
        ev.JobFailed(0, Failure.ERROR, "ValueError: no luck"),
    )
    assert record.value is None
    assert (str(record.state), record.timing.message) == ("failed", "ValueError: no luck")


def test_the_best_is_told_of_where_its_value_was_reported():
    """It went on and broke a constraint: the value of epoch 3 stood beside epoch 4 and its metrics."""

    def train(trial):
        for epoch in range(1, 5):
            trial.report(epoch, loss=trial.config["x"] + 1 / epoch, memory=epoch)

    with rung.Study(
        {"x": rung.Float(0, 1)},
        resource=("epoch", 1, 4),
        scheduler="plain",
        constraints=["memory <= 3"],
        trials=2,
    ) as study:
        result = study.run(train)
    best = result.best
    assert (best.resource, best.metrics) == (3, {"loss": best.value, "memory": 3.0})
    assert best.value == pytest.approx(best.config["x"] + 1 / 3)
    assert [one.resource for one in result.trials[best.number].observations] == [1, 2, 3, 4]
