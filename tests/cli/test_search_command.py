"""`rung search` from the command line: files, what is printed, resumption, comparisons, refusals."""

from __future__ import annotations

import json
import re
import shlex
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rung.analysis.wording import cell_text
from rung.cli.app import app
from rung.cli.search_options import setting
from rung.cli.search_order import Order
from rung.cli.search_run import planned, reproduces
from rung.nas.genotype import Genotype
from rung.nas.images import ImageTask
from rung.nas.result import SearchResult

torch.set_num_threads(1)

FEW = [
    "--space",
    "tiny",
    "--epochs",
    "2",
    "--set",
    "channels=4",
    "--set",
    "batch=8",
    "--set",
    "retrain_epochs=1",
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures of two classes, told by which half is bright."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (48, 8, 8, 3), dtype=np.uint8), np.arange(48) % 2
    x[y == 1, :, 4:] += 120
    np.savez(tmp_path / "two.npz", x_train=x, y_train=y, x_test=x[:16], y_test=y[:16])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNG_STORAGE", raising=False)
    return tmp_path


def rung(*words: str) -> Any:
    return CliRunner().invoke(app, ["search", *words])


def test_the_next_commands_take_the_same_pictures(here: Path) -> None:
    done = rung(
        "--data", "two.npz", "--strategy", "random", *FEW, "--no-retrain", "--size", "6", "--classes", "0,1"
    )
    assert done.exit_code == 0, done.output
    trained = [
        "rung",
        "search",
        "retrain",
        "cell.json",
        "--data",
        "two.npz",
        "--size",
        "6",
        "--classes",
        "0,1",
    ]
    assert trained in [shlex.split(line) for line in done.stderr.splitlines() if "retrain cell" in line]


def test_a_search_writes_a_cell_and_a_page(here: Path) -> None:
    done = rung("--data", "two.npz", "--strategy", "asap", *FEW, "--study", "s")
    assert done.exit_code == 0, done.output
    result = SearchResult.read(here / "cell.json")
    assert result.genotype.to_text() in done.stdout
    assert result.accuracy.retrained is not None
    page = (here / "search.html").read_text()
    assert "rung search --data two.npz" in re.sub(r"<[^>]+>", "", page)
    assert "<svg" in page
    shown = rung("show", "cell.json", "--json")
    assert json.loads(shown.stdout)["genotype"] == result.genotype.to_dict()
    told = CliRunner().invoke(app, ["show", "s"]).stdout
    assert f"normal     {cell_text(result.genotype['normal'])}\n" in told
    listed = CliRunner().invoke(app, ["list"])
    assert "search" in listed.stdout
    again = CliRunner().invoke(app, ["resume", "s"])  # nothing is left: the same cell again
    assert again.exit_code == 0, again.output
    assert SearchResult.read(here / "cell.json").genotype == result.genotype


def test_a_search_that_is_stopped_while_steps_are_timed_can_be_gone_on_with(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(_: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("rung.nas.searching.best_threads", stopping)
        done = rung("--data", "two.npz", "--strategy", "darts1", *FEW, "--no-retrain", "--study", "s")
    assert done.exit_code == 130
    assert "go on with: rung resume s" in done.stderr
    again = CliRunner().invoke(app, ["resume", "s"])
    assert again.exit_code == 0, again.output
    assert len(SearchResult.read(here / "cell.json").records) == 2


def test_json_is_all_that_stands_on_stdout(here: Path) -> None:
    done = rung("--data", "two.npz", "--strategy", "darts1", *FEW, "--no-retrain", "--json")
    form = json.loads(done.stdout)
    assert form["strategy"] == "darts1"
    assert form["accuracy"]["retrained"] is None
    assert form["relaxation_gap"]["outputs"] > 0
    assert form["records"] == 2


def test_a_comparison_goes_on_where_it_was(here: Path) -> None:
    words = ["compare", "--data", "two.npz", "--strategies", "random,darts1", "--seeds", "1", *FEW]
    for extra, why in (
        ("samples=2", "STRATEGY.NAME=VALUE"),  # a setting that not all strategies have
        ("asap.T0=2", "none of the strategies compared, random, darts1"),
        ("darts1.batsch=2", "has no setting 'batsch'"),
    ):
        refused = rung(*words, "--set", extra)
        assert (refused.exit_code, why in refused.output) == (2, True), refused.output
    own = ["--set", "random.samples=2", "--set", "darts1.alpha_rate=0.01"]
    first = rung(*words, *own, "--json")
    assert first.exit_code == 0, first.output
    assert {line["strategy"] for line in json.loads(first.stdout)} == {"random", "darts1"}
    rows = (here / "compare.jsonl").read_text()
    kept = {row["strategy"]: row["options"] for row in map(json.loads, rows.splitlines())}
    assert kept["random"]["samples"] == 2
    assert kept["darts1"]["alpha_rate"] == 0.01
    assert "samples" not in kept["darts1"]
    drawing = (here / "compare.svg").read_text()
    assert "first-order DARTS" in drawing
    assert drawing.count("seed 0: ") == 2  # a dot each
    second = rung(*words, *own)
    assert "0 searches, 2 rows" in second.stderr
    assert (here / "compare.jsonl").read_text() == rows
    with (here / "compare.jsonl").open("a") as file:
        file.write('{"strategy": "darts1", "se')  # as a kill leaves it
    third = rung(*words, *own)
    assert "its last line was not written to its end" in third.stderr
    assert (here / "compare.jsonl").read_text() == rows
    (here / "compare.jsonl").write_text(rows.removesuffix("\n"))
    assert rung(*words, *own).exit_code == 0
    assert (here / "compare.jsonl").read_text() == rows
    with np.load(here / "two.npz") as kept:
        arrays = dict(kept)
    np.savez(here / "two.npz", **{**arrays, "y_train": arrays["y_train"][::-1]})
    refused = rung(*words, *own)
    assert refused.exit_code == 2
    assert "of a search on other data of this name" in " ".join(refused.output.split())
    np.savez(here / "two.npz", **arrays)
    more = [*words[:6], "2", *FEW, *own, "--json"]
    assert {line["seeds"] for line in json.loads(rung(*more).stdout)} == {2}
    assert {line["seeds"]: line["spread"] for line in json.loads(rung(*words, *own, "--json").stdout)} == {
        1: None
    }
    rows = (here / "compare.jsonl").read_text()
    other = rung(*words, *own[:3], "darts1.alpha_rate=0.02")
    assert other.exit_code == 2
    assert "with alpha_rate 0.01, not 0.02" in other.output
    (here / "compare.jsonl").write_text("{}\n")
    assert rung(*words[:-2]).exit_code == 2
    assert rung(*words, "--picture", "compare.png").exit_code == 2


def test_complete_networks_are_searched_compared_and_gone_on_with(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(self: ImageTask, genotype: Genotype, recipe: Any, **_: Any) -> Any:
        return SimpleNamespace(
            loss=1.0, accuracy=zlib.crc32(genotype.to_text().encode()) % 100 / 100, epochs=2
        )

    monkeypatch.setattr(ImageTask, "train", train)
    words = ["--data", "two.npz", "--space", "tiny", "--networks", "5", "--epochs", "1"]
    small = ["--set", "retrain_channels=4", "--set", "retrain_batch=8"]
    done = rung("--strategy", "evolution", *words, *small, "--study", "s")
    assert done.exit_code == 0, done.output
    assert "network 5/5, held-out accuracy" in done.stderr
    result = SearchResult.read(here / "cell.json")
    assert (result.strategy, len(result.tried)) == ("evolution", 5)
    assert "All 5 networks" in (here / "search.html").read_text()
    told = CliRunner().invoke(app, ["show", "s"]).stdout
    assert "sampler evolution, scheduler plain" in told
    assert f"normal     {cell_text(result.genotype['normal'])}\n" in told
    assert "normal_0_2" not in told
    assert CliRunner().invoke(app, ["report", "s", "--out", "report.html"]).exit_code == 0
    page = (here / "report.html").read_text()
    head, _, figures = page.partition('id="figures"')
    assert head.count(cell_text(result.genotype["normal"])) >= 2  # at the head and in the table
    assert cell_text(result.genotype["normal"]) in figures  # over its point
    assert "2 cells of space tiny" in page
    assert CliRunner().invoke(app, ["plot", "s", "history", "--out", "history.html"]).exit_code == 0
    assert cell_text(result.genotype["normal"]) in (here / "history.html").read_text()
    assert "normal_0_2" not in page
    best = json.loads(CliRunner().invoke(app, ["show", "s", "--json"]).stdout)["best"]
    assert Genotype.from_dict(best[0]["genotype"]) == result.genotype
    assert {"normal_0_2", "reduce_1_3"} < set(best[0]["config"])
    again = CliRunner().invoke(app, ["resume", "s"])
    assert again.exit_code == 0, again.output
    assert SearchResult.read(here / "cell.json").genotype == result.genotype
    both = ["compare", *words, *small, "--strategies", "random_retraining,pnas", "--seeds", "1"]
    compared = rung(*both, "--json")
    assert compared.exit_code == 0, compared.output
    lines = {line["strategy"]: line for line in json.loads(compared.stdout)}
    assert lines["pnas"]["gap"] is None
    assert "PNAS" in (here / "compare.svg").read_text()
    for other, why in (
        (["--strategies", "asap"], "it takes no number of networks"),
        (["--strategies", "pnas", "--set", "beem=2"], "has no setting 'beem'"),
    ):
        refused = rung(*both, *other)
        assert (refused.exit_code, why in refused.output) == (2, True), refused.output


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--data", "two.npz", "--strategy", "pnas", "--executor", "ray"], "give --workers N for several"),
        (["--data", "two.npz", "--workers", "2"], "leave --workers out"),
        ([], "Usage"),
        (["--strategy", "asap"], "needs --data"),
        (["--data", "missing.npz"], "missing.npz"),
        (["--data", "two.npz", "--strategy", "dart"], "unknown strategy 'dart'"),
        (["--data", "two.npz", "--space", "x.py:space"], "there is no file x.py"),
        (["--data", "two.npz", "--set", "batch"], "--set takes NAME=VALUE"),
        (["--data", "two.npz", "--out", "nowhere/cell.json"], "does not exist"),
        (["--data", "two.npz", "--out", "two.npz"], "the data itself"),
        (["--data", "two.npz", "--budget", "0.01s"], "under one epoch"),
        (["--data", "two.npz", "--set", "layers=2"], "at least 3 layers"),
        (["--data", "two.npz", "--classes", "0"], "a single class"),
        (["--data", "two.npz", "--cutout", "99"], "a cutout of 99 pixels would blank pictures of"),
        (["--data", "two.npz", "--size", "100000"], "--size must be at most 1024"),
        (["--data", "one.npz"], "pictures of 1 x 1 pixels are too small, since networks halve them twice"),
        (
            ["--data", "two.npz", "--strategy", "snas", "--set", "high=0"],
            "high of strategy 'snas' is above 0",
        ),
        (["--data", "two.npz", "--space", "recurrent"], "give --cell rnn, or leave --space out"),
        (["--data", "two.npz", "--strategy", "gdas", "--set", "low=-1"], "low of strategy 'gdas' is above 0"),
        (["--data", "two.npz", "--strategy", "p_darts", "--set", "warmup=2"], "at least 0 and below 1"),
        (["--data", "two.npz", "--strategy", "p_darts", "--set", "keep=[5, 0]"], "at least 1, not 0"),
        (["--data", "two.npz", "--strategy", "darts_pt", "--set", "tune=-1"], "at least 0, not -1"),
        (["--data", "two.npz", "--strategy", "darts1", "--set", "max_skips=-1"], "at least 0, not -1"),
    ],
)
def test_bad_input_is_one_sentence(here: Path, words: list[str], why: str) -> None:
    np.savez(here / "one.npz", x_train=np.zeros((8, 1, 1), np.uint8), y_train=np.arange(8) % 2)
    done = rung(*words)
    assert done.exit_code == 2, done.output
    assert why in done.output
    assert "Traceback" not in done.output


def test_a_space_of_ones_own(here: Path) -> None:
    text = (Path(__file__).parents[2] / "examples" / "cells.py").read_text()
    (here / "own_cells.py").write_text(text)
    few = ["--epochs", "1", "--set", "channels=4", "--set", "batch=8", "--no-retrain"]
    done = rung("--data", "two.npz", "--space", "own_cells.py:space", *few)
    assert done.exit_code == 0, done.output
    assert json.loads((here / "cell.json").read_text())["space"] == "squeezed"
    assert "retrain cell.json --data two.npz --space own_cells.py:space" in done.stderr.replace("\n", " ")
    nodes = [["squeeze", 0], ["skip_connect", 1]] * 3
    cells = {"normal": nodes, "normal_concat": [2, 3, 4], "reduce": nodes, "reduce_concat": [2, 3, 4]}
    (here / "own.json").write_text(json.dumps(cells))
    short = ["own.json", "--data", "two.npz", "--channels", "4", "--layers", "3", "--epochs", "1"]
    for command, more in (("retrain", []), ("transfer", ["--baseline", "1"])):
        known = rung(command, *short, *more, "--space", "own_cells.py:space", "--json")
        assert known.exit_code == 0, known.output
        unknown = rung(command, *short, *more)
        assert (unknown.exit_code, "give --space FILE.py:NAME" in unknown.output) == (2, True)


def test_the_page_has_the_epochs_that_a_budget_had_time_for(here: Path) -> None:
    done = rung("--data", "two.npz", "--strategy", "darts1", *FEW, "--budget", "10m", "--no-retrain")
    assert done.exit_code == 0, done.output
    words = re.sub(r"</?span>", "", (here / "search.html").read_text())
    assert "--budget" not in words
    assert "rung search --data two.npz --strategy darts1 --space tiny --epochs 2 --no-retrain" in words
    order = Order(data="x.npz", budget=90.0, strategy="darts")
    result: Any = SimpleNamespace(tried=(), settings={"recipe": {"epochs": 3, "alpha_rate": 0.02}})
    again = "rung search --data x.npz --strategy darts --epochs 3 --set alpha_rate=0.02"
    assert reproduces(planned(order, result)) == again


def test_the_command_that_does_it_again_is_what_was_asked() -> None:
    order = Order(data="x.npz", budget=90.0, flip=False, retrain=False, settings=(("T0", 2.0),), study="s")
    assert reproduces(order) == "rung search --data x.npz --budget 90s --no-flip --no-retrain --set T0=2.0"
    shared = Order(data="x.npz", storage="postgresql://me:secret@host/studies")
    assert reproduces(shared) == "rung search --data x.npz --storage postgresql://me@host/studies"


@pytest.mark.parametrize(
    "value",
    [True, False, None, 2, 2.0, 1e-06, [8, 5, 3], [0.0, 0.4], "exact", "true", "1.5", "two words", '"', " "],
)
def test_settings_in_that_command_are_read_as_what_they_were(value: Any) -> None:
    words = shlex.split(reproduces(Order(data="x.npz", settings=(("any", value),))))
    assert words[:-1] == ["rung", "search", "--data", "x.npz", "--set"]
    name, read = setting(words[-1])
    assert (name, read, type(read)) == ("any", value, type(value))


def test_what_changes_behind_a_colon_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.cli.search_progress import SearchProgress

    clock = [0.0]
    monkeypatch.setattr("rung.cli.search_progress.time.monotonic", lambda: clock[0])
    progress = SearchProgress("darts_pt on digits")
    for seconds, text in [
        (0.1, "deriving and training the derived network"),
        (0.2, "deriving: decision 1 of 36, without skip_connect from 0 to 2 of normal"),
        (5.1, "deriving: decision 1 of 36, without sep_conv_3x3 from 0 to 2 of normal"),
        (5.3, "deriving: decision 1 of 36, tuning, epoch 1 of 1"),
        (5.4, "interrupted: judging what is derived"),
    ]:
        clock[0] = seconds
        progress.phase(text)
    assert capsys.readouterr().err.splitlines() == [
        "deriving and training the derived network",
        "deriving: decision 1 of 36, without skip_connect from 0 to 2 of normal",
        "deriving: decision 1 of 36, tuning, epoch 1 of 1",
        "interrupted: judging what is derived",
    ]
