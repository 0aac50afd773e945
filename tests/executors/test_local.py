"""`rung.executors.local`: real processes, and all that can happen to them."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rung.errors import StudyError
from rung.executors.base import Job
from rung.executors.local import LocalExecutor
from rung.executors.processes import cores
from rung.executors.setup import Setup
from rung.trials.events import CheckpointSaved, Failure, JobFailed, JobFinished, JobStopped, Reported

Make = Callable[..., LocalExecutor]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[LocalExecutor] = []

    def build(objective: Any, workers: int = 1, *, silence: float = 300.0, **limits: Any) -> LocalExecutor:
        made.append(LocalExecutor(Setup(objective, "loss", workers, tmp_path, **limits), silence=silence))
        return made[-1]

    yield build
    for executor in made:
        executor.close()


def drain(executor: LocalExecutor) -> list[Any]:
    told: list[Any] = []
    while events := executor.poll(None):
        told.extend(events)
    return told


def run(executor: LocalExecutor, *configs: dict[str, Any]) -> list[Any]:
    """The end of a job for each configuration, one after the other."""
    ends = []
    for number, config in enumerate(configs):
        executor.submit([Job(number, 1, config)])
        ends.append(drain(executor)[-1])
    return ends


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process ends within that time."""
    until = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# -- faults ---------------------------------------------------------------------------------------------


def die(config: Any) -> float:
    match config["how"]:
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sys.exit":
            sys.exit(1)
    return float(os.getpid())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exit", "the worker exited with code 3"),
        ("segfault", "the worker was killed by SIGSEGV"),
        ("kill", "the worker was killed by SIGKILL (as the system does when memory runs out)"),
    ],
)
def test_a_worker_that_dies_is_replaced(make: Make, how: str, message: str, tmp_path: Path) -> None:
    before, lost, after = run(make(die), {"how": ""}, {"how": how}, {"how": ""})
    assert (lost.failure, lost.message) == (Failure.LOST, message)
    assert before.metrics["loss"] != after.metrics["loss"]
    log = (tmp_path / "logs" / "trial-000001.log").read_text()
    assert ("Segmentation fault" in log and "in die" in log) == (how == "segfault")


def test_exit_is_an_error_and_the_worker_lives(make: Make) -> None:
    before, failed, after = run(make(die), {"how": ""}, {"how": "sys.exit"}, {"how": ""})
    assert (failed.failure, failed.message) == (Failure.ERROR, "the objective called exit(1)")
    assert before.metrics == after.metrics


def test_a_log_that_cannot_be_written_is_no_fault_of_the_trial(make: Make, tmp_path: Path) -> None:
    (tmp_path / "logs" / "trial-000000.log").mkdir(parents=True)
    lost, after = run(make(die), {"how": ""}, {"how": ""})
    assert lost.failure == Failure.LOST
    assert "the trial's log cannot be written" in lost.message
    assert after.metrics


def test_one_death_leaves_the_others_alone(make: Make) -> None:
    executor = make(lambda config: die(config) if config["how"] else time.sleep(0.3) or 1.0, workers=2)
    executor.submit([Job(0, 1, {"how": ""}), Job(1, 1, {"how": "exit"})])
    ends = {event.trial: type(event) for event in drain(executor)}
    assert ends == {0: JobFinished, 1: JobFailed}
    assert executor.free_slots == 2


def hang(config: Any) -> None:
    if config["child"]:
        child = subprocess.Popen(["sleep", "600"])
        Path(config["child"]).write_text(str(child.pid))
    time.sleep(600)


def test_a_job_that_takes_too_long_is_killed_with_its_children(make: Make, tmp_path: Path) -> None:
    executor = make(hang, trial_seconds=1.5)
    (end,) = run(executor, {"child": str(tmp_path / "pid")})
    assert (end.failure, end.message) == (Failure.TIMEOUT, "the job took longer than its limit of 1.5 s")
    assert gone(int((tmp_path / "pid").read_text()))


def test_loading_the_objective_does_not_count_as_the_jobs_time(make: Make) -> None:
    class Slow:
        def __reduce__(self) -> Any:
            return time.sleep, (1.5,)

    slow = Slow()
    (end,) = run(make(lambda config: 1.0 if slow is None else 0.0, trial_seconds=1.2), {})
    assert isinstance(end, JobFinished)


def hog(config: Any) -> float:
    held = [bytearray(b"x") * (1 << 20) for _ in range(config["mib"])]
    if config["mib"] > 100:
        time.sleep(600)
    return float(len(held))


def test_a_memory_hog_is_killed(make: Make) -> None:
    small, large = run(make(hog, trial_memory=200 << 20), {"mib": 10}, {"mib": 300})
    assert isinstance(small, JobFinished)
    assert large.failure == Failure.MEMORY
    assert large.message.endswith("MiB, more than its limit of 200 MiB")


