"""The client's end of the API by itself: tries, keys, problems, tokens."""

import math
import socket
import threading

import httpx
import pytest

from rung.errors import ConflictError, LeaseError, MissingError, StorageError, StudyError, UserError
from rung.service import http, local_token
from rung.service.http import Api, AwayError, Call, NotAllowedError, find_token, service_url
from rung.service.problems import problem_of
from rung.service.shared import ELSEWHERE
from rung.trials.codec import damaged

URL = "http://127.0.0.1:9"


def api(*answers, patience=30.0, token="rung_secret", url=URL):
    """One whose service gives these answers, one a request; the requests are kept."""
    left, seen = list(answers), []

    def answer(request):
        seen.append(request)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    made = Api(url, token, patience, httpx.MockTransport(answer))
    made.waits = []
    made.rest = lambda seconds: made.waits.append(seconds)  # no time passes
    return made, seen


def problem(status, title="t", detail="why"):
    return httpx.Response(status, json={"title": title, "detail": detail, "status": status})


def test_a_call_is_made_again_with_its_one_key_until_it_is_answered():
    made, seen = api(
        httpx.ConnectError("refused"),
        httpx.Response(503),
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.ReadError("broken"),
        httpx.Response(200, json={"done": True}),
    )
    assert made.json(Call("POST", "/studies", {"name": "s"})) == {"done": True}
    keys = {request.headers["Idempotency-Key"] for request in seen}
    assert len(seen) == 5
    assert len(keys) == 1
    assert {request.content for request in seen} == {b'{"name":"s"}'}
    assert 0.05 <= made.waits[0] <= 0.1
    assert made.waits[2] == 7.0
    assert made.away_since is None


def test_another_call_has_another_key_and_reading_has_none():
    made, seen = api(*[httpx.Response(204) for _ in range(3)])
    for call in (Call("POST", "/a"), Call("DELETE", "/a"), Call("GET", "/a")):
        assert made.json(call) is None
    assert seen[0].headers["Idempotency-Key"] != seen[1].headers["Idempotency-Key"]
    assert "Idempotency-Key" not in seen[2].headers


def test_patience_ends_in_a_sentence():
    made, _ = api(httpx.ConnectError("refused"), patience=0.0)
    with pytest.raises(AwayError, match=r"at http://127\.0\.0\.1:9 does not answer \(refused\)"):
        made.json(Call("GET", "/studies"))


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (problem(401), NotAllowedError, "does not know you"),
        (problem(403), NotAllowedError, "does not allow this: why"),
        (problem(404), MissingError, "^why$"),
        (problem(409, "lease lost"), LeaseError, "^why$"),
        (problem(409), ConflictError, "^why$"),
        (problem(422), StudyError, "^why$"),
        (problem(413), StudyError, "^why$"),
        (problem(500), StorageError, "failed: why"),
        (httpx.Response(404, text="<html>"), StorageError, "is no rung service"),
        (httpx.Response(301, headers={"Location": "http://elsewhere"}), StorageError, "is no rung service"),
    ],
)
def test_problems_are_our_own_errors(answer, kind, text):
    made, seen = api(answer)
    with pytest.raises(UserError, match=text) as raised:
        made.json(Call("GET", "/studies"))
    assert type(raised.value) is kind
    assert len(seen) == 1
    assert "secret" not in str(raised.value)


def test_a_body_that_comes_from_a_file_is_read_anew():
    made, seen = api(httpx.Response(502), httpx.Response(200))
    made.send(Call("PUT", "/x", content=lambda: iter([b"one ", b"two"])))
    assert [request.read() for request in seen] == [b"one two"] * 2


