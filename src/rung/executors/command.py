"""An objective that runs a program, in whatever language: `rung tune --command "python train.py --lr {lr}"`.

The program is told its task by arguments and by its environment, and reports by lines on its standard output.
docs/protocol.md is the protocol, as it is promised to programs.

| the program | the job ends in |
| --- | --- |
| ends with exit code 0, its metric reported | `JobFinished` |
| ends with exit code 0 without it, or prints a report that is not understood | `JobFailed(ERROR)` |
| ends with another code, or cannot be started | `JobFailed(ERROR)`, the last lines of its standard error |
| the same, and the last line speaks of memory as Python and torch do | `JobFailed(MEMORY)` |
| is killed by a signal, or says so as shells do (128 and the signal's number) | `JobFailed(LOST)` |
| prints `rung: {"infeasible": "why"}` | `JobFailed(INFEASIBLE)` |
| is told to stop | `JobStopped`: SIGTERM to its process group, and SIGKILL after `grace` seconds |
| fills the disk with its checkpoint | `JobFailed(LOST)` |
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from rung.errors import Infeasible, Stopped, StudyError
from rung.executors.calling import EndedError
from rung.executors.command_text import VARIABLES, argv, check, check_words
from rung.executors.handle import Trial
from rung.executors.processes import describe
from rung.executors.program import Program
from rung.executors.report_lines import Report, Splitter
from rung.executors.reporting import GO, STOP
from rung.trials.events import Failure

PROTOCOL: Final = "1"
_TICK: Final = 0.2  # seconds between two looks at whether it is to stop
_COPIES: Final = 3  # tries to copy a folder in which the program works
_DUTY: Final = 9.0  # a checkpoint is copied again when this many times what the last copy took has gone
_TAIL: Final = 5  # lines of standard error that a message has
_LONGEST: Final = 400  # characters of such a line
_SECRETS: Final = ("RUNG_TOKEN",)  # of the process that runs the program, not the program's


@dataclass(frozen=True)
class Command:
    """An objective that runs a program for each job.

    Args:
        text: the command, with parameters' names in braces.
        shell: `/bin/sh` runs it; else no shell does.
        study: the study's name, for the program.
        grace: seconds between SIGTERM and SIGKILL.

    Raises:
        StudyError: the text is none, is empty, or its quotes do not match.
    """

    text: str
    shell: bool = False
    study: str = field(default="", repr=False)  # no part of what it does
    grace: float = 10.0

    def __post_init__(self) -> None:
        check_words(self.text, shell=self.shell)

    def check(self, parameters: Collection[str]) -> list[str]:
        """Refuse placeholders that are no parameters; returns the parameters that it does not mention.

        Raises:
            StudyError: there is such a placeholder, or one lacks a brace.
        """
        return check(self.text, dict.fromkeys(parameters), shell=self.shell)  # branches may share one

    def __call__(self, trial: Trial) -> None:
        """Run the program for this job; how it ends is in the module's docstring."""
        with _home(trial) as home:
            variables = self._variables(trial, home)
            words = argv(self.text, {**variables, **trial.config}, shell=self.shell)
            with (
                _answering(variables["RUNG_ANSWERS"]) as answers,
                _started(words, _environment(variables), home) as program,
            ):
                _Run(trial, program, variables["RUNG_CHECKPOINT"], answers, self.grace).serve()

    def _variables(self, trial: Trial, home: str) -> dict[str, str]:
        found = {
            "RUNG_PROTOCOL": PROTOCOL,
            "RUNG_STUDY": self.study,
            "RUNG_TRIAL": str(trial.number),
            "RUNG_SEED": str(trial.seed),
            "RUNG_START": str(trial.start),
            "RUNG_DEVICES": str(trial.devices),
            "RUNG_CONFIG": os.path.join(home, "config.json"),
            "RUNG_CHECKPOINT": os.path.join(home, "checkpoint"),
            "RUNG_ANSWERS": os.path.join(home, "answers"),
        }
        if trial.resource is not None:
            found["RUNG_RESOURCE"] = str(trial.resource)
        return found


