"""Finds the user's objective and space: `FILE.py:FUNCTION` and the names that the file has, or a command."""

from __future__ import annotations

import difflib
import shutil
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from rung.errors import UserError
from rung.executors.command import Command

DEFAULT_FUNCTION = "train"


class Objective(NamedTuple):
    """An objective and where it came from: a function of a file, or a command, which has neither."""

    function: Callable[..., Any]
    module: ModuleType | None
    path: Path | None
    name: str

    @property
    def record(self) -> dict[str, Any]:
        """What the log keeps of it, so that `rung resume` finds it again; a command as it was typed."""
        if isinstance(self.function, Command):
            return {"command": self.function.text, "shell": self.function.shell}
        return {"objective": f"{self.path}:{self.name}"}

    def of(self, study: str) -> Callable[..., Any]:
        """What a study of this name runs."""
        if isinstance(self.function, Command):
            return replace(self.function, study=study)
        return self.function


def load_command(text: str, shell: bool = False) -> Objective:
    """The objective that runs a program, see `rung.executors.command`.

    Raises:
        UserError: the program, or the script that it is given first, is not there.
    """
    from rung.executors.command import search_path
    from rung.executors.command_text import program, script

    command = Command(text, shell)
    first, file = program(text, shell=shell), script(text, shell=shell)
    if "{" not in first and shutil.which(first, path=search_path()) is None:
        raise UserError(f"there is no program {first!r} in this folder or on the PATH: --command {text!r}")
    if file is not None and not Path(file).is_file():
        raise UserError(
            f"there is no file {file} in {Path.cwd()}: a command runs in the folder in which rung is called"
        )
    return Objective(command, None, None, first)


def check_command(loaded: Objective, parameters: Collection[str]) -> list[str]:
    """Refuse placeholders that the space lacks; the parameters that the command does not mention.

    Raises:
        UserError: there is such a placeholder.
    """
    if not isinstance(loaded.function, Command):
        return []
    missing = loaded.function.check(parameters)
    return missing if len(missing) < len(set(parameters)) else []  # all: it reads the file


def load_objective(text: str) -> Objective:
    """The function that `FILE.py:FUNCTION` names; the function's default name is `train`.

    Raises:
        UserError: no such file or function, one that cannot be called with a configuration, or a file that
            raises when it is imported.
    """
    from rung.executors.calling import style_of

    file, name = _split(text, DEFAULT_FUNCTION)
    module = load_module(file)
    function = _named(module, name, file, "function")
    if not callable(function):
        raise UserError(f"{name!r} in {file} is {function!r}, no function: name one as {file}:FUNCTION")
    style_of(function)
    return Objective(function, module, file.resolve(), name)


def load_named(text: str, default: str) -> Any:
    """What `FILE.py:NAME` names; `default` where it names none.

    Raises:
        UserError: no such file or name, or a file that raises when it is imported.
    """
    file, name = _split(text, default)
    return _named(load_module(file), name, file, "function")


def load_space(text: str | None, objective: Objective) -> Any:
    """The search space that `--space` names, else the variable `space` of the objective's own file.

    Args:
        text: FILE.py (its variable `space`), FILE.py:NAME, FILE.json or FILE.yaml; or None.

    Raises:
        UserError: there is none, or it is not valid.
    """
    if text is None:
        if objective.module is None or objective.path is None:
            raise UserError(
                "no search space: a command has none of its own: say --space FILE (.json, .yaml, .py)"
            )
        if not hasattr(objective.module, "space"):
            raise UserError(
                f"no search space: {objective.path.name} has no variable 'space': add it, or say --space FILE"
            )
        return _ours(objective.module.space)
    return read_space(text)


def read_space(text: str) -> Any:
    """The search space in a file: FILE.py (its variable `space`), FILE.py:NAME, FILE.json or FILE.yaml.

    Raises:
        UserError: there is none, or it is not valid.
    """
    if text.endswith((".json", ".yaml", ".yml")):
        from rung.space import load_space as read

        if not Path(text).is_file():
            raise UserError(f"there is no file {text}: --space wants a .json, .yaml or .py file")
        return read(text)
    file, name = _split(text, "space")
    return _ours(_named(load_module(file), name, file, "variable"))


def setting(objective: Objective, name: str, given: Any, default: Any) -> Any:
    """What the command line gave; else what the objective's file has under this name; else the default."""
    if given is not None:
        return given
    value = getattr(objective.module, name, default)  # a command has no module, and None no settings
    return default if isinstance(value, ModuleType) or callable(value) else value


def load_module(file: Path) -> ModuleType:
    """Import a Python file under its own name, with its folder importable, as workers will.

    Raises:
        UserError: there is no such file, or it raises; the message has the last line of its traceback.
    """
    if file.is_dir():
        raise UserError(f"{file} is a folder: name a file in it, as {file / 'FILE.py'}")
    if not file.is_file():
        there = [path.stem for path in file.parent.glob("*.py") if path.is_file()]
        close = difflib.get_close_matches(file.stem, there, 1)
        hint = f"; did you mean {file.with_stem(close[0])}?" if close else ""
        raise UserError(f"there is no file {file}{hint}")
    path, name = file.resolve(), file.stem
    if "." in name:
        raise UserError(f"{file} cannot be imported: take the dots out of its name")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = _import(name, file)
    if Path(getattr(module, "__file__", None) or "").resolve() != path:
        raise UserError(f"{file} cannot be imported: another module is called {name!r}; rename the file")
    return module


def _import(name: str, file: Path) -> ModuleType:
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:  # whatever a user's file raises
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename.endswith(file.name)
        ]
        if isinstance(error, SyntaxError) and (error.filename or "").endswith(file.name) and error.lineno:
            lines.append(error.lineno)
        where = f" (line {lines[-1]})" if lines else ""
        last = traceback.format_exception_only(error)[-1].strip()
        raise UserError(f"{file} raises when it is imported{where}: {last}") from error


def _split(text: str, default: str) -> tuple[Path, str]:
    file, colon, name = text.rpartition(":")
    if not colon or name.endswith(".py") or "/" in name or "\\" in name:
        file, name = text, default
    if not file.endswith(".py"):
        other = default == DEFAULT_FUNCTION  # an objective is meant, which any program can be
        program = f"; any other program runs by --command '{text} --lr {{lr}}'" if other else ""
        raise UserError(f"{text!r} names no Python file: write FILE.py or FILE.py:NAME{program}")
    return Path(file), name or default


def _named(module: ModuleType, name: str, file: Path, kind: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    own = [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and not isinstance(value, ModuleType)
    ]
    if kind == "function":
        own = [key for key in own if getattr(getattr(module, key), "__module__", None) == module.__name__]
    close = difflib.get_close_matches(name, own, 1)
    hint = f"did you mean {file}:{close[0]}?" if close else f"name another one as {file}:NAME"
    raise UserError(f"there is no {kind} {name!r} in {file}: {hint}")


def _ours(given: Any) -> Any:
    """A ConfigSpace object becomes ours; a mapping or a `rung.Space` stays."""
    if type(given).__module__.partition(".")[0] == "ConfigSpace":
        from rung.space import from_configspace

        return from_configspace(given)
    if not isinstance(given, Mapping) and type(given).__module__.partition(".")[0] != "rung":
        raise UserError(
            f"the search space is {type(given).__name__!r}: give a mapping from name to domain, "
            "a rung.Space or a ConfigSpace object"
        )
    return given
