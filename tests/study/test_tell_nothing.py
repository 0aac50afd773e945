"""Ask and tell: an end without a value is refused, and the job can still be told."""

import math

import pytest

import rung
from rung.errors import StudyError
from rung.trials.states import TrialState

SPACE = {"x": rung.Float(0.0, 1.0)}


def test_an_end_without_a_value_is_refused_and_can_be_told_again():
    with rung.Study(SPACE, trials=3) as study:
        job = study.ask()
        with pytest.raises(StudyError, match=r"trial 0 has no value of loss: tell\(job, \{'loss': 0.31\}\)"):
            study.tell(job)
        with pytest.raises(StudyError, match="has no value of loss"):
            study.tell(job, {"accuracy": 0.5})
        study.tell(job, {"loss": 0.25, "accuracy": 0.5})
        assert study.best.value == 0.25


def test_one_number_is_no_value_of_two_objectives():
    with rung.Study(SPACE, metric=["a", "b"], trials=3) as study:
        job = study.ask()
        with pytest.raises(StudyError, match=r"no value of b: tell\(job, \{'b': 0.31\}\)"):
            study.tell(job, 1.0)
        study.tell(job, {"a": 1.0, "b": 2.0})
        assert study.history.states == [TrialState.COMPLETE]


def test_what_was_reported_is_a_value():
    with rung.Study(SPACE, trials=3) as study:
        for value in (0.5, math.nan):
            job = study.ask()
            study.report(job, 1, value)
            study.tell(job)
        assert study.history.states == [TrialState.COMPLETE, TrialState.FAILED]


def test_at_a_resource_it_is_what_was_reported_there():
    with rung.Study(SPACE, resource=("epoch", 3, 9), scheduler="asha", trials=3) as study:
        job = study.ask()
        study.report(job, 2, 0.5)
        with pytest.raises(StudyError, match="trial 0 has no value of loss at 3"):
            study.tell(job, {"accuracy": 0.5})
        study.report(job, 3, 0.25)
        study.tell(job, {"accuracy": 0.5})
        assert study.history.states == [TrialState.PAUSED]
        study.tell(study.ask(), error="no memory")


def test_a_failure_without_a_reason_is_called_so():
    with rung.Study(SPACE, trials=2) as study:
        study.tell(study.ask(), error="")
        study.tell(study.ask(), infeasible="")
        said = [trial.timing.message for trial in study.result.trials]
        assert said == ["no reason was told"] * 2
        assert study.history.states == [TrialState.FAILED, TrialState.INFEASIBLE]
