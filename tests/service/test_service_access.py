"""Who may do what, and what errors look like to a client."""

import itertools

import pytest

from rung.service.access import Principal, Role, Scope
from rung.service.accounts import Accounts
from rung.service.problems import Problem
from support.service import ERRORS, client_of, small_app, user


@pytest.fixture
def accounts():
    made = Accounts("memory")
    yield made
    made.close()


@pytest.fixture
def app(accounts):
    return small_app(accounts)


def problem(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == ("about:blank" if kind is None else f"urn:problem-type:rung:{kind}")
    assert body["title"]
    return body["detail"]


# -- roles and scopes -------------------------------------------------------------------------------------


def test_roles_form_a_ladder():
    for has, wanted in itertools.product(Role, Role):
        order = list(Role)
        assert Principal("ann", has, "t").may(wanted) == (order.index(has) >= order.index(wanted))


SCOPES = {  # what a token of one scope is good for
    Scope.READ: {Scope.READ},
    Scope.WRITE: {Scope.READ, Scope.WRITE},
    Scope.JOBS: {Scope.READ, Scope.JOBS},
    Scope.WORKERS: {Scope.READ, Scope.JOBS, Scope.WORKERS},
    Scope.ADMIN: {Scope.ADMIN},
}


def test_scopes_narrow_and_never_widen():
    for has, wanted in itertools.product(Scope, Scope):
        principal = Principal("ann", Role.ADMIN, "t", (has,))
        assert principal.may(Role.VIEWER, wanted) == (wanted in SCOPES[has])
        assert not Principal("ann", Role.VIEWER, "t", (has,)).may(Role.MEMBER, wanted)
        assert Principal("ann", Role.VIEWER, "t").may(Role.VIEWER, wanted)


@pytest.mark.parametrize(
    ("role", "scopes", "lends"),
    [
        (Role.ADMIN, (), True),
        (Role.ADMIN, (Scope.WRITE,), False),
        (Role.MEMBER, (), False),
        (Role.MEMBER, (Scope.WORKERS,), True),
        (Role.VIEWER, (Scope.WORKERS,), False),
    ],
)
def test_who_lends_machines(role, scopes, lends):
    assert Principal("ann", role, "t", scopes).lends == lends


CALLS = {  # name -> how, and who may: viewer, member, admin, a token for reading, one for tokens and users
    "read": (("GET", "/api/v1/studies/a/as/x", None), "vmar"),
    "write": (("POST", "/api/v1/studies/a/pause", None), "ma"),
    "ask": (("POST", "/api/v1/studies/a/ask", None), "ma"),
    "whoami": (("GET", "/api/v1/whoami", None), "vmart"),
    "users": (("GET", "/api/v1/users", None), "at"),
    "add": (("POST", "/api/v1/users", {}), "at"),
    "audit": (("GET", "/api/v1/audit", None), "at"),
    "tokens": (("GET", "/api/v1/tokens", None), "vmat"),
    "metrics": (("GET", "/metrics", None), "vmar"),
}


@pytest.mark.parametrize("call", CALLS)
def test_each_route_lets_in_whom_it_should(app, accounts, call):
    (method, path, json), allowed = CALLS[call]
    kinds = {
        "v": user(accounts, "viewer", Role.VIEWER),
        "m": user(accounts, "member", Role.MEMBER),
        "a": user(accounts, "root", Role.ADMIN),
        "r": user(accounts, "narrow", Role.ADMIN, Scope.READ),
        "t": user(accounts, "keeper", Role.ADMIN, Scope.ADMIN),
    }
    for kind, token in kinds.items():
        body = {"name": f"new-{kind}"} if call == "add" else json
        answer = client_of(app, token).request(method, path, json=body)
        assert (answer.status_code < 300) == (kind in allowed), (kind, answer.text)
        if kind not in allowed:
            problem(answer, 403, "scope" if kind in "rt" else "role")


def test_without_a_token_that_counts(app, accounts):
    path = "/api/v1/whoami"
    none = client_of(app).get(path)
    assert "needs a token" in problem(none, 401, "not-known")
    assert none.headers["www-authenticate"].startswith("Bearer")
    assert "is not known" in problem(client_of(app, "rung_x").get(path), 401, "not-known")
    basic = client_of(app).get(path, headers={"Authorization": "Basic YTpi"})
    assert "must be: Bearer TOKEN" in problem(basic, 401, "not-known")
    assert client_of(app).get("/health").json()["status"] == "ok"
    assert client_of(app).get("/ready").json()["status"] == "ready"


# -- users and tokens over HTTP ---------------------------------------------------------------------------


def test_an_admin_makes_users_and_their_tokens(app, accounts):
    root = client_of(app, user(accounts, "root", Role.ADMIN))
    made = root.post("/api/v1/users", json={"name": "ann", "role": "viewer"})
    assert made.status_code == 201
    assert made.headers["location"] == "/api/v1/users/ann"
    problem(root.post("/api/v1/users", json={"name": "ann"}), 409, "conflict")
    token = root.post("/api/v1/tokens", json={"user": "ann", "days": 1, "note": "laptop"}).json()
    ann = client_of(app, token["text"])
    assert ann.get("/api/v1/whoami").json()["role"] == "viewer"
    assert root.patch("/api/v1/users/ann", json={"role": "member"}).json()["role"] == "member"
    assert ann.get("/api/v1/whoami").json()["role"] == "member"
    assert [each["shown"] for each in ann.get("/api/v1/tokens").json()["items"]] == [token["shown"]]
    assert token["text"] not in root.get("/api/v1/tokens").text
    assert root.delete("/api/v1/users/ann").status_code == 204
    problem(ann.get("/api/v1/whoami"), 401, "not-known")
    problem(root.delete("/api/v1/users/ann"), 404, "not-found")
    problem(root.delete("/api/v1/users/root"), 409, "conflict")
    found = root.get("/api/v1/audit?limit=100").json()["items"]
    actions = [(each["action"], each["object"], each["outcome"]) for each in reversed(found)]
    assert actions == [
        ("POST /api/v1/users", "ann viewer", "ok"),
        ("POST /api/v1/users", "ann member", "refused (409)"),
        ("POST /api/v1/tokens", token["id"], "ok"),
        ("PATCH /api/v1/users/{name}", "ann member", "ok"),
        ("DELETE /api/v1/users/{name}", "ann", "ok"),
        ("DELETE /api/v1/users/{name}", "ann", "refused (404)"),
        ("DELETE /api/v1/users/{name}", "root", "refused (409)"),
    ]
    page = root.get("/api/v1/audit?limit=2").json()
    rest = root.get(f"/api/v1/audit?limit=100&cursor={page['next']}").json()["items"]
    assert page["items"] + rest == found


def test_a_member_makes_tokens_of_their_own_only(app, accounts):
    user(accounts, "bob")
    ann = client_of(app, user(accounts, "ann"))
    made = ann.post("/api/v1/tokens", json={"scopes": ["jobs"]}).json()
    assert made["user"] == "ann"
    problem(ann.post("/api/v1/tokens", json={"user": "bob"}), 403, "not-yours")
    problem(ann.get("/api/v1/tokens?user=bob"), 403, "not-yours")
    problem(ann.post("/api/v1/tokens", json={"scopes": ["workers"]}), 403, "scope")
    narrow = client_of(app, made["text"])
    problem(narrow.post("/api/v1/tokens", json={}), 403, "scope")
    bobs = accounts.tokens("bob")[0].id
    problem(ann.delete(f"/api/v1/tokens/{bobs}"), 404, "not-found")
    assert ann.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    problem(narrow.get("/api/v1/whoami"), 401, "not-known")


def test_what_ends_makes_nothing_that_does_not(app, accounts):
    accounts.add_user("ann", Role.MEMBER)
    first, text = accounts.create_token("ann", expires=accounts._clock() + 3600)
    for wish in ({}, {"days": 10}):
        made = client_of(app, text).post("/api/v1/tokens", json=wish).json()
        assert made["expires"] == first.expires
    accounts.allow_local("rung_local")
    local = client_of(app, "rung_local")
    problem(local.post("/api/v1/tokens", json={}), 422, "not-usable")


# -- problems ---------------------------------------------------------------------------------------------

STATUSES = {
    "missing": (404, "not-found"),
    "conflict": (409, "conflict"),
    "lease": (409, "lease-lost"),
    "space": (422, "not-usable"),
    "study": (422, "study"),
    "storage": (503, "storage"),
}


@pytest.mark.parametrize("how", ERRORS)
def test_our_errors_are_problems(app, how):
    status, kind = STATUSES[how]
    answer = client_of(app).get(f"/api/v1/studies/a/fails/{how}")
    detail = problem(answer, status, kind)
    assert "/srv" not in detail
    if how != "storage":
        assert detail == str(ERRORS[how]).replace("sqlite:////srv/rung.db", "this service")
    else:
        assert answer.headers["retry-after"] == "1"


def test_our_mistakes_say_nothing_but_where_the_log_has_them(app):
    answer = client_of(app).get("/api/v1/studies/a/fails/s3cret", headers={"X-Request-Id": "r-17"})
    assert "s3cret" not in answer.text
    assert "Traceback" not in answer.text
    problem(answer, 500, None)
    assert answer.json()["request"] == "r-17"
    assert answer.headers["x-request-id"] == "r-17"


def test_fields_are_named_and_not_said_back(app):
    client = client_of(app)
    answer = client.post("/api/v1/studies/a/fields?limit=many", json={"a": "s3cret"})
    assert problem(answer, 422, "not-valid").startswith("limit must be a whole number")
    assert [each["field"] for each in answer.json()["errors"]] == ["query.limit", "body.a"]
    assert "s3cret" not in answer.text
    broken = client.post(
        "/api/v1/studies/a/fields", content=b"{no", headers={"Content-Type": "application/json"}
    )
    problem(broken, 422, "not-valid")


def test_addresses_and_methods_that_there_are_not(app):
    assert "openapi.json" in problem(client_of(app).get("/none"), 404, None)
    answer = client_of(app).delete("/health")
    assert "does not take that method" in problem(answer, 405, None)
    assert answer.headers["allow"] == "GET"


def test_a_problem_as_it_is_sent():
    one = Problem(409, "Lease lost!", "it is over", more={"trial": 3})
    assert one.body == {
        "type": "urn:problem-type:rung:lease-lost-",
        "title": "Lease lost!",
        "status": 409,
        "detail": "it is over",
        "trial": 3,
    }
    assert str(one) == "it is over"
    assert Problem(404).body["title"] == "Not Found"