@contextmanager
def _home(trial: Trial) -> Iterator[str]:
    """A folder for one run: `config.json`, `checkpoint/` with the trial's own, and the pipe `answers`."""
    home = tempfile.mkdtemp(prefix="rung-job-")
    try:
        checkpoint = os.path.join(home, "checkpoint")
        if trial.checkpoint is None:
            os.mkdir(checkpoint)
        else:
            shutil.copytree(trial.checkpoint, checkpoint)
        with open(os.path.join(home, "config.json"), "w", encoding="utf-8") as file:
            json.dump(trial.config, file)
        os.mkfifo(os.path.join(home, "answers"))
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _answering(pipe: str) -> Iterator[int]:
    """The pipe for answers, open before the program is there, which may remove it."""
    answers = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield answers
    finally:
        os.close(answers)


def _environment(variables: dict[str, str]) -> dict[str, str]:
    ours = {k: v for k, v in os.environ.items() if k not in VARIABLES and k not in _SECRETS}
    # a Python program must not keep its reports in a buffer
    return {"PYTHONUNBUFFERED": "1", **ours, "PATH": search_path(), **variables}


def search_path() -> str:
    """Where programs are found: on the PATH; and `python` is ours where there is no other."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), os.path.dirname(sys.executable)])


@contextmanager
def _started(words: list[str], environment: dict[str, str], home: str) -> Iterator[Program]:
    found = shutil.which(words[0], path=environment["PATH"]) or words[0]
    try:
        program = Program([found, *words[1:]], environment, home)
    except BlockingIOError as error:  # no more processes just now
        raise EndedError(f"the program {words[0]!r} cannot be started: {error}", Failure.LOST) from error
    except (OSError, ValueError) as error:  # not there, not executable, too long, a null byte
        raise EndedError(f"the program {words[0]!r} cannot be started: {error}", Failure.ERROR) from error
    try:
        yield program
    finally:
        program.close()


class _Run:
    """One run of a program, from its first line to its end."""

    def __init__(self, trial: Trial, program: Program, checkpoint: str, answers: int, grace: float) -> None:
        self._trial = trial
        self._program = program
        self._checkpoint = checkpoint
        self._answers = answers
        self._grace = grace
        self._told: float | None = None  # when it was told to stop, monotonic
        self._splitter = Splitter()
        self._tail = _Tail()
        self._log = {"out": _Sink(sys.stdout.write), "err": _Sink(sys.stderr.write)}
        self._copied = 0.0  # when, monotonic
        self._took = 0.0  # seconds

    def serve(self) -> None:
        """Take what it prints until it ends."""
        while self._program.code is None:
            for stream, data in self._program.read(_TICK):
                self._take(stream, data)
            self._look()
        for stream, data in self._program.read_on():
            self._take(stream, data)
        self._end(self._program.code or 0)
        self._check_told()
        self._trial.save_now()  # as long as the folder is there

    def _take(self, stream: str, data: bytes) -> None:
        if stream == "err":
            self._tail.feed(data)
            self._log["err"].write(data)
            return
        for part in self._splitter.feed(data):
            self._print_or_report(part)

    def _print_or_report(self, part: Report | bytes) -> None:
        if isinstance(part, bytes):
            self._log["out"].write(part)
        elif part.infeasible is not None:
            raise Infeasible(part.infeasible)
        else:
            for name, value in (part.attributes or {}).items():
                self._trial.set_attribute(name, value)
            if part.metrics:
                self._answer(self._report(part))

    def _report(self, report: Report) -> str:
        """Hand it on; what the program is answered."""
        save = self._save if self._has_checkpoint() else None
        try:
            self._trial.report(report.resource, save=save, **report.metrics)
        except Stopped:
            self._stop()
            return STOP
        if time.monotonic() - self._copied >= _DUTY * self._took:
            self._trial.save_now()
        return GO

    def _has_checkpoint(self) -> bool:
        """Whether the program's folder holds something; one being replaced is away for a moment."""
        try:
            return bool(os.listdir(self._checkpoint))
        except FileNotFoundError:
            return False
        except OSError as error:
            why = (
                f"RUNG_CHECKPOINT names no folder any more that can be read ({error.strerror}): leave it one"
            )
            raise EndedError(why, Failure.ERROR) from error

    def _answer(self, word: str) -> None:
        with suppress(BlockingIOError):  # it reads no answers, and the pipe is full of them
            os.write(self._answers, f"{word}\n".encode())

    def _save(self, folder: str) -> None:
        """Copy the program's folder as it is now."""
        began = time.monotonic()
        _copy(self._checkpoint, folder)
        self._copied = time.monotonic()
        self._took = self._copied - began

    def _look(self) -> None:
        """Whether it is to stop, or did not in time."""
        if self._told is None:
            if self._trial.told_to_stop():
                self._stop()
        elif time.monotonic() - self._told > self._grace:
            self._program.signal(signal.SIGKILL)

    def _stop(self) -> None:
        if self._told is None:
            self._told = time.monotonic()
            self._program.signal(signal.SIGTERM)

    def _check_told(self) -> None:
        """A program that ends well has reported something, unless a checkpoint had brought it there."""
        trial = self._trial
        if self._told is None and not trial.told and trial.start < (trial.resource or 1):
            raise EndedError(_SAYS_NOTHING % _EXAMPLE, Failure.ERROR)

    def _end(self, code: int) -> None:
        """What its exit code means."""
        try:
            for part in self._splitter.end():
                self._print_or_report(part)
        except StudyError:
            if code == 0:
                raise  # else it died while it wrote its last line
        if self._told is not None:
            if code != 0 or self._trial.reached < (self._trial.resource or 0):
                raise Stopped("the program is told to stop")
            return
        number = -code if code < 0 else code - 128
        if code < 0 or number in _SIGNALS:
            raise EndedError(f"the program {describe(-number)}{self._tail.said()}", Failure.LOST)
        if code != 0:
            failure = Failure.MEMORY if self._tail.speaks_of_memory else Failure.ERROR
            raise EndedError(f"the program ended with exit code {code}{self._tail.said()}", failure)


