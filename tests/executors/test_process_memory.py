"""`rung.executors.memory`: the memory of a process and all that it started."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rung.executors.memory import over

MIB = 1 << 20
HOLD = """
import os, sys
held = b"x" * (60 << 20)
if sys.argv[1] == "fork" and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["alone", "fork"])
def group(request: pytest.FixtureRequest) -> Iterator[int]:
    """A process group that holds about 70 MiB, in one process or shared by two."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        os.killpg(process.pid, 9)


def test_over_a_limit(group: int) -> None:
    assert over([group], 1000 * MIB) == {}
    assert 60 * MIB < over([group], 50 * MIB)[group] < 200 * MIB


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what processes share")
def test_what_processes_share_counts_once(group: int) -> None:
    assert over([group], 110 * MIB) == {}


def test_a_group_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as process:
        process.wait()
    assert over([process.pid], 0) == {}
