import json
import re
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import Result

from rung.cli.search_retrain import interrupted
from rung.cli.search_retrain_progress import RetrainProgress
from rung.nas.retraining_epochs import Row, Tick
from rung.nas.retraining_files import load_network
from support.cells import CELL, SMALL, write_cell, write_pictures

torch.set_num_threads(1)

Rung = Callable[..., Result]
OWN = """
from torch import nn
from rung.nas import Operation, Space, SPACES

def squeeze(channels, stride, affine):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 1, stride))

own = Space("own", SPACES["tiny"].cells, operations=(("squeeze", Operation(squeeze)),))
"""


@pytest.fixture
def cell(folder: Path) -> str:
    return write_cell(folder)


@pytest.fixture
def data(folder: Path) -> str:
    return write_pictures(folder)


def test_retrain(folder: Path, cell: str, data: str, rung: Rung) -> None:
    done = rung("search", "retrain", cell, "--data", data, *SMALL)
    assert done.exit_code == 0, done.stderr
    assert "data: 36 pictures to train on, 12 to test, 8 x 8, colour, 3 classes" in done.stderr
    assert "test error" in done.stdout
    assert "rung.nas.load_network reads it" in done.stderr
    net = load_network(folder / "network.pt")
    assert net.about["schedule"]["channels"] == 4
    assert f"{100 * (1 - net.about['accuracy']):.2f} %" in done.stdout
    assert not (folder / "network.pt.checkpoint").exists()
    page = (folder / "retrain.html").read_text(encoding="utf-8")
    assert f"wrong on {1 - net.about['accuracy']:.1%} of the test pictures" in page
    assert "page    retrain.html" in done.stderr


def test_the_page_reads_a_network_with_operations_of_ones_own(
    folder: Path, data: str, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (folder / "my-cells.py").write_text(OWN)
    form = {**CELL, "normal": [["squeeze", 0], *CELL["normal"][1:]]}  # type: ignore[misc]
    (folder / "own.json").write_text(json.dumps(form))
    done = rung("search", "retrain", "own.json", "--data", data, *SMALL, "--space", "my-cells.py:own")
    assert done.exit_code == 0, done.stderr
    page = (folder / "retrain.html").read_text(encoding="utf-8")
    lines = unescape(re.findall(r'id="use">(.*?)</pre>', page, re.DOTALL)[0])
    given = {"pictures": np.zeros((2, 8, 8, 3), np.uint8)}
    exec(lines, given)  # what a reader would copy
    assert given["network"].about["accuracy"] >= 0  # type: ignore[attr-defined]


def test_pictures_that_are_no_squares_are_refused_or_scaled_to_them(
    folder: Path, cell: str, data: str, rung: Rung
) -> None:
    arrays = dict(np.load(data))
    np.savez("wide.npz", **{name: x[:, 1:-1] if x.ndim > 1 else x for name, x in arrays.items()})
    for command in ("retrain", "transfer"):
        refused = rung("search", command, cell, "--data", "wide.npz", *SMALL)
        assert refused.exit_code == 2
        assert "6 x 8 pixels are no squares" in refused.stderr
        assert "--size 6" in refused.stderr
    done = rung("search", "retrain", cell, "--data", "wide.npz", "--size", 6, *SMALL)
    assert done.exit_code == 0, done.stderr
    assert "6 x 6, colour" in done.stderr


def test_cells_that_cannot_be_stacked_are_refused(folder: Path, data: str, rung: Rung) -> None:
    (folder / "three.json").write_text(json.dumps({**CELL, "normal_inputs": 3, "normal_concat": [3, 4]}))
    for command in (("retrain",), ("transfer", "--baseline", 0)):
        refused = rung("search", *command, "three.json", "--data", data, *SMALL)
        assert refused.exit_code == 2, refused.exception
        assert "cell 'normal' has 3 inputs, and is stacked where each cell reads the 2" in refused.stderr


def test_retrain_updates_a_searchs_result(folder: Path, cell: str, data: str, rung: Rung) -> None:
    refused = rung("search", "retrain", cell, "--data", data, *SMALL, "--update")
    assert refused.exit_code == 2
    assert "bare genotype" in refused.stderr
    form = {"genotype": CELL, "strategy": "asap", "accuracy": {"searched": 0.5, "retrained": None}}
    Path(cell).write_text(json.dumps(form))
    done = rung("search", "retrain", cell, "--data", data, *SMALL, "--update", "--json", "--out", "other.pt")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["network"] == "other.pt"
    assert len(said["rows"]) == 2
    form["accuracy"]["retrained"] = said["accuracy"]  # type: ignore[index]
    assert json.loads(Path(cell).read_text()) == form


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "huge"), "unknown preset 'huge': there are tiny, small, paper, imagenet"),
        (("--stem", "imagenet"), "give --stem cifar"),
        (("--budget", "1ms"), "no length of time"),
        (("--budget", "0.01s"), "is under one epoch"),
        (("--out", "nowhere/network.pt"), "the folder nowhere does not exist"),
        (("--out", "data.npz"), "is the data"),
        (("--report", "network.pt"), "is the network's file"),
        (("--resume",), "there is no file network.pt.checkpoint"),
        (("--classes", "0"), "a single class"),
        (("--device", "nonsense"), "'nonsense' cannot be used"),
        (("--hidden", 3), "--hidden is for recurrent cells"),
        (("--classes", "0-9"), "there is no class 3: the 3 classes are 0, 1, 2"),
    ],
)
def test_retrain_refuses_in_a_sentence(
    cell: str, data: str, rung: Rung, options: tuple[str, ...], words: str
) -> None:
    done = rung("search", "retrain", cell, "--data", data, *SMALL, *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("error: ") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rate", "nan"), "the learning rate must be a number above 0, not nan"),
        (("--rate", -1), "the learning rate must be a number above 0, not -1"),
        (("--amp",), "--amp does not apply to rnn.json, a recurrent cell"),
        (("--cutout", 3), "--cutout does not apply to rnn.json, a recurrent cell"),
        (("--batch", 10_000), "words are too few for a window of 10000 columns"),
        (("--preset", "imagenet"), "unknown preset 'imagenet'"),
    ],
)
def test_retrain_of_a_recurrent_cell_refuses_in_a_sentence(
    folder: Path, rung: Rung, options: tuple[str, ...], words: str
) -> None:
    (folder / "rnn.json").write_text(json.dumps({"recurrent": [["tanh", 0]], "concat": [1]}))
    (folder / "text.txt").write_text("one two three four five\n" * 60)
    done = rung(
        "search", "retrain", "rnn.json", "--data", "text.txt", "--preset", "tiny", "--epochs", 1, *options
    )
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("error: ") == 1


