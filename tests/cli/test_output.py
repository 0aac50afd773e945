"""`rung.cli.output`: tables of many rows look as Rich's do."""

import json
import os
import subprocess
import sys

import pytest

import rung
from rung.cli import output

COLUMNS, RIGHT = ("study", "best", "time"), ("best", "time")


def by_rich(rows):
    table = output.grid(*COLUMNS, right=RIGHT)
    for row in rows:
        table.add_row(*row)
    output.out().print(table)


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "0.5", "1.0 s")],
        [("a long name [b]", "-", "1 h"), ("é漢字", "1e-05", "4.0 s"), ("", "", "")],
        [("two\nlines", "1", "2 s")],
        [("w" * 12_000, "1", "2 s")],
    ],
)
def test_rows_look_as_rich_lays_them_out(rows, capsys):
    by_rich(rows)
    expected = capsys.readouterr().out
    output.print_rows(COLUMNS, rows, right=RIGHT)
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("settings", "bold"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ({"TTY_COMPATIBLE": "1"}, True),
        ({"TTY_COMPATIBLE": "0", "FORCE_COLOR": "1"}, False),
    ],
)
def test_bold_is_shown_where_rich_shows_it(settings, bold, monkeypatch, capsys):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    console = output.out()
    console.print("study ", style="bold", end="")
    console.print("a")
    expected = capsys.readouterr().out
    output.print_bold("study ", "a")
    assert capsys.readouterr().out == expected
    assert ("\x1b" in expected) == bold


def test_a_terminal_folds_lines_and_shows_bold(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert output.room() == 30
    output.print_rows(COLUMNS, [("a", "0.5", "1.0 s"), ("w" * 40, "1", "2 s")], right=RIGHT)
    assert max(map(len, capsys.readouterr().out.splitlines()[1:])) <= 30
    output.print_rows(COLUMNS, [("a", "0.5", "1.0 s")], right=RIGHT)
    assert capsys.readouterr().out.startswith("\x1b[1mstudy   best    time\x1b[0m\n")


def test_many_rows_are_laid_out_without_rich(monkeypatch, capsys):
    monkeypatch.setattr("rich.console.Console.__init__", None)  # to use it would be an error
    output.print_rows(COLUMNS, [(f"study-{i}", "0.5", "1.0 s") for i in range(1000)], right=RIGHT)
    assert len(capsys.readouterr().out.splitlines()) == 1002


def printed(*words, **settings):
    """The command in a process of its own, with these settings of its environment."""
    environment = {**os.environ, **settings}
    return subprocess.run(
        [sys.executable, "-m", "rung", *words], env=environment, capture_output=True, check=False
    )


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with rung.Study({"größe": rung.Float(0, 1)}, storage="rung.db", study="café") as study:
        study.tell({"größe": 0.5}, 1.0)
    return "café"


def test_what_an_encoding_lacks_is_printed_as_escapes(study):
    done = printed("list", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"caf\\xe9" in done.stdout
    done = printed("list", "--json", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)[0]["name"] == study
    done = printed("show", "no\xe9", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert b"no study 'no\\xe9'" in done.stderr


@pytest.mark.parametrize(("stream", "code"), [(">&-", 0), ("2>&-", 0), ("> /dev/full", 1)])
def test_where_nothing_can_be_printed(study, stream, code):
    command = f'"{sys.executable}" -m rung list {stream}'
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code
    said = "error: the results cannot be written (No space left on device): print them where there is room\n"
    assert done.stderr == (said if code else "")
