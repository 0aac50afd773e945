"""A worker that lends slots to a live service: jobs, gates, checkpoints, stops, breaks, leaving."""

import time
from pathlib import Path

import pytest

import rung
from rung.errors import StudyError
from rung.executors.processes import NotSentError
from rung.service import worker as worker_module
from rung.service import worker_refusals
from rung.service import worker_run as worker_run_module
from rung.service.worker_objectives import Objectives, RefusedError
from rung.service.worker_run import folder_name
from rung.trials import events as ev
from support.lending import HAVE, SPACE, begin, until, working
from support.live_service import live

pytestmark = pytest.mark.usefixtures("objectives_on_the_path")


# FastAPI silences it while it makes an app, which another service's thread may undo in that moment.
two_services = pytest.mark.filterwarnings("ignore:The 'alias' attribute")


def log_of(client, name):
    return [event for _, event in client.events(name, follow=False)]


def test_jobs_are_run_and_checkpoints_go_through_the_service(client, service, tmp_path):
    begin(client, "whole")
    with working(service, tmp_path) as worker:
        until(lambda: client.study("whole").state == "done")
        assert [one["name"] for one in client.workers()] == ["w"]
    log = log_of(client, "whole")
    finished = [event for event in log if isinstance(event, ev.JobFinished)]
    assert len(finished) >= 12
    assert not [event for event in log if isinstance(event, ev.JobFailed)]
    assert [event for event in log if isinstance(event, ev.JobStarted) and event.start > 0]
    assert worker.finished == len(finished)
    assert not list(tmp_path.glob("**/trial-*/resource-*"))  # nothing is left here
    assert worker.said == []


def test_a_study_that_pauses_stops_jobs_which_go_on_where_they_were(client, service, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_TEST_EPOCH", "0.1")
    begin(client, "paused", resource="epoch:27:27", scheduler="plain", trials=2)
    with working(service, tmp_path):
        until(lambda: any(isinstance(event, ev.Reported) for event in log_of(client, "paused")))
        client.pause("paused")
        until(lambda: client.study("paused").state == "paused")
        client.resume("paused")
        until(lambda: client.study("paused").state == "done")
    log = log_of(client, "paused")
    assert [event for event in log if isinstance(event, ev.JobStopped)]
    again = [event for event in log if isinstance(event, ev.JobStarted) and event.attempt > 0]
    assert again
    assert all(event.start > 0 for event in again)
    reports = [(event.trial, event.resource) for event in log if isinstance(event, ev.Reported)]
    assert sorted(set(reports)) == [(trial, epoch) for trial in (0, 1) for epoch in range(1, 28)]


def test_a_job_that_does_not_stop_is_killed(client, service, tmp_path):
    begin(client, "stubborn", "stubborn", resource="epoch:9:9", scheduler="plain", trials=1)
    with working(service, tmp_path, grace=0.5):
        until(lambda: any(isinstance(event, ev.Reported) for event in log_of(client, "stubborn")))
        client.stop("stubborn")
        until(lambda: client.study("stubborn").running == 0)
    assert isinstance([e for e in log_of(client, "stubborn") if hasattr(e, "attempt")][-1], ev.JobStopped)


def test_a_study_whose_objective_it_does_not_have_is_refused_and_its_job_given_back(
    client, service, tmp_path
):
    for name, objective in (("absent", "no_such_module:train"), ("unsafe", "os:system")):
        client.create(SPACE, name=name, objective=objective, trials=50, sampler="random")
    begin(client, "there", "plain", resource=None, trials=3)
    with working(service, tmp_path, slots=1) as worker:
        until(lambda: client.study("there").state == "done")
        until(lambda: len(worker.said) == 2)
        for name, why in (("absent", "cannot be imported here"), ("unsafe", "does not run os:system")):
            until(lambda name=name, why=why: why in (client.study(name).lacks or ""))
            assert not [event for event in log_of(client, name) if isinstance(event, ev.JobFailed)]
            assert client.study(name).running == 0
            client.delete(name)


def test_a_program_that_names_what_is_no_parameter_of_the_study_is_not_run(client, service, tmp_path):
    program = {"echo": 'sh -c \'echo "rung: {\\"loss\\": $0}"\' {x}'}
    other = {"y": rung.Float(0.0, 1.0)}
    client.create(other, name="does not fit", objective="program:echo", trials=2, sampler="random")
    client.create(SPACE, name="fits", objective="program:echo", trials=2, sampler="random")
    with working(service, tmp_path, slots=1, programs=program):
        until(lambda: client.study("fits").state == "done")
        until(lambda: "{x}, which is no parameter" in (client.study("does not fit").lacks or ""))
    assert client.study("fits").finished == 2
    assert client.study("does not fit").finished == 0
    client.delete("does not fit")


def test_another_study_of_the_name_of_one_that_was_refused_is_run(client, service, tmp_path):
    client.create(SPACE, name="again", objective="no_such_module:train", trials=50, sampler="random")
    with working(service, tmp_path, slots=1):
        until(lambda: "no_such_module" in (client.study("again").lacks or ""))
        client.delete("again")
        begin(client, "again", "plain", resource=None, trials=2)
        until(lambda: client.study("again").state == "done")
    assert not [event for event in log_of(client, "again") if isinstance(event, ev.JobFailed)]


def test_a_study_ends_with_its_total_resource_and_says_so(client, service, tmp_path):
    begin(client, "metered", "plain", resource="epoch:1:1", trials=None, total_resource=2)
    with working(service, tmp_path, slots=1):
        until(lambda: client.study("metered").state == "done")
    last = log_of(client, "metered")[-1]
    assert isinstance(last, ev.SessionEnded)
    assert last.reason == "total_resource"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StudyError("no node is there")])
