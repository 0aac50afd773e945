"""Every route of the API and whom it lets in: a table of all that OpenAPI lists, so none is forgotten."""

import pytest

from rung.service.access import Role, Scope
from rung.service.accounts import Accounts
from rung.service.app import create_app
from rung.service.guards import Limits
from rung.service.hub import Hub
from rung.storage import open_storage
from support.service import client_of, user

READ, WRITE, JOBS = (Role.VIEWER, Scope.READ), (Role.MEMBER, Scope.WRITE), (Role.MEMBER, Scope.JOBS)
LEND, ADMIN, OWN = (Role.MEMBER, Scope.WORKERS), (Role.ADMIN, Scope.ADMIN), (Role.VIEWER, Scope.ADMIN)
ONE = "/api/v1/studies/{name}"
JOB = ONE + "/jobs/{trial}/{attempt}"
WANTED = {  # the least role and the scope; None: nothing
    ("get", "/health"): None,
    ("get", "/ready"): None,
    ("get", "/metrics"): READ,
    ("get", "/api/v1/whoami"): (Role.VIEWER, None),
    ("get", "/api/v1/studies"): READ,
    ("post", "/api/v1/studies"): WRITE,
    ("get", ONE): READ,
    ("patch", ONE): WRITE,
    ("delete", ONE): WRITE,
    ("post", ONE + "/pause"): WRITE,
    ("post", ONE + "/stop"): WRITE,
    ("post", ONE + "/resume"): WRITE,
    ("post", ONE + "/requests"): WRITE,
    ("post", ONE + "/known"): WRITE,
    ("get", ONE + "/trials"): READ,
    ("get", ONE + "/trials/{number}"): READ,
    ("get", ONE + "/events"): READ,
    ("get", ONE + "/logs"): READ,
    ("get", ONE + "/logs/{trial}"): READ,
    ("get", ONE + "/checkpoints"): READ,
    ("get", ONE + "/checkpoints/{trial}/{file}"): JOBS,
    ("put", ONE + "/checkpoints/{trial}/{file}"): JOBS,
    ("post", ONE + "/ask"): JOBS,
    ("post", JOB + "/report"): JOBS,
    ("post", JOB + "/attributes"): JOBS,
    ("post", JOB + "/renew"): JOBS,
    ("post", JOB + "/tell"): JOBS,
    ("put", JOB + "/log"): JOBS,
    ("get", "/api/v1/workers"): READ,
    ("post", "/api/v1/workers"): LEND,
    ("delete", "/api/v1/workers/{number}"): LEND,
    ("post", "/api/v1/workers/{number}/poll"): LEND,
    ("get", "/api/v1/users"): ADMIN,
    ("post", "/api/v1/users"): ADMIN,
    ("patch", "/api/v1/users/{name}"): ADMIN,
    ("delete", "/api/v1/users/{name}"): ADMIN,
    ("get", "/api/v1/tokens"): OWN,
    ("post", "/api/v1/tokens"): OWN,
    ("delete", "/api/v1/tokens/{number}"): OWN,
    ("get", "/api/v1/audit"): ADMIN,
}
BODIES = {  # of requests that are refused only once their body is known
    ONE + "/ask": {},
    ONE + "/requests": {"request": "note", "data": {"text": "a"}},
    ONE + "/known": {"config": {"x": 0.5}, "metrics": {"loss": 1.0}},
    ONE: {"trials": 5},
    JOB + "/report": {"resource": 1, "metrics": {"loss": 1.0}},
    JOB + "/attributes": {"attributes": {"size": 1}},
    JOB + "/renew": {},
    JOB + "/tell": {"outcome": "error"},
}
NEW = {"name": "s", "space": {"parameters": {"x": {"type": "float", "low": 0.0, "high": 1.0}}}, "trials": 3}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    place = str(tmp_path_factory.mktemp("routes") / "rung.db")
    accounts, storage = Accounts(place), open_storage(place)
    app = create_app(Hub(storage, accounts), accounts, Limits(rate=1e9, strangers=1e9))
    yield app, accounts
    accounts.close()
    storage.close()


@pytest.fixture(scope="module")
def tokens(house):
    """A token of every role, and of an admin one of every scope."""
    _, accounts = house
    roles = {role: user(accounts, f"all-{role}", role) for role in Role}
    scopes = {scope: user(accounts, f"some-{scope.replace(':', '-')}", Role.ADMIN, scope) for scope in Scope}
    return roles, scopes


def filled(path):
    for name in ("name", "trial", "attempt", "number", "file"):
        path = path.replace(f"{{{name}}}", {"name": "s", "file": "a.tar"}.get(name, "0"))
    return path


def kind_of(answer):
    """Why a token was refused: "not-known", "role", "scope", ...; "" if it was not."""
    return answer.json()["type"].rpartition(":")[2] if answer.status_code in (401, 403) else ""


def test_the_table_has_every_route(house):
    listed = {(verb, path) for path, verbs in house[0].openapi()["paths"].items() for verb in verbs}
    assert listed == set(WANTED)


@pytest.mark.parametrize(("verb", "path"), WANTED, ids=[" ".join(each) for each in WANTED])
def test_it_lets_in_whom_the_table_says(house, tokens, verb, path):
    app, _ = house
    roles, scopes = tokens
    wanted, where = WANTED[verb, path], filled(path)
    assert kind_of(client_of(app).request(verb, where)) == ("" if wanted is None else "not-known")
    assert kind_of(client_of(app, "rung_none").request(verb, where)) == (
        "" if wanted is None else "not-known"
    )
    if wanted is None:
        return
    least, scope = wanted
    for role, token in roles.items():
        if role.rank < least.rank:
            assert kind_of(client_of(app, token).request(verb, where)) == "role", role
    lesser = [one for one in Scope if scope is not None and scope not in INCLUDED[one]]
    for one in lesser:
        assert kind_of(client_of(app, scopes[one]).request(verb, where)) == "scope", one
    good = roles[least] if wanted != LEND else scopes[Scope.WORKERS]
    if path not in ("/api/v1/users/{name}", "/api/v1/tokens/{number}"):  # which need what there is not
        assert kind_of(client_of(app, good).request(verb, where)) in ("", "not-yours")


INCLUDED = {
    Scope.READ: {Scope.READ},
    Scope.WRITE: {Scope.READ, Scope.WRITE},
    Scope.JOBS: {Scope.READ, Scope.JOBS},
    Scope.WORKERS: {Scope.READ, Scope.JOBS, Scope.WORKERS},
    Scope.ADMIN: {Scope.ADMIN},
}


def test_what_changes_a_study_is_for_its_owner(house):
    app, accounts = house
    ann, bob = (client_of(app, user(accounts, name)) for name in ("ann", "bob"))
    made = ann.post("/api/v1/studies", json=NEW)
    assert made.status_code == 201, made.text
    for (verb, path), wanted in WANTED.items():
        if path.startswith(ONE) and wanted in (WRITE, JOBS):
            answer = bob.request(verb, filled(path), json=BODIES.get(path))
            assert kind_of(answer) == "not-yours", (verb, path, answer.text)
    assert ann.get("/api/v1/studies/s").json()["trials"] == 0
    assert ann.delete("/api/v1/studies/s").status_code == 204
