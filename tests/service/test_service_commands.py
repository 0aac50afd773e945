"""`rung --service URL ...` and `rung worker`: over the API what the commands do in a storage."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rung.cli.app import app
from rung.trials import events as ev
from support.live_service import live

HERE = Path(__file__).parent
HAVE = "objectives_that_workers_have"
SPACE = {"parameters": [{"name": "x", "type": "float", "low": 0.0, "high": 1.0}]}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with live(tmp_path_factory.mktemp("service") / "rung.db") as made:
        yield made


@pytest.fixture
def rung(service, tmp_path, monkeypatch):
    """Runs a command in this process, as ann, in a folder that has a space."""
    monkeypatch.chdir(tmp_path)
    for name in ("RUNG_STORAGE", "RUNG_SERVICE", "RUNG_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNG_TOKEN", service.tokens["ann"])
    (tmp_path / "space.json").write_text(json.dumps(SPACE))

    def run(*words, code=0, here=False):
        to = () if here else ("--service", service.url)
        result = CliRunner().invoke(app, [*to, *words])
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def worker(service, tmp_path):
    """`rung worker` as a process, which finds the tests' objectives in its working folder."""
    token = tmp_path / "token"
    token.write_text(service.tokens["root"])
    words = ["-m", "rung", "worker", "--service", service.url, "--slots", "2", "--token-file", str(token)]
    words += ["--name", "box", "--label", "rack=7", "--folder", str(tmp_path / "work"), "--grace", "10"]
    with open(tmp_path / "said", "w") as said:
        process = subprocess.Popen([sys.executable, *words], cwd=HERE, stdout=said, stderr=said)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(10)


def tune(rung, name, *more, function="plain"):
    words = ("--space", "space.json", "--trials", "12", "--sampler", "random", "--study", name)
    return rung("tune", f"{HAVE}:{function}", *words, *more)


def test_a_search_is_submitted_followed_and_looked_at(rung, worker, service, tmp_path):
    said = tune(rung, "one").output
    assert "study one is submitted: workers run" in said
    assert "12 trials, all that was asked for" in said
    assert "best loss" in said
    assert f"rung --service {service.url} show one" in said
    listed = json.loads(rung("list", "--json").stdout)
    assert (listed[0]["name"], listed[0]["state"], listed[0]["finished"]) == ("one", "done", 12)
    shown = json.loads(rung("show", "one", "--json").stdout)
    assert shown["incumbent"]["value"] == listed[0]["best"]
    assert len(json.loads(rung("export", "one").stdout)) == 12
    assert "all the same" in rung("audit", "one").output
    rung("plot", "one", "history", "--out", "history.html")
    rung("report", "one", "--out", "report.html")
    assert service.url in (tmp_path / "report.html").read_text()
    assert "x" in rung("importance", "one").stdout
    assert "no job of study one printed anything" in rung("logs", "one").stderr
    rung("extend", "one", "--trials", "3")
    assert "15 trials" in rung("resume", "one").output
    ours = f"rung --service {service.url}"
    keeps = f"all its 15 trials are used: {ours} extend one --trials 1, then {ours} resume one\n"
    assert keeps in rung("enqueue", "one", '{"x": 0.5}').stderr
    assert "1 configuration waits" in rung("show", "one").stdout
    rung("extend", "one", "--trials", "1")
    assert "16 trials" in rung("resume", "one").output
    assert json.loads(rung("export", "one").stdout)[-1]["config"] == {"x": 0.5}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    lends = (tmp_path / "said").read_text()
    assert "box lends 2 slots" in lends
    assert service.tokens["root"] not in lends


def test_a_study_is_changed_over_the_api(rung, service):
    def log(name):
        return list(service.hub.storage.read(name))

    tune(rung, "two", "--detach", "--weight", "2.5", "--max-slots", "3", "--priority", "1")
    key = service.hub.row("two").key
    assert (service.hub.hosted(key).weight, service.hub.hosted(key).max_slots) == (2.5, 3)
    rung("note", "two", "look here")
    rung("enqueue", "two", '{"x": 0.5}')
    rung("tell", "two", '{"x": 0.25}', "0.125")
    rung("fix", "two", "x=0.75")
    kinds = [type(event).__name__ for event in log("two")]
    assert "Told" in kinds
    assert kinds.count("Recorded") + kinds.count("Requested") >= 3
    rung("pause", "two")
    assert service.hub.row("two").summary.state == "paused"
    assert "does not run now" in rung("pause", "two", code=2).output
    rung("note", "two", "while it is paused")
    assert "while it is paused" in rung("show", "two").stdout
    rung("extend", "two", "--target", "0.01", "--trials", "10")
    limits = [event.limits for event in log("two") if isinstance(event, ev.LimitsChanged)][-1]
    assert (limits.trials, limits.target) == (22, 0.01)
    rung("resume", "two", "--detach")
    rung("stop", "two")
    rung("rename", "two", "second")
    assert "needs" not in rung("delete", "second", "--yes").output
    assert "there is no study 'second'" in rung("show", "second", code=2).output


