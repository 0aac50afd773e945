"""Where the service listens, TLS, slow clients, and how it ends."""

import asyncio
import math
import os
import socket
import ssl
import stat
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi.responses import StreamingResponse

from rung.errors import UserError
from rung.service import local_token, serving
from rung.service.accounts import Accounts
from rung.service.guards import Limits
from rung.service.http import Api, Call
from rung.service.serving import Server, Settings
from support.service import small_app, user

TLS = Path(__file__).parent / "tls"


@pytest.fixture
def accounts():
    made = Accounts("memory")
    yield made
    made.close()


@contextmanager
def running(app, settings, context=None):
    """The application on a free port, in a thread; yields the server and the port."""
    place = serving.listen(settings)
    server = Server(app, settings, context)
    thread = threading.Thread(target=server.run, args=([place],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server, place.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


# -- where ------------------------------------------------------------------------------------------------


def test_beyond_loopback_only_with_users():
    assert serving.check_place(Settings(), has_users=False) is None
    assert serving.check_place(Settings("::1"), has_users=False) is None
    with pytest.raises(
        UserError, match="there is no user yet: make the first with `rung service token create"
    ):
        serving.check_place(Settings("0.0.0.0"), has_users=False)
    assert "without TLS" in serving.check_place(Settings("0.0.0.0"), has_users=True)
    secure = Settings("0.0.0.0", cert=TLS / "cert.pem", key=TLS / "key.pem")
    assert serving.check_place(secure, has_users=True) is None
    assert (Settings().scheme, secure.scheme) == ("http", "https")
    with pytest.raises(UserError, match="both --tls-cert and --tls-key"):
        serving.check_place(Settings(cert=TLS / "cert.pem"), has_users=True)


def test_the_names_that_it_answers_to():
    assert serving.own_names("127.0.0.1") == ("127.0.0.1", "localhost", "::1")
    assert serving.own_names("127.0.0.2", ("rung.example",))[-2:] == ("127.0.0.2", "rung.example")
    assert serving.own_names("0.0.0.0") is None
    assert serving.own_names("0.0.0.0", ("rung.example",)) == ("rung.example",)


def test_a_place_that_cannot_be_had():
    with serving.listen(Settings(port=0)) as taken, pytest.raises(UserError, match="cannot listen on 127"):
        serving.listen(Settings(port=taken.getsockname()[1]))
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1"):
        serving.listen(Settings("192.0.2.1"))


# -- TLS --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cert", "key", "why"),
    [
        ("none.pem", "key.pem", "none.pem cannot be read"),
        ("cert.pem", "none.pem", "none.pem cannot be read"),
        ("cert.pem", "other_key.pem", "does not belong to the certificate"),
        ("cert.pem", "encrypted_key.pem", "is encrypted"),
        ("../test_service_serving.py", "key.pem", "are no certificate and key in PEM form"),
        ("key.pem", "cert.pem", "are no certificate and key in PEM form"),
    ],
)
def test_certificates_that_cannot_be_used(cert, key, why):
    with pytest.raises(UserError, match=why):
        serving.tls(TLS / cert, TLS / key)


def test_a_client_that_speaks_no_tls_is_told_to_try_it_at_once(accounts):
    settings = Settings(port=0, cert=TLS / "cert.pem", key=TLS / "key.pem")
    context = serving.tls(TLS / "cert.pem", TLS / "key.pem")
    with running(small_app(accounts), settings, context) as (_, port):
        client = Api(f"http://127.0.0.1:{port}", None, patience=math.inf)
        with pytest.raises(UserError, match=rf"{port} speaks TLS: try https://127\.0\.0\.1:{port}$"):
            client.json(Call("GET", "/studies"))
        client.close()


def test_it_speaks_tls_and_takes_up_a_renewed_certificate(accounts, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes((TLS / "cert.pem").read_bytes())
    key.write_bytes((TLS / "key.pem").read_bytes())
    settings = Settings(port=0, cert=cert, key=key)

    def shown(port):
        return ssl.get_server_certificate(("127.0.0.1", port))

    app = small_app(accounts)
    with running(app, settings, serving.tls(cert, key)) as (server, port):
        trust = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
        with httpx.Client(verify=trust, trust_env=False) as client:
            assert client.get(f"https://localhost:{port}/health").json()["status"] == "ok"
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError), connected(port) as raw:
            old.wrap_socket(raw)
        first = shown(port)
        cert.write_text("half of it")
        server.renew()
        assert shown(port) == first, "one that cannot be used changes nothing"
        cert.write_bytes((TLS / "other_cert.pem").read_bytes())
        server.renew()
        assert shown(port) == first, "the new certificate with the old key"
        key.write_bytes((TLS / "other_key.pem").read_bytes())
        server.renew()
        assert shown(port).split() == (TLS / "other_cert.pem").read_text().split()


# -- slow clients -----------------------------------------------------------------------------------------


def test_slow_clients_are_cut_off_and_hold_nobody_up(accounts):
    token = user(accounts, "ann")
    app = small_app(accounts, Limits(body_seconds=0.3))
    with running(app, Settings(port=0, head=0.3)) as (_, port):
        head = b"POST /api/v1/studies/a/body HTTP/1.1\r\nHost: localhost\r\n"
        whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        silent, slow_head, slow_body, second = (connected(port) for _ in range(4))
        slow_head.sendall(head)
        slow_body.sendall(head + f"Authorization: Bearer {token}\r\nContent-Length: 9\r\n\r\nabc".encode())
        second.sendall(whole)
        assert b"200 OK" in second.recv(4096)
        second.sendall(whole[:20])  # the next one on the same connection
        many = [connected(port) for _ in range(50)]
        assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
        for cut in (silent, slow_head, second):
            with cut:
                assert ended(cut)
        with slow_body:
            answer = slow_body.recv(4096)
            assert answer.startswith(b"HTTP/1.1 408")
            assert ended(slow_body)
        for each in many:
            each.close()


def ended(connection):
    """Whether the other side has closed; waits for it."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def test_a_body_that_is_too_large_is_not_read_to_its_end(accounts):
    token = user(accounts, "ann")
    with (
        running(small_app(accounts, Limits(body=1000)), Settings(port=0)) as (_, port),
        connected(port) as raw,
    ):
        raw.sendall(
            b"POST /api/v1/studies/a/body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            + f"Authorization: Bearer {token}\r\n\r\n".encode()
            + b"400\r\n"
            + b"x" * 1024
            + b"\r\n"
        )
        answer = b""
        while b"too-large" not in answer:
            answer += raw.recv(4096)
        assert answer.startswith(b"HTTP/1.1 413")
        assert ended(raw)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux's")
def test_who_reads_nothing_is_cut_off(accounts, monkeypatch):
    monkeypatch.setattr(serving, "_UNREAD", 1)
    app, ended = small_app(accounts), threading.Event()

    async def endless():
        try:
            while True:
                yield b"x" * 100_000
                await asyncio.sleep(0)
        finally:
            ended.set()

    @app.get("/endless")
    async def flood():
        return StreamingResponse(endless())

    with running(app, Settings(port=0)) as (_, port), socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ended.wait(30)


# -- the end ----------------------------------------------------------------------------------------------


def test_at_the_end_it_answers_what_is_under_way_and_tells_who_waits(accounts):
    app = small_app(accounts)
    told, began = asyncio.Event(), threading.Event()
    app.state.at_end = [told.set]

    @app.get("/waits")
    async def waits():
        began.set()
        await told.wait()
        return {"ready": app.state.draining}

    answers = []
    with running(app, Settings(port=0)) as (server, port):

        def ask():
            answers.append(httpx.get(f"http://127.0.0.1:{port}/waits", trust_env=False, timeout=20).json())

        thread = threading.Thread(target=ask)
        thread.start()
        assert began.wait(20)
        server.should_exit = True
        thread.join(20)
        assert answers == [{"ready": True}]


# -- the token of this machine's user ---------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "rung" / "service"


def test_the_local_token_is_kept_for_its_owner_only(home):
    text = local_token.keep(8080)
    assert local_token.keep(8080) == text
    assert local_token.keep(8081) != text
    assert stat.S_IMODE((home / "8080.token").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for url in ("http://127.0.0.1:8080", "http://localhost:8080/", "https://[::1]:8080/api/v1"):
        assert local_token.find(url) == text
    for url in ("http://example.org:8080", "http://127.0.0.1:8082", "http://127.0.0.1", "http://127.0.0.1:x"):
        assert local_token.find(url) is None


def test_a_token_that_others_could_read_is_refused(home):
    local_token.keep(8080)
    (home / "8080.token").chmod(0o640)
    for attempt in (lambda: local_token.keep(8080), lambda: local_token.find("http://localhost:8080")):
        with pytest.raises(UserError, match="others can read or write"):
            attempt()


def test_a_secret_replaces_a_file_whole(tmp_path):
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    local_token.write_secret(path, "new")
    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["token"]
