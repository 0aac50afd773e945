"""The studies in a browser: what paths answer, and that a page is made anew only where a log has grown."""

import json
import threading
import urllib.error
import urllib.request

import pytest

import rung
from rung.cli.dashboard import Studies
from rung.dashboard import Dashboard, serve
from rung.deploy.listening import listen

NAME = "a b/<i>&1"


def make(place, name=NAME, trials=3):
    return rung.tune(
        lambda config: config["x"] ** 2,
        {"x": rung.Float(-1.0, 1.0)},
        trials=trials,
        seed=0,
        storage=place,
        study=name,
        executor="inline",
    )


@pytest.fixture
def place(tmp_path):
    url = f"sqlite:///{tmp_path / 'rung.db'}"
    make(url)
    make(url, "second")
    return url


class Counted(Studies):
    """Counts the logs that are read whole."""

    looks = 0

    def look(self, name):
        self.looks += 1
        return super().look(name)


@pytest.fixture
def shown(place):
    return Dashboard(Counted(place), 5.0)


def text(answer):
    return answer.body.decode()


LINK = "a%20b%2F%3Ci%3E%261"


def test_the_list_links_to_every_study(shown):
    page = text(shown.answer("/"))
    assert f'<a href="/study/{LINK}">a b/&lt;i&gt;&amp;1</a>' in page
    assert page.index("second") < page.index("a b/"), "the newest first"
    rows = text(shown.answer("/rows"))
    assert rows.count("<tr>") == 3
    assert "<html" not in rows


def test_a_study_has_its_report_which_looks_whether_there_is_more(shown):
    answer = shown.answer(f"/study/{LINK}")
    page = text(answer)
    assert answer.status == 200
    assert '<script src="/plotly.js"></script>' in page
    assert len(page) < 500_000, "Plotly's script is asked for once, not in every page"
    assert f'data-at="/state/{LINK}"' in page
    assert 'data-state="done"' in page
    assert "this file works without a network" not in page
    state = shown.answer(f"/state/{LINK}")
    assert state.kind == "application/json"
    events = json.loads(state.body)["events"]
    assert f'data-events="{events}"' in page


def test_a_page_is_made_once_for_a_length_of_the_log(place, shown):
    first = shown.answer("/study/second")
    assert shown.answer("/study/second") == first
    assert shown._source.looks == 1
    make(place, "second", trials=5)
    again = shown.answer("/study/second")
    assert shown._source.looks == 2
    assert again != first


def test_what_is_not_there_is_a_sentence(shown):
    for path, words in (
        ("/study/secnod", "did you mean"),
        ("/state/none", "there is no study"),
        ("/x", "no such page"),
    ):
        answer = shown.answer(path)
        assert answer.status == 404
        assert words in text(answer)


def test_a_storage_that_cannot_be_read_is_a_sentence(tmp_path):
    place = tmp_path / "rung.db"
    place.write_text("no database " * 100)
    answer = Dashboard(Studies(str(place)), 5.0).answer("/rows")
    assert answer.status == 503
    assert "rung.db" in text(answer)


def test_only_this_machine_is_answered(shown):
    server = serve(shown, listen("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        with ask(f"{url}/") as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            assert b"second" in answer.read()
        with ask(f"{url}/plotly.js") as answer:
            assert answer.headers["Cache-Control"] == "max-age=86400"
            assert len(answer.read()) > 1_000_000
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(urllib.request.Request(f"{url}/", headers={"Host": "evil.example"}))
        caught.value.close()
        assert caught.value.code == 421
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(urllib.request.Request(f"{url}/", data=b"x"))
        caught.value.close()
        assert caught.value.code == 501, "it only reads"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
