"""`rung plan` on real files, and its curve given to `rung tune`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from rung.storage import open_storage
from rung.trials.events import JobStarted

pytest.importorskip("torch")

README = (Path(__file__).parents[2] / "README.md").read_text()
MODEL = """
import torch
from torch import nn


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 512), nn.ReLU(), nn.Linear(512, 10))


def pair():
    return build(), torch.zeros(1, 3, 4, 4)


def other():
    return "no module"


def broken():
    raise ValueError("no weights here")


number = 3
layer = nn.Linear(48, 10)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(50, 8), nn.Linear(8, 50)

    def forward(self, x):
        return self.out(self.words(x))
"""
HARDWARE = """
[device]
name = "v100-sxm2"
[machine]
devices = 4
[links]
inside = "nvlink2"
between = "ethernet-10g"
"""


@pytest.fixture
def model(folder: Path) -> str:
    (folder / "hardware.toml").write_text(HARDWARE)
    (folder / "planned_model.py").write_text(MODEL)
    return "planned_model.py"


def test_a_table_a_number_and_a_drawing(rung, model: str) -> None:
    done = rung(
        "plan", model, "--input", "3,4,4", "--batch", 65536, "--devices", "1,2,4,8", "--plot", "c.html"
    )
    assert done.exit_code == 0, done.stderr
    assert "30,218 parameters" in done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    counts = [(row[0], row[1]) for row in rows if row and row[0].isdecimal()]
    assert counts == [("1", "1"), ("2", "1"), ("4", "1"), ("8", "2")]
    assert "100%" in done.stdout
    assert "devices for an efficiency of 75%: " in done.stdout
    assert "Training over devices, batch 65536" in Path("c.html").read_text()


def test_json_says_what_the_table_does(rung, model: str) -> None:
    options = (
        "--batch",
        4096,
        "--devices",
        "2,8",
        "--efficiency",
        0.5,
        "--weak",
        "--overlap",
        "--scheme",
        "tree",
    )
    told = json.loads(rung("plan", f"{model}:pair", *options, "--json").stdout)
    assert list(told["speedups"]) == ["1", "2", "8"]
    assert told["flops"] == 2 * (48 * 512 + 512 * 10) * 2 + 2 * 512 * 10  # no gradient of the input
    assert [point["devices"] for point in told["points"]] == [2, 8]
    assert told["training"]["weak"] is True
    assert told["devices"] == max([p["devices"] for p in told["points"] if p["efficiency"] >= 0.5], default=1)


def test_what_the_command_line_says_beats_the_file(rung, model: str) -> None:
    def sent(*options: object) -> float:
        told = json.loads(rung("plan", f"{model}:pair", "--devices", "4", *options, "--json").stdout)
        return told["points"][0]["communication"]

    assert sent("--per-machine", 1) > 10 * sent()
    assert sent("--inside", "pcie3-x16") > 1.3 * sent("--inside", "nvlink4")


def test_steps_are_timed_here(rung, model: str) -> None:
    done = rung("plan", f"{model}:pair", "--batch", 32, "--devices", "1,2", "--calibrate")
    assert done.exit_code == 0, done.stderr
    assert "timing steps of 16 and 32 samples" in done.stderr
    assert "achieved of the peak: memory " in done.stderr


def test_its_curve_is_what_tune_reads(
    rung, model: str, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = rung("plan", f"{model}:pair", "--batch", 65536, "--json").stdout
    Path("curve.json").write_text(told)
    scaling = (
        "--devices",
        "auto",
        "--scaling",
        "curve.json",
        "--efficiency",
        0.05,
        "--executor",
        "simulated",
    )
    Path("simple.py").write_text(
        "import rung\nspace = {'x': rung.Float(0, 1)}\nresource = ('step', 1, 9)\n"
        "def train(config, budget):\n    return config['x'] + 1 / budget\n"
    )
    done = rung(
        "tune", "simple.py", "--trials", 9, "--workers", 9, "--study", "s", "--sampler", "random", *scaling
    )
    assert done.exit_code == 0, done.stderr
    storage = open_storage("rung.db")
    started = [event for event in storage.read("s") if isinstance(event, JobStarted)]
    storage.close()
    assert {event.devices for event in started if event.until == 1} == {1}
    assert max(event.devices for event in started) > 1
    assert rung("audit", "s").exit_code == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "name the module"),
        (("planned_model.py",), "--input 3,224,224"),
        (("planned_model.py:number",), "planned_model.py:number is no function"),
        (("planned_model.py:other",), "returned str, no torch module"),
        (("planned_model.py:missing",), "no function 'missing'"),
        (("planned_model.py:broken",), "broken() raises ValueError: no weights here"),
        (("planned_model.py:pair", "--input", "3,5,5"), "a training step of Sequential cannot be read"),
        (("planned_model.py:pair", "--plot", "curve.bmp"), "must end in .html"),
        (("planned_model.py:pair", "--plot", "no/curve.html"), "the folder no does not exist"),
        (("planned_model.py:pair", "--devices", "1,x"), "--devices '1,x' is not understood"),
        (("planned_model.py:pair", "--hardware", "a100"), "'a100-sxm4-40gb' or 'a100-sxm4-80gb'?"),
        (("planned_model.py:pair", "--between", "string"), "--between: no link 'string'"),
        (("planned_model.py:pair", "--precision", "float8"), "no peak for 'float8'"),
        (("planned_model.py:pair", "--batch", 2), "cannot be split over 8"),
        (("--measure",), "hardware.toml exists"),
    ],
)
def test_bad_input_is_a_sentence(rung, model: str, args: tuple[object, ...], words: str) -> None:
    done = rung("plan", *args)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_commands_of_the_readme_go_together(rung, objective: str) -> None:
    """The number of trials apart."""
    Path(objective).rename("train.py")
    Path("model.py").write_text(MODEL.replace("build()", "plain()").replace("pair()", "build()"))
    lines = [line for line in README.splitlines() if line.startswith(("$ rung plan", "$ rung tune train.py"))]
    plan, tune = (next(line for line in lines if words in line) for words in ("rung plan", "--devices auto"))
    command, _, place = plan.partition("#")[0].partition(">")
    done = rung(*shlex.split(command)[2:])
    assert done.exit_code == 0, done.stderr
    Path(place.strip()).write_text(done.stdout)
    done = rung(*shlex.split(tune.replace("--trials 1000", "--trials 3"))[2:], "--sampler", "random")
    assert done.exit_code == 0, done.stderr


def test_tune_refuses_what_makes_no_sense(rung, objective: str) -> None:
    for options, words in (
        (("--devices", "auto"), "devices='auto' needs to know how training scales"),
        (("--devices", "auto"), "a file (--scaling FILE), as `rung plan ... --json > FILE` writes it"),
        (("--devices", "some"), "not 'some'"),
        (("--efficiency", 0.5), "give it with --devices auto"),
    ):
        done = rung("tune", objective, "--trials", 2, *options)
        assert done.exit_code == 2
        assert words in done.stderr
        assert not Path("rung.db").exists()  # no study is left behind
    done = rung("tune", objective, "--trials", 2, "--devices", 3, "--workers", 2)
    assert done.exit_code == 2
    assert "devices=3 takes as many workers, and there are 2" in done.stderr


@pytest.mark.parametrize(("named", "size"), [("layer", "48"), ("Words", "16")])
def test_a_module_itself_and_one_that_reads_tokens(rung, model: str, named: str, size: str) -> None:
    done = rung("plan", f"{model}:{named}", "--input", size, "--hardware", "v100", "--devices", "1,2")
    assert done.exit_code == 0, done.stderr
    assert "on v100-sxm2, 1 to a machine, " in done.stderr
