"""`rung search draw`, `show` and `count`, and what the group takes."""

import json
import os
import re
import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from rung.cli import search_cells
from rung.cli.search import setting
from rung.errors import UserError

NORMAL = [["sep_conv_3x3", 0], ["sep_conv_3x3", 1], ["skip_connect", 0], ["dil_conv_3x3", 2]]
REDUCE = [["max_pool_3x3", 0], ["max_pool_3x3", 1], ["none", 2], ["avg_pool_3x3", 1]]
FORM = {"normal": NORMAL, "normal_concat": [2, 3], "reduce": REDUCE, "reduce_concat": [2, 3]}
RECURRENT = {"recurrent": [["tanh", 0], ["relu", 1], ["identity", 1]], "concat": [1, 2, 3]}
TEXT = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=range(2, 4), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('none', 2), "
    "('avg_pool_3x3', 1)], reduce_concat=range(2, 4))"
)
RESULT = {
    "genotype": FORM,
    "strategy": "asap",
    "parameters": 123456,
    "cost": {"seconds": 61.5, "passes": 96, "images": 3072, "multiply_adds": 5.0},
    "accuracy": {"searched": 0.5, "derived": 0.25, "retrained": None},
    "relaxation_gap": {"outputs": 0.0, "accuracy": 0.0},
}


@pytest.fixture
def cell(folder: Path) -> Path:
    file = folder / "cell.json"
    file.write_text(json.dumps(FORM))
    return file


def write(folder: Path, form: Any, name: str = "cell.json") -> Path:
    file = folder / name
    file.write_text(form if isinstance(form, str) else json.dumps(form))
    return file


def test_count_is_json(rung, cell: Path) -> None:
    import torch

    from rung.nas.counting import by_module, parameters
    from rung.nas.genotype import Genotype
    from rung.nas.network import network

    options = ["--channels", 4, "--layers", 3, "--image-size", 8, "--classes", 5]
    built = network(Genotype.from_dict(FORM), 4, 3, 5)
    expected = parameters(built), sum(by_module(built, torch.zeros(1, 3, 8, 8)).values())
    done = rung("search", "count", cell, *options, "--json")
    assert done.exit_code == 0, done.stderr
    counted = json.loads(done.stdout)
    assert list(counted) == ["parameters", "multiply_adds", "convention"]
    assert (counted["parameters"], counted["multiply_adds"]) == expected
    assert "normalisations" in counted["convention"]
    shown = rung("search", "count", cell, *options).stdout
    assert shown.startswith(f"{expected[0]:,} parameters, {expected[1]:,} multiply-adds\n")
    more = json.loads(rung("search", "count", cell, "--auxiliary", "--json").stdout)
    less = json.loads(rung("search", "count", cell, "--json").stdout)
    assert more["parameters"] > less["parameters"]
    assert more["multiply_adds"] == less["multiply_adds"]


def test_count_with_the_other_stem_has_other_defaults(rung, cell: Path) -> None:
    large = rung("search", "count", cell, "--stem", "imagenet", "--json").stdout
    sizes = {"--channels": 48, "--layers": 14, "--image-size": 224, "--classes": 1000, "--stem": "imagenet"}
    written = [word for pair in sizes.items() for word in pair]
    assert large == rung("search", "count", cell, *written, "--json").stdout


def test_count_of_a_recurrent_cell(rung, folder: Path) -> None:
    file = write(folder, RECURRENT)
    done = json.loads(rung("search", "count", file, "--hidden", 8, "--vocabulary", 100, "--json").stdout)
    assert done["parameters"] == 100 * 8 + 100 + 16 * 16 + 3 * 8 * 16
    assert done["multiply_adds"] == 100 * 8 + 16 * 16 + 3 * 8 * 16


