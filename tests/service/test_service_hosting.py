"""A hosted study: jobs are handed out once, told once, and survive whoever dies."""

import math

import pytest

from rung import Float
from rung.errors import ConflictError, LeaseError, MissingError, StudyError
from rung.service.hosting import HostedStudy, Told
from rung.service.leases import LATE
from rung.storage import open_storage
from rung.study.limits import make_limits
from rung.study.opening import open_or_begin, open_stored
from rung.study.settings import Settings
from rung.trials import events as ev

LEASE = 30.0


def begin(storage, trials=4, name="s", **given):
    settings = Settings(**{"resource": ("epoch", 1, 9), "sampler": "random", "scheduler": "asha", **given})
    opened = open_or_begin({"x": Float(0.0, 1.0)}, settings, storage, name)
    opened.writer.set_limits(make_limits(trials=trials, retries=2), 0.0)
    return HostedStudy(opened.writer, LEASE, 0.0)


@pytest.fixture
def storage(tmp_path):
    made = open_storage(str(tmp_path / "rung.db"))
    yield made
    made.close()


def events(storage, kind, name="s"):
    return [event for event in storage.read(name) if isinstance(event, kind)]


def test_the_same_key_is_given_the_same_job(storage):
    study = begin(storage)
    one, other = study.ask("w", "k1", 1.0), study.ask("w", "k2", 1.0)
    assert one.trial != other.trial
    assert study.ask("w", "k1", 2.0) == one
    assert len(events(storage, ev.JobStarted)) == 2
    with pytest.raises(ConflictError, match="'k1' is that of worker 'w', which has a job for it"):
        study.ask("v", "k1", 2.0)
    assert study.ask("", "k1", 2.0) == one  # it does not say who it is
    study.tell(one.trial, one.attempt, Told("error"), 3.0)
    assert study.ask("v", "k1", 4.0).trial != one.trial


def test_a_study_runs_to_its_end(storage):
    study = begin(storage, trials=9)
    now = 1.0
    while not study.closed:
        job = study.ask("w", "", now)
        now += 1.0
        if job is not None:
            value = job.config["x"] + 1 / job.until
            study.tell(job.trial, job.attempt, Told("finished", {"loss": value}), now)
    history = open_stored(storage, "s").writer.history
    assert len(history) == 9
    assert history.incumbent.resource == 9  # of nine, one climbs to the top
    assert storage.find("s").summary.state == "done"


def test_telling_twice_counts_once(storage):
    study = begin(storage)
    job = study.ask("w", "", 1.0)
    told = Told("finished", {"loss": 0.5})
    assert study.tell(job.trial, job.attempt, told, 2.0) is False
    assert study.tell(job.trial, job.attempt, told, 3.0) is True
    assert len(events(storage, ev.JobFinished)) == 1


def test_a_report_told_twice_counts_once(storage):
    study = begin(storage)
    job = study.ask("w", "", 1.0)
    for now in (2.0, 3.0):
        assert study.report(job.trial, job.attempt, 1, {"loss": 0.5}, None, now).go_on
    assert len(events(storage, ev.Reported)) == 1


def test_a_lost_lease_is_fenced_and_the_late_result_recorded(storage):
    study = begin(storage)
    job = study.ask("slow", "", 0.0)
    study.tick(LEASE + 1)
    again = study.ask("quick", "", LEASE + 2)
    assert (again.trial, again.attempt) == (job.trial, job.attempt + 1)
    with pytest.raises(LeaseError, match="lease was lost"):
        study.tell(job.trial, job.attempt, Told("finished", {"loss": 0.1}), LEASE + 3)
    study.tell(again.trial, again.attempt, Told("finished", {"loss": 0.7}), LEASE + 4)
    assert study.writer.history.incumbent.value == 0.7
    (late,) = study.writer.history.records[LATE]
    assert (late.trial, late.data["metrics"]) == (job.trial, {"loss": 0.1})


def test_a_sign_of_life_keeps_the_lease(storage):
    study = begin(storage)
    job = study.ask("w", "", 0.0)
    for now in (20.0, 40.0, 60.0):
        assert study.renew(job.trial, job.attempt, now).go_on
        study.tick(now + 9)
    assert not events(storage, ev.JobFailed)


