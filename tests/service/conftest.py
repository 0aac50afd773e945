"""A service that listens on loopback, one for the tests of a file, and a member's client of it."""

from pathlib import Path

import pytest

import rung
from support.live_service import live


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with live(tmp_path_factory.mktemp("service") / "rung.db") as made:
        yield made


@pytest.fixture
def client(service):
    with rung.Client(service.url, service.tokens["ann"]) as made:
        yield made


@pytest.fixture
def objectives_on_the_path(monkeypatch):
    """What a worker in this process finds in its working folder."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