def test_a_machine_that_can_run_nothing_gives_jobs_back_and_tries_again(
    client, service, tmp_path, monkeypatch, error
):
    name = f"later, {error}"
    made, wrong = worker_run_module.make_executor, [error, error]

    def make_executor(*given):
        if wrong:
            raise wrong.pop()
        return made(*given)

    monkeypatch.setattr(worker_run_module, "make_executor", make_executor)
    monkeypatch.setattr(worker_refusals, "UNFIT", 0.2)
    monkeypatch.setattr(worker_module, "_WAIT", 2.0)
    begin(client, name, "plain", resource=None, trials=3)
    with working(service, tmp_path, slots=1) as worker:
        until(lambda: client.study(name).state == "done")
    assert not [event for event in log_of(client, name) if isinstance(event, ev.JobFailed)]
    assert client.study(name).finished == 3
    (said,) = worker.said
    assert str(error) in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full is Linux' own")
def test_a_machine_whose_disk_is_full_gives_jobs_back_before_they_fail(
    client, service, tmp_path, monkeypatch
):
    monkeypatch.setattr(worker_refusals, "UNFIT", 0.2)
    monkeypatch.setattr(worker_module, "_WAIT", 2.0)
    begin(client, "full", "plain", resource=None, trials=2)
    folder = tmp_path / folder_name("full") / "slot-0"
    folder.mkdir(parents=True)
    (folder / ".try").symlink_to("/dev/full")  # gone after the first try: then there is room
    with working(service, tmp_path, slots=1) as worker:
        until(lambda: client.study("full").state == "done")
    log = log_of(client, "full")
    assert not [event for event in log if isinstance(event, ev.JobFailed)]
    assert [event.trial for event in log if isinstance(event, ev.JobStopped)] == [0]
    (said,) = worker.said
    assert "nothing can be written to its folder: [Errno 28] No space left on device" in said


def test_an_objective_that_cannot_be_sent_to_a_process_is_refused(client, service, tmp_path, monkeypatch):
    def make_executor(*_):
        raise NotSentError("the objective cannot be sent to worker processes")

    monkeypatch.setattr(worker_run_module, "make_executor", make_executor)
    begin(client, "unsent", "plain", resource=None, trials=3)
    with working(service, tmp_path, slots=1):
        until(lambda: "cannot be sent" in (client.study("unsent").lacks or ""))
    assert not [event for event in log_of(client, "unsent") if isinstance(event, ev.JobFailed)]


