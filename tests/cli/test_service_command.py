"""`rung service`: as a process, and its commands for users and tokens."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

SPACE = {"parameters": [{"name": "x", "type": "float", "low": 0.0, "high": 1.0}]}


@contextmanager
def service(folder: Path, *more: str, port: int = 0):
    """`rung service` on a free port; yields its process, its port and its first lines."""
    command = [sys.executable, "-m", "rung", "service", "--port", str(port), "--storage", "rung.db", *more]
    env = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder, env=env) as process:
        try:
            assert process.stderr is not None
            lines, found = [], None
            while found is None and (lines[-1:] != [""]):
                lines.append(process.stderr.readline())
                found = re.search(r"rung serves rung\.db on http://[\d.]+:(\d+); Ctrl-C stops it", lines[-1])
            assert found, lines
            lines.append(process.stderr.readline())
            yield process, int(found[1]), lines
        finally:
            process.kill()


def client_of(port: int, token: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{port}/api/v1"
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60)


def test_it_serves_its_own_user_ends_well_and_starts_again(folder: Path) -> None:
    with service(folder, "--log-format", "json", "--lease", "30") as (process, port, lines):
        place = folder / "config" / "rung" / "service" / f"{port}.token"
        assert f"takes its token from {place}" in lines[-1]
        token = place.read_text().strip()
        with client_of(port, token) as client:
            body = {"name": "first", "space": SPACE, "trials": 3}
            assert client.post("/studies", json=body).status_code == 201
            job = client.post("/studies/first/ask", json={}, headers={"Idempotency-Key": "k"}).json()["job"]
            ended = []
            waits = threading.Thread(target=lambda: ended.append(_follow(port, token)))
            waits.start()
            worker = client.post("/workers", json={"name": "w", "slots": 1}).json()["id"]
            poll = threading.Thread(target=lambda: ended.append(_poll(port, token, worker)))
            poll.start()
            while "under_way 3.0" not in client.get(f"http://127.0.0.1:{port}/metrics").text:
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            waits.join(30)
            poll.join(30)
        rest = process.stderr.read()
        assert process.wait() == 0, rest
        assert "Traceback" not in rest
        assert sorted(ended) == ["polled 200", "streamed"]
        assert token not in rest
        logged = [json.loads(line) for line in (*lines, *rest.splitlines())]  # and nothing else
        assert {"POST /api/v1/studies", "POST /api/v1/studies/first/ask"} <= {
            line["message"] for line in logged
        }
    with service(folder, port=port) as (_, _, _), client_of(port, token) as client:
        again = client.post("/studies/first/ask", json={}, headers={"Idempotency-Key": "k"}).json()["job"]
        assert again == job
        told = client.post(f"/studies/first/jobs/{job['trial']}/0/tell", json={"outcome": "stopped"})
        assert told.json() == {"already": False}


def _follow(port: int, token: str) -> str:
    with client_of(port, token) as client:
        with client.stream("GET", "/studies/first/events", headers={"Accept": "text/event-stream"}) as answer:
            for _ in answer.iter_raw():
                pass
        return "streamed"


def _poll(port: int, token: str, worker: str) -> str:
    with client_of(port, token) as client:
        return f"polled {client.post(f'/workers/{worker}/poll', json={'free': 0, 'wait': 20}).status_code}"


def test_a_first_admin_for_machines(folder: Path) -> None:
    with service(folder, "--bootstrap-token-file", "admin.token", "--host", "0.0.0.0") as (_, port, lines):
        assert "the user admin was made; the token is in admin.token" in lines[0]
        path = folder / "admin.token"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with client_of(port, path.read_text().strip()) as client:
            assert client.get("/whoami").json()["user"] == "admin"
            assert (
                client.get(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": ""}).status_code
                == 401
            )
        assert not (folder / "config").exists()


def test_what_it_refuses(folder: Path, rung: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {
        ("--host", "0.0.0.0"): "there is no user yet: make the first with",
        ("--tls-cert", "none.pem"): "TLS takes both",
        ("--tls-cert", "none.pem", "--tls-key", "none.pem"): "none.pem cannot be read",
        ("--log-format", "xml"): "say text or json",
        ("--max-body", "much"): "no amount of memory",
        ("--storage", "rung.txt"): "is no storage",
        ("--bootstrap-token-file", "none/token"): "cannot be written",
    }
    for options, why in refused.items():
        done = rung("service", *options)
        assert done.exit_code == 2, options
        assert why in done.stderr
    done = rung("service", "--storage", "postgresql://ann:s3cret@127.0.0.1:9/rung")
    assert done.exit_code == 2
    assert "cannot be reached" in done.stderr
    assert "s3cret" not in done.output
    from rung.deploy import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    done = rung("service")
    assert done.exit_code == 2
    assert "pip install 'rung[service]'" in done.stderr


def test_users_and_tokens_from_the_command_line(folder: Path, rung: Any) -> None:
    made = rung("service", "token", "create", "--user", "root", "--role", "admin")
    assert re.fullmatch(r"rung_[\w-]{43}\n", made.stdout)
    assert "it is not shown again" in made.stderr
    assert rung("service", "user", "add", "ann", "--role", "viewer").exit_code == 0
    rung("service", "user", "role", "ann", "member")
    options = ("--scope", "jobs", "--days", "2", "--note", "laptop", "--out", "ann.token")
    made = rung("service", "token", "create", "--user", "ann", *options)
    assert made.stdout == ""
    text = (folder / "ann.token").read_text().strip()
    users = json.loads(rung("service", "user", "list", "--json").stdout)
    assert [(user["name"], user["role"]) for user in users] == [("ann", "member"), ("root", "admin")]
    tokens = json.loads(rung("service", "token", "list", "--user", "ann", "--json").stdout)
    assert (tokens[0]["shown"], tokens[0]["scopes"], tokens[0]["note"]) == (text[:10], ["jobs"], "laptop")
    shown = rung("service", "token", "list").stdout
    assert "counts until" in shown
    assert text not in shown
    assert rung("service", "token", "revoke", tokens[0]["id"]).exit_code == 0
    assert "revoked" in rung("service", "token", "list").stdout
    assert rung("service", "user", "remove", "ann").exit_code == 0
    lines = json.loads(rung("service", "audit", "--json").stdout)
    assert [line["action"].removeprefix("rung service ") for line in reversed(lines)] == [
        "user add",
        "token create",
        "user add",
        "user role",
        "token create",
        "token revoke",
        "user remove",
    ]
    assert all(line["user"].startswith("os:") for line in lines)
    assert "user remove" in rung("service", "audit", "--limit", "1").stdout
    assert "ann" in rung("service", "user", "list").stdout


def test_commands_say_what_is_wrong(folder: Path, rung: Any) -> None:
    refused = {
        ("user", "add", "a b"): "cannot name a user",
        ("user", "add", "ann", "--role", "king"): "say viewer, member, admin",
        ("user", "remove", "bob"): "there is no user 'bob'",
        ("token", "create", "--user", "bob"): "there is no user 'bob'",
        ("token", "create", "--user", "ann", "--role", "member", "--scope", "all"): "scopes are studies:read",
        ("token", "revoke", "t"): "there is no token 't'",
    }
    for words, why in refused.items():
        done = rung("service", *words)
        assert done.exit_code == 2, words
        assert why in done.stderr


def test_no_token_takes_another_ones_file(folder: Path, rung: Any) -> None:
    create = ("service", "token", "create", "--user", "ann")
    assert rung(*create, "--role", "member", "--out", "ann.token").exit_code == 0
    text = (folder / "ann.token").read_text()
    done = rung(*create, "--out", "ann.token")
    assert done.exit_code == 2
    assert "ann.token is there already: name another file" in done.stderr
    assert (folder / "ann.token").read_text() == text
    assert rung(*create, "--out", "missing/ann.token").exit_code == 2
    assert rung("service", "token", "create", "--user", "bob", "--out", "bob.token").exit_code == 2
    assert not (folder / "bob.token").exists()
    assert len(json.loads(rung("service", "token", "list", "--json").stdout)) == 1


def test_a_token_is_for_what_its_user_may_do(folder: Path, rung: Any) -> None:
    create = ("service", "token", "create", "--user", "vic")
    assert rung(*create, "--role", "viewer").exit_code == 0
    beyond = rung(*create, "--scope", "studies:write")
    assert beyond.exit_code == 2
    assert "vic, who is a viewer, cannot be for studies:write: that takes the role member" in beyond.stderr
    other = rung(*create, "--role", "admin")
    assert other.exit_code == 2
    assert "vic is there already, as a viewer: leave --role out" in other.stderr
    assert rung(*create, "--role", "viewer", "--scope", "studies:read").exit_code == 0
