"""`rung search transfer`: what it trains, what it keeps, and how it goes on."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import Result

from rung.cli.search_cells import space_searched
from rung.cli.search_retrain_progress import RetrainProgress
from rung.cli.search_transfer import sizes
from rung.errors import SpaceError
from rung.nas import load_network
from rung.nas import retraining_files as files
from rung.nas.choice import random_choice
from rung.nas.data.reading import read_pictures
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.retraining_epochs import Tick
from rung.nas.retraining_schedule import Schedule
from rung.nas.retraining_transfer import holds, random_cells, space_of
from rung.nas.space import SPACES, Cell, Space, image_space
from support.cells import SMALL, write_cell, write_pictures

torch.set_num_threads(1)

Rung = Callable[..., Result]
TRANSFER = ("search", "transfer", "cell.json", "--data", "data.npz", *SMALL)
KILLED = """
import os, signal
import torch
torch.set_num_threads(1)
from rung.nas import retraining_files as files
write, written = files.write, []
def counted(form, path):
    write(form, path)
    written.append(path)
    if len(written) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
files.write = counted
from rung.cli import main
main()
"""


class Killed(BaseException):
    """What nothing catches."""


@pytest.fixture(autouse=True)
def _inputs(folder: Path) -> None:
    write_cell(folder)
    write_pictures(folder)


def plain(text: str) -> Any:
    """What was found, but for how long it took."""
    form = json.loads(text)
    for each in (form["cell"], *form["baselines"]):
        each.pop("seconds")
        for row in each["rows"]:
            row.pop("seconds")
    return form


def weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {path.name: load_network(path).state_dict() for path in sorted(folder.glob("*.pt"))}


def same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[name][key], other[name][key]) for name in one for key in one[name]
    )


def test_transfer(folder: Path, rung: Rung) -> None:
    done = rung(*TRANSFER, "--baseline", 2, "--classes", "0-1", "--json")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert "2 classes" in done.stderr
    assert len(said["baselines"]) == 2
    for other in said["baselines"]:
        assert abs(other["parameters"] / said["cell"]["parameters"] - 1) < 0.1
        assert other["schedule"] == said["cell"]["schedule"]
    assert sorted(path.name for path in Path("transfer").iterdir()) == [
        *("cell.pt", "random-1.pt", "random-2.pt")
    ]
    assert load_network(folder / "transfer" / "cell.pt").about["accuracy"] == said["cell"]["accuracy"]
    shown = rung(*TRANSFER, "--out", "other")
    assert "random 1" in shown.stdout
    assert "1 random cell of its size" in shown.stderr


PAIR = ("none", "skip_connect", "sep_conv_3x3")


def drawn(space: str) -> Genotype:
    return SPACES[space].genotype(random_choice(SPACES[space], torch.Generator().manual_seed(0)))


def test_random_cells_are_of_the_space_that_has_each_edge_of_the_cell() -> None:
    for name in ("s1", "s2", "s4", "tiny", "nasbench201"):
        assert space_of(drawn(name)).name == name
    cell = drawn("s1")["normal"]
    elsewhere = replace(cell, nodes=tuple(tuple(("sep_conv_3x3", n) for n in (0, 1)) for _ in cell.nodes))
    mixed = Genotype((("normal", elsewhere), ("reduce", drawn("s1")["reduce"])))
    assert space_of(mixed).name == "darts"  # S1 has its operations, but not on these edges


def test_random_cells_are_of_the_space_of_the_search_or_of_the_one_that_is_named(folder: Path) -> None:
    form = {"genotype": drawn("s2").to_dict()}
    for recorded, name in (("darts", "darts"), ("s1", None), ("my own", None), (None, None)):
        (folder / "cell.json").write_text(json.dumps({**form, "space": recorded}))
        found = space_searched(folder / "cell.json")
        assert (found and found.name) == name
    own, pictures = SPACES["darts"], read_pictures(str(folder / "data.npz"))
    cells = random_cells(drawn("s2"), pictures, Schedule(channels=4, layers=3), 2, 0, own)
    assert all(holds(own, cell) and not holds(SPACES["s2"], cell) for cell in cells)


@pytest.mark.parametrize(
    "cell", [Cell("normal", 3, PAIR, keep=3), Cell("normal", 2, PAIR, only=((0, ("none",)),))]
)
def test_a_space_holds_cells_whose_first_nodes_have_fewer_inputs_than_others(cell: Cell) -> None:
    space = Space("own", (cell,))
    for seed in range(4):
        found = space.genotype(random_choice(space, torch.Generator().manual_seed(seed)))
        assert holds(space, found)
        *first, last = found["normal"].nodes
        fewer = replace(found["normal"], nodes=(*first, last[:-1]))
        assert not holds(space, Genotype((("normal", fewer),)))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ([1000, 1100, 900], "of its size"),
        ([1000, 1100, 1101], "of 1.10 times its size, the nearest that were drawn"),
        ([1000, 500, 1050], "of 0.50 to 1.05 times its size, the nearest that were drawn"),
    ],
)
def test_how_large_random_cells_are_is_said(parameters: list[int], words: str) -> None:
    assert sizes(parameters) == words


def test_the_nearest_random_cell_is_not_called_of_the_cells_size(folder: Path, rung: Rung) -> None:
    pools = tuple(tuple(("max_pool_3x3", source) for source in (0, 1)) for _ in range(4))
    cell = CellGenotype(pools, (2, 3, 4, 5))
    genotype = Genotype((("normal", cell), ("reduce", cell)))
    (folder / "cell.json").write_text(json.dumps(genotype.to_dict()))
    done = rung(*TRANSFER, "--space", "darts", "--epochs", 1)
    assert done.exit_code == 0, done.stderr
    assert re.search(
        r"than 1 random cell of \d\.\d\d times its size, the nearest that were drawn \(", done.stderr
    )


def test_a_cell_that_is_alone_in_its_space_has_no_random_cell_beside_it(folder: Path) -> None:
    alone = image_space("alone", ("sep_conv_3x3",), nodes=1)
    only = alone.genotype(random_choice(alone, torch.Generator()))
    given = (read_pictures(str(folder / "data.npz")), Schedule(channels=4, layers=3), 1, 0, alone)
    with pytest.raises(SpaceError, match="300 random cells of space 'alone' are all this cell"):
        random_cells(only, *given)


@pytest.mark.parametrize("after", range(1, 9, 2))
def test_a_transfer_that_was_killed_goes_on_bit_for_bit(
    after: int, folder: Path, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("--baseline", 2, "--json")
    whole = rung(*TRANSFER, *more, "--out", "whole")
    write, written = files.write, list[Path]()

    def counted(form: Any, path: Path) -> None:
        write(form, path)
        written.append(path)
        if len(written) == after:
            raise Killed

    monkeypatch.setattr(files, "write", counted)
    with pytest.raises(Killed):
        rung(*TRANSFER, *more)
    rest = rung(*TRANSFER, *more, "--resume")
    assert rest.exit_code == 0, rest.stderr
    assert plain(rest.stdout) == plain(whole.stdout)
    assert same(weights(folder / "transfer"), weights(folder / "whole"))
    assert len(written) == 3 * 3  # two epochs and a network each: none was made twice
    assert not list(folder.rglob("*.checkpoint"))


def test_a_transfer_whose_process_died_goes_on(folder: Path, rung: Rung) -> None:
    whole = rung(*TRANSFER, "--json", "--out", "whole")
    words = [sys.executable, "-c", KILLED, *map(str, TRANSFER)]
    died = subprocess.run(words, check=False, capture_output=True, cwd=folder, env={**os.environ})
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert sorted(path.name for path in Path("transfer").iterdir()) == ["cell.pt", "random-1.pt.checkpoint"]
    rest = rung(*TRANSFER, "--json", "--resume")
    assert rest.exit_code == 0, rest.stderr
    assert "cell.json was trained before" in rest.stderr
    assert plain(rest.stdout) == plain(whole.stdout)


def test_an_interrupted_transfer_says_how_to_go_on(
    folder: Path, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, seen = RetrainProgress.__call__, list[Tick]()

    def stopping(progress: RetrainProgress, tick: Tick) -> None:
        shown(progress, tick)
        seen.append(tick)
        if sum(each.row is not None for each in seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(RetrainProgress, "__call__", stopping)
    done = rung(*TRANSFER)
    assert done.exit_code == 130
    assert "interrupted; 1 trained network and 1 of 2 epochs of the next one are kept. Go on with: " in (
        done.stderr
    )
    again = rung(*TRANSFER)
    assert again.exit_code == 2
    assert "transfer keeps the networks of a transfer: go on with --resume" in again.stderr


def test_a_transfer_interrupted_at_once_leaves_nothing(
    folder: Path, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RetrainProgress, "__call__", stopping)
    done = rung(*TRANSFER)
    assert done.exit_code == 130
    assert "nothing is kept" in done.stderr
    assert not Path("transfer").exists()


def test_a_transfer_goes_on_with_more_random_cells_and_with_the_same_options_only(rung: Rung) -> None:
    assert rung(*TRANSFER, "--baseline", 0, "--budget", "1h").exit_code == 0
    for options, words in (
        (("--rate", 0.5), "with another rate"),
        (("--seed", 1), "with another seed"),
        (("--classes", "0-1"), "with another data"),
        (("--channels", 8), "with another channels (4 there, 8 here)"),
        (("--epochs", 3), "with another epochs (2 there, 3 here)"),
    ):
        refused = rung(*TRANSFER, "--resume", *options)
        assert refused.exit_code == 2
        assert words in refused.stderr
    done = rung(*TRANSFER, "--resume", "--baseline", 1, "--json")
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)["baselines"]) == 1


def test_the_epochs_that_a_budget_had_time_for_are_those_of_all(
    rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.nas.retraining.epochs_within", lambda *_: 1)
    done = rung(*TRANSFER, "--baseline", 0, "--budget", "1h")
    assert done.exit_code == 0, done.stderr
    found = rung(*TRANSFER, "--budget", "1h", "--resume", "--json")
    assert found.exit_code == 0, found.stderr
    said = json.loads(found.stdout)
    assert [each["epochs"] for each in (said["cell"], *said["baselines"])] == [1, 1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--resume",), "transfer keeps no transfer that could go on: leave --resume out"),
        (("--out", "data.npz"), "data.npz is a file: give --out the name of a folder"),
        (("--out", "nowhere/at/all"), "the folder nowhere/at does not exist"),
        (("--baseline", 21), "--baseline must be at most 20"),
        (("--budget", "nonsense"), "nonsense"),
        (("--classes", "7"), "7"),
        (("--epochs", "1.5"), "1.5"),
        (("--rate", "nan"), "the learning rate must be a number above 0, not nan"),
        (("--preset", "large"), "unknown preset 'large'"),
        (("--space", "none.py:SPACE"), "none.py"),
        (("--space", "s2"), "this cell is not of space 's2'"),
        (("--space", "s9"), "unknown space 's9'"),
        (("--budget", "0.001s"), "the budget is for 2 networks together"),
        (("--limit", 1), "--limit must be at least 2"),
    ],
)
def test_transfer_refuses_in_a_sentence(rung: Rung, options: tuple[Any, ...], words: str) -> None:
    done = rung(*TRANSFER, *options)
    assert done.exit_code == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("transfer").exists()


def test_a_recurrent_cell_is_refused_before_the_data_is_read(rung: Rung) -> None:
    cell = {"recurrent": [["tanh", 0], ["relu", 1]], "concat": [1, 2]}
    Path("rnn.json").write_text(json.dumps(cell), encoding="utf-8")
    done = rung("search", "transfer", "rnn.json", "--data", "no.txt")
    assert done.exit_code == 2
    assert done.stderr == (
        "error: rnn.json is a recurrent cell: train it on another text with rung search retrain\n"
    )


def test_a_damaged_network_is_told(rung: Rung) -> None:
    assert rung(*TRANSFER, "--baseline", 0).exit_code == 0
    kept = Path("transfer/cell.pt")
    kept.write_bytes(kept.read_bytes()[:300])
    done = rung(*TRANSFER, "--resume")
    assert done.exit_code == 2
    assert "transfer/cell.pt cannot be read: it is damaged" in done.stderr
    assert "remove it, and its network is trained again" in done.stderr