def test_a_job_that_nobody_gave_out_is_unknown(storage):
    study = begin(storage)
    with pytest.raises(MissingError, match="gave out no job"):
        study.tell(3, 0, Told("finished", {"loss": 0.1}), 1.0)
    job = study.ask("w", "", 0.0)
    with pytest.raises(StudyError, match="outcome 'good' is unknown"):
        study.tell(job.trial, job.attempt, Told("good"), 1.0)


def test_a_successor_adopts_what_runs(storage):
    study = begin(storage)
    job = study.ask("w", "key", 1.0)
    study.report(job.trial, job.attempt, 1, {"loss": 0.5}, None, 2.0)
    study.close()  # as the service does when it is told to end; SIGKILL leaves the same log
    heir = HostedStudy(open_stored(storage, "s").writer, LEASE, 100.0)
    assert heir.ask("w", "key", 101.0) == job
    assert heir.report(job.trial, job.attempt, 1, {"loss": 0.5}, None, 102.0).go_on
    assert len(events(storage, ev.Reported)) == 1
    assert heir.tell(job.trial, job.attempt, Told("finished", {"loss": 0.4}), 103.0) is False
    heir.close()
    last = HostedStudy(open_stored(storage, "s").writer, LEASE, 104.0)
    assert last.tell(job.trial, job.attempt, Told("finished", {"loss": 0.4}), 105.0) is True
    assert not events(storage, ev.JobFailed)


def test_a_paused_study_ends_when_its_jobs_have_saved(storage):
    study = begin(storage, resource=("epoch", 3, 9))
    job = study.ask("w", "", 1.0)
    study.wind_down("paused", 2.0)
    answer = study.report(job.trial, job.attempt, 1, {"loss": 0.5}, "trial-000000/resource-1", 3.0)
    assert answer == (False, "paused")
    assert study.ask("w", "", 3.0) is None
    study.tell(job.trial, job.attempt, Told("stopped"), 4.0)
    assert study.closed
    assert storage.find("s").summary.state == "paused"
    heir = HostedStudy(open_stored(storage, "s").writer, LEASE, 5.0)
    again = heir.ask("w", "", 6.0)
    assert (again.trial, again.start, again.checkpoint) == (job.trial, 1, "trial-000000/resource-1")


def test_jobs_that_do_not_stop_are_given_up_after_the_grace(storage):
    study = begin(storage)
    study.ask("w", "", 1.0)
    study.wind_down("stopped", 2.0)
    for now in range(3, 60, 7):
        study.leases.running and study.renew(0, 0, float(now))
        study.tick(float(now))
    assert study.closed
    assert events(storage, ev.JobFailed)[0].failure == ev.Failure.INTERRUPTED


def test_a_job_that_had_told_its_last_value_has_finished_when_it_is_stopped(storage):
    study = begin(storage, trials=1, resource=("epoch", 9, 9), scheduler="plain")
    job = study.ask("w", "", 1.0)
    study.report(job.trial, job.attempt, 9, {"loss": 0.5}, None, 2.0)
    study.wind_down("paused", 3.0)
    study.tell(job.trial, job.attempt, Told("stopped"), 4.0)
    assert not events(storage, ev.JobStopped)
    assert len(events(storage, ev.JobFinished)) == 1
    assert open_stored(storage, "s").writer.history.states[job.trial] == "complete"


def test_a_preempted_job_goes_on_later_and_loses_nothing(storage):
    study = begin(storage, resource=("epoch", 3, 9))
    job = study.ask("w", "", 1.0)
    study.preempt(job.trial)
    assert study.report(job.trial, job.attempt, 1, {"loss": 0.5}, "trial-000000/resource-1", 2.0) == (
        False,
        "preempted",
    )
    study.tell(job.trial, job.attempt, Told("stopped"), 3.0)
    again = study.ask("w", "", 4.0)
    assert (again.trial, again.attempt, again.start) == (job.trial, job.attempt + 1, 1)


