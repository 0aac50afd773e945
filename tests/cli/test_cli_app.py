"""What holds for all commands: help, version, exit codes, streams, colours."""

import os
import pty
import re
import subprocess
import sys

import pytest

import rung as package
from rung.cli.app import COMMANDS as PLACES

COMMANDS = """
audit check dashboard delete doctor enqueue evaluate explain export export-model extend fit fix import
importance leaderboard list logs methods monitor note pause plan plot predict rename report resume search
serve service show stop storage tell tune worker
"""


def test_every_command_is_there_and_has_help(rung) -> None:
    names = list(PLACES)
    assert sorted(names) == COMMANDS.split()
    for name in names:
        shown = rung(name, "--help")
        assert shown.exit_code == 0
        assert f"Usage: rung {name} " in shown.stdout


def test_version(rung) -> None:
    assert rung("--version").stdout == f"rung {package.__version__}\n"


def test_no_command_shows_the_help(rung) -> None:
    assert "Usage: rung" in rung().output


@pytest.mark.parametrize(
    "args", [["tune"], ["nonsense"], ["tune", "x.py", "--trials", "many"], ["list", "--nope"]]
)
def test_wrong_usage_exits_with_2(rung, args: list[str]) -> None:
    done = rung(*args)
    assert done.exit_code == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("tune x.py --trials many", "--trials must be a whole number, not many (see rung tune --help)"),
        ("list --limit 0", "--limit must be at least 1, not 0 (see rung list --help)"),
        ("service --rate x", "--rate must be a number, not x (see rung service --help)"),
        ("tune --nope", "rung tune has no option --nope; is it --mode"),
        ("--nope", "rung has no option --nope (see rung --help)"),
        ("nope", "no such command 'nope': did you mean 'note'? (see rung --help)"),
        ("show", "NAME is missing (see rung show --help)"),
        ("show a b", "rung show has no use for b (see rung show --help)"),
        (
            "storage check postgresql://ann:secret@host/db",
            "rung storage check has no use for postgresql://...; a storage is named by --storage (see rung "
            "storage check --help)",
        ),
        ("service token create --user", "option '--user' requires an argument"),
    ],
)
def test_a_command_line_that_is_not_understood_is_one_sentence(rung, typed, said) -> None:
    done = rung(*typed.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}")
    assert len(done.stderr.splitlines()) == 1


def test_bad_input_is_one_sentence_and_2(rung) -> None:
    done = rung("show", "nobody")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert re.fullmatch(r"error: there is no study 'nobody' in .*\n", done.stderr)


def test_verbose_adds_the_traceback(rung) -> None:
    assert "Traceback" not in rung("show", "nobody").stderr
    assert "Traceback" in rung("show", "nobody", "-v").stderr


def test_volume_stands_anywhere(rung, objective) -> None:
    before = rung("-q", "tune", objective, "--trials", 3, "--executor", "inline", "--study", "a")
    after = rung("tune", objective, "--trials", 3, "--executor", "inline", "--study", "b", "-q")
    assert before.stderr == after.stderr == ""
    assert before.stdout == after.stdout != ""


def test_what_follows_two_dashes_is_no_option(rung) -> None:
    assert "there is no study '-q'" in rung("show", "--", "-q").stderr


def test_an_interrupt_is_130(rung, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rung.cli.store.open_reader", interrupted)
    assert rung("list").exit_code == 130


def test_an_interrupt_waits_for_no_fit() -> None:
    """Python waits for threads before a process ends."""
    code = """
import time
import rung.cli.store
from rung.cli import main
from rung.tabular.interrupts import threads

def interrupted(*_):
    with threads(1) as pool:
        pool.submit(time.sleep, 600)
        raise KeyboardInterrupt

rung.cli.store.open_reader = interrupted
main(["list"])
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 130


def test_our_own_errors_are_not_hidden(rung, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rung.cli.store.open_reader", broken)
    assert isinstance(rung("list").exception, ZeroDivisionError)


@pytest.mark.parametrize("command", [["-m", "rung"], ["-c", "from rung.cli import main; main()"]])
def test_as_a_process(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command, "show", "nobody"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_a_warning_is_one_line() -> None:
    code = "import warnings, rung.cli.output as o; o.show_warnings(); warnings.warn('mind the gap')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: mind the gap\n"


def on_a_terminal(*args: str, **environment: str) -> str:
    """What a command writes when all its streams are a terminal."""
    master, slave = pty.openpty()
    known = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environment}
    command = [sys.executable, "-m", "rung", *args]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=known)
    os.close(slave)
    written = b""
    try:
        while data := os.read(master, 65536):
            written += data
    except OSError:  # Linux says so when the other end is closed
        pass
    process.wait()
    os.close(master)
    return written.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")
MOVING = re.compile(r"\x1b\[\d*[AK]|\x1b\[\?25l")


def test_colours_and_moving_lines_only_on_a_terminal(objective: str) -> None:
    tune = ("tune", objective, "--trials", "6", "--executor", "inline")
    shown = on_a_terminal(*tune)
    assert COLOUR.search(shown)
    assert MOVING.search(shown)
    assert not COLOUR.search(on_a_terminal(*tune, NO_COLOR="1"))
    done = subprocess.run([sys.executable, "-m", "rung", *tune], capture_output=True, text=True)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr


def test_a_narrow_terminal_leaves_commands_whole(objective: str) -> None:
    tune = ("tune", objective, "--trials", "2", "--executor", "inline", "--study", "a long name" * 5)
    shown = on_a_terminal(*tune, COLUMNS="40")
    assert f"all trials: rung show '{'a long name' * 5}'" in shown


def test_completion_is_offered(rung, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RUNG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "rung ren")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = subprocess.run([sys.executable, "-m", "rung"], capture_output=True, text=True)
    assert done.stdout.strip() == "rename"
