"""`rung.Client` against a service that listens on loopback."""

import math
import sys
import threading
import time

import pytest

import rung
from rung.errors import ConflictError, LeaseError, MissingError, StudyError, UserError
from rung.service.context import Caps
from rung.service.http import Call, NotAllowedError
from rung.service.remote_storage import RemoteStorage
from rung.trials import events as ev
from rung.trials.history import History
from support.live_service import live

SPACE = {"x": rung.Float(0.0, 1.0)}


def test_a_study_from_its_beginning_to_its_end(client):
    made = client.create(SPACE, name="whole", resource="epoch:1:9", trials=9, seed=3, sampler="random")
    assert (made.name, made.state, made.owner, made.trials) == ("whole", "running", "ann", 0)
    seen = []

    def train(trial):
        for epoch in range(trial.start + 1, trial.resource + 1):
            trial.report(epoch, loss=trial.config["x"] / epoch)
        seen.append((trial.number, trial.resource))

    ran = client.run("whole", train, slots=2)
    assert ran == len(seen) >= 12  # nine at 1, three of them at 3, one at 9
    info = client.study("whole")
    assert (info.state, info.trials, info.running, info.lost_leases) == ("done", 9, 0, 0)
    best = min(client.trials("whole"), key=lambda one: (-one["resource"], one["value"]))
    assert info.incumbent["trial"] == best["number"]
    assert info.incumbent["resource"] == 9
    history = History().fold_all(event for _, event in client.events("whole", follow=False))
    assert history.incumbent.value == info.best


def test_what_a_function_says_becomes_how_its_job_ends(client):
    client.create(SPACE, name="ends", trials=4, sampler="random")
    outcomes = iter([ValueError("no"), rung.Infeasible("not this"), 0.5, math.nan])

    def train(config):
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert client.run("ends", train) == 4
    trials = client.trials("ends")
    assert [one["state"] for one in trials] == ["failed", "infeasible", "complete", "failed"]
    assert "ValueError: no" in trials[0]["message"]


def test_a_command_that_names_what_is_no_parameter_is_refused(client):
    client.create(SPACE, name="command", trials=2, sampler="random")
    with pytest.raises(StudyError, match=r"\{y\}, which is no parameter"):
        client.run("command", rung.Command("true {y}"))
    assert client.study("command").trials == 0


