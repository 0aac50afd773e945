"""`rung.executors.processes` and `pipes`: what a worker process is given, and what goes over its pipe."""

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.executors import processes
from rung.executors.base import Job
from rung.executors.pipes import Beat, Cancel, Frames, Go, Ready, Run, Waiting, frame, from_worker, to_worker
from rung.executors.processes import describe, dump, environment
from rung.executors.setup import Setup
from rung.trials.events import JobFinished, Reported


def setup(workers: int, **more: Any) -> Setup:
    return Setup(lambda config: 0.0, "loss", workers, Path("nowhere"), **more)


@pytest.mark.parametrize(
    ("cores", "workers", "asked", "threads"),
    [
        (8, 2, None, 4),
        (8, 3, None, 2),
        (2, 4, None, 1),
        (8, 2, "1", 1),
        (8, 2, "32", 4),
        (8, 2, "many", 4),
        (8, 2, "0", 4),
    ],
)
def test_threads(
    cores: int, workers: int, asked: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "cores", lambda: cores)
    ours = {"HOME": "here"} if asked is None else {"HOME": "here", "OMP_NUM_THREADS": asked}
    mine = environment(setup(workers), 0, ours)
    assert mine["OMP_NUM_THREADS"] == str(threads)
    assert mine["MKL_NUM_THREADS"] == str(threads)
    assert mine["LOKY_MAX_CPU_COUNT"] == str(max(1, cores // workers))
    assert (mine["HOME"], "CUDA_VISIBLE_DEVICES" in mine) == ("here", False)
    elsewhere = environment(setup(workers, cores=cores), 0, {})
    monkeypatch.setattr(processes, "cores", lambda: 1000)
    assert environment(setup(workers, cores=cores), 0, {}) == elsewhere


@pytest.mark.parametrize(
    ("gpus", "workers", "shares"),
    [
        ((0, 1), 2, ["0", "1"]),
        ((0, 1, 2, 3), 2, ["0,2", "1,3"]),
        ((0, 1, 2), 2, ["0,2", "1"]),
        (("GPU-a",), 3, ["GPU-a", "GPU-a", "GPU-a"]),
        ((5, 6), 3, ["5", "6", "5"]),
    ],
)
def test_gpus(gpus: tuple[Any, ...], workers: int, shares: list[str]) -> None:
    told = [
        environment(setup(workers, gpus=gpus), index, {})["CUDA_VISIBLE_DEVICES"] for index in range(workers)
    ]
    assert told == shares


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exited with code 0"),
        (-11, "was killed by SIGSEGV"),
        (-250, "was killed by signal 250"),
        (None, "was killed, and the system has not ended it yet"),
    ],
)
def test_how_a_worker_died(code: int | None, words: str) -> None:
    assert describe(code) == words


def test_a_function_from_a_file_that_no_import_finds_travels_by_value(tmp_path: Path) -> None:
    file = tmp_path / "rung_test_elsewhere.py"
    file.write_text("factor = 3\n\ndef train(config):\n    return factor * config['x']\n")
    spec = importlib.util.spec_from_file_location("rung_test_elsewhere", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        data = dump(module.train)
    finally:
        del sys.modules[spec.name]
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)({'x': 2}))"
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout == b"6\n"


SCRIPT = """
import functools, pickle, subprocess, sys
from rung.executors.processes import dump

@functools.cache
def factorial(n):
    return n * factorial(n - 1) if n else 1

class Data:
    @functools.lru_cache(maxsize=3, typed=True)
    def read(self):
        return 7

data = Data()

def made():
    @functools.lru_cache
    def inner(n):
        return n
    return lambda config: factorial(config) + data.read() + inner(1), factorial, Data.read

factorial(5)
code = "import pickle, sys; f, g, h = pickle.load(sys.stdin.buffer)\\n"
code += "print(g.cache_info().currsize, h.cache_parameters()['maxsize'], f(4), g.cache_info().currsize)"
subprocess.run([sys.executable, "-c", code], input=dump(made()), check=True)
"""


def test_cached_functions_of_a_script_travel_by_value() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "3", "32", "5"]


def test_a_function_that_an_import_finds_travels_by_name() -> None:
    data = dump(pickle.dumps)
    assert len(data) < 100
    assert pickle.loads(data) is pickle.dumps


FROM_WORKER = [
    Ready(),
    Reported(3, 9, {"loss": 0.1, "n": float("inf")}, 1, 2.5),
    Waiting(),
    Beat(),
    JobFinished(3, 1, None, 3.0),
]
JOB = Job(
    3, 9, {"lr": 0.1, "layers": 2, "name": "ä", "off": None, "on": True}, 3, 1, 7, "there", (5, 7), True
)


@settings(deadline=None)
@given(st.lists(st.integers(0, 200)))
def test_frames_come_together_however_they_are_cut(cuts: list[int]) -> None:
    data = frame(*FROM_WORKER[:2]) + frame(*FROM_WORKER[2:])
    frames, told, start = Frames(from_worker), [], 0
    for end in [*sorted(cuts), len(data)]:
        told += list(frames.feed(data[start:end]))
        start = max(start, min(end, len(data)))
    assert told == FROM_WORKER


def test_jobs_come_over_as_they_were() -> None:
    sent = [Run(JOB), Go(3, 1), Cancel(3, 1)]
    assert list(Frames(to_worker).feed(frame(*sent))) == sent