def test_leaving_gives_jobs_back_and_another_worker_goes_on(client, service, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_TEST_EPOCH", "0.1")
    begin(client, "moved", resource="epoch:27:27", scheduler="plain", trials=1)
    with working(service, tmp_path / "one", slots=1, name="one"):
        until(lambda: sum(isinstance(event, ev.Reported) for event in log_of(client, "moved")) >= 3)
    with working(service, tmp_path / "two", slots=1, name="two"):
        until(lambda: client.study("moved").state == "done")
    log = log_of(client, "moved")
    started = [event for event in log if isinstance(event, ev.JobStarted)]
    assert [event.start > 0 for event in started] == [False, True]
    reports = [event.resource for event in log if isinstance(event, ev.Reported)]
    assert reports == list(range(1, 28))


def test_a_gang_takes_all_slots_of_one_worker(client, service, tmp_path):
    begin(client, "gang", "plain", resource=None, trials=4, devices=2)
    with working(service, tmp_path, slots=3):
        until(lambda: client.study("gang").state == "done")
    assert client.study("gang").finished == 4


def test_a_service_that_restarts_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_TEST_EPOCH", "0.05")
    with live(tmp_path / "rung.db") as service, rung.Client(service.url, service.tokens["ann"]) as client:
        begin(client, "through", trials=9)
        with working(service, tmp_path / "w", slots=2):
            until(lambda: client.study("through").finished >= 1)
            service.stop()
            time.sleep(0.5)
            service.start()
            until(lambda: client.study("through").state == "done")
        log = log_of(client, "through")
        reports = [(event.trial, event.resource) for event in log if isinstance(event, ev.Reported)]
        assert len(reports) == len(set(reports))
        assert not [event for event in log if isinstance(event, ev.JobFailed)]


@two_services
def test_a_worker_of_a_service_that_ended_goes_on_with_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_TEST_EPOCH", "0.05")
    with live(tmp_path / "rung.db") as other:
        one = other.beside().start()
        urls = f"{one.url},{other.url}"
        with (
            rung.Client(urls, one.tokens["ann"]) as client,
            working(one, tmp_path / "w", slots=2, url=urls) as worker,
        ):
            begin(client, "moved", trials=9)
            until(lambda: client.study("moved").finished >= 1)
            one.stop()
            until(lambda: client.study("moved").state == "done")
            assert [each["name"] for each in client.workers()] == ["w"]
            assert worker.said == []
            log = log_of(client, "moved")
        assert sum(isinstance(event, ev.SessionStarted) for event in log) == 2
        reports = [(event.trial, event.resource) for event in log if isinstance(event, ev.Reported)]
        assert len(reports) == len(set(reports))
        assert not [event for event in log if isinstance(event, ev.JobFailed)]


@two_services
def test_a_worker_without_a_job_looks_at_the_next_service(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_module, "_TURN", 0.2)
    with live(tmp_path / "rung.db") as other:
        one = other.beside().start()
        with (
            rung.Client(other.url, one.tokens["ann"]) as client,
            working(one, tmp_path / "w", url=f"{one.url},{other.url}"),
        ):
            begin(client, "there", "plain", resource=None, trials=3)
            until(lambda: client.study("there").state == "done")
            assert client.study("there").finished == 3
            assert [each["name"] for each in client.workers()] == ["w"]
        one.stop()


def test_which_objectives_a_worker_has():
    have = Objectives()
    assert have.get(f"{HAVE}:plain")({"x": 3}) == 9
    with pytest.raises(RefusedError, match="has no 'nothing' here"):
        have.get(f"{HAVE}:nothing")
    with pytest.raises(RefusedError, match="is no objective"):
        have.get(f"{HAVE}:number")
    for module in ("subprocess:run", "rung:load", "__main__:x"):
        with pytest.raises(RefusedError, match="does not run"):
            have.get(module)
    some = Objectives([f"{HAVE}:pl*", "trainers.*"], {"mnist": "python mnist.py --lr {lr}"})
    assert some.get(f"{HAVE}:plain")({"x": 3}) == 9
    with pytest.raises(RefusedError, match="only, not"):
        some.get(f"{HAVE}:train")
    assert some.get("program:mnist", "s", ["lr", "depth"]).text == "python mnist.py --lr {lr}"
    with pytest.raises(RefusedError, match=r"the command has \{lr\}, which is no parameter"):
        some.get("program:mnist", "s", ["learning_rate"])
    with pytest.raises(RefusedError, match="no program 'cifar' \\(it has mnist\\)"):
        some.get("program:cifar")


def test_a_checkpoint_that_was_damaged_is_given_up_and_the_trial_begins_anew(client, service, tmp_path):
    begin(client, "damaged", resource="epoch:1:3", scheduler="sha", trials=3)
    while (job := client.ask("damaged", "by hand").job) is not None:
        folder = tmp_path / f"{job.trial}"
        folder.mkdir()
        (folder / "seen").write_text(str(job.until))
        client.report(job, job.until, {"loss": float(job.trial)}, client.upload(job, job.until, folder))
        if job.trial == 2:  # the last at this rung: one is promoted as soon as it ends
            kept = service.hub.storage.folder("damaged") / "trial-000000" / "resource-1" / "seen"
            kept.write_text("2")
        client.tell(job)
        if job.trial == 2:
            break
    with working(service, tmp_path / "w", slots=1):
        until(lambda: client.study("damaged").state == "done")
    log = log_of(client, "damaged")
    found = [event for event in log if isinstance(event, ev.CheckpointDamaged)]
    assert [event.trial for event in found] == [0]
    assert "has changed" in found[0].message
    promoted = [event for event in log if isinstance(event, ev.JobStarted) and event.trial == 0]
    assert [event.start for event in promoted] == [0, 1, 0]


def test_checkpoints_at_a_url_do_not_pass_through_the_service(client, service, tmp_path, monkeypatch):
    from rung.study.checkpoint_places import TOPIC

    begin(client, "at a url", resource="epoch:1:3", trials=3)
    place = f"local://{tmp_path}/store"  # fsspec's own for a folder
    hosted = service.hub.study("at a url")
    hosted.add(lambda _: [ev.Recorded(TOPIC, {"place": place, "limit": None}, None, 1.0)], 1.0)
    with working(service, tmp_path / "w", slots=1):
        until(lambda: client.study("at a url").state == "done")
    saved = [event for event in log_of(client, "at a url") if isinstance(event, ev.CheckpointSaved)]
    assert saved
    assert all(event.path.startswith(place) and event.size and len(event.digest) == 64 for event in saved)
    assert client.checkpoints("at a url") == []
    started = [event for event in log_of(client, "at a url") if isinstance(event, ev.JobStarted)]
    assert [event.start for event in started if event.start]
    assert not [event for event in log_of(client, "at a url") if isinstance(event, ev.JobFailed)]