_SAYS_NOTHING: Final = "the program told no metric: it must print a line of its own such as %s"
_EXAMPLE: Final = 'rung: {"loss": 0.12}'
_SIGNALS: Final = frozenset(int(number) for number in signal.Signals)


def _copy(source: str, target: str) -> None:
    """Copy a folder's content. A program that renames its files while they are copied is met again."""
    for left in reversed(range(_COPIES)):
        try:
            shutil.copytree(source, target, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        except (OSError, shutil.Error) as error:
            if not left:
                raise EndedError(f"the checkpoint cannot be copied: {_first(error)}", Failure.LOST) from error
            shutil.rmtree(target)
            os.mkdir(target)
        else:
            return


def _first(error: OSError) -> str:
    """What went wrong first: `copytree` tells all of it, as a list of (from, to, why)."""
    told = error.args[0] if isinstance(error, shutil.Error) and error.args else None
    return str(told[0][2]) if isinstance(told, list) and told else str(error)


class _Sink:
    """Writes bytes where text goes, character by character as they are whole."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: bytes) -> None:
        with suppress(OSError):  # a full disk: the log is lost, the result is not
            self._write(self._decoder.decode(data))


class _Tail:
    """The last lines of standard error, for a message."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_TAIL)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_LONGEST:]
        self._lines.extend(
            filter(None, (line[-_LONGEST:].decode("utf-8", "backslashreplace").strip() for line in whole))
        )

    @property
    def lines(self) -> list[str]:
        rest = self._rest.decode("utf-8", "backslashreplace").strip()
        return [*self._lines, *([rest] if rest else [])][-_TAIL:]

    @property
    def speaks_of_memory(self) -> bool:
        return any(word in line for line in self.lines[-1:] for word in ("MemoryError", "OutOfMemoryError"))

    def said(self) -> str:
        return f": {' | '.join(self.lines)}" if self.lines else ", and printed nothing on its standard error"
