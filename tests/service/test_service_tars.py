"""Checkpoints as tars, sent by a client of no good will: refused in a sentence, and nothing of them kept."""

import gzip
import io
import socket
import tarfile
import threading
import time

import httpx
import pytest

import rung
from rung.service.context import Caps
from support.live_service import live

MOST = 1 << 20


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A service whose checkpoints have a mebibyte at most, and a job of its study "s"."""
    with live(tmp_path_factory.mktemp("tars") / "rung.db", caps=Caps(checkpoint=MOST)) as made:
        with rung.Client(made.url, made.tokens["ann"]) as client:
            client.create({"x": rung.Float(0, 1)}, name="s", trials=9, resource=("epoch", 1, 9))
            assert client.ask("s") is not None
        yield made


def tar(*members, form=tarfile.PAX_FORMAT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for name, content, more in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in more.items():
                setattr(info, key, value)
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


HOLE = {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "s",
    "GNU.sparse.realsize": "9" * 15,
}
GOOD = tar(("weights", b"1", {}))
BAD = {
    "nothing": b"",
    "junk": b"x" * 3000,
    "cut off": tar(("weights", b"1" * 5000, {}))[:2000],
    "compressed": gzip.compress(tar(("weights", bytes(10 * MOST), {}))),
    "holes": tar(("s", b"0\n".ljust(512, b"\0"), {"pax_headers": HOLE})),
    "a long name": tar(("x" * 300, b"1", {})),
    "a long path": tar(("/".join(["y" * 200] * 30), b"1", {})),
    "out of the folder": tar(("../../x", b"1", {})),
    "a link out of it": tar(("l", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})),
    "a hard link to nothing": tar(("l", b"", {"type": tarfile.LNKTYPE, "linkname": "nothing"})),
    "a pipe": tar(("f", b"", {"type": tarfile.FIFOTYPE})),
    "a device": tar(("f", b"", {"type": tarfile.CHRTYPE})),
    "a file that is a folder": tar(("a", b"1", {}), ("a/b", b"1", {})),
    "no UTF-8": tar(("\udcff", b"1", {}), form=tarfile.GNU_FORMAT),
}


def sent(place, content, path="0/resource-3", **headers):
    headers["Authorization"] = f"Bearer {place.tokens['ann']}"
    return httpx.put(f"{place.url}/api/v1/studies/s/checkpoints/{path}", content=content, headers=headers)


def kept(place):
    return sorted(path.name for path in place.hub.storage.folder("s").rglob("trial-*/*"))


@pytest.mark.parametrize("what", list(BAD))
def test_what_is_no_good_is_refused_and_leaves_nothing(place, what):
    before = kept(place)
    answer = sent(place, BAD[what])
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(":not-a-tar")
    assert str(place.hub.storage.folder("s")) not in answer.text
    assert kept(place) == before


@pytest.mark.parametrize(
    ("trial", "status"), [("-1", 422), ("9" * 30, 422), ("9" * 400, 422), ("8", 404), ("0", 201)]
)
def test_trials_that_there_are(place, trial, status):
    assert sent(place, GOOD, f"{trial}/resource-3").status_code == status


def test_two_at_once_do_not_mix(place):
    contents = [
        tar(*((f"{name}{number}", name.encode() * 999, {}) for number in range(200))) for name in "ab"
    ]
    answers = []
    threads = [
        threading.Thread(target=lambda c=c: answers.append(sent(place, c, "0/resource-5"))) for c in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201, 201]
    for answer in answers:
        folder = place.hub.storage.folder("s") / answer.json()["path"]
        assert len({path.name[0] for path in folder.iterdir() if path.name[0] in "ab"}) == 1
        assert len([path for path in folder.iterdir() if path.name[0] in "ab"]) == 200


def test_a_client_that_goes_away_is_no_error_of_the_service(place, caplog):
    head = "PUT /api/v1/studies/s/checkpoints/0/resource-7 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n"
    with socket.create_connection(("127.0.0.1", place.port)) as connection:
        connection.sendall(f"{head}Authorization: Bearer {place.tokens['ann']}\r\n\r\n".encode() + b"x" * 100)
        time.sleep(0.2)
    assert sent(place, GOOD, "0/resource-9").status_code == 201
    assert "Exception" not in caplog.text
    assert not [name for name in kept(place) if "resource-7" in name]
