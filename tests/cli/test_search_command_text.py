"""`rung search` over complete recurrent cells, from the command line: perplexity wherever a score is told."""

from __future__ import annotations

import json
import math
import re
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from rung.cli.app import app
from rung.nas.genotype import Genotype
from rung.nas.result import SearchResult
from rung.nas.task import Scores

torch.set_num_threads(1)

WORDS = ["--cell", "rnn", "--data", "circle.txt", "--networks", "4", "--epochs", "1"]
SMALL = ["--set", "retrain_hidden=6", "--set", "retrain_batch=4"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a text; what is trained has a planted loss."""

    def train(genotype: Genotype, _: Any, settings: Any, **__: Any) -> Any:
        loss = 2.0 + zlib.crc32(genotype.to_text().encode()) % 100 / 100
        return SimpleNamespace(valid_loss=loss, epochs=(None,) * settings.epochs)

    monkeypatch.setattr("rung.nas.complete_text.retrain_text", train)
    monkeypatch.setattr("rung.nas.complete_text.short_text", lambda *_: (Scores(2.5, None), []))
    (tmp_path / "circle.txt").write_text("one two three four five\n" * 60)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNG_STORAGE", raising=False)
    return tmp_path


def rung(*words: str) -> Any:
    return CliRunner().invoke(app, [*words])


def test_perplexity_is_what_is_shown(here: Path) -> None:
    done = rung("search", "--strategy", "evolution", *WORDS, *SMALL, "--study", "s")
    assert done.exit_code == 0, done.output
    assert re.search(r"network 4/4, held-out perplexity \d+\.\d, best \d+\.\d of network \d", done.stderr)
    assert re.search(r"perplexity +\d+\.\d +12\.2", done.stdout)
    assert "4 networks of 6 units, each trained for 1 epoch" in done.stderr
    result = SearchResult.read(here / "cell.json")
    best = result.perplexity["searched"]
    assert best is not None
    shown = json.loads(rung("search", "show", "cell.json", "--json").stdout)
    assert shown["perplexity"] == {"searched": best, "derived": None, "retrained": math.exp(2.5)}
    told = rung("show", "s").stdout
    assert "metric     perplexity, minimised" in told
    assert f"{best:.4f}" in told
    assert re.search(rf"s +search +done +4 +perplexity +{best:.4f}", rung("list").stdout)
    assert rung("report", "s", "--out", "report.html").exit_code == 0
    for text in (done.output, told, (here / "search.html").read_text()):
        assert "accuracy" not in text.lower()
        assert "perplexity" in text
    page = (here / "report.html").read_text()
    assert "perplexity" in page
    assert "1 cell of space recurrent" in page
    again = rung("resume", "s")
    assert again.exit_code == 0, again.output
    assert SearchResult.read(here / "cell.json").genotype == result.genotype


def test_strategies_for_text_stand_beside_each_other(here: Path) -> None:
    both = ["--strategies", "random_retraining,bananas", "--seeds", "1", "--json"]
    compared = rung("search", "compare", *WORDS, *SMALL, *both)
    assert compared.exit_code == 0, compared.output
    assert {line["error"] for line in json.loads(compared.stdout)} == {2.5}
    assert "random_retraining, seed 0: loss 2.5000, " in compared.stderr
    assert "error" not in compared.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--data", "two.npz", "--cell", "rnn"], "two.npz holds pictures, and cell rnn is for text"),
        (["--data", "circle.txt"], "circle.txt is a text, and cell cnn is for pictures"),
        (
            ["--data", "short.txt", "--cell", "rnn"],
            "training part has 24 words, and 32 rows side by side need 64",
        ),
    ],
)
def test_data_of_the_other_kind_is_told(words: list[str], why: str, here: Path) -> None:
    (here / "short.txt").write_text("one two three four five\n" * 5)
    refused = rung("search", "--strategy", "pnas", *words)
    assert (refused.exit_code, why in refused.output) == (2, True), refused.output
    assert not (here / "cell.json").exists()


@pytest.mark.parametrize("strategy", ["darts1", "evolution"])
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--cutout", "4"], "--cutout is for pictures, and cell rnn is for text: leave it out"),
        (["--no-crop"], "--no-crop is for pictures"),
        (["--no-flip"], "--flip is for pictures"),
        (["--size", "8"], "--size is for pictures"),
        (["--classes", "0-1"], "--classes is for pictures"),
        (["--set", "channels=8"], "channels is of networks for pictures"),
        (["--space", "darts"], "space 'darts' is "),
        (["--set", "price=1"], "recurrent cells of one size cost alike"),
        (["--set", "skip_dropout=0.9"], "skip_dropout is of skips in cells for pictures"),
        (["--set", "max_skips=0"], "max_skips is of skips in cells for pictures"),
    ],
)
def test_what_is_for_pictures_is_refused_of_a_text(
    strategy: str, words: list[str], why: str, here: Path
) -> None:
    refused = rung("search", "--strategy", strategy, "--data", "circle.txt", "--cell", "rnn", *words)
    assert (refused.exit_code, why in refused.output) == (2, True), refused.output
    assert refused.output.count("error: ") == 1


def test_a_strategy_that_mixes_channels_is_refused_of_a_text(here: Path) -> None:
    refused = rung("search", "--strategy", "pc_darts", "--data", "circle.txt", "--cell", "rnn")
    assert refused.exit_code == 2
    assert "'pc_darts' mixes a part of the channels, and a recurrent cell has none" in refused.output
