"""Finding the user's objective and space, and what is said when they aren't there."""

from pathlib import Path

import pytest

from rung.cli.objective import load_objective, load_space, setting
from rung.errors import UserError
from rung.space import compile_space


def refused(text: str, space: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load_space(space, load_objective(text))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_default_function_is_train(objective: str) -> None:
    assert load_objective(objective).function.__name__ == "train"
    assert load_objective(f"{objective}:plain").function({"x": 2.0}) == {"score": 2.0, "cost": 1.0}


def test_the_files_own_folder_is_importable(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "helper_of_mine.py").write_text("ANSWER = 42\n")
    (folder / "deep" / "uses_helper.py").write_text(
        "import helper_of_mine\ndef train(c): return helper_of_mine.ANSWER\n"
    )
    assert load_objective("deep/uses_helper.py").function({}) == 42


def test_no_such_file_names_the_closest(objective: str) -> None:
    assert f"did you mean {objective}?" in refused(objective.replace("objective", "objektive"))
    assert "there is no file far/away.py" in refused("far/away.py")
    assert "did you mean" not in refused("zz.py")  # `.py` alone makes no two names alike


def test_a_folder_is_no_file(folder: Path) -> None:
    (folder / "code.py").mkdir()
    assert refused("code.py") == "code.py is a folder: name a file in it, as code.py/FILE.py"
    assert refused("cod.py") == "there is no file cod.py"


def test_a_program_that_is_not_python_runs_by_command(folder: Path) -> None:
    assert "any other program runs by --command 'train.sh --lr {lr}'" in refused("train.sh")


def test_no_such_function_names_the_closest(objective: str) -> None:
    assert f"did you mean {objective}:plain?" in refused(f"{objective}:plane")
    assert "name another one" in refused(f"{objective}:zzz")


def test_a_function_must_be_one(objective: str) -> None:
    assert "no function" in refused(f"{objective}:resource")


@pytest.mark.parametrize("text", ["train", "train.txt", "folder:train"])
def test_what_is_no_python_file(text: str) -> None:
    assert "names no Python file" in refused(text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "import nowhere_to_be_found\n",
            "(line 1): ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        ),
        ("x = 1\n1 / 0\n", "(line 2): ZeroDivisionError: division by zero"),
        ("x = 1\ndef train(:\n", "(line 2): SyntaxError: invalid syntax"),
        ("raise SystemExit('enough')\n", "SystemExit: enough"),
    ],
)
def test_a_file_that_raises(folder: Path, source: str, expected: str) -> None:
    (folder / "it_raises.py").write_text(source)
    message = refused("it_raises.py")
    assert message.startswith("it_raises.py raises when it is imported")
    assert message.endswith(expected)


def test_a_name_that_another_module_has(folder: Path) -> None:
    (folder / "json.py").write_text("def train(config): return 1\n")
    assert "another module is called 'json'" in refused("json.py")


def test_the_space_of_the_objectives_file(objective: str) -> None:
    assert compile_space(load_space(None, load_objective(objective))).size == 3


def test_a_file_without_a_space(folder: Path) -> None:
    (folder / "spaceless.py").write_text("def train(config): return 1\n")
    assert "spaceless.py has no variable 'space'" in refused("spaceless.py")


def test_spaces_from_elsewhere(folder: Path, objective: str) -> None:
    loaded = load_objective(objective)
    both = "space = {'a': rung.Integer(1, 5)}\nother = rung.Space({'b': rung.Float(0, 1)})\n"
    (folder / "spaces.py").write_text("import rung\n" + both)
    assert list(compile_space(load_space("spaces.py", loaded)).names) == ["a"]
    assert list(compile_space(load_space("spaces.py:other", loaded)).names) == ["b"]
    assert "did you mean spaces.py:other?" in refused(objective, "spaces.py:others")
    assert "there is no file nowhere.yaml" in refused(objective, "nowhere.yaml")
    (folder / "wrong.py").write_text("space = [1, 2]\n")
    assert "the search space is 'list'" in refused(objective, "wrong.py")


def test_a_space_as_json(folder: Path, objective: str) -> None:
    import json

    from rung.space import to_json

    loaded = load_objective(objective)
    ours = compile_space(load_space(None, loaded))
    (folder / "space.json").write_text(json.dumps(to_json(ours.space)))
    assert compile_space(load_space("space.json", loaded)).keys == ours.keys


def test_a_space_of_configspace(folder: Path, objective: str) -> None:
    pytest.importorskip("ConfigSpace")
    made = "ConfigurationSpace({'a': (1, 5), 'b': (0.0, 1.0)})"
    text = f"from ConfigSpace import ConfigurationSpace\nspace = {made}\n"
    (folder / "foreign.py").write_text(text)
    space = compile_space(load_space("foreign.py", load_objective(objective)))
    assert sorted(space.names) == ["a", "b"]


def test_settings_of_the_file(objective: str) -> None:
    loaded = load_objective(objective)
    assert setting(loaded, "resource", None, None) == ("step", 1, 9)
    assert setting(loaded, "resource", "epoch:1:3", None) == "epoch:1:3"
    assert setting(loaded, "metric", None, "loss") == "loss"
    assert setting(loaded, "plain", None, "default") == "default"
