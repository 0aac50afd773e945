"""`rung.cli.values`: what Typer need not read is handed on, and all else is read as ever."""

from typing import Any

import pytest
import typer

from rung.cli.app import COMMANDS, app


def param_of(command: str, name: str) -> Any:
    group: Any = typer.main.get_command(app)
    context = group.make_context("rung", [command, "--help"], resilient_parsing=True)
    found = group.get_command(context, command)
    return next(param for param in found.params if param.name == name)


@pytest.mark.skipif(not hasattr(param_of("list", "limit"), "get_runtime_param"), reason="an older Typer")
@pytest.mark.parametrize(
    ("command", "name", "value", "read"),
    [
        ("list", "limit", None, None),
        ("list", "storage", "studies.db", "studies.db"),
        ("list", "limit", "3", 3),
        ("list", "limit", " 3 ", 3),
        ("list", "limit", "+3", 3),
        ("show", "top", 10, 10),
        ("show", "top", "4", 4),
    ],
)
def test_values_are_read(command: str, name: str, value: Any, read: Any) -> None:
    param = param_of(command, name)
    assert param.get_runtime_param().coerce(value, param=param, ctx=None) == read


def test_what_is_typed_wrong_is_refused_in_a_sentence(rung: Any) -> None:
    for words, said in (
        (("list", "--limit", "0"), "--limit must be at least 1, not 0"),
        (("list", "--limit", "x"), "--limit must be a whole number, not x"),
        (("show", "s", "--top", "-1"), "--top must be at least 0, not -1"),
        (("show", "\udcff"), "there is no study"),
    ):
        done = rung(*words)
        assert done.exit_code == 2
        assert said in done.stderr


def test_every_command_can_be_loaded() -> None:
    group: Any = typer.main.get_command(app)
    context = group.make_context("rung", ["list"], resilient_parsing=True)
    for name in COMMANDS:
        assert group.get_command(context, name) is not None
