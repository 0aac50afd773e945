"""`rung check` and `rung monitor` as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from rung.tabular.audit.finding import Finding
from rung.tabular.audit.page import condensed, spark
from rung.tabular.audit.profile import make_profile
from rung.tabular.columns import infer_columns
from rung.tabular.encode import encode
from rung.tabular.model import Evidence, Member, Model
from rung.tabular.model_file import load_model, save_model
from rung.tabular.pipeline import constant
from rung.tabular.task import guess_task

Rung = Callable[..., Result]


def table(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    return pd.DataFrame(
        {
            "a": a.round(6),
            "colour": rng.choice(["red", "blue", "<b>[bold]"], n, p=[0.2, 0.2, 0.6]),
            "y": np.where(a + rng.normal(size=n) > 0, "yes", "no"),
        }
    )


@pytest.fixture
def files(folder: Path) -> None:
    """The tables `t.csv`, `alike.csv` and `moved.csv`, and a model that predicts the classes' shares."""
    table().assign(z=-999).to_csv("t.csv", index=False)
    table(seed=1).to_csv("alike.csv", index=False)
    table(seed=1).assign(a=lambda f: f.a + 3).to_csv("moved.csv", index=False)
    frame = table()
    columns = infer_columns(frame, "y")
    encoder, encoded = encode(frame, columns)
    task = guess_task(frame.y)
    y = task.encode(frame.y)
    members = [Member(1.0, "constant", [constant(y.astype(float), 2)])]
    model = Model(task, encoder, members, "y", {"metric": "log_loss"})
    prediction = members[0].predict(encoded)
    model.evidence = Evidence(np.arange(len(y)), y, np.array(prediction))
    save_model(model, "old.rung")
    model.profile = make_profile(frame, columns)
    save_model(model, "m.rung")


pytestmark = pytest.mark.usefixtures("files")


def test_a_table_is_checked(rung: Rung) -> None:
    found = rung("check", "t.csv", "--target", "y")
    assert found.exit_code == 0
    assert "400 rows, 3 columns beside y" in found.stdout
    assert "-999 in every row" in found.stdout
    assert "rung leaves it out" in found.stdout


def test_without_a_target(rung: Rung) -> None:
    found = rung("check", "alike.csv")
    assert found.exit_code == 0
    assert "400 rows, 3 columns\n" in found.stdout
    assert "Nothing was found" in found.stdout


def test_json(rung: Rung) -> None:
    found = json.loads(rung("-q", "check", "t.csv", "--target", "y", "--json").stdout)
    assert found["fittable"] is True
    assert found["task"] == "binary"
    assert [one["check"] for one in found["findings"]] == ["constant"]
    assert set(found["findings"][0]) == {"severity", "subject", "sentence", "remedy", "check"}
    assert [one["name"] for one in found["columns"]] == ["a", "colour", "z"]


def test_a_table_that_no_model_can_be_fitted_to(rung: Rung) -> None:
    table().assign(y="same").to_csv("same.csv", index=False)
    found = rung("check", "same.csv", "--target", "y")
    assert found.exit_code == 1
    assert "there is nothing to predict" in found.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("t.csv", "--target", "why"), "no column 'why'"),
        (("none.csv",), "there is no file none.csv"),
        (("t.csv", "--target", "y", "--task", "guess"), "there is no task 'guess'"),
        (("t.csv", "--report", "nowhere/page.html"), "folder nowhere does not exist"),
        (("t.csv", "--report", "t.csv"), "t.csv is the table itself"),
        (("t.csv", "--against", "old.rung"), "holds no profile"),
        (("t.csv", "--against", "none.rung"), "there is no file none.rung"),
    ],
)
def test_bad_input_is_one_sentence(rung: Rung, words: tuple[str, ...], sentence: str) -> None:
    found = rung("check", *words)
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert found.stderr.count("\n") == 1


def test_the_page_needs_no_network_and_escapes_what_is_the_users(rung: Rung) -> None:
    assert rung("check", "t.csv", "--target", "y", "--report", "page.html").exit_code == 0
    page = Path("page.html").read_text()
    assert "http" not in page
    assert "<script" not in page
    assert "<b>[bold]" not in page
    assert "&lt;b&gt;[bold]" in page
    assert page.count('class="spark"') == 3


def test_against_a_model(rung: Rung) -> None:
    found = rung("check", "alike.csv", "--against", "m.rung")
    assert found.exit_code == 0
    assert "No drift was found." in found.stdout
    found = rung("check", "moved.csv", "--against", "m.rung", "--report", "drift.html")
    assert found.exit_code == 0
    assert "much drift" in found.stdout
    page = Path("drift.html").read_text()
    assert "much drift" in page
    assert "has an AUC of 0.9" in page


def test_against_a_model_a_classifier_tells_the_tables_apart(rung: Rung) -> None:
    found = rung("check", "alike.csv", "--against", "m.rung")
    (line,) = [one for one in found.stdout.splitlines() if "AUC" in one]
    assert line.startswith("a model tells the two tables apart with an AUC of 0.")
    assert line.endswith("; 0.5 is chance)")
    drift = json.loads(rung("-q", "check", "moved.csv", "--against", "m.rung", "--json").stdout)
    assert drift["auc_interval"][0] <= drift["auc"] <= drift["auc_interval"][1]
    assert drift["auc"] > 0.9
    assert drift["telling"][0]["column"] == "a"


