"""Limits on what one client may take, and what stays of a request: headers, log, metrics, audit."""

import asyncio
import io
import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rung.errors import StorageError
from rung.service import logs
from rung.service.access import Role
from rung.service.accounts import Accounts
from rung.service.guards import Guards, Limits
from rung.service.rates import Rates
from rung.service.token_index import EVERY
from support.clock import Clock
from support.service import client_of, small_app, user


@pytest.fixture
def accounts():
    made = Accounts("memory")
    yield made
    made.close()


def kind(answer):
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def asgi(app, token, parts, path="/api/v1/studies/a/body", pause=0.0, **headers):
    """One POST whose body comes in these parts; status, headers and body of the answer."""
    given = {"authorization": f"Bearer {token}", "host": "localhost", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("10.1.2.3", 5),
        "server": ("localhost", 80),
    }
    left, sent = list(parts), []

    async def receive():
        await asyncio.sleep(pause)
        if not left:
            await asyncio.sleep(60)
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start = dict(sent[0]["headers"])
    return sent[0]["status"], start, b"".join(each.get("body", b"") for each in sent[1:])


# -- how much ---------------------------------------------------------------------------------------------


def test_a_body_is_refused_before_it_comes_or_as_it_grows(accounts):
    token = user(accounts, "ann")
    app = small_app(accounts, Limits(body=1000))
    assert client_of(app, token).post("/api/v1/studies/a/body", content=b"x" * 1000).json() == {"bytes": 1000}
    told = client_of(app, token).post("/api/v1/studies/a/body", content=b"x" * 1001)
    assert kind(told) == (413, "too-large")
    status, headers, body = asyncio.run(asgi(app, token, [b"x" * 600, b"x" * 600, b"x" * 10**9]))
    assert status == 413
    assert headers[b"connection"] == b"close"
    assert json.loads(body)["type"].endswith("too-large")
    status, _, body = asyncio.run(
        asgi(
            app,
            token,
            [b'{"a": ', b"1" * 2000, b"}"],
            "/api/v1/studies/a/fields",
            **{"content-type": "application/json"},
        )
    )
    assert status == 413, body


def test_checkpoints_may_be_larger(accounts):
    token = user(accounts, "ann")
    client = client_of(small_app(accounts, Limits(body=10, upload=1000)), token)
    path = "/api/v1/studies/a/checkpoints/trial-1/3"
    assert client.put(path, content=b"x" * 1000).status_code == 404  # there is no such route here
    assert kind(client.put(path, content=b"x" * 1001)) == (413, "too-large")
    assert kind(client.post(path, content=b"x" * 11)) == (413, "too-large")


def test_a_body_that_dawdles_is_cut_off(accounts):
    token = user(accounts, "ann")
    app = small_app(accounts, Limits(body_seconds=0.1))
    status, headers, body = asyncio.run(asgi(app, token, [b"x"] * 2 + [b"x"] * 10**6, pause=0.03))
    assert status == 408, body
    assert headers[b"connection"] == b"close"
    assert asyncio.run(asgi(app, token, [b"x"] * 3))[0] == 200


def test_waiting_for_the_client_to_leave_is_not_cut_off(accounts):
    came = []

    async def stream(scope, receive, send):
        came.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        came.append(await receive())

    messages = iter([({"type": "http.request", "body": b""}, 0.0), ({"type": "http.disconnect"}, 0.15)])

    async def receive():
        message, pause = next(messages)
        await asyncio.sleep(pause)
        return message

    async def send(message):
        pass

    scope = {"type": "http", "method": "GET", "path": "/events", "headers": [], "client": None}
    asyncio.run(Guards(stream, Limits(body_seconds=0.05), accounts)(scope, receive, send))
    assert [message["type"] for message in came] == ["http.request", "http.disconnect"]


# -- how often --------------------------------------------------------------------------------------------


def test_a_bucket_fills_with_time():
    rates = Rates(2.0, burst=4.0)
    assert [rates.take("a", 10.0) for _ in range(4)] == [0.0] * 4
    assert rates.take("a", 10.0) == 0.5
    assert rates.take("b", 10.0) == 0.0
    assert rates.wait("a", 10.25) == 0.25
    assert rates.take("a", 10.5) == 0.0
    assert rates.take("a", 10.5) > 0.0
    assert [rates.take("a", 1000.0) for _ in range(5)][-1] > 0.0


