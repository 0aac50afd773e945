"""`rung.executors.calling`: what an objective may take, return and raise."""

import errno
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rung
from rung.errors import StudyError
from rung.executors.base import Job
from rung.executors.calling import End, Objective, call, style_of
from rung.executors.handle import Trial
from rung.trials.events import Event, Failure, JobFailed, JobFinished, JobStopped


class Link:
    def __init__(self) -> None:
        self.told: list[Event] = []
        self.stop = False

    def tell(self, event: Event, *, waits: bool = False) -> None:
        self.told.append(event)

    def stopping(self) -> bool:
        return self.stop

    def now(self) -> float:
        return 5.0


def run(function: Any, job: Job | None = None, link: Link | None = None) -> tuple[End, str]:
    """The end, and what was logged."""
    log: list[str] = []
    job = job or Job(1, 3, {"x": 2.0})
    trial = Trial(job, link or Link(), "/nowhere")
    end = call(Objective(function, style_of(function), "loss"), trial, job, lambda: 5.0, log.append)
    assert (end.trial, end.attempt, end.time) == (1, job.attempt, 5.0)
    return end, "".join(log)


def failed(function: Any) -> tuple[Failure, str]:
    end, _ = run(function)
    assert isinstance(end, JobFailed)
    return end.failure, end.message


class Model:
    def train(self, trial: Any) -> None: ...

    def __call__(self, config: Any, budget: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "style"),
    [
        (lambda trial: 0, "trial"),
        (lambda trial, epochs=3: 0, "trial"),
        (lambda config: 0, "config"),
        (lambda config, budget=9: 0, "optional budget"),
        (lambda config, data=None, budget=9: 0, "config"),
        (lambda config, *, epochs=3: 0, "config"),
        (lambda config, epochs=3: 0, "config"),
        (lambda config, budget: 0, "budget"),
        (lambda trial, budget: 0, "budget"),
        (lambda *args: 0, "config"),
        (lambda config, **rest: 0, "config"),
        (Model().train, "trial"),
        (Model(), "budget"),
        (partial(lambda data, trial: 0, None), "trial"),
        (len, "config"),
    ],
)
def test_styles(function: Any, style: str) -> None:
    assert style_of(function) == style


def test_a_function_that_would_return_no_value_is_refused_before_it_is_called():
    async def later(config):
        return 1.0

    def yields(config):
        yield 1.0

    with pytest.raises(StudyError, match="the objective later is async: a plain function returns its value"):
        style_of(later)
    with pytest.raises(StudyError, match="the objective yields is a generator"):
        style_of(yields)


def nothing_taken() -> None: ...


@pytest.mark.parametrize(
    "function", [nothing_taken, lambda a, b, c: 0, lambda config, *, data: 0, lambda **k: 0]
)
def test_what_cannot_be_called(function: Any) -> None:
    with pytest.raises(StudyError, match=r"must take \(trial\), \(config\) or \(config, budget\)"):
        style_of(function)
    with pytest.raises(StudyError, match="must be a function, not 3"):
        style_of(3)


@pytest.mark.parametrize("returned", [0.5, np.float32(0.5), np.array(0.5), {"loss": 0.5}])
def test_returned_numbers_and_mappings(returned: Any) -> None:
    assert run(lambda config: returned)[0] == JobFinished(1, 0, {"loss": 0.5}, 5.0)


def test_configuration_and_budget() -> None:
    assert run(lambda config, budget: config["x"] * budget)[0] == JobFinished(1, 0, {"loss": 6.0}, 5.0)
    plain = Job(1, 1, {"x": 2.0}, plain=True)
    assert run(lambda config, budget: float(budget is None), plain)[0] == JobFinished(
        1, 0, {"loss": 1.0}, 5.0
    )


def test_nothing_returned_after_a_report() -> None:
    assert run(lambda trial: trial.report(loss=1.0))[0] == JobFinished(1, 0, None, 5.0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda config: "good", "the objective returned a str: it must return a number"),
        (lambda config: True, "the objective returned a bool"),
        (lambda config: {"loss": "good"}, "the metric 'loss' must be a number, not 'good' (str)"),
        (lambda config: None, "the objective told no metric: the study's metric 'loss' is missing"),
        (lambda config: {"b": 1.0, "a": 1.0}, "the objective told only a, b: the study's metric 'loss'"),
        (lambda trial: trial.report(loss=None), "the metric 'loss' must be a number, not None"),
    ],
)
def test_sentences(function: Any, message: str) -> None:
    failure, said = failed(function)
    assert failure == Failure.ERROR
    assert said.startswith(message)


def test_a_trial_that_its_checkpoint_brought_to_its_end_has_nothing_to_tell() -> None:
    assert run(lambda trial: None, Job(1, 3, {}, start=3))[0] == JobFinished(1, 0, None, 5.0)