def test_what_cannot_be_done_is_one_sentence(rung, service, tmp_path):
    (tmp_path / "train.py").write_text("def train(config): return 0.0\n")

    def refused(*words):
        text = rung(*words, code=2).output
        assert text.startswith("error: ")
        assert len(text.strip().splitlines()) == 1
        return text

    more = ("--space", "space.json", "--trials", "3")
    assert "code is not sent over the network" in refused("tune", "train.py", *more)
    assert "code is not sent over the network" in refused("tune", "train.py:train", *more)
    assert "say --space" in refused("tune", "train:train", "--trials", "3")
    assert "MODULE:FUNCTION" in refused("tune", *more)
    assert "say when it ends" in refused("tune", "train:train", "--space", "space.json")
    assert "--workers is for studies of this machine" in refused(
        "tune", "train:train", *more, "--workers", "2"
    )
    assert "is missing (see rung show --help)" in refused("show")
    assert "objective" not in refused("tune", "train:train", *more, "--devices", "auto")
    assert "either in a service or in a storage" in refused("list", "--storage", "a.db")
    assert "works on this machine" in refused("fit", "table.csv", "--target", "y")
    assert "is no address" in CliRunner().invoke(app, ["--service", "ftp://x", "list"]).output
    assert "for studies of a service" in rung("tune", "train.py", *more, "--detach", code=2, here=True).output


def test_values_are_fixed_before_the_first_job(rung, worker):
    tune(rung, "fixed", "--fix", "x=0.5")
    assert {one["config"]["x"] for one in json.loads(rung("export", "fixed").stdout)} == {0.5}
    said = rung("tune", f"{HAVE}:plain", "--space", "space.json", "--trials", "3", "--study", "refused",
                "--fix", "typo=1", "--detach", code=2)  # fmt: skip
    assert "typo" in said.output
    assert "refused" not in [one["name"] for one in json.loads(rung("list", "--json").stdout)]


def test_an_empty_service_says_what_makes_a_study_there(tmp_path, monkeypatch):
    with live(tmp_path / "rung.db") as empty:
        monkeypatch.setenv("RUNG_TOKEN", empty.tokens["ann"])
        said = CliRunner().invoke(app, ["--service", empty.url, "list"])
    assert said.exit_code == 0
    assert "yet: `rung tune` makes them" in said.stderr


def test_checkpoints_and_devices_are_asked_for_by_options(rung, service, tmp_path):
    (tmp_path / "curve.json").write_text('{"speedups": {"1": 1.0, "2": 1.9}}')
    more = ("--devices", "auto", "--efficiency", "0.8", "--scaling", "curve.json", "--resource", "epoch:1:9")
    tune(rung, "asked", "--detach", *more, "--checkpoints", "study", "--checkpoint-limit", "2GB")
    body = rung("show", "asked", "--json").stdout
    assert json.loads(body)["checkpoints"]["limit"] == 2 * 10**9
    assert "of at most 2.0 GB" in rung("show", "asked").stdout
    told = [event for event in service.hub.storage.read("asked") if isinstance(event, ev.Recorded)]
    assert [event.data for event in told if event.topic == "devices"] == [
        {"devices": "auto", "efficiency": 0.8, "scaling": [[1, 1.0], [2, 1.9]]}
    ]
    rung("delete", "asked", "--yes")
    words = ("tune", f"{HAVE}:plain", "--space", "space.json", "--trials", "3")
    assert "name a bucket" in rung(*words, "--checkpoints", "/tmp", code=2).output
    assert "give it with --devices auto" in rung(*words, "--efficiency", "0.5", code=2).output


def test_the_environment_names_the_service_and_a_typed_storage_goes_before_it(rung, service, monkeypatch):
    tune(rung, "listed", "--detach")
    monkeypatch.setenv("RUNG_SERVICE", service.url)
    assert "listed" in [row["name"] for row in json.loads(rung("list", "--json", here=True).stdout)]
    assert json.loads(rung("list", "--json", "--storage", "memory", here=True).stdout) == []


def test_a_token_that_is_not_known_is_said_without_it(rung, service, monkeypatch):
    monkeypatch.setenv("RUNG_TOKEN", "rung_not_a_token")
    said = rung("list", code=2).output
    assert "does not know you" in said
    assert "rung_not_a_token" not in said


def test_a_worker_that_is_told_twice_leaves_at_once(service, worker, rung, monkeypatch):
    tune(rung, "hung", "--detach", function="stubborn")
    deadline = time.monotonic() + 60
    while not any(isinstance(event, ev.Reported) for event in service.hub.storage.read("hung")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = subprocess.run(["ps", "--ppid", str(worker.pid), "-o", "pid="], capture_output=True, text=True)
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert worker.poll() is None
    again = time.monotonic() + 9  # less than its grace; of signals that come at once one counts
    while worker.poll() is None and time.monotonic() < again:
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    assert worker.wait(10) == 128 + signal.SIGTERM
    deadline = time.monotonic() + 10
    for child in map(int, children.stdout.split()):
        while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path(f"/proc/{child}").exists()
    rung("delete", "hung", "--yes")