def test_a_stopped_worker_is_given_up(make: Make) -> None:
    executor = make(lambda config: os.kill(os.getpid(), signal.SIGSTOP), silence=3.0)
    (end,) = run(executor, {})
    assert (end.failure, end.message) == (Failure.LOST, "nothing was heard of the worker for 3 s")


def babble(config: Any) -> float:
    for number in range(3, 64):
        try:
            end = socket.socket(fileno=os.dup(number))
        except OSError:
            continue  # no socket
        end.sendall(b"\0\0\0\1\xff")
    return 1.0


def test_an_objective_that_writes_to_the_pipe(make: Make) -> None:
    (end,) = run(make(babble), {})
    assert (end.failure, end.message) == (Failure.LOST, "something else than the worker wrote to its pipe")


def test_a_checkpoint_is_found_from_any_folder(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def objective(trial: Any) -> float:
        os.chdir("/")
        return float(Path(trial.checkpoint, "at").read_text())

    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "at").write_text("0.5")
    monkeypatch.chdir(tmp_path)
    executor = make(objective)
    executor.submit([Job(0, 2, {}, start=1, checkpoint="saved")])
    assert drain(executor)[-1].metrics == {"loss": 0.5}


def fork_and_die(config: Any) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(600)
    Path(config["child"]).write_text(str(child))
    os._exit(5)


def test_a_forked_child_does_not_hide_a_death(make: Make, tmp_path: Path) -> None:
    (end,) = run(make(fork_and_die), {"child": str(tmp_path / "pid")})
    assert (end.failure, end.message) == (Failure.LOST, "the worker exited with code 5")
    assert gone(int((tmp_path / "pid").read_text()))


DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
from rung.executors.base import Job
from rung.executors.local import LocalExecutor
from rung.executors.processes import cores
from rung.executors.setup import Setup

def objective(config):
    child = subprocess.Popen(["sleep", "600"])
    Path(sys.argv[1], f"pids-{config['n']}").write_text(f"{os.getpid()} {child.pid} {os.getsid(0)}")
    time.sleep(600)

executor = LocalExecutor(Setup(objective, "loss", 2, Path(sys.argv[1])))
executor.submit([Job(n, 1, {"n": n}) for n in range(2)])
print("running", os.getpid(), flush=True)
executor.poll(None)
"""


def test_workers_die_with_their_driver(tmp_path: Path) -> None:
    """It also shows that a script's own functions work, without a guard on `__main__`."""
    script = tmp_path / "script.py"
    script.write_text(DRIVER)
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE) as driver:
        pids: list[int] = []
        for n in range(2):
            file = tmp_path / f"pids-{n}"
            while not (file.exists() and file.read_text().count(" ") == 2):
                assert driver.poll() is None
                time.sleep(0.02)
            worker, child, session = map(int, file.read_text().split())
            assert session == worker != os.getsid(driver.pid)  # so that Ctrl-C does not reach it
            pids += [worker, child]
        driver.kill()
    assert all(gone(pid) for pid in pids)


# -- objectives that cannot travel ------------------------------------------------------------------------


def test_an_objective_that_cannot_be_pickled(tmp_path: Path) -> None:
    lock = threading.Lock()
    with pytest.raises(StudyError, match=r"cannot be sent to worker processes \(TypeError: .*lock.*inline"):
        LocalExecutor(Setup(lambda config: lock.locked(), "loss", 1, tmp_path))


class Unloadable:
    def __init__(self, how: Any, *arguments: Any) -> None:
        self.what = how, arguments

    def __reduce__(self) -> Any:
        return self.what


def test_an_objective_that_cannot_be_loaded(make: Make) -> None:
    broken = Unloadable(int, "no number")
    ends = run(make(lambda config: broken), {}, {})
    for end in ends:
        assert end.failure == Failure.ERROR
        assert end.message == (
            "the objective cannot be loaded in a worker process: "
            "ValueError: invalid literal for int() with base 10: 'no number'"
        )


def test_an_objective_that_kills_whoever_loads_it(make: Make, tmp_path: Path) -> None:
    deadly = Unloadable(os._exit, 7)
    executor = make(lambda config: deadly)
    executor.wait_ready()
    assert [worker.process for worker in executor._crew] == [None]  # not again and again
    ends = run(executor, {}, {})
    log = tmp_path / "logs" / "worker-0.log"
    for end in ends:
        assert end.failure == Failure.LOST
        assert end.message == (
            f"the worker exited with code 7 as it loaded the objective; {log} may say more"
        )


def test_what_an_objective_carries_may_be_large(make: Make) -> None:
    data = bytes(5_000_000)
    executor = make(lambda config: len(data) + len(config["text"]), workers=2)
    (end,) = run(executor, {"text": "x" * 3_000_000})
    assert end.metrics == {"loss": 8_000_000.0}


# -- what workers are given ---------------------------------------------------------------------------------


def surroundings(config: Any) -> dict[str, float]:
    return {
        "loss": float(os.environ["OMP_NUM_THREADS"]),
        "gpu": float(os.environ["CUDA_VISIBLE_DEVICES"]),
        "arguments": float(len(sys.argv)),
    }


