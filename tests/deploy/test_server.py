"""The application, called without a network; what it refuses it refuses with a sentence."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pandas as pd
import pytest

from rung.deploy.listening import is_loopback, listen
from rung.deploy.rows import RowError, frame_of, schema
from rung.deploy.server import Limits, check_host, create_app
from rung.errors import UserError
from rung.tabular.columns import infer_columns
from rung.tabular.encode import encode
from rung.tabular.predict import predict_table
from support.tables import fitted

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TOKEN = "a long secret"
ROW = {"a": 1.5, "b": "red", "noise": 0, "note": "hello to you", "day": "01.03.2024"}


class Client:
    """Calls an application as a client would, in this process."""

    def __init__(self, app: Any, base: str = "http://127.0.0.1") -> None:
        self.app, self.base = app, base

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=self.base) as client:
                return await client.request(method, path, **more)

        return asyncio.run(call())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)


Post = Callable[[Any], httpx.Response]


@pytest.fixture(scope="module")
def served() -> tuple[Any, Any]:
    return fitted("binary", "linear", "lightgbm")


@pytest.fixture(scope="module")
def client(served: Any) -> Client:
    return Client(create_app(served[0], limits=Limits(150, 200_000)))


@pytest.fixture(scope="module")
def post(client: Client) -> Post:
    return lambda rows: client.post("/predict", json={"rows": rows})


def test_a_table_is_predicted_as_rung_predict_does(served: Any, post: Post) -> None:
    model, frame = served
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    answer = post(rows)
    assert answer.status_code == 200
    found, wanted = answer.json()["predictions"], predict_table(model, frame).to_dict("records")
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one["prediction"] == other["prediction"]
        assert one["p_yes"] == pytest.approx(other["p_yes"], abs=1e-12)


def test_missing_unseen_and_further_cells(post: Post) -> None:
    empty = dict.fromkeys(ROW)
    answer = post([ROW, empty, {**ROW, "b": "never seen", "more": [1, 2]}, {**ROW, "b": 3.0, "day": ""}])
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 4


@pytest.mark.parametrize(
    ("rows", "status", "sentence"),
    [
        ([{**ROW, "a": "x"}], 422, "row 1: column 'a' takes a number or null, not 'x'"),
        ([ROW, {**ROW, "a": True}], 422, "row 2: column 'a' takes a number or null, not True"),
        ([{**ROW, "a": [1]}], 422, "row 1: column 'a' takes a number or null, not [1]"),
        ([{**ROW, "note": 5}], 422, "row 1: column 'note' takes a string or null, not 5"),
        ([{**ROW, "day": "soon"}], 422, "row 1: column 'day' takes a date written as %d.%m.%Y, not 'soon'"),
        ([{**ROW, "day": "now"}], 422, "row 1: column 'day' takes a date written as %d.%m.%Y, not 'now'"),
        ([{**ROW, "day": "٢٠٢٠"}], 422, "row 1: column 'day' takes a date written as %d.%m.%Y, not '٢٠٢٠'"),
        ([{k: v for k, v in ROW.items() if k != "b"}], 422, "row 1 lacks column 'b'; give null"),
        ([{**{k: v for k, v in ROW.items() if k != "noise"}, "Noise": 1}], 422, "is it 'Noise'?"),
        ([3], 422, "row 1 must be an object from column names to values, not 3"),
        ([], 422, 'send {"rows": [...]}'),
        ({"a": 1}, 422, 'send {"rows": [...]}'),
        ([ROW] * 151, 413, "151 rows are more than 150"),
        ([{**ROW, "note": "x" * 200_001}], 413, "the body is larger than 200,000 bytes"),
    ],
)
def test_rows_that_do_not_fit(post: Post, rows: Any, status: int, sentence: str) -> None:
    answer = post(rows)
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]


def test_half_of_a_surrogate_pair_is_no_date(client: Client) -> None:
    rows = [ROW, {**ROW, "day": "\ud800"}, {**ROW, "note": "\ud800", "b": "\udc00"}]
    body = {"content": json.dumps({"rows": rows}), "headers": {"Content-Type": "application/json"}}
    answer = client.post("/predict", **body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == ("row 2: column 'day' takes a date as a string, or null, not '\\ud800'")


def test_half_of_a_surrogate_pair_is_no_number() -> None:
    frame = pd.DataFrame({"price": [f"${i}.50" for i in range(60)]})
    encoder, _ = encode(frame, infer_columns(frame, "y"))
    with pytest.raises(
        RowError, match=r"row 1: column 'price' takes a number, a string as in .*'\$3\\udc00'"
    ):
        frame_of([{"price": "$3\udc00"}], encoder)


def test_all_faults_of_a_batch_are_told_in_the_rows_order(post: Post) -> None:
    answer = post([{**ROW, "day": "soon"}, ROW, {**ROW, "a": "x", "note": 5}])
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "row 1: column 'day' takes a date written as %d.%m.%Y, not 'soon'; "
        "row 3: column 'a' takes a number or null, not 'x'; "
        "row 3: column 'note' takes a string or null, not 5"
    )
    assert post([{**ROW, "a": "x"}] * 9).json()["detail"].endswith("; and 4 more")


def test_the_description_has_the_answers(client: Client) -> None:
    told = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]
    assert set(told) == {"200", "400", "401", "413", "415", "422"}
    assert "predictions" in told["200"]["content"]["application/json"]["schema"]["properties"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "sentence"),
    [
        (b"{", "application/json", 400, "is no JSON"),
        (b'{"rows": [{"a": NaN}]}', "application/json", 400, "NaN is not in JSON, give null"),
        (b"[" * 100_000, "application/json", 400, "is no JSON"),
        (b"[1]", "application/json; charset=utf-8", 422, "send"),
        (b"\xff\xfe", "application/json", 400, "is no JSON"),
        (b"{}", "text/plain", 415, "Content-Type: application/json"),
    ],
)
def test_bodies_that_are_no_rows(
    client: Client, content: bytes, kind: str, status: int, sentence: str
) -> None:
    answer = client.post("/predict", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]


def test_health_schema_and_pages(client: Client) -> None:
    assert client.get("/health").json()["status"] == "ok"
    told = client.get("/schema").json()
    assert (told["target"], told["task"], told["classes"]) == ("y", "binary", ["no", "yes"])
    columns = {column["name"]: column for column in told["columns"]}
    assert list(columns) == ["a", "b", "noise", "note", "day"]
    assert sorted(columns["b"]["levels"]) == ["blue", "green", "red"]
    assert columns["day"]["format"] == "%d.%m.%Y"
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "http" not in page.text.replace("http://HOST:PORT", "")  # nothing of another host's
    body = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
    row = body["content"]["application/json"]["schema"]["properties"]["rows"]["items"]
    assert row["required"] == ["a", "b", "noise", "note", "day"]
    assert client.get("/redoc").status_code == 404


def test_a_token_guards_all_but_health(served: Any) -> None:
    client = Client(create_app(served[0], TOKEN), "http://models.example")
    assert client.get("/health").status_code == 200
    for path in ("/schema", "/openapi.json", "/docs"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in answer.json()["detail"]
    for given in ("Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ", f"Bearer {TOKEN}x"):
        answer = client.post("/predict", json={"rows": [ROW]}, headers={"Authorization": given})
        assert answer.status_code == 401
    good = {"Authorization": f"Bearer {TOKEN}"}
    assert client.post("/predict", json={"rows": [ROW]}, headers=good).status_code == 200


def test_without_a_token_only_this_machines_names_are_answered(served: Any) -> None:
    app = create_app(served[0])
    for host, status in (("evil.example", 421), ("localhost:8000", 200), ("[::1]:8000", 200)):
        assert Client(app).get("/schema", headers={"Host": host}).status_code == status


def test_hosts() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org", "")))
    check_host("127.0.0.1", None)
    check_host("0.0.0.0", TOKEN)
    with pytest.raises(UserError, match=r"0\.0\.0\.0 can be reached from other machines.*--token"):
        check_host("0.0.0.0", None)
    with pytest.raises(UserError, match="the token is empty"):
        check_host("127.0.0.1", " ")


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with listen("127.0.0.1", 0) as place:
        port = place.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen on 127\.0\.0\.1, port {port}.*another --port"):
            listen("127.0.0.1", port)
    with pytest.raises(UserError, match="cannot listen on 203"):
        listen("203.0.113.7", 8000)


@pytest.mark.parametrize("given", [True, "true", "TRUE", "t", 1, 1.0])
def test_truth_values_reach_the_level_that_they_mean(given: object) -> None:
    frame = pd.DataFrame({"flag": ["FALSE", "TRUE", "TRUE"] * 20})
    encoder, _ = encode(frame, infer_columns(frame))
    assert "format" not in schema(encoder)[0]
    assert encoder.transform(frame_of([{"flag": given}], encoder)).codes.tolist() == [[0]]


def test_levels_that_are_numbers_and_booleans() -> None:
    from rung.deploy.rows import _word

    assert _word(3.0, frozenset({"3"})) == "3"
    assert _word(2.5, frozenset()) == "2.5"
    assert _word(2.0, frozenset({"2.5", "2"})) == "2"
    assert _word(2.0, frozenset({"2.0", "3.0b"})) == "2.0"
    assert _word(True, frozenset({"True", "False"})) == "True"
    assert _word(True, frozenset({"true", "false"})) == "true"
    assert _word("", frozenset()) is None
