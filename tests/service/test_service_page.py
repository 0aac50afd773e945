"""The page for browsers: nothing from elsewhere, nothing that a policy would not let run, no secret."""

import base64
import hashlib
import re

import httpx

import rung


def test_the_page_runs_under_its_own_policy_and_needs_nothing_from_elsewhere(service):
    answer = httpx.get(service.url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    for tag in ("script", "style"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert not re.search(r"https?://|innerHTML|localStorage|[?&]token", answer.text)


def test_what_the_page_asks_for_is_there(service, client):
    client.create({"x": rung.Float(0.0, 1.0)}, name="seen", trials=2)
    script = httpx.get(service.url).text
    headers = {"Authorization": f"Bearer {service.tokens['ann']}"}
    listed = httpx.get(f"{service.url}/api/v1/studies?limit=100", headers=headers).json()["items"]
    one = httpx.get(f"{service.url}/api/v1/studies/seen", headers=headers).json()
    shown = set(re.findall(r"\bone\.(\w+)", script)) - {"busy", "slots"}
    assert shown <= one.keys()
    assert {"name", "owner", "state", "trials", "metric", "best", "seconds"} <= listed[0].keys() & shown
    assert {"slots", "ideal"} <= one["share"].keys()
    client.delete("seen")
