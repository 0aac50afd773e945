"""The whole API under requests that fit its OpenAPI description and requests that do not: no server errors.

Half of the requests go to a study, a job, a worker that there are, so that they reach what is behind.
"""

import contextlib
import json
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from starlette.testclient import TestClient

from rung.errors import UserError
from rung.service.accounts import Accounts
from rung.service.app import create_app
from rung.service.guards import Limits
from rung.service.hub import Hub
from rung.service.models import NewStudy
from rung.storage import open_storage

TOKEN = "rung_local"
SPACE = {"parameters": [{"name": "x", "type": "float", "low": 0.0, "high": 1.0}]}
FITS, FITS_NOT = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
JUNK = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe\x00",
    b'{"name": "\\ud800", "space": {"parameters": [1]}}',
    b'{"space": {"parameters": NaN}, "trials": 1e999}',
    b'{"trials": ' + b"9" * 5000 + b"}",
    b'{"space": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b'{"resource": 1, "metrics": {"loss": "Infinity"}, "outcome": "finished", "config": {"x": {}}}',
]


class World:
    """The service over a file, with a study that has a job out, and a worker."""

    def __init__(self, folder):
        url = str(folder / "rung.db")
        self.storage, self.accounts = open_storage(url), Accounts(url)
        self.accounts.allow_local(TOKEN)
        self.hub = Hub(self.storage, self.accounts)
        self.app = create_app(self.hub, self.accounts, Limits(rate=1e9, strangers=1e9))
        described = self.app.openapi()  # without tokens, which it would leave out or spoil half of the time
        del described["components"]["securitySchemes"]
        for operation in (each for path in described["paths"].values() for each in path.values()):
            operation.pop("security", None)
        self.schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", self.app)
        self.worker = self.app.state.context.workers.join("w", 1, {}, "local")

    def there(self):
        """What a path may name that there is; the study is made again if the last request ended it."""
        with contextlib.suppress(UserError):
            self.hub.study("a").ask("w", "", self.hub.now())
            return {"name": "a", "trial": 0, "attempt": 0, "number": 0}
        with contextlib.suppress(UserError):
            self.hub.delete("a")
        self.hub.create(NewStudy(name="a", space=SPACE, resource="epoch:1:9", trials=10**6), "local")
        return self.there()

    def close(self):
        self.hub.close()
        self.accounts.close()
        self.storage.close()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    schemathesis.python.asgi.shutdown_lifespans()
    made.close()


def fuzz(world, examples, modes):
    """Every operation gets so many requests of each kind; returns how often each status came."""
    statuses = {}
    for found in world.schema.get_all_operations():
        operation = found.ok()
        for mode in modes:
            strategy = operation.as_strategy(generation_mode=mode)

            @given(case=strategy, deep=st.booleans())
            @settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def once(case, deep):
                check(world, case, deep, statuses)

            with contextlib.suppress(Unsatisfiable):  # what takes nothing cannot be given what is wrong
                once()
    return statuses


def check(world, case, deep, statuses):
    if deep and case.path_parameters:
        real = {**world.there(), **({"number": world.worker} if "/workers" in case.path else {})}
        for name in case.path_parameters:
            case.path_parameters[name] = real.get(name, case.path_parameters[name])
    if isinstance(case.body, dict) and "wait" in case.body:
        case.body["wait"] = 0.0
    case.headers["Authorization"] = f"Bearer {TOKEN}"
    answer = case.call()
    statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    told(case.as_curl_command(), answer.status_code, answer.headers["content-type"], answer.content)


def told(request, status, kind, content):
    """An answer is no server error, and tells what is wrong as a problem."""
    shown = f"{request}\n{status} {content[:2000]!r}"
    assert status < 500, shown
    if status >= 400:
        assert "application/problem+json" in kind, shown
        problem = json.loads(content)
        assert problem["status"] == status, shown
        assert problem["type"], shown
        assert isinstance(problem["detail"], str), shown


def test_no_server_errors(world):
    statuses = fuzz(world, 2, [FITS])
    assert {200, 201, 404} <= set(statuses), statuses
    assert not {401, 429} & set(statuses), statuses


def test_junk_is_refused(world):
    """Bodies and paths that are no good, for every operation."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    client = TestClient(world.app, raise_server_exceptions=False, headers=headers)
    for path, methods in world.app.openapi()["paths"].items():
        for method in methods:
            place = path.format(**{"file": "3", **world.there(), "number": world.worker})
            for body in JUNK:
                answer = client.request(method, place, content=body)
                request = f"{method} {place} {body[:100]!r}"
                told(request, answer.status_code, answer.headers.get("content-type", ""), answer.content)
            strange = re.sub(r"{\w+}", "%00%E2%80%AE..%2F" + "9" * 400, path)
            answer = client.request(method, strange, content=b"{}")
            told(f"{method} {strange}", answer.status_code, answer.headers["content-type"], answer.content)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_server_errors_in_many_requests(world):
    statuses = fuzz(world, 100, [FITS, FITS_NOT])
    assert {200, 201, 202, 204, 400, 404, 409, 422} <= set(statuses), statuses
