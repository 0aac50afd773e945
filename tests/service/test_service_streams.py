"""A study's log as server-sent events: from where a client was, and only as long as its token counts."""

import time

import httpx
import pytest

import rung
from rung.service import api_events
from rung.service.access import Role
from support.live_service import live

SPACE = {"x": rung.Float(0, 1)}
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with live(tmp_path_factory.mktemp("streams") / "rung.db") as service:
        with rung.Client(service.url, service.tokens["ann"]) as client:
            client.create(SPACE, name="runs", trials=9)
            client.create(SPACE, name="paused", trials=9)
            client.pause("paused")
        yield service


def streamed(house, token, study, **headers):
    """All lines of a stream, until the service ends it."""
    url, headers = f"{house.url}/api/v1/studies/{study}/events", {**STREAM, **headers}
    with httpx.stream(
        "GET", url, headers={"Authorization": f"Bearer {token}", **headers}, timeout=20
    ) as answer:
        yield answer.status_code
        yield from answer.iter_lines()


def test_it_goes_on_behind_the_last_event(house):
    lines = list(streamed(house, house.tokens["ann"], "paused"))
    numbers = [int(line[4:]) for line in lines[1:] if line.startswith("id: ")]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 1
    rest = list(streamed(house, house.tokens["ann"], "paused", **{"Last-Event-ID": "0"}))
    assert [line for line in rest[1:] if line.startswith("id: ")] == [f"id: {n}" for n in numbers[1:]]
    beyond = list(streamed(house, house.tokens["ann"], "paused", **{"Last-Event-ID": "999999999999999"}))
    assert "event: end" in beyond


@pytest.mark.parametrize("last", ["99999999999999999999", "-1", "x", "1.5"])
def test_a_number_that_no_event_has_is_refused(house, last):
    first, *rest = streamed(house, house.tokens["ann"], "paused", **{"Last-Event-ID": last})
    assert first == 422
    assert f"Last-Event-ID '{last}' is no event's number" in rest[0]


@pytest.mark.parametrize("how", ["revoked", "expires", "removed"])
def test_it_ends_when_the_token_counts_no_more(house, how, monkeypatch):
    monkeypatch.setattr(api_events, "_ALIVE", 0.1)
    accounts = house.app.state.accounts
    accounts.add_user(f"eve-{how}", Role.VIEWER)
    expires = time.time() + 2 if how == "expires" else None
    token, text = accounts.create_token(f"eve-{how}", expires=expires)
    lines = streamed(house, text, "runs")
    assert next(lines) == 200
    assert next(line for line in lines if line.startswith("id: ")) == "id: 0"
    if how == "revoked":
        accounts.revoke(token.id)
    elif how == "removed":
        accounts.remove_user(f"eve-{how}")
    rest = list(lines)  # it does end
    assert "event: end" not in rest
    first, problem = streamed(house, text, "runs")
    assert first == 401
    assert "expired" in problem if how == "expires" else "was revoked" in problem
