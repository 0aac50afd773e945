"""How an objective is called, and what its return or its exception becomes: the one event that ends a job.

An objective with one parameter named `trial` gets the handle (`rung.executors.handle.Trial`). Any other gets
the configuration as a plain dict and, if it has a second parameter, the budget too: the resource to reach,
None in a study without one. A parameter with a default is left alone, unless it is a second one that is
named `budget`: it is the resource to reach where there is one.

| it | the job ends in |
| --- | --- |
| returns a number, a mapping of metrics, or nothing after it reported | `JobFinished` |
| returns anything else, or tells no metric of the study at its end | `JobFailed(ERROR)`, with a sentence |
| raises `rung.Infeasible("why")` | `JobFailed(INFEASIBLE)` |
| lets `rung.Stopped` pass, or ends after it, also by an exception that a library makes of it | `JobStopped` |
| raises `rung.Stopped` when nobody told it to stop | `JobFailed(LOST)`: it runs again, but not for ever |
| raises `MemoryError`, or a library's `OutOfMemoryError` | `JobFailed(MEMORY)` |
| finds the disk full | `JobFailed(LOST)` |
| is never called, since the checkpoint is damaged | `JobFailed(INTERRUPTED)`, after `CheckpointDamaged` |
| is never called, since the checkpoint's store does not answer | `JobFailed(LOST)` |
| runs a program (`rung.executors.command`) that fails | `JobFailed`, of the kind that it says |
| raises anything else, or calls `exit()` | `JobFailed(ERROR)`, the traceback in the trial's log |
"""

from __future__ import annotations

import errno
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Literal, NamedTuple

from rung.errors import Infeasible, RungError, Stopped, StorageError, StudyError
from rung.executors.base import Job
from rung.executors.checkpoint_files import DamagedError
from rung.executors.handle import Trial
from rung.executors.metrics import as_metrics, as_number, is_number
from rung.executors.reporting import running
from rung.trials.events import Failure, JobFailed, JobFinished, JobStopped

Style = Literal["trial", "config", "budget", "optional budget"]
End = JobFinished | JobFailed | JobStopped
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST = 1000  # characters of a message; all of it is in the log


class OutOfTimeError(RungError):
    """Raised at a report in line, where a job that takes too long cannot be killed."""


class UntoldStopError(RungError):
    """The objective raised `Stopped` of its own accord."""


class EndedError(RungError):
    """An objective of our own knows which kind of failure ended it; its log says the rest."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure


class Objective(NamedTuple):
    """The user's function, what it takes, and which metric a number that it returns is."""

    function: Callable[..., Any]
    style: Style
    metric: str


def style_of(objective: Any) -> Style:
    """What `objective` wants to be called with.

    Raises:
        StudyError: it cannot be called with a configuration, or would return no value when called.
    """
    if not callable(objective):
        raise StudyError(f"the objective must be a function, not {objective!r}")
    if inspect.iscoroutinefunction(objective) or inspect.isgeneratorfunction(objective):
        kind = "async" if inspect.iscoroutinefunction(objective) else "a generator"
        raise StudyError(f"the objective {objective.__name__} is {kind}: a plain function returns its value")
    try:
        parameters = inspect.signature(objective).parameters.values()
    except ValueError:  # some built-in functions have none that can be read
        return "config"
    required = [p for p in parameters if p.default is p.empty]
    needed = [p for p in required if p.kind in _POSITIONAL]
    kinds = {p.kind for p in required}
    takes_one = needed or inspect.Parameter.VAR_POSITIONAL in kinds
    if inspect.Parameter.KEYWORD_ONLY in kinds or len(needed) > 2 or not takes_one:
        name = getattr(objective, "__name__", repr(objective))
        raise StudyError(
            f"the objective {name}{inspect.signature(objective)} cannot be called: "
            "it must take (trial), (config) or (config, budget)"
        )
    if len(needed) == 1 and needed[0].name == "trial":
        return "trial"
    if len(needed) == 2:
        return "budget"
    second = [p.name for p in parameters if p.kind in _POSITIONAL][1:2]
    return "optional budget" if second == ["budget"] else "config"


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def call(
    objective: Objective, trial: Trial, job: Job, now: Callable[[], float], log: Callable[[str], object]
) -> End:
    """Run the job: call the objective and turn what comes of it into the event that ends the job.

    Args:
        now: the executor's clock, for the event's time.
        log: takes the traceback of an exception, as text.

    Raises:
        KeyboardInterrupt: as it comes; how the job ends then is the executor's business.
    """
    try:
        with _opened(trial, log):
            returned = _invoke(objective, trial)
            if trial.stopped:  # it caught `Stopped`, and ended
                return JobStopped(job.trial, job.attempt, now())
            metrics = _returned_metrics(objective, returned)
            _check_told(objective, trial, job, metrics)
            trial.save_now()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # whatever the user's code raises is an event
        if trial.stopped and not isinstance(error, RungError):  # a library's own, around `Stopped`
            with suppress(OSError):
                log(_traceback(error))
            return JobStopped(job.trial, job.attempt, now())
        return _failed(error, job, now(), log)
    return JobFinished(job.trial, job.attempt, metrics, now())


