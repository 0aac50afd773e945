"""Where the checkpoints of a service's studies lie, and how many devices their jobs get: asked for, shown."""

import json
from pathlib import Path

import pytest

import rung
from rung.errors import StudyError
from rung.service import checkpoint_urls
from rung.service.context import Caps
from rung.trials import events as ev
from support.live_service import live

SPACE = {"x": rung.Float(0.0, 1.0)}
CURVE = {1: 1.0, 2: 1.9, 4: 3.4}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return f"local://{tmp_path_factory.mktemp('store')}"  # fsspec's own for a folder


@pytest.fixture(scope="module")
def service(tmp_path_factory, place):
    caps = Caps(checkpoints=place)
    with live(tmp_path_factory.mktemp("service") / "rung.db", caps=caps) as made:
        yield made


def train(trial):
    seen = 0
    if trial.checkpoint is not None:
        seen = json.loads((Path(trial.checkpoint) / "seen").read_text())
    assert seen == trial.start

    def save(folder):
        (Path(folder) / "seen").write_text(json.dumps(trial.resource))

    trial.report(trial.resource, loss=trial.config["x"], save=save)


def run(client, name):
    client.run(name, train)
    log = [event for _, event in client.events(name, follow=False)]
    assert not [event for event in log if isinstance(event, ev.JobFailed | ev.CheckpointDamaged)]
    assert [event for event in log if isinstance(event, ev.JobStarted) and event.start > 0]
    return [event for event in log if isinstance(event, ev.CheckpointSaved)]


def begin(client, name, **more):
    return client.create(SPACE, name=name, resource="epoch:1:3", trials=3, sampler="random", **more)


def test_the_services_own_place_is_used_unless_told_and_cleared_with_the_study(client, service, place):
    begin(client, "default", checkpoint_limit=10**9)
    saved = run(client, "default")
    assert all(event.path.startswith(f"{place}/") and event.size and event.digest for event in saved)
    shown = client.study("default").checkpoints
    assert shown["place"] == f"{place}/{client.study('default').key}"
    assert (shown["limit"], shown["number"] > 0, shown["size"] > 0) == (10**9, True, True)
    folder = Path(shown["place"].removeprefix("local://"))
    assert list(folder.glob("trial-*/*"))
    client.delete("default")
    assert not list(folder.glob("trial-*/*"))


def test_a_study_may_keep_to_the_service_or_lie_elsewhere_below(client, service, place):
    begin(client, "kept", checkpoints="study")
    assert all(event.path.startswith("trial-") for event in run(client, "kept"))
    assert client.study("kept").checkpoints["place"] is None
    begin(client, "deeper", checkpoints=f"{place}/deeper/")
    assert all(event.path.startswith(f"{place}/deeper/") for event in run(client, "deeper"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("local:///etc", "name a bucket, as in s3://bucket/prefix, or a URL below local://"),
        ("/mnt/shared", "name a bucket"),
        ("http://10.0.0.1/x", "name a bucket"),
        ("simplecache::s3://bucket", "name a bucket"),
        ("{place}/../../etc", "name a bucket"),
        ("{place}er", "name a bucket"),
        ("s3://me:secret@bucket/x", "holds a password"),
    ],
)
def test_what_a_user_may_not_name_is_refused_and_leaves_no_study(client, place, url, why):
    with pytest.raises(StudyError, match=why) as error:
        begin(client, "refused", checkpoints=url.format(place=place))
    assert "secret" not in str(error.value)
    assert all(one.name != "refused" for one in client.studies())


def test_a_place_that_cannot_be_written_is_said_at_once(client, service, place):
    Path(place.removeprefix("local://"), "file").write_text("")
    with pytest.raises(StudyError, match=r"cannot write checkpoints to .*/file/below"):
        begin(client, "unwritable", checkpoints=f"{place}/file/below")


@pytest.mark.parametrize("url", ["/mnt/shared", "file:///mnt/shared", "nothing://x", "s3://a:b@c/d"])
def test_what_a_service_cannot_be_started_with(url):
    with pytest.raises(StudyError) as error:
        checkpoint_urls.check_default(url)
    assert "a:b" not in str(error.value)


def test_devices_auto_gives_more_to_trials_that_climb(client):
    made = client.create(
        SPACE,
        name="auto",
        resource="epoch:1:9",
        trials=9,
        sampler="random",
        devices="auto",
        efficiency=0.9,
        scaling=CURVE,
    )
    assert made.devices == "auto"
    shown = client.study("auto")
    assert (shown.efficiency, shown.scaling) == (0.9, {"1": 1.0, "2": 1.9, "4": 3.4})
    got = {}
    while (job := client.ask("auto").job) is not None:
        got.setdefault(job.until, set()).add(job.devices)
        client.tell(job, {"loss": job.config["x"]})
    assert got == {1: {1}, 3: {2}, 9: {2}}  # four are worth 0.85 each


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"devices": "auto"}, "needs to know how training scales"),
        ({"devices": "auto", "scaling": CURVE, "resource": None}, "in this study none does"),
        ({"devices": "auto", "scaling": {1: 1.0, 2: -1.0}}, "is not understood"),
        ({"devices": "auto", "scaling": CURVE, "efficiency": 2.0}, "efficiency must be above 0"),
        ({"devices": 2, "efficiency": 0.5}, "give devices 'auto' too"),
        ({"devices": "many"}, "devices"),
    ],
)
def test_devices_that_make_no_sense_leave_no_study(client, given, why):
    with pytest.raises(StudyError, match=why):
        client.create(SPACE, name="senseless", trials=3, **{"resource": "epoch:1:9", **given})
    assert all(one.name != "senseless" for one in client.studies())


def test_a_checkpoint_that_was_sent_before_a_restart_may_be_told_after_it(tmp_path):
    with live(tmp_path / "rung.db") as service, rung.Client(service.url, service.tokens["ann"]) as client:
        begin(client, "s")
        jobs = [client.ask("s").job for _ in range(3)]
        (tmp_path / "saved").mkdir()
        (tmp_path / "saved" / "seen").write_text("1")
        path = client.upload(jobs[0], 1, tmp_path / "saved")
        left = client.upload(jobs[2], 1, tmp_path / "saved")
        client.tell(jobs[2], {"loss": 2.0})
        service.stop()
        service.start()
        assert client.checkpoints("s") == [path]
        assert left != path
        client.report(jobs[0], 1, {"loss": 0.0}, path)
        client.tell(jobs[0])
        client.tell(jobs[1], {"loss": 1.0})
        again = client.ask("s").job
        assert (again.trial, again.start, again.checkpoint) == (0, 1, path)
        client.download("s", path, tmp_path / "fetched")