def test_a_model_that_keeps_no_rows_says_so(rung: Rung) -> None:
    model = load_model("m.rung")
    model.profile.sample = None
    save_model(model, "private.rung")
    found = rung("check", "moved.csv", "--against", "private.rung")
    assert found.exit_code == 0
    assert "AUC" not in found.stdout
    assert "keeps no rows of its training table" in found.stderr
    drift = json.loads(rung("-q", "check", "moved.csv", "--against", "private.rung", "--json").stdout)
    assert (drift["auc"], drift["auc_interval"], drift["telling"]) == (None, None, [])


def test_against_a_table(rung: Rung) -> None:
    found = rung("-q", "check", "moved.csv", "--against", "alike.csv", "--target", "y", "--json")
    plain = rung("check", "moved.csv", "--against", "alike.csv", "--report", "two.html").stdout
    assert f"rows against {len(table()):,} of the other table\n" in plain
    for words in (plain, Path("two.html").read_text()):
        assert "the other table" in words
        assert "training table" not in words
        assert "refit" not in words
    drift = json.loads(found.stdout)
    assert drift["drifted"] is True
    assert drift["auc"] > 0.9
    assert drift["telling"][0]["column"] == "a"
    assert {one["name"]: one["level"] for one in drift["columns"]} == {"a": 2, "colour": 0, "y": 0}


def test_a_table_that_the_model_cannot_predict(rung: Rung) -> None:
    table().drop(columns="a").to_csv("less.csv", index=False)
    found = rung("check", "less.csv", "--against", "m.rung")
    assert found.exit_code == 1
    assert "lacks 'a'" in found.stdout


def test_monitor(rung: Rung) -> None:
    found = rung("monitor", "m.rung", "alike.csv", "--fail-on-drift")
    assert found.exit_code == 0
    assert found.stdout.rstrip().splitlines()[-1].startswith("No need to refit: log_loss is ")


@pytest.mark.parametrize(("option", "code"), [((), 0), (("--fail-on-drift",), 1)])
def test_monitor_of_a_table_that_drifted(rung: Rung, option: tuple[str, ...], code: int) -> None:
    table(seed=1).drop(columns="y").assign(a=lambda f: f.a + 3).to_csv("new.csv", index=False)
    found = rung("monitor", "m.rung", "new.csv", *option, "--report", "page.html")
    assert found.exit_code == code
    verdict = "Refit once the new rows have their target: a has drifted."
    assert verdict in found.stdout
    assert verdict in Path("page.html").read_text()


def test_monitor_for_a_program(rung: Rung) -> None:
    found = json.loads(rung("-q", "monitor", "m.rung", "moved.csv", "--json").stdout)
    assert found["refit"] is False
    assert found["drifted"] is True
    assert found["decay"]["metric"] == "log_loss"
    assert found["drift"]["columns"][0]["name"] == "a"


def test_monitor_of_classes_that_the_model_does_not_know(rung: Rung) -> None:
    table(seed=1).assign(y=lambda f: f.y.mask(f.index < 40, "maybe")).to_csv("new.csv", index=False)
    found = rung("monitor", "m.rung", "new.csv", "--fail-on-drift", "--json")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert told["unknown_class"] == 40
    assert told["refit"] is True
    assert (
        "40 rows of 400 (10.0 %) are of the class 'maybe', which the model does not know" in told["verdict"]
    )
    assert told["decay"]["now"]["rows"] == 360


def test_monitor_with_an_old_model(rung: Rung) -> None:
    found = rung("monitor", "old.rung", "alike.csv")
    assert found.exit_code == 0
    assert "holds no profile" in found.stderr


def test_what_the_fit_is_told_the_check_is_told_too(rung: Rung) -> None:
    table().assign(w=1.5, zip="00123").to_csv("t.csv", index=False)
    options = ("--kinds", "zip=text", "--drop", "a", "--weights", "w")
    found = json.loads(rung("check", "t.csv", "--target", "y", *options, "--json").stdout)
    assert [(one["name"], one["kind"]) for one in found["columns"]] == [
        ("colour", "category"),
        ("zip", "text"),
    ]
    assert json.loads(rung("check", "t.csv", "--kinds", "zip=category", "--json").stdout)["target"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--drop", "b"), "the table has no column 'b'"),
        (("--kinds", "a=date"), "column 'a' holds no dates"),
        (("--kinds", "a=colour"), "cannot be of kind 'colour'"),
        (("--weights", "colour"), "column 'colour', row 1"),
        (("--drop", "a,colour,y,z"), "every column is left out"),
        (("--drop", "a", "--against", "alike.csv"), "not for --against"),
    ],
)
def test_what_it_is_told_must_fit_the_table(rung: Rung, options: tuple[str, ...], said: str) -> None:
    done = rung("check", "t.csv", *options)
    assert (done.exit_code, done.stderr.count("error: ")) == (2, 1)
    assert said in done.stderr


def test_many_notes_of_one_check_are_one_line() -> None:
    notes = [Finding("note", f"c{i}", "1 in every row", "rung leaves it out", "constant") for i in range(9)]
    warning = Finding("warning", "w", "much", "do", "drift")
    lines = condensed([warning, *notes])
    assert [line.subject for line in lines] == ["w", "(9 columns)"]
    assert lines[1].sentence.startswith("c0, c1, c2, c3, c4, c5, c6, c7 and 1 more")
    assert len(condensed(notes[:5])) == 5


def test_a_tiny_histogram_of_nothing() -> None:
    assert spark(()) == ""
    assert spark((0, 3, 1)).count("<rect") == 2


def test_long_names_of_many_columns_fit_a_line():
    notes = [
        Finding("note", f"Q{i}. I would recommend this to a friend", "is odd", "", "x") for i in range(12)
    ]
    sentence = condensed(notes)[0].sentence
    assert sentence.startswith("Q0. I would recommend this to a…, Q1. ")
    assert "and 10 more" in sentence
    assert len(sentence) < 120