@contextmanager
def _opened(trial: Trial, log: Callable[[str], object]) -> Iterator[None]:
    """The trial's checkpoint, opened; what fails at that is told apart from what the objective raises."""
    with ExitStack() as stack:
        try:
            stack.enter_context(trial.opened())
        except StorageError as error:
            with suppress(OSError):  # a full disk
                log(f"{error}\n")
            failure = Failure.INTERRUPTED if isinstance(error, DamagedError) else Failure.LOST
            raise EndedError(str(error), failure) from error
        yield


def _invoke(objective: Objective, trial: Trial) -> Any:
    try:
        with running(trial):  # for `rung.report`
            return _call(objective, trial)
    except Stopped as error:
        if trial.told_to_stop():
            raise
        raise UntoldStopError(
            "the objective raised rung.Stopped though nobody told it to stop: let it return instead"
        ) from error


def _call(objective: Objective, trial: Trial) -> Any:
    match objective.style:
        case "trial":
            return objective.function(trial)
        case "budget":
            return objective.function(trial.config, trial.resource)
        case "optional budget" if trial.resource is not None:
            return objective.function(trial.config, trial.resource)
    return objective.function(trial.config)


def _returned_metrics(objective: Objective, returned: Any) -> dict[str, float] | None:
    if returned is None:
        return None
    if isinstance(returned, Mapping):
        return as_metrics(returned)
    if is_number(returned):
        return {objective.metric: as_number(objective.metric, returned)}
    raise StudyError(
        f"the objective returned a {type(returned).__name__}: it must return a number, "
        f"a mapping of metrics as {{{objective.metric!r}: 0.31}}, or nothing if it reported"
    )


def _check_told(objective: Objective, trial: Trial, job: Job, metrics: Mapping[str, float] | None) -> None:
    """The study's metric must have been told, at the job's end, unless a checkpoint had brought it there."""
    told = trial.told.union(metrics or ())
    if 0 < job.until <= job.start or objective.metric in (metrics or ()):
        return
    if objective.metric in told:
        if job.plain or trial.reached >= job.until:
            return
        raise StudyError(
            f"the objective ended at {trial.reached} of {job.until} without {objective.metric!r} there: "
            f"report({job.until}, ...) or return it"
        )
    what = f"only {', '.join(sorted(told))}" if told else "no metric"
    raise StudyError(f"the objective told {what}: the study's metric {objective.metric!r} is missing")


def _failed(error: BaseException, job: Job, time: float, log: Callable[[str], object]) -> End:
    """The end of a job whose objective raised `error`."""
    match error:
        case Stopped():
            return JobStopped(job.trial, job.attempt, time)
        case UntoldStopError():
            return JobFailed(job.trial, Failure.LOST, message_of(error), job.attempt, time)
        case Infeasible():
            return JobFailed(job.trial, Failure.INFEASIBLE, message_of(error), job.attempt, time)
        case EndedError():
            return JobFailed(job.trial, error.failure, message_of(error), job.attempt, time)
        case OutOfTimeError():
            return JobFailed(job.trial, Failure.TIMEOUT, message_of(error), job.attempt, time)
    with suppress(OSError):  # a full disk: the event says the most of it
        log(_traceback(error))
    if isinstance(error, OSError) and error.errno in _FULL:
        return JobFailed(job.trial, Failure.LOST, message_of(error), job.attempt, time)
    short_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    failure = Failure.MEMORY if short_of_memory else Failure.ERROR
    message = message_of(error)
    if isinstance(error, SystemExit):
        message = f"the objective called exit({'' if error.code is None else repr(error.code)})"
    return JobFailed(job.trial, failure, message, job.attempt, time)


def message_of(error: BaseException) -> str:
    """One line: the exception's type and text; our own speak for themselves.

    What moves a terminal's cursor or colours it stands there as its escape.
    """
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001  # the user's own text, which is code too
        lines = ["(its text cannot be shown)"]
    text = lines[0] if lines else ""
    if not isinstance(error, RungError) or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[:_LONGEST])[:_LONGEST]


def _traceback(error: BaseException) -> str:
    """The traceback without our own first frames."""
    import traceback  # not before it is needed: a worker starts without it

    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))