def raising(error: BaseException) -> Any:
    def objective(config: Any) -> None:
        raise error

    return objective


class SpeechlessError(Exception):
    """As exceptions whose text is made of what was never set."""

    def __str__(self) -> str:
        raise AttributeError("no such thing")


class OutOfMemoryError(RuntimeError):
    """As torch's."""


@pytest.mark.parametrize(
    ("error", "failure", "message"),
    [
        (ValueError("bad lr\nsecond line"), Failure.ERROR, "ValueError: bad lr"),
        (KeyError("x"), Failure.ERROR, "KeyError: 'x'"),
        (RuntimeError(), Failure.ERROR, "RuntimeError"),
        (SpeechlessError(), Failure.ERROR, "SpeechlessError: (its text cannot be shown)"),
        (ValueError("\ud800" + "x" * 2000), Failure.ERROR, "ValueError: \\ud800xxx"),
        (ValueError("\x1b[31mred\x00 żółć"), Failure.ERROR, "ValueError: \\x1b[31mred\\x00 żółć"),
        (GeneratorExit(), Failure.ERROR, "GeneratorExit"),
        (rung.Infeasible("too deep"), Failure.INFEASIBLE, "too deep"),
        (rung.Infeasible(), Failure.INFEASIBLE, "Infeasible"),
        (MemoryError(), Failure.MEMORY, "MemoryError"),
        (OutOfMemoryError("CUDA out of memory"), Failure.MEMORY, "OutOfMemoryError: CUDA out of memory"),
        (SystemExit(1), Failure.ERROR, "the objective called exit(1)"),
        (SystemExit(), Failure.ERROR, "the objective called exit()"),
    ],
)
def test_exceptions(error: BaseException, failure: Failure, message: str) -> None:
    assert failed(raising(error))[0] == failure
    said = failed(raising(error))[1]
    assert said.startswith(message)
    assert len(said) <= 1010


def test_the_traceback_goes_to_the_log_without_our_frames() -> None:
    _, log = run(raising(ValueError("bad lr")))
    assert "in objective" in log
    assert log.endswith("ValueError: bad lr\n")
    assert "in _invoke" not in log
    assert run(raising(rung.Infeasible("why")))[1] == ""


def test_stopped() -> None:
    link = Link()
    link.stop = True
    assert run(lambda trial: trial.report(1, loss=1.0), link=link)[0] == JobStopped(1, 0, 5.0)


def test_who_stops_untold_is_not_run_for_ever() -> None:
    end, _ = run(raising(rung.Stopped()))
    assert isinstance(end, JobFailed)
    assert (end.failure, end.message[:38]) == (Failure.LOST, "the objective raised rung.Stopped thou")
    link = Link()
    link.stop = True
    assert run(raising(rung.Stopped()), link=link)[0] == JobStopped(1, 0, 5.0)


def test_an_interrupt_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(raising(KeyboardInterrupt()))


def test_a_last_save_that_fails_is_the_jobs_error(tmp_path: Path) -> None:
    def save(folder: str) -> None:
        raise ValueError("no such layer")

    def objective(trial: Any) -> None:
        trial.report(7, loss=1.0, save=save)

    job = Job(1, 1, {}, plain=True)
    trial = Trial(job, Link(), str(tmp_path))
    end = call(Objective(objective, "trial", "loss"), trial, job, lambda: 5.0, lambda text: None)
    assert isinstance(end, JobFailed)
    assert end.message == "ValueError: no such layer"


def test_a_full_disk_is_not_the_configurations_fault() -> None:
    def train(trial: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "weights")

    failure, message = failed(train)
    assert failure == Failure.LOST
    assert "No space left on device" in message


def test_a_traceback_that_cannot_be_logged_is_left_out() -> None:
    def train(config: Any) -> None:
        raise ValueError("diverged")

    def log(text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    job = Job(1, 3, {"x": 2.0})
    end = call(Objective(train, "config", "loss"), Trial(job, Link(), "/nowhere"), job, lambda: 5.0, log)
    assert end == JobFailed(1, Failure.ERROR, "ValueError: diverged", 0, 5.0)


def test_a_budget_with_a_default_is_the_resource_where_there_is_one() -> None:
    def train(config: Any, budget: int = 50) -> float:
        return float(budget)

    assert run(train)[0].metrics == {"loss": 3.0}
    assert run(train, Job(1, 1, {}, plain=True))[0].metrics == {"loss": 50.0}


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_a_report_from_a_thread_that_the_objective_began_is_the_trials(executor):
    def train(config):
        thread = threading.Thread(target=lambda: rung.report(loss=config["x"]))
        thread.start()
        thread.join()

    result = rung.tune(train, {"x": rung.Float(0, 1)}, trials=3, executor=executor, sampler="random")
    assert [trial.value for trial in result.trials] == [trial.config["x"] for trial in result.trials]
