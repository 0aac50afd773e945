import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from rung.cli.begin import check_writable, command_start
from rung.cli.parse import parse_duration, parse_share
from rung.errors import UserError
from rung.tabular.model_file import load_model, read_manifest

Rung = Callable[..., Result]


def small(kind: str, rows: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, word = rng.normal(size=rows), rng.choice(["red", "blue"], rows)
    signal = x + (word == "red")
    y = {"binary": np.where(signal > 0.4, ">50", "<=50"), "number": signal}[kind]
    return pd.DataFrame({"x": x, "word": word, "y": y})


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """Loaded once, so that no test's budget pays for it."""
    import lightgbm  # noqa: F401

    import rung.tabular.fit
    import rung.tabular.learners.table
    import rung.tabular.report  # noqa: F401


@pytest.fixture
def table(folder: Path) -> str:
    small("binary").to_csv(folder / "small.csv", index=False)
    return "small.csv"


def test_fit_and_predict(folder: Path, table: str, rung: Rung) -> None:
    done = rung("fit", table, "--target", "y", "--budget", "5s", "--holdout", "20%", "--workers", 1, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["task"] == "binary"
    assert found["classes"] == ["<=50", ">50"]
    assert found["held_out"]["rows"] == 18
    assert found["held_out"]["constant"] == 0.5
    assert found["leaderboard"][0]["rank"] == 1
    assert "small.csv: 90 rows, 2 columns (1 number, 1 category)" in done.stderr
    assert "task binary, because y is <=50 or >50" in done.stderr
    assert "rung predict model.rung small.csv --out predictions.csv" in done.stderr
    manifest = read_manifest("model.rung")
    assert manifest["held_out"]["score"] == found["held_out"]["model"]
    assert "rung fit small.csv --target y --budget 5s" in manifest["command"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "small.csv" in page
    assert manifest["command"].split(" --out")[0] in page

    shown = rung("predict", "model.rung", table)
    assert shown.exit_code == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0] == "prediction,p_<=50,p_>50"
    assert len(lines) == 91
    frame = small("binary")
    frame[["word", "x"]].assign(more=1).to_parquet("other.parquet")
    for out in ("p.csv", "p.tsv", "p.parquet"):
        assert rung("predict", "model.rung", "other.parquet", "--out", out).exit_code == 0
    usual = pd.read_csv("p.csv")
    pd.testing.assert_frame_equal(pd.read_csv("p.tsv", sep="\t"), usual)
    pd.testing.assert_frame_equal(pd.read_parquet("p.parquet"), usual, check_dtype=False)
    assert "\n".join(lines) + "\n" == (folder / "p.csv").read_text()
    assert (usual["prediction"] == frame["y"]).mean() > 0.7
    rows = json.loads(rung("predict", "model.rung", "other.parquet", "--json").stdout)
    assert set(rows[0]) == set(usual)


def test_numbers_are_predicted_and_the_study_is_listed(folder: Path, rung: Rung) -> None:
    small("number").to_csv("n.tsv", sep="\t", index=False)
    done = rung(
        "fit", "n.tsv", "--target", "y", "--budget", 4, "--metric", "mae", "--workers", 1, "--study", "mine",
        "--out", "m.rung", "--report", "r.html",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "regression, because y has 90 different numbers; change it with --task multiclass" in done.stderr
    assert "mae" in done.stdout
    assert sorted(p.name for p in folder.iterdir()) == [
        "m.rung",
        "n.tsv",
        "r.html",
        "rung.db",
        "rung.db.files",
    ]
    assert "mine" in rung("list").stdout
    assert rung("predict", "m.rung", "n.tsv").stdout.startswith("prediction\n")
    shown = rung("show", "mine")
    assert shown.exit_code == 0, shown.stderr


def test_a_model_without_a_sample_of_its_rows(table: str, rung: Rung) -> None:
    asked = ("fit", table, "--target", "y", "--budget", 4, "--workers", 1, "--no-drift-sample")
    done = rung(*asked)
    assert done.exit_code == 0, done.stderr
    assert load_model("model.rung").profile.sample is None
    assert "--no-drift-sample" in read_manifest("model.rung")["command"]
    found = rung("check", table, "--against", "model.rung")
    assert "keeps no rows of its training table" in found.stderr


def test_the_same_study_with_another_table_is_refused(table: str, rung: Rung) -> None:
    order = ("--target", "y", "--budget", 2, "--workers", 1, "--study", "mine")
    assert rung("fit", table, *order).exit_code == 0
    small("binary").assign(x=1.5).to_csv("other.csv", index=False)
    refused = rung("fit", "other.csv", *order)
    assert refused.exit_code == 2
    assert "mine" in refused.stderr


BAD = [
    (("nope.csv", "--target", "y"), "there is no file nope.csv; check the path (tables there: small.csv)"),
    (("smal.csv", "--target", "y"), "did you mean small.csv?"),
    (("small.csv", "--target", "Y"), "has no column 'Y' to predict; did you mean y?"),
    (("small.csv", "--target", "y", "--budget", "-5"), "-5 is no time at all"),
    (
        ("small.csv", "--target", "y", "--budget", "soon"),
        "'soon' is no length of time: write 90, 90s, 5m or 1h30m",
    ),
    (
        ("small.csv", "--target", "y", "--holdout", "20"),
        "between 0% and 100%: write 20% or 0.2; did you mean 20%?",
    ),
    (("small.csv", "--target", "y", "--holdout", "0.1%"), "leaves too few on one side"),
    (("small.csv", "--target", "y", "--metric", "aucc"), "there is no metric 'aucc'; did you mean auc"),
    (
        ("small.csv", "--target", "y", "--metric", "rmse"),
        "is for regression or quantile and the task is binary",
    ),
    (("small.csv", "--target", "y", "--task", "clusters"), "there is no task 'clusters'"),
    (("small.csv", "--target", "y", "--task", "regression"), "which is no number"),
    (("small.csv", "--target", "word", "--task", "regression"), "which is no number"),
    (("small.csv", "--target", "y", "--out", "no/model.rung"), "the folder no does not exist"),
    (("small.csv", "--target", "y", "--report", "."), "is a folder: give --report the name of a file in it"),
    (("small.csv", "--target", "y", "--out", "small.csv"), "small.csv is the table itself, which would be"),
    (("small.csv", "--target", "y", "--report", "./model.rung"), "is the model's file, which would be"),
    (("small.csv", "--target", "y", "--out", "rung.db"), "is the studies' file, which would be"),
    (("small.csv", "--target", "y", "--out", "/dev/null"), "/dev/null is no ordinary file: give another"),
    (("small.csv", "--target", "y,word", "--out", "rung.db"), "is the studies' file, which would be"),
    (("small.csv", "--target", "y,word", "--out", "no/model.rung"), "the folder no does not exist"),
    (("small.csv", "--target", "y,word", "--report", "./model.rung"), "is the model's file, which would be"),
    (("rare.csv", "--target", "y"), "class 'c' of column 'y' has one row only"),
    (("rare.csv", "--target", "one"), "has the same value, 1, in every row"),
    (("rare.csv", "--target", "none"), "is empty in all 5 rows"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda x: " ".join(x) if isinstance(x, tuple) else ""
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(
    folder: Path, table: str, rung: Rung, arguments: tuple[str, ...], words: str
) -> None:
    if arguments[0] == "rare.csv":
        (folder / "rare.csv").write_text("x,one,none,y\n1,1,,a\n2,1,,a\n3,1,,b\n4,1,,b\n5,1,,c\n")
    before = sorted(folder.iterdir())
    done = rung("fit", *arguments)
    assert done.exit_code == 2, done.stderr
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert sorted(folder.iterdir()) == before


def test_predict_refuses_what_it_cannot_use(folder: Path, table: str, rung: Rung) -> None:
    (folder / "other.rung").write_text("not a model")
    cases = [
        (("none.rung", table), "there is no file none.rung"),
        (("other.rung", table), "other.rung is a file of another program"),
        (("other.rung", table, "--out", "p.xlsx"), "name it .csv, .tsv or .parquet"),
        (("other.rung", table, "--out", "no/p.csv"), "the folder no does not exist"),
        (("other.rung", table, "--out", table), "is the table itself, which would be overwritten"),
        (("other.rung", table, "--sets", "aps"), "give --intervals, such as 90%"),
    ]
    for arguments, words in cases:
        done = rung("predict", *arguments)
        assert done.exit_code == 2
        assert words in done.stderr


def test_a_seed_that_no_generator_takes_is_refused(table: str, rung: Rung) -> None:
    done = rung("fit", table, "--target", "y", "--seed", 2**32)
    assert done.exit_code == 2
    assert "--seed" in done.stderr
    assert not Path("rung.db").exists()


def test_resume_needs_budget(table: str, rung: Rung) -> None:
    assert (
        rung("fit", table, "--target", "y", "--budget", 3, "--workers", 1, "--study", "mine").exit_code == 0
    )
    assert rung("extend", "mine", "--budget", "3s").exit_code == 0
    Path("model.rung").unlink()
    went_on = rung("resume", "mine")
    assert went_on.exit_code == 0, went_on.stderr
    assert Path("model.rung").exists()


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("0.5", 0.5), ("1.5m", 90)]
)
def test_durations(text: str, value: float) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(("text", "value"), [("20%", 0.2), ("0.2", 0.2), (" 12.5 % ", 0.125)])
def test_shares(text: str, value: float) -> None:
    assert parse_share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "100%", "1", "-5%", "nan", "half", "", "%"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UserError, match="write 20% or"):
        parse_share(text)


def test_places_are_checked(folder: Path) -> None:
    check_writable(folder / "new.txt", "--out")
    (folder / "old.txt").write_text("x")
    check_writable(folder / "old.txt", "--out")
    for place in (folder, folder / "no" / "x.txt"):
        with pytest.raises(UserError, match="--out"):
            check_writable(place, "--out")


def test_a_command_begins_now_unless_the_process_is_its_own() -> None:
    before = time.monotonic()
    assert before <= command_start() <= time.monotonic()


def test_columns_whose_names_have_commas(folder: Path, rung: Rung) -> None:
    small("number").assign(**{"a,b": 1.0, "c, d": 2.0}).to_csv(folder / "t.csv", index=False)
    asked = ("fit", "t.csv", "--target", "y", "--budget", 5, "--trials", 1, "--include", "linear")
    refused = rung(*asked, "--drop", "a,b")
    assert refused.exit_code == 2
    assert """the table has no column 'a', but 'a,b'""" in refused.stderr
    assert """within single ones ('"a,b"')""" in refused.stderr
    done = rung(*asked, "--drop", 'word,"a,b"', "--kinds", '"c, d"=number')
    assert done.exit_code == 0, done.stderr
    assert {one.name for one in load_model("model.rung").columns if one.used} == {"x", "c, d"}
    command = read_manifest("model.rung")["command"]
    assert """--kinds '"c, d"=number' --drop 'word,"a,b"'""" in command


def test_ctrl_c_keeps_what_was_found(table: str, start: Callable[..., "subprocess.Popen[str]"]) -> None:
    """The first interrupt ends the search; model and report are written from what is there."""
    process = start("fit", table, "--target", "y", "--budget", "60s", "--study", "mine", "--workers", "1")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(Path().glob("rung.db.files/*/oof/*.npz")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.count("interrupted, making a model of what was found") == 1
    assert "rung resume mine" in said
    assert Path("model.rung").exists()
    assert Path("report.html").exists()


def test_the_budget_counts_from_the_start_of_the_process(table: str) -> None:
    """The process's own program is rung: imports are inside the budget, which nothing overruns by much."""
    code = "import sys, time; from rung.cli.begin import command_start as s; print(s(), time.monotonic())"
    Path("rung").mkdir()
    Path("rung/__main__.py").write_text(f"import time; time.sleep(0.3)\n{code}")
    source = Path(__file__).parents[2] / "src"
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, "rung/__main__.py"],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    start, after = map(float, done.stdout.split())
    assert after - start >= 0.3
    assert start >= before - 0.02, "a clock tick is 0.01 s"


def test_trials_end_a_fit_whatever_the_budget(table: str, rung: Rung) -> None:
    """The record of the fit knows it, the command that repeats it has it, and more can be added."""
    asked = ("fit", table, "--target", "y", "--trials", 2, "--include", "linear,bayes")
    done = rung(*asked, "--budget", "0.1s", "--study", "mine", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 2
    assert "ends after 2 configurations" in done.stderr
    assert "--trials 2" in Path("report.html").read_text()
    over = rung("resume", "mine")
    assert over.exit_code == 2
    assert "has done its 2 trials: add some with rung extend mine --trials 10" in over.stderr
    assert rung("extend", "mine", "--trials", 2).exit_code == 0
    went_on = rung("resume", "mine")
    assert went_on.exit_code == 0, went_on.stderr
    assert "ends after 4 configurations" in went_on.stderr


def test_a_resumed_fit_knows_the_learners_of_earlier_sessions(
    table: str, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.cli.fit_progress.PATIENCE", 0.0)  # every line
    asked = ("--budget", 5, "--trials", 2, "--include", "linear,bayes", "--study", "mine")
    assert rung("fit", table, "--target", "y", *asked).exit_code == 0
    rung("extend", "mine", "--trials", 1)
    went_on = rung("resume", "mine")
    assert went_on.exit_code == 0, went_on.stderr
    assert "2 trials, best" in went_on.stderr
    assert "(?)" not in went_on.stderr
