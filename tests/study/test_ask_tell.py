"""The caller's own loop: ask, report, tell."""

import math
import time

import pytest

import rung
from rung.errors import StudyError
from rung.storage import open_storage
from rung.trials.events import Limits, Requested

SPACE = {"x": rung.Float(0.0, 1.0)}


def test_asha_by_hand_promotes_the_best_third():
    study = rung.Study(SPACE, resource=("epoch", 1, 9), eta=3, sampler="random", scheduler="asha", trials=9)
    jobs = []
    while (job := study.ask()) is not None:
        jobs.append((job.number, job.start, job.resource))
        study.tell(job, job.number)
    assert study.done
    assert [job for job in jobs if job[2] == 1] == [(n, 0, 1) for n in range(9)]
    assert {job[0] for job in jobs if job[2] == 3} == {0, 1, 2}
    assert [job for job in jobs if job[2] == 9] == [(0, 0, 9)]
    assert study.history.incumbent.trial == 0
    assert study.history.spent == 9 + 3 * 3 + 9


def test_start_follows_a_told_checkpoint():
    study = rung.Study(SPACE, resource=("epoch", 1, 3), eta=3, sampler="random", scheduler="asha", trials=3)
    for _ in range(3):
        job = study.ask()
        study.tell(job, job.number, checkpoint="weights")
    job = study.ask()
    assert (job.number, job.start, job.resource, job.checkpoint) == (0, 1, 3, "weights")
    study.tell(job, 0.0)
    assert study.history.spent == 3 + 2
    assert study.ask() is None
    assert study.done


def test_ask_waits_while_the_last_jobs_run():
    study = rung.Study(SPACE, resource=("epoch", 1, 3), eta=3, sampler="random", scheduler="asha", trials=3)
    jobs = [study.ask() for _ in range(3)]
    assert study.ask() is None
    assert not study.done
    for job in jobs:
        study.tell(job, 1.0)
    assert study.ask().number == 0  # ties: the oldest


def test_without_a_resource_the_budget_is_none():
    study = rung.Study(SPACE, sampler="random", trials=2)
    job = study.ask()
    assert job.resource is None
    assert job.start == 0
    study.tell(job, {"loss": 0.5, "size": 3})
    assert study.history.incumbent.value == 0.5


def test_errors_and_infeasible_count_as_worst():
    study = rung.Study(SPACE, resource=("epoch", 1, 3), eta=3, sampler="random", scheduler="asha", trials=3)
    study.tell(study.ask(), error="diverged")
    study.tell(study.ask(), infeasible="too large")
    study.tell(study.ask(), math.nan)
    assert study.ask() is None
    assert study.done
    assert [str(state) for state in study.history.states] == ["failed", "infeasible", "failed"]
    assert study.history.incumbent is None


def test_nonsense_is_refused_with_a_sentence():
    study = rung.Study(SPACE, sampler="random", trials=3)
    other = rung.Study(SPACE, sampler="random", trials=3)
    job = study.ask()
    study.tell(job, 1.0)
    with pytest.raises(StudyError, match="told already"):
        study.tell(job, 1.0)
    with pytest.raises(StudyError, match="no job that this study handed out"):
        other.tell(job, 1.0)
    job = study.ask()
    for value in (object(), "low", [1.0], {"loss": "low"}):
        with pytest.raises(StudyError, match="must be a number"):
            study.tell(job, value)
    for resource in (0, -1, 1.5, True, "1", math.nan, math.inf, None):
        with pytest.raises(StudyError, match="no whole number above 0"):
            study.report(job, resource, 1.0)


def test_report_stops_a_trial_under_asha_stopping():
    study = rung.Study(
        SPACE, resource=("epoch", 1, 9), eta=3, sampler="random", scheduler="asha-stopping", trials=4
    )
    went = []
    while (job := study.ask()) is not None:
        for epoch in range(job.start, job.resource):
            if not study.report(job, epoch + 1, float(job.number)):
                break
        else:
            study.tell(job)
        went.append((job.number, job.stopped))
        if job.stopped:
            with pytest.raises(StudyError, match="stopped"):
                study.tell(job, 1.0)
    assert went[0] == (0, False)
    assert went[1] == (1, True)
    assert study.done


def test_same_seed_same_decisions_and_trial_seeds():
    def drawn(seed):
        study = rung.Study(SPACE, sampler="random", trials=5, seed=seed)
        jobs = [study.ask() for _ in range(5)]
        return [(job.config, job.seed) for job in jobs]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len({seed for _, seed in drawn(1)}) == 5


def test_without_a_budget_it_never_ends():
    study = rung.Study(SPACE, resource=("epoch", 1, 9), sampler="random", scheduler="hyperband")
    for _ in range(100):
        job = study.ask()
        study.tell(job, 1.0)
    assert not study.done


def test_enqueued_configurations_come_first():
    study = rung.Study(SPACE, sampler="random", trials=3)
    study.enqueue({"x": 0.25})
    assert study.ask().config == {"x": 0.25}
    assert study.ask().config != {"x": 0.25}
    with pytest.raises(rung.errors.SpaceError):
        study.enqueue({"x": 2.0})


