"""`rung dashboard` as a process: it answers, and ends well."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_until_it_is_told_to_end(folder, how):
    command = [sys.executable, "-m", "rung", "dashboard", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stderr.readline()
            found = re.search(r"are on (http://127\.0\.0\.1:\d+);", line)
            assert found, line
            ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
            with ask(found[1]) as answer:
                assert b"There are no studies yet" in answer.read()
            process.send_signal(how)
            rest = process.stderr.read()
            assert process.wait() == 0, rest
            assert rest == ""
        finally:
            process.kill()
    assert not list(folder.iterdir()), "looking makes no file"


def test_what_it_refuses(rung):
    done = rung("dashboard", "--storage", "none.db")
    assert done.exit_code == 2
    assert "there is no storage none.db" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = rung("dashboard", "--port", str(port))
    assert done.exit_code == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in done.stderr
    assert "give another --port" in done.stderr