def test_threads_and_gpus(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    executor = make(surroundings, workers=2, gpus=(4, 7))
    executor.submit([Job(0, 1, {}), Job(1, 1, {})])
    ends = drain(executor)
    assert {end.metrics["gpu"] for end in ends} == {4.0, 7.0}
    assert {end.metrics["arguments"] for end in ends} == {float(len(sys.argv))}
    assert {end.metrics["loss"] for end in ends} == {max(1.0, cores() // 2)}


def test_a_module_beside_the_objective(make: Make, tmp_path: Path) -> None:
    (tmp_path / "rung_test_beside.py").write_text("value = 0.5\n")

    def objective(config: Any) -> float:
        import rung_test_beside  # type: ignore[import-not-found]

        return float(rung_test_beside.value)

    (end,) = run(make(objective, paths=(str(tmp_path),)), {})
    assert end.metrics == {"loss": 0.5}


def test_what_is_printed_goes_to_the_trials_log(make: Make, tmp_path: Path) -> None:
    def objective(config: Any) -> float:
        print(f"hello {config['x']} ä")
        subprocess.run(["sh", "-c", "echo from a child; echo and its errors >&2"], check=True)
        if config["x"] == 2:
            raise ValueError("bad lr")
        return 1.0

    executor = make(objective)
    for attempt, x in enumerate((1, 2)):
        executor.submit([Job(12, 1, {"x": x}, attempt=attempt)])
        drain(executor)
    lines = (tmp_path / "logs" / "trial-000012.log").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("--- trial 12, attempt 0, ")
    assert lines[1:4] == ["hello 1 ä", "from a child", "and its errors"]
    assert lines[4].startswith("--- trial 12, attempt 1, ")
    assert lines[5] == "hello 2 ä"
    assert lines[-1] == "ValueError: bad lr"
    executor.close()
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["trial-000012.log"]


# -- gates, stopping, closing ----------------------------------------------------------------------------


def count(trial: Any) -> None:
    def save(folder: str) -> None:
        Path(folder, "at").write_text(str(at))

    for at in range(1, trial.resource + 1):
        Path(trial.config["file"]).write_text(str(at))
        trial.report(at, loss=1.0, save=save)
        time.sleep(trial.config.get("pause", 0.0))


def test_a_gate_holds_until_the_next_poll(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "at"
    executor = make(count)
    executor.submit([Job(0, 3, {"file": str(file)}, gates=(1,))])
    (report,) = executor.poll(None)
    time.sleep(0.2)
    assert (report.resource, file.read_text()) == (1, "1")
    drain(executor)
    assert file.read_text() == "3"


def test_close_lets_jobs_save(make: Make, tmp_path: Path) -> None:
    executor = make(count, workers=2)
    jobs = [Job(n, 10**6, {"file": str(tmp_path / f"at-{n}"), "pause": 0.01}) for n in range(2)]
    executor.submit(jobs)
    told: list[Any] = []
    while {event.trial for event in told} != {0, 1}:
        told += executor.poll(None)
    executor.close(grace=20.0)
    told += drain(executor)
    for job in jobs:
        *_, report, saved, end = [event for event in told if event.trial == job.trial]
        assert (type(report), type(saved), type(end)) == (Reported, CheckpointSaved, JobStopped)
        assert (tmp_path / saved.path / "at").read_text() == str(report.resource)


def test_close_at_once_kills(make: Make, tmp_path: Path) -> None:
    executor = make(hang)
    executor.submit([Job(0, 1, {"child": str(tmp_path / "pid")})])
    while not (tmp_path / "pid").exists():
        executor.poll(0.02)
    executor.close()
    (end,) = drain(executor)
    assert (end.failure, end.message) == (Failure.INTERRUPTED, "the executor was closed")
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_job_cancelled_while_its_worker_starts(make: Make) -> None:
    executor = make(lambda config: 1.0)
    executor.submit([Job(0, 1, {})])
    executor.cancel(0)
    (end,) = executor.poll(None)
    assert isinstance(end, JobStopped)
    (end,) = run(executor, {})
    assert isinstance(end, JobFinished)


def test_poll_waits_no_longer_than_it_is_told(make: Make) -> None:
    executor = make(lambda config: time.sleep(600))
    executor.submit([Job(0, 1, {})])
    began = time.monotonic()
    assert executor.poll(0.05) == []
    assert time.monotonic() - began >= 0.05


def test_a_worker_starts_light() -> None:
    """What a worker imports before it sees the objective: it should start in a blink."""
    code = f"import sys; sys.path[:] = {sys.path!r}; import rung.executors.worker; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "numpy",
        "pandas",
        "asyncio",
        "multiprocessing",
        "pathlib",
        "dataclasses",
        "cloudpickle",
        "psutil",
    }
    assert heavy & set(out.stdout.split()) == set()
