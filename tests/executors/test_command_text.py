"""`rung.executors.command_text`: placeholders, and the words that values make of a command."""

import re
import shlex
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rung
from rung.errors import StudyError
from rung.executors.command_text import argv, check, names, program, script

CONFIG = {"lr": 1e-05, "layers": 3, "optimizer": "sgd", "nesterov": True, "decay": None, "model.size": "a b"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python train.py --lr {lr}", ["python", "train.py", "--lr", "1e-05"]),
        ("./run --lr={lr} -n{layers} {nesterov} {decay}", ["./run", "--lr=1e-05", "-n3", "true", "null"]),
        ("run '{optimizer} {layers}' {model.size}", ["run", "sgd 3", "a b"]),
        ("awk '{print $1}' {{lr}} {} {lr }", ["awk", "{print $1}", "{lr}", "{}", "{lr", "}"]),
        ('run ${lr} {"a":{"b":1}}', ["run", "${lr}", "{a:{b:1}}"]),
        ("run --momentum {momentum} --lr {lr}", ["run", "--lr", "1e-05"]),
        ("run --momentum={momentum} --lr {lr}", ["run", "--lr", "1e-05"]),
        ("run --a=1 {momentum} x{momentum}", ["run", "--a=1"]),
        ("run {momentum}", ["run"]),
        ("run --momentum sgd:{momentum} --lr {lr}", ["run", "--lr", "1e-05"]),
        ("run --fast --momentum={momentum} -n{layers} {momentum}", ["run", "--fast", "-n3"]),
        ("run --a {momentum} {momentum} - {momentum} -1 {momentum}", ["run", "-", "-1"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert argv(text, CONFIG) == words


@settings(max_examples=50)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_no_value_becomes_two_words_or_a_command(value: str) -> None:
    assert argv("run --x {x} y={x}", {"x": value}) == ["run", "--x", value, f"y={value}"]
    text = argv("run --x {x} {none}", {"x": value}, shell=True)[2]
    assert shlex.split(text) == ["run", "--x", value, ""]


@pytest.mark.parametrize("value", ["$(touch no)", "a'b", '"; exit 3; "', "`id`", "two words", "", "~", "*"])
def test_a_shell_gets_values_quoted(value: str, tmp_path) -> None:
    words = argv("printf '%s|' {x} | cat", {"x": value}, shell=True)
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == f"{value}|"
    assert list(tmp_path.iterdir()) == []


def test_numbers_read_back_the_same() -> None:
    for number in (0.1, 1 / 3, 1e-300, 123456789.123456789, 5e22):
        assert float(argv("run {x}", {"x": number})[1]) == number


@pytest.mark.parametrize("value", [-0.5, "-0.5", "--name", "-x"])
def test_a_value_is_no_option_whatever_it_looks_like(value: Any) -> None:
    assert argv("run --off {off} {momentum} {off} --end", {"off": value}) == [
        *("run", "--off", str(value), str(value), "--end")
    ]


def test_names_of_any_alphabet_are_placeholders() -> None:
    assert check("run {η} {größe} {_α.1-b}", ["η", "größe", "_α.1-b"]) == []
    assert argv("run --eta {η} {größe} {β}", {"η": 0.5, "größe": 3}) == ["run", "--eta", "0.5", "3"]


@pytest.mark.parametrize("name", ["learning rate", "3d", "a/b", "a,b"])
def test_a_parameter_that_no_placeholder_can_name_is_refused_in_braces_and_only_there(name: str) -> None:
    for text in (f"run {{{name}}}", f"run '{{{name}}}' {{lr}}", f"run {{{name}:.3f}}"):
        with pytest.raises(StudyError, match=rf"no placeholder can name the parameter '{name}'.*RUNG_CONFIG"):
            check(text, ["lr", name])
    assert check("run {lr} '{print $1}'", ["lr", name]) == [name]


def test_check_tells_what_is_not_mentioned() -> None:
    assert check("run {lr} {RUNG_RESOURCE}", ["lr", "layers", "a-b"]) == ["layers", "a-b"]
    assert check("run {a-b} {lr}", ["lr", "a-b"]) == []
    assert names("{a} {b} {{c}} {a}") == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("run --lr {lr", "{lr, with no closing brace"),
        ("run {lr --m {a-b}", "{lr, with no closing brace"),
        ("run {lr}{RUNG_SEED", "{RUNG_SEED, with no closing brace"),
        ("run {lr:.3f}", "{lr:.3f}, with more than the name"),
        ("run { lr }", "{ lr }, with more than the name"),
    ],
)
def test_half_a_placeholder_is_refused(text: str, written: str) -> None:
    with pytest.raises(StudyError, match=re.escape(f"the command has {written}")):
        check(text, ["lr", "a-b"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("awk '{lr = 1; print $1}'", ["awk", "{lr = 1; print $1}"]),
        ("run '{'lr", ["run", "{lr"]),
        ("run '{'lr:.3f}", ["run", "{lr:.3f}"]),
        ("run ${lr:-3} {lr,b}", ["run", "${lr:-3}", "{lr,b}"]),
    ],
)
def test_braces_that_are_text_stay(text: str, words: list[str]) -> None:
    check(text, ["lr"])
    assert argv(text, {"lr": 0.1}) == words


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run {lrr}", r"the command has \{lrr\}, which is no parameter: did you mean \{lr\}\?"),
        ("run {rung_resource}", "which is no parameter"),
        ("run {RUNG_RESORCE}", r"did you mean \{RUNG_RESOURCE\}\?"),
        ("run {qqq}", r"the space has lr, layers\. For the text itself write \{\{qqq\}\}"),
        ("  ", "the command is empty"),
        ("'' ''", None),
        ("#", None),
        ("run 'x", "cannot be cut into words: No closing quotation"),
    ],
)
def test_check_refuses(text: str, sentence: str | None) -> None:
    if sentence is None:
        check(text, ["lr"])
        return
    with pytest.raises(StudyError, match=sentence):
        check(text, ["lr", "layers"])


def test_what_is_run() -> None:
    assert program("python train.py {lr}") == "python"
    assert script("python train.py {lr}") == "train.py"
    assert script("python -m train {lr}") is None
    assert script("python {file}.py") is None
    assert script("cat result.json") is None
    assert (program("cd x && y", shell=True), script("cd x", shell=True)) == ("/bin/sh", None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("run 'x", "cannot be cut into words"),
        (["run"], "is one text"),
        (None, "is one text"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_when_it_is_made(text: Any, sentence: str) -> None:
    with pytest.raises(StudyError, match=sentence):
        rung.Command(text)
