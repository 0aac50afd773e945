"""A service on loopback, one for the tests of a file, and a member's client of it; one without HTTP, too."""

from pathlib import Path

import pytest

import rung
from support.live_service import live
from support.service_house import House


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with live(tmp_path_factory.mktemp("service") / "rung.db") as made:
        yield made


@pytest.fixture
def client(service):
    with rung.Client(service.url, service.tokens["ann"]) as made:
        yield made


@pytest.fixture
def house(tmp_path):
    made = House(str(tmp_path / "rung.db"))
    yield made
    made.hub.close()
    made.hub.storage.close()


@pytest.fixture
def objectives_on_the_path(monkeypatch):
    """What a worker in this process finds in its working folder."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