def test_show_of_a_result(rung, folder: Path) -> None:
    shown = json.loads(rung("search", "show", write(folder, RESULT), "--json").stdout)
    assert list(shown) == ["genotype", "parameters", "cost", "accuracy", "relaxation_gap"]
    for key in shown:
        assert shown[key] == RESULT[key]
    text = rung("search", "show", write(folder, RESULT)).stdout
    assert TEXT in text
    assert re.search(r"parameters +123,456\n", text)
    assert re.search(r"accuracy +searched 0.5, derived 0.25\n", text)
    assert re.search(r"relaxation gap +outputs 0, accuracy 0\n", text)
    assert re.search(r"cost +seconds 61.5, passes 96, images 3,072", text)


def test_show_of_a_result_whose_figures_are_none(rung, folder: Path) -> None:
    broken = {**RESULT, "parameters": "many", "cost": {"seconds": [1], "passes": 96}, "accuracy": "good"}
    file = write(folder, broken)
    shown = rung("search", "show", file)
    assert shown.exit_code == 0, shown.stderr
    assert "many" not in shown.stdout
    assert re.search(r"cost +passes 96\n", shown.stdout)
    assert json.loads(rung("search", "show", file, "--json").stdout)["parameters"] is None


def test_show_of_a_recurrent_result(rung, folder: Path) -> None:
    file = write(folder, {"genotype": RECURRENT, "perplexity": {"searched": 210.5, "derived": None}})
    assert json.loads(rung("search", "show", file, "--json").stdout)["perplexity"]["searched"] == 210.5
    assert re.search(r"perplexity +searched 210.5\n", rung("search", "show", file).stdout)


def test_show_of_a_bare_genotype(rung, folder: Path) -> None:
    unknown = {
        "parameters": None,
        "cost": {"seconds": None, "passes": None, "images": None},
        "accuracy": {"searched": None, "derived": None, "retrained": None},
        "relaxation_gap": {"outputs": None, "accuracy": None},
    }
    for form in (FORM, TEXT):
        file = write(folder, form)
        assert json.loads(rung("search", "show", file, "--json").stdout) == {"genotype": FORM, **unknown}
        lines = [line.split() for line in rung("search", "show", file).stdout.splitlines()]
        assert ["2", "sep_conv_3x3", "0", "c_{k-2}"] in lines
        assert ["3", "dil_conv_3x3", "2"] in lines
        assert ["out", "2,", "3"] in lines
    text = rung("search", "show", write(folder, RECURRENT)).stdout
    assert "Genotype(recurrent=[('tanh', 0), ('relu', 1), ('identity', 1)], concat=range(1, 4))" in text


def test_draw_writes_svg(rung, cell: Path, folder: Path) -> None:
    done = rung("search", "draw", cell, "--out", folder / "a.svg")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    root = ET.fromstring((folder / "a.svg").read_text())
    words = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("sep_conv_3x3") == 2
    assert {"Normal cell", "Reduction cell"} <= set(words)


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_draw_writes_pictures(rung, cell: Path, folder: Path, ending: str, start: bytes) -> None:
    pytest.importorskip("matplotlib")
    out = folder / f"a.{ending}"
    assert rung("search", "draw", cell, "--out", out).exit_code == 0
    assert out.read_bytes().startswith(start)


def refused(done: Any) -> str:
    """The one sentence of bad input."""
    assert done.exit_code == 2, (done.stdout, done.exception)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return str(done.stderr)


WRONG: dict[str, tuple[Any, str]] = {
    "operation": (
        {"normal": [["sep_conv_9x9", 0], ["none", 1]]},
        r"cell.json: unknown operation 'sep_conv_9x9': known are avg_pool_3x3, conv_7x1_1x7, dil_conv_3x3",
    ),
    "of text": ({"normal": [["tanh", 0], ["none", 1]]}, r"unknown operation 'tanh': known are avg_pool_3x3"),
    "of pictures": (
        {"recurrent": [["max_pool_3x3", 0]]},
        r"unknown operation 'max_pool_3x3': known are identity, none, relu, sigmoid, tanh",
    ),
    "input": ({"normal": [[["none", 0]], []]}, r"node 3 of a cell has no input"),
    "odd": ({"normal": NORMAL[:3]}, r"lists 3 edges, but each node has 2: node 3 lacks an input"),
    "later": ({"normal": [["none", 0], ["none", 3]]}, r"edge 'none' into node 2 reads 3: it may read 0 to 1"),
    "itself": ({"normal": [["none", 0], ["none", 2]]}, r"edge 'none' into node 2 reads 2"),
    "no JSON": ("{'normal'", r"neither JSON nor a text such as Genotype\(normal=...\)"),
}