def test_a_request_that_was_overtaken_costs_one_drop():
    rates = Rates(100.0, burst=10.0)
    assert rates.take("a", 60.0) == 0.0
    assert rates.take("a", 1.0) == 0.0  # it came first, and was held up
    assert rates.take("a", 60.0) == 0.0


def test_a_token_that_comes_too_often_waits(accounts):
    ann, bob = user(accounts, "ann"), user(accounts, "bob")
    app = small_app(accounts, Limits(rate=0.01))
    answers = [client_of(app, ann).get("/api/v1/whoami") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert kind(answers[-1]) == (429, "too-many-requests")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 100
    assert client_of(app, bob).get("/api/v1/whoami").status_code == 200
    assert client_of(app).get("/health").status_code == 200


def test_strangers_are_slowed_down_and_lock_nobody_out(accounts):
    ann = user(accounts, "ann")
    app = small_app(accounts, Limits(strangers=0.01))
    assert client_of(app, ann).get("/api/v1/whoami").status_code == 200
    looked_up = []
    verify = accounts.verify
    accounts.verify = lambda token: looked_up.append(token) or verify(token)
    guesses = [client_of(app, f"rung_{number}").get("/api/v1/whoami") for number in range(20)]
    assert [answer.status_code for answer in guesses] == [401] * 10 + [429] * 10
    assert len(looked_up) == 10, "a guess that is refused costs no look at the tables"
    assert client_of(app, ann).get("/api/v1/whoami").status_code == 200


def test_who_is_new_at_a_flooded_address_comes_in_at_once(tmp_path):
    clock = Clock()
    ours, theirs = (Accounts(f"sqlite:///{tmp_path}/rung.db", clock) for _ in range(2))
    app = small_app(ours, Limits(strangers=0.01))
    looks, reading = [], ours.reading
    ours._made._reading = lambda: looks.append(0) or reading()
    flood = [client_of(app, f"rung_{number}").get("/api/v1/whoami") for number in range(40)]
    assert [answer.status_code for answer in flood] == [401] * 10 + [429] * 30
    assert len(looks) == 1, "nor does one whose address is used up cost more"
    ann, bob = user(ours, "ann"), user(theirs, "bob")
    for token in (ann, bob):  # made since the last look
        clock.now += EVERY
        assert client_of(app, token).get("/api/v1/whoami").status_code == 200
        assert client_of(app, "rung_guess").get("/api/v1/whoami").status_code == 429
    assert len(looks) == 3
    for token in theirs.tokens("bob"):
        theirs.revoke(token.id)
    clock.now += EVERY
    assert client_of(app, bob).get("/api/v1/whoami").status_code == 429
    ours.close()
    theirs.close()


def test_streams_of_one_token_are_counted(accounts):
    app = small_app(accounts, Limits(streams=0))
    headers = {"Accept": "text/event-stream"}
    client = client_of(app, user(accounts, "ann"))
    assert kind(client.get("/api/v1/studies/a/events", headers=headers)) == (429, "too-many-streams")
    app = small_app(accounts, Limits(streams=1))
    client = client_of(app, user(accounts, "bob"))
    for _ in range(3):  # each ends before the next begins
        assert client.get("/api/v1/studies/a/events", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:1", True),
        ("[::1]:8080", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("localhost:80@evil.example", False),
        ("", False),
    ],
)
def test_the_name_that_it_is_called_by(accounts, host, good):
    app = small_app(accounts, Limits(hosts=("localhost", "127.0.0.1", "::1")))
    answer = client_of(app).get("/health", headers={"Host": host})
    assert (answer.status_code == 200) == good
    assert good or kind(answer) == (421, "host")


# -- what stays -------------------------------------------------------------------------------------------


@pytest.fixture
def log():
    stream = io.StringIO()
    names = ("rung", "uvicorn", logs.ACCESS)
    before = {
        name: (logger.handlers[:], logger.propagate, logger.level)
        for name in names
        if (logger := logging.getLogger(name))
    }
    logs.configure("json", stream=stream)
    yield stream
    for name, (handlers, propagate, level) in before.items():
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_a_line_of_json_a_request_and_no_secret(accounts, log):
    token = user(accounts, "ann")
    app = small_app(accounts)
    answer = client_of(app, token).get(f"/api/v1/whoami?token={token}")
    client_of(app, token).get(f"/api/v1/studies/{token}/fails/boom")
    client_of(app, token).get("/api/v1/studies/a%0Ab/fails/storage")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    first = lines[0]
    assert first["message"] == "GET /api/v1/whoami"
    assert (first["user"], first["status"], first["request"]) == ("ann", 200, answer.headers["x-request-id"])
    assert first["token"] == accounts.tokens()[0].id
    assert first["ms"] > 0
    assert first["time"].endswith("+00:00")
    assert token not in log.getvalue()
    assert token[5:] not in log.getvalue()
    assert [line["status"] for line in lines if "status" in line] == [200, 500, 503]
    assert any("is damaged" in line["message"] for line in lines), "the log says what the client is not told"


SECRETS = {
    "postgresql://ann:s3cr%40et@db/rung": "postgresql://ann:***@db/rung",
    "Authorization: Bearer s3cret": "Authorization: Bearer ***",
    "header b'authorization', b'Bearer s3cret'": "header b'authorization', b'Bearer ***'",
    "connect to host=db password=s3cret failed": "connect to host=db password=*** failed",
    "GET /x?token=s3cret&a=1": "GET /x?token=***&a=1",
    "rung_" + "a1_-" * 10 + "xyz": "rung_***",
    "nothing at http://localhost:8080/a@b": "nothing at http://localhost:8080/a@b",
}


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_blacked_out(text):
    assert logs.blacked_out(text) == SECRETS[text]


def test_text_for_people_stays_on_its_line():
    record = logging.LogRecord("rung", logging.INFO, "f", 1, "GET %s", ("/a\n\x1b[2Jb",), None)
    record.fields = {"status": 200, "user": "ann", "token": ""}
    line = logs.Lines().format(record)
    assert line.endswith("INFO GET /a\\n\\x1b[2Jb status=200 user=ann")
    try:
        raise StorageError("postgresql://ann:s3cret@db/rung is away")
    except StorageError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    for form in (logs.Lines(), logs.JsonLines()):
        assert "s3cret" not in form.format(record)
        assert "StorageError" in form.format(record)


def test_headers_that_browsers_heed(accounts):
    for app, path in ((small_app(accounts), "/health"), (small_app(accounts), "/none")):
        headers = client_of(app).get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "strict-transport-security" not in headers
    secure = client_of(small_app(accounts, Limits(secure=True))).get("/health").headers
    assert secure["strict-transport-security"]
    given = [
        client_of(small_app(accounts)).get("/health", headers={"X-Request-Id": text}).headers["x-request-id"]
        for text in ("mine-1", "a b", "x" * 65)
    ]
    assert given[0] == "mine-1"
    assert all(len(made) == 16 for made in given[1:])


def test_what_changes_something_is_audited_and_the_jobs_traffic_is_not(accounts):
    app = small_app(accounts)
    ann = client_of(app, user(accounts, "ann"))
    eve = client_of(app, user(accounts, "eve", Role.VIEWER))
    ann.post("/api/v1/studies/fig-3/pause")
    eve.post("/api/v1/studies/fig-3/pause")
    ann.post("/api/v1/studies/fig-3/ask")
    ann.get("/api/v1/studies/fig-3/as/x")
    client_of(app).post("/api/v1/studies/fig-3/pause")
    found = [(each.user, each.action, each.object, each.outcome) for each in accounts.audit()]
    assert found == [
        ("eve", "POST /api/v1/studies/{name}/pause", "fig-3", "refused (403)"),
        ("ann", "POST /api/v1/studies/{name}/pause", "fig-3", "ok"),
    ]


def test_metrics_as_prometheus_reads_them(accounts):
    app = small_app(accounts)
    ann = client_of(app, user(accounts, "ann"))
    for name in ("a", "b/c", "d"):
        ann.post(f"/api/v1/studies/{name}/pause")
    for number in range(5):
        ann.get(f"/guess/{number}")
    assert client_of(app).get("/metrics").status_code == 401
    assert client_of(small_app(accounts, Limits(open_metrics=True))).get("/metrics").status_code == 200
    answer = ann.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    counts = {
        (each.labels["method"], each.labels["route"], each.labels["status"]): each.value
        for each in families["rung_http_requests"].samples
        if each.name == "rung_http_requests_total"
    }
    assert counts == {
        ("POST", "/api/v1/studies/{name}/pause", "200"): 2.0,
        ("any", "none", "404"): 6.0,
        ("GET", "/metrics", "401"): 1.0,
    }
    seconds = [each for each in families["rung_http_request_seconds"].samples if each.name.endswith("_count")]
    assert sum(each.value for each in seconds) == 9.0
    assert families["rung_http_requests_under_way"].samples[0].value == 1.0
    assert "process_resident_memory_bytes" in families