def test_values_that_are_no_numbers_are_failures_not_lost(storage):
    study = begin(storage, trials=1)
    job = study.ask("w", "", 1.0)
    study.tell(job.trial, job.attempt, Told("finished", {"loss": math.nan}), 2.0)
    assert study.writer.history.incumbent is None
    assert study.closed or study.ask("w", "", 3.0) is None


def test_what_is_told_without_the_studys_metric_is_refused_at_once_and_may_be_told_again(storage):
    study = begin(storage)
    job = study.ask("w", "", 1.0)
    with pytest.raises(StudyError, match=r"trial 0 told only 'acc' at 1, and not 'loss', the study's metric"):
        study.report(job.trial, job.attempt, 1, {"acc": 0.5}, None, 2.0)
    with pytest.raises(StudyError, match="told nothing at 1"):
        study.report(job.trial, job.attempt, 1, {}, None, 2.0)
    for metrics in (None, {}, {"acc": 0.5}):
        with pytest.raises(StudyError, match=r"told no 'loss' at 1, where its job ends: send it along"):
            study.tell(job.trial, job.attempt, Told("finished", metrics), 3.0)
    assert not events(storage, ev.Reported)
    assert study.report(job.trial, job.attempt, 1, {"loss": 0.5}, None, 4.0).go_on
    assert study.report(job.trial, job.attempt, 1, {"acc": 0.5}, None, 5.0).go_on  # beside it
    assert not study.tell(job.trial, job.attempt, Told("finished"), 6.0)
    assert study.writer.history.latest[job.trial] == 0.5


def test_a_job_without_a_resource_ends_with_what_it_reported(storage):
    study = begin(storage, resource=None, scheduler="plain")
    job = study.ask("w", "", 1.0)
    with pytest.raises(StudyError, match="trial 0 told no 'loss' in its job"):
        study.tell(job.trial, job.attempt, Told("finished"), 2.0)
    study.report(job.trial, job.attempt, 3, {"loss": 0.25}, None, 3.0)
    with pytest.raises(StudyError, match="told only 'acc' at 3"):  # it would take the value's place
        study.report(job.trial, job.attempt, 3, {"acc": 0.5}, None, 3.0)
    study.tell(job.trial, job.attempt, Told("finished"), 4.0)
    assert study.writer.history.latest[job.trial] == 0.25


def test_all_of_several_objectives_are_told(storage):
    study = begin(storage, metric=["loss", "size"], mode=["min", "min"], resource=None, scheduler="plain")
    job = study.ask("w", "", 1.0)
    with pytest.raises(StudyError, match="told no 'size' in its job"):
        study.tell(job.trial, job.attempt, Told("finished", {"loss": 0.5}), 2.0)
    study.tell(job.trial, job.attempt, Told("finished", {"loss": 0.5, "size": math.nan}), 2.0)


def test_a_study_that_was_done_when_its_service_died_is_done_at_once(storage):
    study = begin(storage, trials=1)
    while (job := study.ask("w", "", 1.0)) is not None:
        told = Told("finished", {"loss": 1.0})
        study.tell(job.trial, job.attempt, told, 2.0)
    assert study.closed
    heir = HostedStudy(open_stored(storage, "s").writer, LEASE, 3.0)
    assert heir.closed
    assert storage.find("s").summary.state == "done"


def test_a_pause_is_taken_back_while_jobs_still_run(storage):
    study = begin(storage, trials=2, resource=("epoch", 3, 9))
    job = study.ask("w", "", 1.0)
    study.wind_down("paused", 2.0)
    assert study.ask("w", "", 2.0) is None
    study.go_on(3.0)
    assert study.report(job.trial, job.attempt, 1, {"loss": 0.5}, None, 4.0) == (True, None)
    assert study.ask("w", "", 5.0) is not None
    assert not events(storage, ev.JobFailed)


def test_the_later_of_two_wishes_holds(storage):
    study = begin(storage)
    job = study.ask("w", "", 1.0)
    study.wind_down("paused", 2.0)
    study.wind_down("paused", 2.0)
    study.wind_down("stopped", 3.0)
    assert [event.reason for event in events(storage, ev.StopDecided)] == ["paused", "stopped"]
    study.tell(job.trial, job.attempt, Told("stopped"), 4.0)
    assert events(storage, ev.SessionEnded)[-1].reason == "stopped"
