"""What jobs printed: workers send it, the service keeps so much of it, and whoever may read it does."""

import json
import os

import httpx
import pytest
from typer.testing import CliRunner

from rung.cli.app import app
from rung.errors import MissingError, StudyError
from rung.service import job_logs
from rung.service.http import Call
from rung.service.job_logs import JobLogs
from support.lending import SPACE, begin, until, working

pytestmark = pytest.mark.usefixtures("objectives_on_the_path")


def test_what_jobs_print_comes_to_the_service_and_goes_with_the_study(client, service, tmp_path):
    begin(client, "talks", "talking", trials=4, resource=None)
    with working(service, tmp_path) as worker:
        until(lambda: client.study("talks").state == "done")
    assert worker.said == []
    assert client.printed("talks") == [0, 1, 2, 3]
    assert "trial 0 says \x1b[31mhello\n" in client.logs("talks", 0)
    assert "ValueError: this one not" in client.logs("talks", 1)
    long = client.logs("talks", 2)
    assert "line 0 x" in long
    assert "line 4999 x" in long
    assert "bytes are left out here" in long
    assert len(long) <= job_logs.MOST
    with pytest.raises(MissingError, match="no trial 9 in study 'talks'"):
        client.logs("talks", 9)
    folder = service.hub.storage.folder("talks") / "logs"
    assert len(list(folder.iterdir())) == 4
    client.delete("talks")
    assert not folder.exists()


def test_the_command_shows_it_and_no_trick_of_the_terminal(client, service, tmp_path):
    begin(client, "shown", "talking", trials=1, resource=None)
    with working(service, tmp_path):
        until(lambda: client.study("shown").state == "done")
    words = ["--service", service.url, "logs", "shown"]
    env = {"RUNG_TOKEN": service.tokens["bob"]}
    for more in ([], ["0"], ["--trial", "0"]):
        said = CliRunner().invoke(app, [*words, *more], env=env)
        assert said.exit_code == 0
        assert "trial 0 says [31mhello\n" in said.stdout
    found = json.loads(CliRunner().invoke(app, [*words, "--json"], env=env).stdout)
    assert {"trial": 0, "line": "trial 0 says [31mhello"} in found
    assert "there is no trial 1" in CliRunner().invoke(app, [*words, "1"], env=env).output


def test_a_process_that_runs_jobs_itself_sends_what_went_wrong(client):
    client.create(SPACE, name="mine", trials=1, sampler="random")

    def fails(config):
        raise ValueError("not here")

    client.run("mine", fails)
    assert "ValueError: not here" in client.logs("mine", 0)


def test_who_may_send_and_what(client, service):
    client.create(SPACE, name="guarded", trials=2, sampler="random")
    job = client.ask("guarded").job

    def put(trial=job.trial, attempt=job.attempt, text=b"hello\n", who="ann"):
        place = f"{service.url}/api/v1/studies/guarded/jobs/{trial}/{attempt}/log"
        headers = {"Authorization": f"Bearer {service.tokens[who]}"}
        return httpx.put(place, content=text, headers=headers, trust_env=False).status_code

    assert put() == 204
    assert put(who="bob") == 403
    assert put(trial=7) == put(attempt=3) == 404
    assert put(text=b"x" * (job_logs.MOST + 1)) == 413
    assert put(text=b"hello again\n") == 204
    assert client.logs("guarded", job.trial) == "hello again\n"
    page = client._api.json(Call("GET", "/studies/guarded/logs"))
    assert page == {"items": [{"trial": 0, "attempt": 0, "bytes": 12}], "next": None}


def test_a_job_may_send_though_its_study_is_called_otherwise_now(client, tmp_path):
    client.create(SPACE, name="before", trials=2, resource="epoch:1:3", sampler="random")
    job = client.ask("before").job
    client.change("before", new_name="after")
    (tmp_path / "seen").write_text("1")
    path = client.upload(job, 1, tmp_path)
    client._api.send(Call("PUT", f"{job.path}/log", content=lambda: [b"hello\n"]))
    assert client.checkpoints("after") == [path]
    assert client.logs("after", 0) == "hello\n"


def test_of_too_much_what_is_oldest_goes(tmp_path):
    logs = JobLogs(most=1000)
    for trial in range(10):
        logs.keep(tmp_path, trial, 0, b"x" * 190)
        path = tmp_path / "logs" / f"trial-{trial:06d}-attempt-0.log"
        os.utime(path, (trial, trial))
    left = [one.trial for one in job_logs.kept(tmp_path)]
    assert left == [6, 7, 8, 9]  # twice there were six, and three had to go
    logs.keep(tmp_path, 9, 1, b"y" * 2000)
    assert job_logs.kept(tmp_path) == [(9, 1, 2000)]
    assert JobLogs(most=1000).keep(tmp_path, 9, 1, b"z") is None
    assert [path.name for _, path in job_logs.files_of(tmp_path, 9)] == ["trial-000009-attempt-1.log"]


def test_of_a_log_its_beginning_and_its_end(tmp_path):
    path = tmp_path / "log"
    header = "--- trial 3, attempt 0, 2026-11-28 12:00:00, process 7\n"
    assert job_logs.bounded(str(path), 0) == b""
    path.write_text(header)
    assert job_logs.bounded(str(path), 0) == b""
    path.write_text(header + "said\n" + header + "said more\n")
    assert job_logs.bounded(str(path), len(header) + 5) == (header + "said more\n").encode()
    path.write_bytes(b"a" * job_logs.BEGINNING + b"b" * 1000 + b"c" * job_logs.END)
    found = job_logs.bounded(str(path), 0)
    assert found.count(b"a") == job_logs.BEGINNING + 1  # one in "are"
    assert found.count(b"c") == job_logs.END
    assert b"--- 1000 bytes are left out here\n" in found
    assert len(found) <= job_logs.MOST


def test_a_service_that_takes_no_logs_costs_the_log_alone(client, service, tmp_path, monkeypatch):
    def refuse(*_):
        raise StudyError("not today")

    monkeypatch.setattr(JobLogs, "keep", refuse)
    begin(client, "unheard", "talking", trials=1, resource=None)
    with working(service, tmp_path) as worker:
        until(lambda: client.study("unheard").state == "done")
    assert worker.said == ["trial 0 of unheard: its log is not kept: not today"]
    assert client.study("unheard").finished == 1