def test_retrain_of_nothing(cell: str, data: str, rung: Rung) -> None:
    done = rung("search", "retrain", "none.json", "--data", data)
    assert done.exit_code == 2
    done = rung("search", "retrain", cell, "--data", "none.npz")
    assert done.exit_code == 2
    assert "none.npz" in done.stderr


def test_a_training_that_diverges_at_once_leaves_nothing(
    folder: Path, cell: str, data: str, rung: Rung
) -> None:
    done = rung("search", "retrain", cell, "--data", data, *SMALL, "--rate", 1e30)
    assert done.exit_code == 1
    assert "the training loss is" in done.stderr
    assert "nothing is kept" in done.stderr
    assert not (folder / "network.pt").exists()


def test_an_interrupted_training_says_how_to_go_on(
    folder: Path, cell: str, data: str, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = RetrainProgress.__call__

    def stopping(progress: RetrainProgress, tick: Tick) -> None:
        plain(progress, tick)
        if tick.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(RetrainProgress, "__call__", stopping)
    done = rung("search", "retrain", cell, "--data", data, *SMALL)
    assert done.exit_code == 130
    assert "interrupted; 1 of 2 epochs are kept. Go on with: rung " in done.stderr
    assert (folder / "network.pt.checkpoint").exists()
    monkeypatch.setattr(RetrainProgress, "__call__", plain)
    again = rung("search", "retrain", cell, "--data", data, *SMALL)
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    done = rung("search", "retrain", cell, "--data", data, *SMALL, "--resume")
    assert done.exit_code == 0, done.stderr
    assert not (folder / "network.pt.checkpoint").exists()


def test_the_first_epoch_is_lost_when_interrupted() -> None:
    assert "nothing is kept" in interrupted(0, 5, Path("network.pt"))


def test_what_was_kept_before_is_not_lost_when_interrupted(tmp_path: Path) -> None:
    out = tmp_path / "network.pt"
    assert "nothing is kept" in interrupted(0, 5, out)
    assert "1 trained network is kept" in interrupted(0, 5, out, 1)
    assert "2 trained networks and 3 of 5 epochs of the next one are kept" in interrupted(3, 5, out, 2)
    out.with_name("network.pt.checkpoint").touch()
    assert "the epochs that were done before are kept" in interrupted(0, 5, out)


def test_progress_tells_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = RetrainProgress("cell.json")
    assert progress.epochs_done == 0
    progress(Tick(0, 4, 1, 2, 1.0, 2.0))
    row = Row(1, 0.1, 0.0, 0.9, 0.5, None, None, 4.0)
    progress(Tick(0, 4, 2, 2, 0.9, 4.0, row))
    assert progress.epochs_done == 1
    assert progress._left() == "about 12 s left"  # three of four epochs at 4 s
    assert "test accuracy" not in " ".join(progress._known())
    progress(Tick(3, 4, 2, 2, 0.5, 16.0, row._replace(epoch=4, accuracy=0.75, loss=0.6)))
    assert "epoch 4/4, train loss 0.9000, train accuracy 0.5000, test accuracy 0.7500, 16 s in all" in (
        capsys.readouterr().err
    )


def test_a_training_of_one_step_ends_with_what_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    RetrainProgress("cell.json")(Tick(0, 1, 1, 1, 0.9, 4.0, Row(1, 0.1, 0.0, 0.9, 0.5, 0.6, 0.75, 4.0)))
    assert capsys.readouterr().err.strip().endswith("4.0 s in all")
