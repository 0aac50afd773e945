"""`rung importance`, `rung plot` and `rung report`."""

import json
import os
from pathlib import Path

import pytest


def test_importance(rung, study: str) -> None:
    done = rung("importance", study)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["parameter", "importance"]
    assert {line.split()[0] for line in lines[2:]} == {"x", "kind", "kind.odd.y"}
    assert "█" in lines[2]
    assert "importance for loss at step 1, by ped-anova, from 12 trials" in done.stderr


def test_importance_as_json(rung, study: str) -> None:
    found = json.loads(rung("importance", study, "--method", "fanova", "--pairs", "--json").stdout)
    assert (found["method"], found["metric"], found["resource"], found["trials"]) == ("fanova", "loss", 1, 12)
    assert found["parameters"][0]["parameter"] == "x"
    assert len(found["pairs"]) == 3
    assert 0.0 <= found["rest"] <= 1.0
    every = json.loads(rung("importance", study, "--resource", "all", "--json").stdout)
    assert [one["resource"] for one in every] == [1]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--method", "shap"), "ped-anova or fanova"),
        (("--resource", "7"), "no results at step 7"),
        (("--resource", "9"), "needs at least 10"),
        (("--resource", "most"), "no whole number"),
        (("--resource", "all", "--pairs"), "--pairs goes with one --resource"),
        (("--pairs",), "by fanova only"),
        (("--goal", "speed"), "no objective 'speed'"),
    ],
)
def test_importance_refuses(rung, study: str, options, why: str) -> None:
    done = rung("importance", study, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_plot(rung, folder, study: str) -> None:
    done = rung("plot", study, "history", "--out", "here.png")
    assert done.exit_code == 0, done.stderr
    assert (folder / "here.png").read_bytes()[:4] == b"\x89PNG"
    assert "history of made is in here.png" in done.stderr
    assert rung("plot", study, "slice", "--parameters", "x,kind").exit_code == 0
    assert "Plotly.newPlot" in (folder / "made-slice.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("laddr",), "did you mean 'ladder'"),
        (("pareto",), "one objective"),
        (("history", "--out", "plot.gif"), "must end in"),
        (("history", "--out", "none/plot.html"), "the folder none does not exist"),
        (("slice", "--parameters", "z"), "no parameter 'z'"),
    ],
)
def test_plot_refuses(rung, study: str, arguments, why: str) -> None:
    done = rung("plot", study, *arguments)
    assert done.exit_code == 2
    assert why in done.stderr


def test_report(rung, folder, study: str) -> None:
    done = rung("report", study)
    assert done.exit_code == 0, done.stderr
    assert "the report of made is in made.html" in done.stderr
    page = (folder / "made.html").read_text()
    assert "rung extend made --trials 12\nrung resume made" in page
    assert rung("report", study, "--out", "other.html").exit_code == 0
    assert (folder / "other.html").exists()


def test_an_unknown_study(rung, study: str) -> None:
    for command in (("importance", "maid"), ("plot", "maid", "history"), ("report", "maid")):
        done = rung(*command)
        assert done.exit_code == 2
        assert "did you mean 'made'" in done.stderr or "it has 'made'" in done.stderr


def test_a_name_that_is_no_file_name(rung, folder, objective: str) -> None:
    rung("tune", objective, "--trials", 3, "--executor", "inline", "--study", "a/b")
    assert rung("report", "a/b").exit_code == 0
    assert (folder / "a-b.html").exists()


@pytest.mark.parametrize("command", [("export",), ("report",), ("plot", "history")])
def test_what_must_stay_is_not_written_over(rung, folder: Path, objective: str, command) -> None:
    """The studies' own file, whatever its name and by whatever path; another's; and what is no file."""
    name, *kind = command
    rung("tune", objective, "--trials", 3, "--executor", "inline", "--study", "a")
    (folder / "rung.db").rename("studies.html.db")
    (folder / "other.html").write_bytes((folder / "studies.html.db").read_bytes())
    (folder / "link.html").symlink_to("studies.html.db")
    os.mkfifo("pipe.html")
    before = sorted((place.name, place.is_fifo() or place.read_bytes()) for place in folder.glob("*.html*"))
    asked = (name, "a", *kind, "--storage", "studies.html.db", "--out")
    for out, why in (
        ("link.html", "link.html is the studies' file, which would be overwritten: give another --out"),
        ("other.html", "other.html is a database, which would be overwritten: give another --out"),
        ("pipe.html", "pipe.html is no ordinary file: give another --out"),
    ):
        done = rung(*asked, out)
        assert (done.exit_code, done.stdout) == (2, "")
        assert why in done.stderr
    after = sorted((place.name, place.is_fifo() or place.read_bytes()) for place in folder.glob("*.html*"))
    assert after == before
    if name != "plot":  # whose file's ending says the form
        assert "is the studies' file" in rung(*asked, "studies.html.db").stderr
        assert ". is a folder: give --out the name of a file in it" in rung(*asked, ".").stderr


def test_a_link_is_followed(rung, folder: Path, study: str) -> None:
    (folder / "link.html").symlink_to("target.html")
    for command in (("export", study), ("report", study), ("plot", study, "history")):
        (folder / "target.html").write_text("old")
        assert rung(*command, "--out", "link.html").exit_code == 0
        assert (folder / "link.html").is_symlink()
        assert (folder / "target.html").read_text() != "old"