def test_what_is_fixed_at_the_beginning_holds_from_the_first_job_on(client):
    space = {**SPACE, "y": rung.Float(0.0, 1.0)}
    client.create(space, name="fixed", trials=3, sampler="random", fixed={"x": 0.5})
    assert client.ask("fixed").job.config["x"] == 0.5
    assert [event for _, event in client.events("fixed", follow=False)][2].request == "fix"
    for wrong in ({"typo": 1}, {"x": 2.0}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            client.create(space, name="refused", trials=3, sampler="random", fixed=wrong)
    assert "refused" not in [one.name for one in client.studies()]


@pytest.mark.parametrize(
    "named", [{"sampler": "{}:X"}, {"scheduler": "{}:X"}, {"sampler": "transfer(base='{}:X')"}]
)
def test_no_module_is_imported_because_somebody_names_it_as_a_method(client, tmp_path, monkeypatch, named):
    (tmp_path / "a_module_beside_the_service.py").write_text("class X: pass")
    monkeypatch.syspath_prepend(tmp_path)
    given = {key: text.format("a_module_beside_the_service") for key, text in named.items()}
    with pytest.raises(StudyError, match="names a class by its module, and code is not named over the net"):
        client.create(SPACE, name="imports", trials=3, **given)
    assert "a_module_beside_the_service" not in sys.modules
    assert "imports" not in [one.name for one in client.studies()]


def test_a_stream_goes_on_after_a_restart(tmp_path):
    with live(tmp_path / "rung.db") as service, rung.Client(service.url, service.tokens["ann"]) as client:
        client.create(SPACE, name="restarted", resource="epoch:1:3", trials=4, sampler="random")
        seen = []

        def follow():
            seen.extend(client.events("restarted"))

        follower = threading.Thread(target=follow)
        follower.start()
        ran = threading.Event()

        def train(trial):
            ran.set()
            trial.report(loss=0.1 * trial.number)
            time.sleep(0.15)

        runner = threading.Thread(target=client.run, args=("restarted", train))
        runner.start()
        assert ran.wait(10)
        service.stop()
        service.start()
        runner.join(60)
        follower.join(60)
        assert not runner.is_alive()
        assert not follower.is_alive()
        assert [number for number, _ in seen] == list(range(len(seen)))
        stored = list(service.hub.storage.read("restarted"))
        assert [event for _, event in seen] == stored
        jobs = [(event.trial, event.attempt) for event in stored if isinstance(event, ev.JobFinished)]
        assert len(jobs) == len(set(jobs)) == client.study("restarted").trials + 1


def test_attributes_are_kept_of_trials(client):
    client.create(SPACE, name="attributes", trials=2, sampler="random")

    def train(trial):
        trial.set_attribute("half", trial.config["x"] / 2)
        trial.set_attribute("sizes", [1, 2])
        return trial.config["x"]

    assert client.run("attributes", train) == 2
    for one in client.trials("attributes"):
        assert one["attributes"] == {"half": one["config"]["x"] / 2, "sizes": [1, 2]}
    client.create(SPACE, name="by hand", trials=2, sampler="random")
    job = client.ask("by hand").job
    assert client.set_attribute(job, "note", "first").go_on
    assert client.set_attribute(job, "note", "second").go_on
    with pytest.raises(StudyError, match="type set"):
        client.set_attribute(job, "note", {1})
    client.tell(job, {"loss": 1.0})
    assert client.trials("by hand")[0]["attributes"] == {"note": "second"}
    with pytest.raises(LeaseError, match="is over"):
        client.set_attribute(job, "note", "too late")
    assert client.trials("by hand")[0]["attributes"] == {"note": "second"}


def test_not_a_number_comes_through(client):
    client.create(SPACE, name="nan", trials=2, sampler="random")
    job = client.ask("nan").job
    client.report(job, 1, {"loss": math.nan})
    client.report(job, 1, {"loss": math.nan})  # as after a lost answer
    client.tell(job, {"loss": 1.0})
    other = client.ask("nan").job
    client.tell(other, {"loss": 2.0})
    reports = [event for _, event in client.events("nan") if isinstance(event, ev.Reported)]
    assert len(reports) == 1
    assert math.isnan(reports[0].metrics["loss"])


def test_a_checkpoint_goes_there_and_comes_back(client, tmp_path):
    client.create(SPACE, name="kept", resource="epoch:1:9", trials=5, sampler="random")
    starts = {}

    def train(trial):
        if trial.checkpoint is not None:
            with open(f"{trial.checkpoint}/weights") as file:
                starts[trial.number] = (trial.start, file.read())

        def save(folder):
            with open(f"{folder}/weights", "w") as file:
                file.write(f"{trial.number} at {trial.resource}")

        trial.report(trial.resource, loss=trial.config["x"], save=save)

    client.run("kept", train)
    assert starts
    assert all(text == f"{number} at {start}" for number, (start, text) in starts.items())
    path = client.checkpoints("kept")[0]
    client.download("kept", path, tmp_path / "here")
    assert (tmp_path / "here" / "weights").read_text()
    saved = [event for _, event in client.events("kept") if isinstance(event, ev.CheckpointSaved)]
    assert all(event.size > 0 and len(event.digest) == 64 for event in saved)


def test_paused_changed_noted_and_deleted(client):
    client.create(SPACE, name="kept busy", trials=3, sampler="random")
    job = client.ask("kept busy").job
    client.note("kept busy", "look here")
    client.enqueue("kept busy", {"x": 0.125})
    client.known("kept busy", {"x": 0.5}, 0.7)
    assert client.pause("kept busy").state == "pausing"
    assert client.report(job, 1, {"loss": 1.0}).why == "paused"
    client.tell(job, outcome="stopped")
    assert client.study("kept busy").state == "paused"
    with pytest.raises(ConflictError, match="resume it first"):
        client.report(job, 1, {"loss": 1.0})
    assert client.resume("kept busy").state == "running"
    assert client.change("kept busy", new_name="renamed", weight=2.5).sharing["weight"] == 2.5
    assert client.extend("renamed", trials=10).name == "renamed"
    assert client.study("renamed").limits["trials"] == 13
    asked = [client.ask("renamed").job.config["x"] for _ in range(2)]
    assert 0.125 in asked
    assert "renamed" in [one.name for one in client.studies(owner="ann")]
    client.delete("renamed")
    with pytest.raises(MissingError, match="there is no study 'renamed'"):
        client.study("renamed")


def test_what_is_added_counts_from_the_trials_that_were_begun(client):
    client.create(SPACE, name="added", trials=1, sampler="random")
    client.run("added", lambda config: config["x"])
    for x in (0.25, 0.5, 0.75):
        client.known("added", {"x": x}, x)
    assert (len(client.trials("added")), client.study("added").begun) == (4, 1)
    listed = next(one for one in client.studies() if one.name == "added")
    assert listed.trials == 4
    assert client.extend("added", trials=2).name == "added"
    assert client.study("added").limits["trials"] == 3
    client.resume("added")
    assert client.run("added", lambda config: config["x"]) == 2


def test_only_limits_that_a_study_has_are_extended(client):
    client.create(SPACE, name="limited", trials=2, target=0.0, sampler="random")
    before = client.study("limited").limits
    for more, sentence in (
        ({"budget": "5m"}, "budget does not limit this study, .*: trials and target does"),
        ({"trials": 1, "total_resource": 10}, "total_resource does not limit this study"),
        ({}, "say how much more: trials, budget or total_resource"),
        ({"trials": 0}, "trials must be a whole number of at least 1, not 0"),
        ({"trials": -1}, "trials must be a whole number of at least 1, not -1"),
        ({"budget": 0}, "0 is no time at all"),
    ):
        with pytest.raises(UserError, match=sentence):
            client.extend("limited", **more)
    assert client.study("limited").limits == before
    client.create(SPACE, name="open", sampler="random")
    client.ask("open")
    client.extend("open", trials=2)
    assert client.study("open").limits["trials"] == 3
    client.stop("open")
    client.create(SPACE, name="timed", budget="1h", sampler="random")
    client.extend("timed", budget="5m")
    assert client.study("timed").limits["seconds"] == 3900
    client.stop("timed")
    client.create(SPACE, name="metered", resource="epoch:1:1", total_resource=1, sampler="random")
    client.ask("metered")
    client.extend("metered", total_resource=4)
    assert client.study("metered").limits["total_resource"] == 5
    client.stop("metered")


def test_a_lost_lease_is_told_so_and_the_result_not_counted(client, service):
    client.create(SPACE, name="late", trials=1, sampler="random")
    job = client.ask("late").job
    hosted = service.hub.study("late")
    hosted.tick(service.hub.now() + 1000)
    again = client.ask("late").job
    assert (again.trial, again.attempt) == (job.trial, job.attempt + 1)
    with pytest.raises(LeaseError, match="its lease was lost"):
        client.tell(job, {"loss": 0.0})
    assert client.tell(again, {"loss": 1.0}) is False
    assert client.tell(again, {"loss": 1.0}) is True
    assert client.study("late").best == 1.0


def test_what_a_job_of_a_deleted_study_says_is_not_taken_for_the_next_one_of_its_name(client, tmp_path):
    given = {"name": "twice", "resource": "epoch:1:9", "trials": 9, "sampler": "random"}
    client.create(SPACE, **given)
    old = client.ask("twice").job
    client.delete("twice")
    client.create(SPACE, **given)
    new = client.ask("twice").job
    assert (new.trial, new.attempt) == (old.trial, old.attempt)
    (tmp_path / "weights").touch()
    for said in (
        lambda: client.report(old, 1, {"loss": 0.1}),
        lambda: client.set_attribute(old, "size", 3),
        lambda: client.renew(old),
        lambda: client.upload(old, 1, tmp_path),
        lambda: client.tell(old, {"loss": 0.1}),
    ):
        with pytest.raises(LeaseError, match="of another study 'twice', which is no more"):
            said()
    assert client.report(new, 1, {"loss": 0.2}).go_on
    assert not client.tell(new)
    assert client.study("twice").best == 0.2


def test_what_is_refused_is_a_sentence(client, service):
    with pytest.raises(StudyError, match="trials"):
        client.create(SPACE, trials=0)
    client.create(SPACE, name="mine", trials=2, sampler="random")
    with pytest.raises(ConflictError, match="is taken"):
        client.create(SPACE, name="mine", trials=2, sampler="random")
    with rung.Client(service.url, service.tokens["bob"]) as other:
        with pytest.raises(NotAllowedError, match="belongs to somebody else"):
            other.delete("mine")
        with pytest.raises(NotAllowedError, match="for its owner"):
            other.ask("mine")
    with rung.Client(service.url, "rung_wrong") as stranger:
        with pytest.raises(NotAllowedError, match="does not know you") as raised:
            stranger.studies()
        assert "rung_wrong" not in str(raised.value)


def test_storage_over_the_api_reads_what_the_service_has(client, service):
    client.create(SPACE, name="read", resource="epoch:1:3", trials=5, sampler="random")
    client.run("read", lambda trial: trial.report(loss=trial.config["x"]))
    storage = RemoteStorage(client._api)
    assert list(storage.read("read")) == list(service.hub.storage.read("read"))
    assert list(storage.read("read", 7)) == list(service.hub.storage.read("read", 7))
    assert storage.find("read").summary == service.hub.storage.find("read").summary
    assert storage.find("none") is None
    assert [row.name for row in storage.list()] == [row.name for row in service.hub.storage.list()]
    assert len(storage.list(2)) == 2
    with pytest.raises(MissingError, match="there is no study"):
        storage.read("none")
    with pytest.raises(UserError, match="not on this machine"):
        storage.folder("read")
    with pytest.raises(UserError, match="by the service only"):
        storage.open("read")


def test_resuming_a_study_that_is_being_paused_takes_the_pause_back(client):
    client.create(SPACE, name="regretted", resource="epoch:1:9", trials=9, sampler="random")
    asked = client.ask("regretted")
    assert client.pause("regretted").state == "pausing"
    assert client.stop("regretted").state == "stopping"
    assert client.resume("regretted").state == "running"
    client.tell(asked.job, {"loss": 0.5})
    assert client.study("regretted").state == "running"
    assert client.ask("regretted").job is not None


def test_workers_run_no_study_that_never_ends(client):
    with pytest.raises(StudyError, match="say when a study that workers run ends: trials, budget"):
        client.create(SPACE, name="endless", objective="trainer:train")
    assert (
        client.create(SPACE, name="endless").state == "running"
    )  # outside workers stop asking by themselves


def test_a_page_leaves_nothing_out_when_the_last_study_of_the_one_before_is_deleted(client):
    for number in range(5):
        client.create(SPACE, name=f"page-{number}", trials=1)
    every = [study.name for study in client.studies()]

    def page(**query):
        told = client._api.json(Call("GET", "/studies", query={"limit": 2, **query}))
        return [one["name"] for one in told["items"]], told["next"]

    first, cursor = page()
    assert first == every[:2]
    assert page(cursor=cursor)[0] == every[2:4]
    client.delete(first[1])
    assert page(cursor=cursor)[0] == every[2:4]
    with pytest.raises(StudyError, match="cursor '7' is none: give `next` of the page before"):
        page(cursor="7")


def test_the_last_study_that_a_user_may_have_is_begun_again_by_the_same_request(tmp_path):
    with (
        live(tmp_path / "rung.db", caps=Caps(1)) as service,
        rung.Client(service.url, service.tokens["ann"]) as client,
    ):
        body = {
            "name": "only",
            "space": {"parameters": [{"name": "x", "type": "float", "low": 0, "high": 1}]},
        }
        call = Call("POST", "/studies", body, headers={"Idempotency-Key": "k"})
        first = client._api.json(call)
        assert client._api.json(call)["key"] == first["key"]  # whose answer was lost
        with pytest.raises(NotAllowedError, match="ann has 1 studies, the most"):
            client.create(SPACE, name="other")
