"""A command with placeholders, `python train.py --lr {lr}`, and the words that a configuration makes of it.

A placeholder is a parameter's name in braces, or the name of one of the variables that the program finds in
its environment, as `{RUNG_RESOURCE}`. Other braces stay as they are, so that `awk '{print $1}'` needs nothing
special; `{{lr}}` is the text `{lr}` itself. A parameter's name with half of its braces, or with more than
itself in them (`{lr`, `{lr:.3f}`), is refused: a program would be given that text in place of the value. So
is one in braces that no placeholder can name, as `{learning rate}`: a placeholder is made of letters of any
alphabet, digits, `_`, `.` and `-`, so that most braces of other languages are none.

Without a shell the command is cut into words first, by the shell's rules of quoting, and values are put into
the words: no value can become two words, or a command. With a shell each value is quoted.

A parameter that is not active has no value. The word that names it is left out, and with it the option just
before: of `--momentum {momentum}` nothing is left. What is an option is said by the command as it is written,
not by values. In a shell the placeholder is the empty string.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from rung.errors import StudyError

VARIABLES: Final = (
    "RUNG_ANSWERS",
    "RUNG_CHECKPOINT",
    "RUNG_CONFIG",
    "RUNG_DEVICES",
    "RUNG_PROTOCOL",
    "RUNG_RESOURCE",
    "RUNG_SEED",
    "RUNG_START",
    "RUNG_STUDY",
    "RUNG_TRIAL",
)
"""What the program finds in its environment; see docs/protocol.md."""

_NAME: Final = r"[^\W\d][\w.\-]*"
_HOLE: Final = re.compile(r"\{\{(?P<text>" + _NAME + r")\}\}|(?<!\$)\{(?P<name>" + _NAME + r")\}")

# a brace that none closes before the next one opens; a name with blanks or a format beside it in its braces
_HALF: Final = re.compile(
    r"(?<![{$])\{(?P<half>" + _NAME + r")(?=[^{}]*(?:\{|\Z))"
    r"|(?<![{$])\{[^\S\n]*(?P<more>" + _NAME + r")[^\S\n]*(?:[:!][^{}\s]*)?\}"
)


_OPTION: Final = re.compile(r"--?[^\W\d][^=]*")  # no negative number, nor one that brings its value


def names(text: str) -> list[str]:
    """The names in a command's placeholders, each once, in order."""
    return list(dict.fromkeys(match["name"] for match in _HOLE.finditer(text) if match["name"]))


def check(text: str, parameters: Collection[str], *, shell: bool = False) -> list[str]:
    """Refuse a command that no configuration can run; returns the parameters that it does not mention.

    Raises:
        StudyError: it is empty, its quotes do not match, a placeholder is not in the space or lacks a brace.
    """
    check_words(text, shell=shell)
    known = [*parameters, *VARIABLES]
    found = names(text)
    for name in found:
        if name not in known:
            close = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {{{close[0]}}}?" if close else f"the space has {', '.join(parameters)}."
            raise StudyError(
                f"the command has {{{name}}}, which is no parameter: {hint} "
                f"For the text itself write {{{{{name}}}}}"
            )
    _check_braces(text, known)
    _check_named(text, parameters)
    return [name for name in parameters if name not in found]


def _check_braces(text: str, known: Collection[str]) -> None:
    """Refuse what would be a placeholder, had it the right braces with the name alone in them."""
    for match in _HALF.finditer(text):
        name, written = match["half"] or match["more"], match[0]
        if name in known and written != f"{{{name}}}":
            wrong = "no closing brace" if match["half"] else "more than the name in its braces"
            raise StudyError(
                f"the command has {written}, with {wrong}: write {{{name}}} for the value, "
                f"or for the text itself quote the brace alone, as '{{'{written[1:]}"
            )


def _check_named(text: str, parameters: Collection[str]) -> None:
    """Refuse a parameter in braces that no placeholder can name: the program would be given the braces."""
    for name in parameters:
        braced = re.search(r"(?<![{$])\{\s*" + re.escape(name) + r"\s*(?:[:!][^{}\s]*)?\}", text)
        if braced is not None and re.fullmatch(_NAME, name) is None:
            raise StudyError(
                f"the command has {braced[0]}, but no placeholder can name the parameter {name!r}: its name "
                "is not letters, digits, _, . and - with a letter first; give it another name, or read its "
                "value from the file that RUNG_CONFIG names"
            )


def check_words(text: str, *, shell: bool = False) -> None:
    """Refuse what is no text, an empty command, and one whose quotes do not match.

    Raises:
        StudyError: it is one.
    """
    if not isinstance(text, str):
        raise StudyError(f"a command is one text, as 'python train.py --lr {{lr}}', not {text!r}")
    if not text.strip():
        raise StudyError("the command is empty: write it as 'python train.py --lr {lr}'")
    if not shell:
        _words(text)


def argv(text: str, values: Mapping[str, Any], *, shell: bool = False) -> list[str]:
    """What is to be run for these values, by name: the program and its arguments."""
    if shell:
        return ["/bin/sh", "-c", _filled(text, values, quoted=True)]
    first, *others = _words(text)
    words, after_option = [_filled(first, values)], False
    for word in others:
        if all(name in values for name in names(word)):
            words.append(_filled(word, values))
            after_option = _is_option(word)
        else:
            if after_option and not word.startswith("-"):
                words.pop()  # the option that it was the value of
            after_option = False
    return words


def _is_option(word: str) -> bool:
    """Whether a word, as it is written in the command, is an option whose value would be the next word."""
    return _OPTION.fullmatch(word) is not None and not names(word)


def program(text: str, *, shell: bool = False) -> str:
    """The program that a command runs, as it is named."""
    return "/bin/sh" if shell else _words(text)[0]


def script(text: str, *, shell: bool = False) -> str | None:
    """The file that an interpreter is given right after its name, as `train.py` in `python train.py`."""
    words: Sequence[str] = () if shell else _words(text)
    if len(words) < 2 or names(words[1]) or not words[1].endswith(_SCRIPTS):
        return None
    return words[1]


_SCRIPTS: Final = (".py", ".sh", ".js", ".mjs", ".R", ".jl", ".pl", ".rb", ".lua", ".awk", ".m")


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise StudyError(f"the command {text!r} cannot be cut into words: {error}") from error
    if not words:
        raise StudyError(f"the command {text!r} has no word")
    return words


def _filled(text: str, values: Mapping[str, Any], *, quoted: bool = False) -> str:
    def value(match: re.Match[str]) -> str:
        if match["text"]:
            return f"{{{match['text']}}}"
        said = spelt(values[match["name"]]) if match["name"] in values else ""
        return shlex.quote(said) if quoted else said

    return _HOLE.sub(value, text)


def spelt(value: Any) -> str:
    """A value as an argument: text as it is, `true` and `false`, numbers so that they read back the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, list | dict):  # of a parameter whose values are lists
        return json.dumps(value, ensure_ascii=False)
    return str(value)
