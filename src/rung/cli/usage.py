"""What is wrong with a command line that cannot be understood, in one sentence."""

from __future__ import annotations

import re
from typing import Any, Final

import typer

USAGE: Final[type[Exception]] = typer.BadParameter.__mro__[1]  # of all such errors
_HELP: Final = "NoArgsIsHelpError"  # no error: nothing was typed, and the help is shown


def sentence(error: Any) -> str | None:
    """What to say; None: it says all that is to be said itself.

    Args:
        error: one of `USAGE`.
    """
    kind = type(error).__name__
    if kind == _HELP:
        return None
    if kind == "MissingParameter":
        text = f"{_name(error)} is missing"
    elif isinstance(error, typer.BadParameter):
        text = f"{_name(error)} {_why(error)}"
    elif kind == "NoSuchOption":
        text = _unknown(error)
    else:
        text = _rephrased(str(error.format_message()).rstrip("."), _command(error))
    return f"{text} (see {_command(error)} --help)"


def _command(error: Any) -> str:
    return str(error.ctx.command_path) if error.ctx is not None else "rung"


def _rephrased(said: str, command: str) -> str:
    surplus = re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", said)
    if surplus is not None:
        named = re.sub(r"([\w+]+://)\S+", r"\1...", surplus[1])  # which may hold a password
        hint = "; a storage is named by --storage" if named != surplus[1] else ""
        return f"{command} has no use for {named}{hint}"
    return said[:1].lower() + said[1:].replace(". Did you mean", ": did you mean")


def _name(error: Any) -> str:
    """The option or the argument that it is about, as it is typed."""
    param = error.param
    if param is None:
        return str(error.param_hint or "a value")
    options = [name for name in param.opts if name.startswith("-")]
    return max(options, key=len) if options else str(param.metavar or param.name.upper())


def _why(error: Any) -> str:
    """What the value must be, and what it is."""
    from rung.service.field_words import words_of

    cause = error.__cause__
    if not hasattr(cause, "errors"):
        return f"is not usable: {error.message}"
    first = cause.errors()[0]
    words = re.sub(r"^'.*' is not one of (.*?)\.?$", r"must be one of \1", words_of(first))
    return f"{words}, not {first['input']}"


def _unknown(error: Any) -> str:
    near = sorted(error.possibilities or ())
    hint = f"; is it {' or '.join(near)}?" if near else ""
    return f"{_command(error)} has no option {error.option_name}{hint}"
