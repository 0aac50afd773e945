"""What `rung tune` says before it starts: the method and why, its rungs, what they cost."""

from pathlib import Path

import pytest

FILE = """
import rung

space = {"x": rung.Float(0.0, 1.0)}
"""
TRAIN = """

def train(config, budget=1):
    return {"error": config["x"] / (budget or 1)}
"""
RUNGS = "rungs: r = 1, R = 27 epochs, eta = 3: 1, 3, 9, 27"


@pytest.fixture
def said(rung, folder: Path):
    """The lines that `rung tune train.py --trials N` says with these settings in the file."""

    def say(settings: str, *args: object) -> list[str]:
        (folder / "train.py").write_text(FILE + settings + TRAIN)
        done = rung("tune", "train.py", "--plan", *args)
        assert done.exit_code == 0, done.stderr
        return done.stderr.splitlines()

    return say


def test_a_file_and_a_number_of_trials_are_enough_for_asha(rung, folder: Path) -> None:
    (folder / "train.py").write_text(FILE + "resource = ('epoch', 1, 9)\nmetric = 'error'\n" + TRAIN)
    done = rung("tune", "train.py", "--trials", 4)
    assert done.exit_code == 0, done.stderr
    assert "sampler auto, scheduler asha" in done.stderr
    assert "4 trials, all that was asked for" in done.stderr
    assert done.stdout.startswith("best error ")


def test_rungs_and_cost(said) -> None:
    lines = said("resource = ('epoch', 1, 27)\nmetric = 'error'\n", "--trials", 1000)
    default = "asha, the default with a resource and a number of trials"
    assert f"{default}: successive halving without barriers, by promotion" in lines
    assert any(line.startswith("auto, the default: chooses among the others") for line in lines)
    assert "rungs: r = 1, R = 27 epochs, eta = 3: 1, 3, 9, 27 (times 3 each; 1 in 3 goes on)" in lines
    rows = [line.split()[-3:] for line in lines]
    numbers = [[int(word) for word in row] for row in rows if row and all(map(str.isdigit, row))]
    assert numbers == [[1, 1000, 1000], [3, 333, 998], [9, 111, 996], [27, 37, 994]]
    # 1000 * 1 + 333 * 2 + 111 * 6 + 37 * 18 = 2998, and 27 of them are R
    (cost,) = (line for line in lines if line.startswith("cost: "))
    assert cost.startswith("cost: about 2,998 epochs (111 R), at most 26,864 (995 R)")
    assert cost.endswith("every configuration up to R would cost 27,000 (1,000 R)")


def test_a_ladder_that_is_no_power_of_eta(said) -> None:
    lines = said("resource = ('epoch', 1, 100)\n", "--budget", "1m")
    rungs = "rungs: r = 1, R = 100 epochs, eta = 3: 1, 3, 9, 27, 100"
    assert f"{rungs} (times 3 each, the last step wider, so that it ends at R; 1 in 3 goes on)" in lines
    assert any("a round, over and over until the budget ends it" in line for line in lines)


@pytest.mark.parametrize(
    ("settings", "args", "line"),
    [
        (
            "",
            [],
            "plain, the default without a resource: every configuration straight to the largest resource",
        ),
        ("resource = ('epoch', 9, 9)\n", [], "plain, the default where r = R: every configuration straight"),
        (
            "resource = ('epoch', 1, 9)\n",
            ["--scheduler", "hyperband"],
            "hyperband, asked for: successive halving",
        ),
        (
            "resource = ('epoch', 1, 9)\n",
            ["--sampler", "kde"],
            "kde, asked for: draws near good configurations",
        ),
    ],
)
def test_why(said, settings: str, args: list, line: str) -> None:
    lines = said(settings, "--trials", 20, *args)
    assert any(each.startswith(line) for each in lines), lines


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--scheduler", "plain"], "resource: r = 1, R = 27 epochs"),
        (["--scheduler", "pbt"], "resource: r = 1, R = 27 epochs"),
        (["--scheduler", "hyperband"], f"{RUNGS} (times 3 each; 1 in 3 goes on)"),
        (["--scheduler", "freeze-thaw"], f"{RUNGS} (times 3 each)"),
    ],
)
def test_where_a_search_stops(said, args: list, line: str) -> None:
    assert line in said("resource = ('epoch', 1, 27)\n", "--trials", 20, *args)


def test_quiet(rung, folder: Path) -> None:
    (folder / "train.py").write_text(FILE + TRAIN)
    assert rung("-q", "tune", "train.py", "--plan", "--trials", 2).stderr == ""