@pytest.mark.parametrize("command", ["draw", "show", "count"])
@pytest.mark.parametrize("case", WRONG)
def test_wrong_cells(rung, folder: Path, command: str, case: str) -> None:
    form, said = WRONG[case]
    assert re.search(said, refused(rung("search", command, write(folder, form))))


@pytest.mark.parametrize("command", ["draw", "show", "count"])
def test_a_missing_file(rung, command: str) -> None:
    assert "cannot read the cell file gone.json: No such file" in refused(
        rung("search", command, "gone.json")
    )


def test_wrong_options(rung, cell: Path, folder: Path) -> None:
    said = refused(rung("search", "draw", cell, "--out", "a.bmp"))
    assert "cannot draw to a.bmp: its name must end in .svg, .png or .pdf" in said
    assert "the folder no/such does not exist: make it, or give another --out" in refused(
        rung("search", "draw", cell, "--out", "no/such/folder.svg")
    )
    os.mkfifo("pipe.png")
    before = cell.read_bytes()
    for out, why in ((cell, "the cell file"), (folder, "is a folder"), ("pipe.png", "no ordinary file")):
        assert why in refused(rung("search", "draw", cell, "--out", out))
        assert cell.read_bytes() == before
    said = refused(rung("search", "count", cell, "--channels", 10**12))
    assert "the network is too large to be counted: take fewer channels" in said
    said = refused(rung("search", "count", cell, "--image-size", 16, "--auxiliary"))
    assert "the auxiliary head reads squares of 8 to 10 pixels" in said
    assert "too small: this network halves them 2 times" in refused(
        rung("search", "count", cell, "--image-size", 2)
    )
    assert "--hidden does not apply to a cell for pictures" in refused(
        rung("search", "count", cell, "--hidden", 8)
    )
    file = write(folder, RECURRENT, "r.json")
    said = refused(rung("search", "count", file, "--channels", 8))
    assert "--channels does not apply to a recurrent cell: it takes --hidden, --vocabulary" in said
    for option in ("--channels", "--layers", "--classes", "--image-size"):
        assert rung("search", "count", cell, option, -1).exit_code == 2


OWN = """
from torch import nn
from rung.nas import Cell, Operation, Space

wide = Operation(lambda channels, stride, affine: nn.Conv2d(channels, channels, 5, stride, 2, bias=False))
mine = Space("mine", (Cell("normal", 1, ("none", "wide_conv")),), operations=(("wide_conv", wide),))
"""


def test_a_space_of_ones_own(rung, folder: Path) -> None:
    """Its operations are known where the file is named, and unknown otherwise."""
    (folder / "own_space.py").write_text(OWN)
    file = write(folder, {"normal": [["wide_conv", 0], ["wide_conv", 1]]})
    assert "unknown operation 'wide_conv'" in refused(rung("search", "count", file))
    sizes = ["--channels", 4, "--layers", 1, "--image-size", 8, "--json", "--space", "own_space.py:mine"]
    counted = json.loads(rung("search", "count", file, *sizes).stdout)
    none = write(folder, {"normal": [["none", 0], ["none", 1]]}, "none.json")
    assert (
        counted["parameters"] - json.loads(rung("search", "count", none, *sizes).stdout)["parameters"] == 800
    )
    for command in ("show", "draw"):
        assert rung("search", command, file, "--space", "own_space.py:mine").exit_code == 0
        assert "has no rung.nas.Space called other" in refused(
            rung("search", command, file, "--space", "own_space.py:other")
        )
    assert "unknown space 'no': there are darts" in refused(rung("search", "show", file, "--space", "no"))