def test_which_token_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("RUNG_TOKEN", "RUNG_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("given", "named"):
        (tmp_path / name).write_text(f"rung_{name}\n")
    assert find_token(URL) is None
    kept = local_token.keep(9)
    assert find_token(URL) == kept
    assert find_token("https://elsewhere:9") is None
    monkeypatch.setenv("RUNG_TOKEN_FILE", str(tmp_path / "named"))
    assert find_token(URL) == "rung_named"
    monkeypatch.setenv("RUNG_TOKEN", "rung_typed")
    assert find_token(URL) == "rung_typed"
    assert find_token(URL, None, tmp_path / "given") == "rung_given"
    assert find_token(URL, "rung_argument") == "rung_argument"
    with pytest.raises(UserError, match="has characters that no token has") as raised:
        find_token(URL, "rung_säcret")
    assert "säcret" not in str(raised.value)
    with pytest.raises(UserError, match="cannot be read"):
        find_token(URL, None, tmp_path / "nowhere")


def test_which_addresses_are_a_services():
    assert service_url("http://127.0.0.1:8080/api/v1/") == "http://127.0.0.1:8080"
    assert service_url("https://rung.example.org") == "https://rung.example.org"
    for text in ("ftp://x", "http://", "http://x:99999", "x"):
        with pytest.raises(UserError, match="is no address of a service"):
            service_url(text)
    with pytest.raises(UserError, match="holds a user") as raised:
        service_url("https://ann:hush@rung.example.org")
    assert "hush" not in str(raised.value)


def test_of_several_services_the_next_one_is_asked_and_no_time_lost():
    made, seen = api(
        httpx.ConnectError("refused"),
        httpx.Response(200, json=1),
        httpx.Response(200, json=2),
        problem(409, ELSEWHERE),
        httpx.Response(200, json=3),
        httpx.Response(200, json=4),
        url=f"{URL}, http://other:1/",
    )
    here = "127.0.0.1"
    assert [made.json(Call("GET", "/a")) for _ in range(4)] == [1, 2, 3, 4]
    assert [request.url.host for request in seen] == [here, "other", "other", "other", here, "other"]
    assert made.waits == [0.0, 0.0]


def test_a_study_that_runs_elsewhere_for_good_is_said(monkeypatch):
    monkeypatch.setattr(http, "_ELSEWHERE", -1.0)
    made, _ = api(problem(409, ELSEWHERE, "there"), url=f"{URL},http://other:1")
    with pytest.raises(ConflictError, match="there"):
        made.json(Call("GET", "/a"))
    made, _ = api(problem(409, ELSEWHERE, "there"))
    with pytest.raises(ConflictError, match="there"):
        made.json(Call("GET", "/a"))


def test_each_of_several_services_is_shown_its_own_token(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    urls = "http://127.0.0.1:7001,http://127.0.0.1:7002"
    tokens = [local_token.keep(port) for port in (7001, 7002)]
    assert find_token(urls) is None
    made, seen = api(problem(401), problem(401), *[httpx.Response(200, json=1)] * 2, url=urls, token=None)
    made.json(Call("GET", "/a"))
    made.turn_from(0)
    made.json(Call("GET", "/a"))
    shown = [request.headers.get("Authorization") for request in seen]
    assert shown == [None, None, *(f"Bearer {token}" for token in tokens)]


@pytest.mark.parametrize(("text", "said"), [(None, "No such file"), ("junk", "no certificate in PEM form")])
def test_authorities_that_cannot_be_read_are_a_sentence(text, said, tmp_path, monkeypatch):
    file = tmp_path / "authority.pem"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(UserError, match=f"SSL_CERT_FILE names .*authority.pem.*{said}"):
        Api("https://127.0.0.1:1", None)


def test_a_service_without_tls_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        client = Api(f"https://127.0.0.1:{listening.getsockname()[1]}", None, patience=math.inf)
        with pytest.raises(UserError, match="does not speak TLS"):
            client.json(Call("GET", "/studies"))
        thread.join()
        client.close()


def test_a_damaged_log_is_nothing_to_wait_for() -> None:
    told = problem_of(damaged("event 5 of study 's' is missing"))
    assert told.status_code == 409  # not 503, at which clients try again
    assert "event 5 of study 's' is missing" in str(told.detail)
    assert problem_of(StorageError("secret place")).status_code == 503
