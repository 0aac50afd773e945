"""The README's own commands and programs, run as they stand, but with smaller budgets."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SHELL = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SMALLER = {"--budget": 4, "--trials": 5}  # seconds; trials
ENOUGH = {**SMALLER, "--trials": 12}  # as many as `rung importance` needs
COMMANDS = [[line for line in block.splitlines() if line.startswith("rung ")] for block in SHELL]


def run(command: list[str], folder: Path) -> str:
    """What a command prints in `folder`; it must succeed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("RUNG_STORAGE", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def smaller(words: list[str], budgets: dict[str, int]) -> list[str]:
    """The command with budgets that are soon spent."""
    return [str(budgets.get(before, word)) for before, word in zip(["", *words], words, strict=False)]


@pytest.mark.parametrize("lines", [lines for lines in COMMANDS if lines], ids=lambda lines: lines[0][:30])
def test_the_commands(lines: list[str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    budgets = ENOUGH if any("importance" in line for line in lines) else SMALLER
    for line in lines:
        words = smaller(shlex.split(line), budgets)
        run([sys.executable, "-m", *words], tmp_path)
        if "--out" in words:
            assert (tmp_path / words[words.index("--out") + 1]).stat().st_size > 0


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_the_programs(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    assert run([sys.executable, "-W", "error::DeprecationWarning:__main__", "program.py"], tmp_path).strip()


def test_the_make_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make ([\w-]+)", README, re.MULTILINE)
    assert targets[:2] == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_links_lead_somewhere() -> None:
    for page in ROOT.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (ROOT / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("name", ["function", "training", "tradeoff"])
def test_the_examples_are_programs(name: str, tmp_path: Path) -> None:
    assert "best" in run([sys.executable, str(ROOT / "examples" / f"{name}.py")], tmp_path)


@pytest.mark.long
def test_the_tables_example(tmp_path: Path) -> None:
    assert "accuracy" in run([sys.executable, str(ROOT / "examples" / "table.py")], tmp_path)