def test_without_torch(rung, cell: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence where it is needed; drawing and showing go on, with operations that nobody can check."""
    monkeypatch.setattr("rung.deploy.extras.find_spec", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("rung.nas.drawing_picture.find_spec", lambda name: None)
    said = refused(rung("search", "count", cell))
    assert "rung search count needs torch, which is not installed: pip install 'rung[torch]'" in said
    assert "rung search needs torch" in refused(rung("search", "--data", "digits"))
    strange = write(folder, {"normal": [["my_conv", 0], ["none", 1]]}, "mine.json")
    assert rung("search", "show", strange).exit_code == 0
    assert rung("search", "draw", strange, "--out", folder / "a.svg").exit_code == 0
    said = refused(rung("search", "draw", cell, "--out", "a.png"))
    assert "needs matplotlib, which is not installed: pip install 'rung[viz]', or draw to a name that" in said


def test_draw_and_show_do_not_load_torch(cell: Path) -> None:
    import subprocess

    code = (
        "import sys\nfrom rung.cli import main\n"
        f"sys.argv = ['rung', 'search', COMMAND, {str(cell)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    for command in ("draw", "show"):
        run = [sys.executable, "-c", code.replace("COMMAND", repr(command))]
        done = subprocess.run(run, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_options_alone_search(rung, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed arrives at the search as an order."""
    orders: list[Any] = []
    module = types.ModuleType("rung.cli.search_run")
    module.run = orders.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rung.cli.search_run", module)
    typed = (
        "--strategy darts --data x.npz --cell cnn --preset small --budget 1h30m --epochs 7 --seed 3 "
        "--set batch=16 --set T0=1.5 --set mode=exact --limit 500 --cutout 16 --no-retrain --out a.json "
        "--report b.html --study s --json --space s2 --device cpu"
    )
    done = rung("search", *typed.split())
    assert done.exit_code == 0, done.stderr
    (order,) = orders
    assert (order.strategy, order.data, order.preset, order.budget) == ("darts", "x.npz", "small", 5400.0)
    assert order.settings == (("batch", 16), ("T0", 1.5), ("mode", "exact"))
    assert (order.limit, order.cutout, order.retrain, order.json) == (500, 16, False, True)
    assert (order.out, order.report, order.study, order.space) == ("a.json", "b.html", "s", "s2")
    assert (order.epochs, order.seed, order.device, order.storage) == (7, 3, "cpu", "rung.db")


def test_a_search_without_data_and_options_before_a_command(rung, cell: Path) -> None:
    assert "rung search needs --data" in refused(rung("search", "--seed", 1))
    said = refused(rung("search", "--seed", 1, "show", cell))
    assert "--seed belongs to a search" in said
    assert "Usage: rung search" in rung("search").output
    for name in ("draw", "show", "count"):
        assert name in rung("search", "--help").stdout


@pytest.mark.parametrize("text", ["batch", "=3", " =3"])
def test_settings_without_a_name_or_value(text: str) -> None:
    with pytest.raises(UserError, match="--set takes NAME=VALUE"):
        setting(text)


def test_settings_are_read_as_json_or_text() -> None:
    values = ("1", "1e-3", "true", "[1, 2]", "exact", "a=b", "")
    assert [setting(f"x={value}")[1] for value in values] == [1, 1e-3, True, [1, 2], "exact", "a=b", ""]


def test_the_result_of_a_broken_search_is_shown(rung, folder: Path) -> None:
    """Parts of another shape count as unknown."""
    file = write(folder, {"genotype": TEXT, "accuracy": 0.5, "cost": None})
    shown = json.loads(rung("search", "show", file, "--json").stdout)
    assert shown["genotype"] == FORM
    assert shown["accuracy"] == dict.fromkeys(search_cells.ACCURACIES)
