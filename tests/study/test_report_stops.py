"""A caller's own loop is told by its reports when a job is to stop, as an objective is inside `run`."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

import rung
from rung.errors import StudyError
from rung.schedulers.base import Start, Stop, Wait
from rung.storage import open_storage
from rung.study.audit import audit
from rung.trials.events import Limits

SPACE = {"x": rung.Float(0.0, 1.0)}
EPOCHS = {"resource": ("epoch", 1, 9), "sampler": "random", "scheduler": "plain"}


def begun(**settings):
    """A study, and a job of it that has reported once and goes on."""
    study = rung.Study(SPACE, **{**EPOCHS, **settings})
    job = study.ask()
    assert study.report(job, 1, 0.9)
    return study, job


def states(study):
    return [str(record.state) for record in study.result.trials]


@dataclass(frozen=True)
class FirstFallsBehind:
    """Starts two trials; stops the first once the second is there."""

    def next(self, history):
        if len(history.values) < 2:
            return Start(9)
        first = history.running.get(0)
        return Wait() if first is None or first.stopping else Stop(0)


@pytest.mark.parametrize("request_", ["pause", "stop"])
def test_what_others_ask_reaches_the_next_report(request_):
    storage = open_storage("memory")
    study, job = begun(storage=storage, study="s")
    storage.request("s", request_, {})
    study.looked = -1.0  # it looks now and then
    assert not study.report(job, 2, 0.8)
    assert job.stopped


def test_a_study_that_is_stopped_says_so_at_the_next_report():
    study, job = begun()
    study.stop()
    assert not study.report(job, 2, 0.8)


def test_a_budget_that_is_spent_says_so_at_the_next_report(monkeypatch):
    study, job = begun(budget=60.0)
    later = study.history.clock.last + 61.0
    monkeypatch.setattr("rung.study.asked.time", SimpleNamespace(time=lambda: later))
    assert not study.report(job, 2, 0.8)
    assert study.history.stopping == "budget"
    assert study.ask() is None
    assert study.done


def test_a_target_that_is_reached_stops_all_jobs_at_their_next_report():
    study, job = begun(target=0.1)
    other = study.ask()
    assert not study.report(job, 2, 0.05)
    assert not study.report(other, 1, 0.5)
    assert study.ask() is None
    assert study.done
    assert states(study) == ["interrupted", "interrupted"]
    assert audit(study.events()).differences == ()


def test_a_target_whose_repeats_are_still_to_run_stops_nothing():
    study, job = begun(target=0.1, confirm=2)
    assert study.report(job, 2, 0.05)


def test_the_number_of_trials_stops_nothing_that_runs():
    study, job = begun(trials=1)
    assert study.ask() is None
    assert study.report(job, 2, 0.8)


def test_a_job_that_stopped_runs_again_in_the_next_session():
    storage = open_storage("memory")
    study, job = begun(storage=storage, study="s", target=0.1)
    assert not study.report(job, 2, 0.05, checkpoint="weights")
    study.close()
    with rung.Study(SPACE, **EPOCHS, storage=storage, study="s", trials=3) as again:
        more = again.ask()
        assert (more.number, more.attempt, more.start, more.config) == (0, 1, 2, job.config)


def test_with_another_end_it_runs_again_in_the_same_session():
    study, job = begun(target=0.1)
    assert not study.report(job, 2, 0.05)
    study.set_limits(Limits(trials=1))
    again = study.ask()
    assert (again.number, again.attempt) == (0, 1)
    with pytest.raises(StudyError, match="trial 0 was stopped, as its study was to end"):
        study.report(job, 3, 0.04)
    with pytest.raises(StudyError, match="trial 0 was stopped, as its study was to end"):
        study.tell(job, 0.04)


def test_whoever_goes_on_may_until_another_is_asked_for():
    study, job = begun(target=0.1)
    for epoch in range(2, 10):
        assert not study.report(job, epoch, 0.05)
    study.tell(job, {"loss": 0.04, "test": 0.2})
    assert study.ask() is None
    assert states(study) == ["complete"]
    assert {**study.best.metrics} == {"loss": 0.04, "test": 0.2}
    with pytest.raises(StudyError, match="told already"):
        study.tell(job, 0.5)


def test_what_was_reported_at_the_very_end_counts():
    study, job = begun(target=0.1)
    assert not study.report(job, 9, 0.05)
    study.close()
    assert states(study) == ["complete"]


def test_with_another_end_a_job_may_be_told_to_go_on_after_all():
    study, job = begun(target=0.1)
    assert not study.report(job, 2, 0.05)
    study.set_limits(Limits(trials=1))
    assert study.report(job, 3, 0.04)
    assert not job.stopped
    assert study.ask() is None
    study.tell(job, 0.03)
    assert states(study) == ["complete"]


def test_jobs_that_were_told_to_stop_are_let_go_of_by_run():
    study, job = begun(target=0.1)
    assert not study.report(job, 9, 0.05)
    study.run(lambda trial: 0.5, trials=2)
    assert states(study) == ["complete", "complete"]
    assert study.result.trials[0].timing.attempts == 1


def test_a_closed_study_may_be_closed_again():
    study, job = begun(target=0.1)
    assert not study.report(job, 2, 0.05)
    study.close()
    study.close()
    assert states(study) == ["interrupted"]


def test_a_trial_that_its_scheduler_stopped_while_another_told_hears_of_it_at_its_next_report():
    study, job = begun(scheduler=FirstFallsBehind())
    other = study.ask()
    assert study.report(other, 1, 0.5)
    assert not study.report(job, 2, 0.8)
    assert states(study) == ["stopped", "running"]
    with pytest.raises(StudyError, match="trial 0 was stopped by the scheduler"):
        study.tell(job, 0.8)