def test_a_study_opened_again_hands_out_what_was_running(tmp_path):
    url = str(tmp_path / "s.db")
    settings = {"resource": ("epoch", 1, 9), "sampler": "random", "trials": 5, "storage": url, "study": "s"}
    first = rung.Study(SPACE, **settings)
    told, open_job = first.ask(), first.ask()
    first.tell(told, 0.5)
    first.close()
    second = rung.Study(SPACE, **settings)
    job = second.ask()
    assert (job.number, job.config, job.attempt) == (open_job.number, open_job.config, 1)
    second.tell(job, 0.4)
    assert len(second.history) == 2
    second.close()


def test_other_settings_are_an_error_that_shows_the_difference(tmp_path):
    url = str(tmp_path / "s.db")
    rung.Study(SPACE, trials=5, storage=url, study="s").close()
    with pytest.raises(StudyError, match=r"seed was 0, now 1"):
        rung.Study(SPACE, trials=5, storage=url, study="s", seed=1)
    with pytest.raises(StudyError, match="space"):
        rung.Study({"x": rung.Float(0.0, 2.0)}, trials=5, storage=url, study="s")
    rung.Study(SPACE, trials=9, storage=url, study="s").close()


def test_a_wall_time_budget_ends_the_callers_loop():
    study = rung.Study(SPACE, sampler="random", budget=0.3)
    began = time.monotonic()
    while (job := study.ask()) is not None:
        time.sleep(0.02)
        study.tell(job, 1.0)
        assert time.monotonic() - began < 10
    assert time.monotonic() - began >= 0.3
    assert study.done


def test_requests_reach_the_callers_loop():
    storage = open_storage("memory")
    study = rung.Study(SPACE, sampler="random", trials=50, storage=storage, study="s")
    storage.request("s", "enqueue", {"x": 0.25})
    storage.request("s", "stop", {})
    storage.request("s", "pause", {})
    assert study.ask() is None
    assert study.done
    study.close()
    assert storage.find("s").summary.state == "done"
    assert rung.Study.open(storage, "s").ask().config == {"x": 0.25}


def test_a_stop_that_came_too_late_does_not_stop_the_next_session():
    storage = open_storage("memory")
    study = rung.Study(SPACE, sampler="random", trials=2, storage=storage, study="s")
    study.tell(study.ask(), 1.0)
    study.close()
    storage.request("s", "stop", {})
    storage.request("s", "enqueue", {"x": 0.25})
    again = rung.Study.open(storage, "s")
    assert again.ask().config == {"x": 0.25}
    again.close()
    assert not storage.open("s").requests()


def test_an_enqueued_configuration_that_is_not_in_the_space_is_refused_and_recorded():
    storage = open_storage("memory")
    study = rung.Study(SPACE, sampler="random", trials=2, storage=storage, study="s")
    storage.request("s", "enqueue", {"x": 7})
    with pytest.warns(UserWarning, match="refused: parameter 'x' is 7"):
        study.tell(study.ask(), 1.0)
    study.tell(study.ask(), 1.0)
    assert study.done
    refused = [event for event in study.events() if isinstance(event, Requested)]
    assert [(event.request, event.data["data"]) for event in refused] == [("refused", {"x": 7})]
    study.close()
    assert not storage.open("s").requests()


def test_opened_again_without_limits_it_keeps_those_it_has(tmp_path):
    url = str(tmp_path / "s.db")
    rung.Study(SPACE, trials=5, retries=1, storage=url, study="s").close()
    with rung.Study(SPACE, storage=url, study="s") as again:
        assert (again.history.limits.trials, again.history.limits.retries) == (5, 1)
    with rung.Study(SPACE, trials=9, storage=url, study="s") as more:
        assert (more.history.limits.trials, more.history.limits.retries) == (9, 1)


def test_opened_again_with_a_limit_on_a_job_it_keeps_its_end(tmp_path):
    url = str(tmp_path / "s.db")
    rung.Study(SPACE, trials=5, trial_time="1m", storage=url, study="s").close()
    for named in ({"retries": 5}, {"trial_memory": 2**33}, {"trial_time": "2m"}, {"retries": 3}):
        rung.Study(SPACE, storage=url, study="s", **named).close()
    with rung.Study.open(url, "s") as study:
        limits = study.history.limits
    assert (limits.trials, limits.retries, limits.trial_seconds, limits.trial_memory) == (5, 3, 120.0, 2**33)


def test_opened_again_with_an_end_it_has_that_one_alone(tmp_path):
    url = str(tmp_path / "s.db")
    rung.Study(SPACE, trials=5, trial_memory=2**33, storage=url, study="s").close()
    with rung.Study(SPACE, budget="1m", storage=url, study="s") as study:
        limits = study.history.limits
    assert (limits.trials, limits.seconds, limits.trial_memory) == (None, 60.0, 2**33)


@pytest.mark.parametrize("within", ["ask", "run"])
def test_a_study_that_is_being_run_hands_out_no_job_to_its_objective(within):
    """The loop would wait for its end for ever; a run within a run would begin another without end."""
    study = rung.Study({"x": rung.Float(0.0, 1.0)}, sampler="random", trials=2)

    def objective(trial):
        again = {"ask": study.ask, "run": lambda: study.run(objective)}[within]
        with pytest.raises(StudyError, match="is being run"):
            again()
        return trial.config["x"]

    result = study.run(objective)
    assert [str(trial.state) for trial in result.trials] == ["complete", "complete"]
    study.set_limits(Limits(trials=3))
    assert study.ask().number == 2
