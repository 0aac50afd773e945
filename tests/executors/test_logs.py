"""`rung.executors.logs`: a log has its trial's name once there is something to read."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rung.errors import StudyError
from rung.executors.base import Job
from rung.executors.local import LocalExecutor
from rung.executors.log_size import MOST, keep_ends
from rung.executors.logs import adopt
from rung.executors.setup import Setup
from rung.trials.events import JobFailed, JobFinished


def objective(config: Any) -> float:
    if config.get("says"):
        print(config["says"])
    if config.get("until"):
        while not Path(config["until"]).exists():
            continue
    return 1.0


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[LocalExecutor]:
    made = LocalExecutor(Setup(objective, "loss", 1, tmp_path))
    yield made
    made.close()
    assert [path for path in (tmp_path / "logs").iterdir() if path.name.startswith("worker")] == []


def run(executor: LocalExecutor, trial: int, attempt: int = 0, **config: Any) -> None:
    executor.submit([Job(trial, 1, config, attempt=attempt)])
    assert len(executor.poll(None)) == 1


def logs(folder: Path) -> dict[str, list[str]]:
    """What was printed, without the headers' times."""
    return {
        path.name: [line.partition(", 2")[0] for line in path.read_text().splitlines()]
        for path in (folder / "logs").glob("trial-*.log")
    }


def test_a_short_and_silent_job_leaves_no_log(executor: LocalExecutor, tmp_path: Path) -> None:
    run(executor, 0)
    run(executor, 1, says="one")
    run(executor, 2)
    run(executor, 3, says="three")
    run(executor, 1, attempt=1)
    run(executor, 4, says="four")
    assert logs(tmp_path) == {
        "trial-000001.log": ["--- trial 1, attempt 0", "one", "--- trial 1, attempt 1"],
        "trial-000003.log": ["--- trial 3, attempt 0", "three"],
        "trial-000004.log": ["--- trial 4, attempt 0", "four"],
    }


def test_a_long_job_can_be_read_along(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit([Job(7, 1, {"says": "hello", "until": str(tmp_path / "seen")})])
    while "trial-000007.log" not in logs(tmp_path):
        assert executor.poll(0.02) == []
    assert logs(tmp_path) == {"trial-000007.log": ["--- trial 7, attempt 0", "hello"]}
    (tmp_path / "seen").touch()
    assert len(executor.poll(None)) == 1
    run(executor, 8, says="next")
    assert logs(tmp_path)["trial-000008.log"] == ["--- trial 8, attempt 0", "next"]


@pytest.mark.parametrize(
    ("spooled", "earlier", "log"), [("said", None, "said"), ("said", "before", "before"), ("", None, None)]
)
def test_what_a_dead_worker_left(tmp_path: Path, spooled: str, earlier: str | None, log: str | None) -> None:
    spool, path = tmp_path / "spool", tmp_path / "logs" / "trial-000003.log"
    path.parent.mkdir()
    spool.write_text(spooled)
    if earlier is not None:
        path.write_text(earlier)
    adopt(str(spool), str(tmp_path), 3)
    assert (path.read_text() if path.exists() else None) == log


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_log_that_grows_too_large_loses_its_middle_and_says_how_much(tmp_path: Path, end: str) -> None:
    path, written = tmp_path / "log", bytearray()
    keep_ends(str(path), 4000)
    assert not path.exists()
    with path.open("ab", buffering=0) as program:  # it goes on appending, whatever is cut
        for number in range(600):
            line = f"line {number} {'x' * (number % 60)}{end}".encode()
            program.write(line)
            written += line
            if number % 40 == 39:
                keep_ends(str(path), 4000)
                assert path.stat().st_size <= 4000
    left = re.findall(rb"--- (\d+) bytes are left out here: .*kept\n", kept := path.read_bytes())
    assert len(left) == 1
    first, last = re.split(rb"--- \d+ bytes are left out here: .*kept\n", kept)
    assert int(left[0]) == len(written) - len(first) - len(last)
    assert written.startswith(first)
    assert written.endswith(last)
    assert min(len(first), len(last)) > 900
    assert not end or first.endswith(b"\n")


def test_a_job_that_prints_without_end_does_not_fill_the_disk(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    run(executor, 0, says="x" * (MOST + (5 << 20)))
    run(executor, 0, attempt=1, says="after")
    log = (tmp_path / "logs" / "trial-000000.log").read_bytes()
    assert MOST // 2 < len(log) < MOST
    assert log.startswith(b"--- trial 0, attempt 0")
    assert log.endswith(b"after\n")
    assert log.count(b"bytes are left out here") == 1


def test_how_much_is_kept_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_LOG_SIZE", "20000")
    made = LocalExecutor(Setup(objective, "loss", 1, tmp_path))
    run(made, 0, says="x" * 50_000)
    made.close()
    assert 10_000 < (tmp_path / "logs" / "trial-000000.log").stat().st_size < 20_000


@pytest.mark.parametrize("said", ["much", "-1", "10", "1e6"])
def test_a_size_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("RUNG_LOG_SIZE", said)
    with pytest.raises(StudyError, match=f"RUNG_LOG_SIZE must be a number of bytes, .* not '{said}'"):
        Setup(objective, "loss", 1, tmp_path)


def _redirected() -> None:
    target = os.open(os.devnull, os.O_WRONLY)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


def _replaced() -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    sys.stdout.close()


def _both_closed() -> None:
    os.close(1)
    os.close(2)
    os.open(os.devnull, os.O_WRONLY)  # takes the number of standard output


SPOILT: dict[str, Callable[[], object]] = {
    "streams": lambda: (sys.stdout.close(), sys.stderr.close()),
    "python's own": lambda: sys.__stdout__.close(),  # type: ignore[union-attr]
    "output": lambda: os.close(1),
    "errors": lambda: os.close(2),
    "both": _both_closed,
    "redirected": _redirected,
    "replaced": _replaced,
    "removed": lambda: (setattr(sys, "stdout", None), setattr(sys, "stderr", None)),
}


def spoiling(config: Any) -> float:
    if config.get("spoil"):
        SPOILT[config["spoil"]]()
    if config.get("raises"):
        raise ValueError("on purpose")
    print(config.get("says"), flush=True)
    subprocess.run([sys.executable, "-c", "import sys; print('child', file=sys.stderr)"], check=True)
    return 1.0


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("raises", [False, True])
def test_a_job_has_its_output_whatever_the_job_before_did_with_its_own(
    tmp_path: Path, how: str, raises: bool
) -> None:
    made = LocalExecutor(Setup(spoiling, "loss", 1, tmp_path))
    made.submit([Job(0, 1, {"spoil": how, "raises": raises})])
    (first,) = made.poll(None)
    assert first.trial == 0
    if raises:
        assert isinstance(first, JobFailed)
        assert "on purpose" in first.message
    made.submit([Job(1, 1, {"says": "hello"})])
    (second,) = made.poll(None)
    assert isinstance(second, JobFinished)
    made.close()
    assert logs(tmp_path)["trial-000001.log"] == ["--- trial 1, attempt 0", "hello", "child"]
