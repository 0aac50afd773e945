"""Workers, nodes and the driver are killed at random: nothing is lost or doubled, and the same is found."""

import random
import subprocess
import time
from pathlib import Path

import pytest

from support.ray_chaos import TRIALS, driver, found, kill_a_worker, run
from support.ray_nodes import Nodes

FAULTS = ("worker", "node", "driver")


class Round:
    """One study under faults."""

    def __init__(self, folder: Path, nodes: Nodes, rng: random.Random) -> None:
        self.storage = str(folder / "chaos.db")
        self.kills = 0
        self._pids = folder / "pids"
        self._log = folder / "driver.log"
        self._nodes = nodes
        self._rng = rng
        self._second = nodes.add(num_cpus=2)
        self._driver = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        settings = self._nodes.environment | {"RAY_ADDRESS": self._nodes.address}
        return driver(self.storage, settings, self._log, self._pids)

    def strike(self, fault: str) -> None:
        """Wait until jobs run, then kill something."""
        until = time.monotonic() + 120
        before = set(self._pids.iterdir())
        while self._driver.poll() is None and not set(self._pids.iterdir()) - before:
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.05)
        time.sleep(self._rng.uniform(0.0, 0.5))
        if self._driver.poll() is not None:
            return  # it was faster
        if fault == "worker":
            self.kills += kill_a_worker(self._pids, self._rng)
        elif fault == "node":
            self._nodes.kill(self._second)
            self._second = self._nodes.add(num_cpus=2)
            self.kills += 1
        else:
            self._driver.kill()
            self._driver.wait()
            self._driver = self._start()
            self.kills += 1

    def end(self) -> None:
        """Let it run to its end."""
        try:
            assert self._driver.wait(timeout=200) == 0, self._log.read_text()
        finally:
            self._driver.kill()
            self._driver.wait()
            self._nodes.kill(self._second)


def check(folder: Path, nodes: Nodes, faults: tuple[str, ...], seed: int) -> int:
    """One round; how many kills there were."""
    undisturbed = str(folder / "undisturbed.db")
    run(undisturbed, "inline")
    round_ = Round(folder, nodes, random.Random(seed))
    try:
        for fault in faults:
            round_.strike(fault)
    finally:
        round_.end()
    best, values = found(round_.storage)
    expected, expected_values = found(undisturbed)
    assert best == expected
    assert {trial for trial, at in values if at == 1} == set(range(TRIALS))  # none is lost
    for place in values.keys() & expected_values.keys():  # a retry comes later: others may be promoted
        assert values[place] == expected_values[place]
    assert all(len(told) == 1 for told in values.values())
    return round_.kills


@pytest.mark.parametrize("faults", [("worker", "node"), ("driver",)], ids="-".join)
def test_what_is_killed_costs_nothing_but_time(
    faults: tuple[str, ...], ray_nodes: Nodes, tmp_path: Path
) -> None:
    assert check(tmp_path, ray_nodes, faults, seed=1) >= 1


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(20))
def test_random_kills(number: int, ray_nodes: Nodes, tmp_path: Path) -> None:
    rng = random.Random(number)
    check(tmp_path, ray_nodes, tuple(rng.choices(FAULTS, k=4)), seed=number)
