"""Which functions a worker runs for the service: those that it has itself, by name. No code is ever sent."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, Final

from rung.errors import StudyError, UserError
from rung.executors.calling import message_of, style_of
from rung.executors.command import Command

PROGRAM: Final = "program"  # what stands for the module of a program


class RefusedError(UserError):
    """An objective that this worker does not have, or does not run."""


class Objectives:
    """The functions and programs that a worker runs.

    An objective "MODULE:FUNCTION" is imported from the working folder or from what is installed. Without
    patterns it may be any module but the standard library's and rung's own, whose functions were not written
    to be called by whoever may submit a study. With patterns it must fit one, as "trainers.*" or
    "trainers.mnist:train".

    Args:
        patterns: of modules, or of modules and functions, as in a shell.
        programs: commands by name: the objective "program:NAME" runs them, see `rung.executors.command`.
    """

    def __init__(self, patterns: Sequence[str] = (), programs: Mapping[str, str] | None = None) -> None:
        self._patterns = tuple(patterns)
        self._programs = dict(programs or {})
        self._found: dict[str, Callable[..., Any]] = {}
        self._lock = threading.Lock()  # one import at a time

    def get(self, text: str, study: str = "", parameters: Collection[str] = ()) -> Callable[..., Any]:
        """What an objective's name stands for.

        Args:
            parameters: what the study's space has; a program's command may name these alone.

        Raises:
            RefusedError: nothing, or nothing that this worker runs for such a study.
        """
        module, _, name = text.partition(":")
        if module == PROGRAM:
            return self._program(name, study, parameters)
        self._check(text, module)
        with self._lock:
            if text not in self._found:
                self._found[text] = _loaded(module, name)
            return self._found[text]

    def _program(self, name: str, study: str, parameters: Collection[str]) -> Callable[..., Any]:
        if name not in self._programs:
            has = ", ".join(self._programs) or "none"
            raise RefusedError(
                f"this worker has no program {name!r} (it has {has}): see rung worker --program"
            )
        command = Command(self._programs[name], study=study)
        try:
            command.check(parameters)
        except StudyError as error:
            raise RefusedError(f"the program {name!r} does not fit the study: {error}") from error
        return command

    def _check(self, text: str, module: str) -> None:
        if self._patterns:
            if not any(fnmatchcase(text, one) or fnmatchcase(module, one) for one in self._patterns):
                raise RefusedError(f"this worker runs {' or '.join(self._patterns)} only, not {text}")
            return
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("rung", "__main__"):
            raise RefusedError(
                f"this worker does not run {text}: modules of Python and of rung are no objectives, unless "
                f"it was started with --objectives {module}"
            )


def _loaded(module: str, name: str) -> Callable[..., Any]:
    """The function, imported.

    Raises:
        RefusedError: it cannot be; one sentence says why.
    """
    try:
        found: Any = import_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's module raises
        raise RefusedError(f"the module {module} cannot be imported here: {message_of(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise RefusedError(f"the module {module} has no {name!r} here ({_file(module)})")
        found = getattr(found, part)
    try:
        style_of(found)
    except StudyError as error:
        raise RefusedError(f"{module}:{name} is no objective: {error}") from error
    return found  # type: ignore[no-any-return]


def _file(module: str) -> str:
    return getattr(sys.modules.get(module), "__file__", None) or "built in"
