"""A Ray cluster of several nodes on this machine's loopback address, for the tests that share it.

It is a process of its own, which ends when the last process that asked for it has ended. All of its nodes
have the address 127.0.0.1, since Ray listens on loopback only for that one.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import psutil

_STORE = 80 * 2**20
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # by which it listens on loopback only
}


_started: list[Any] = []  # it outlives the tests for a moment: not to be warned of


class Nodes:
    """The cluster as a test sees it."""

    def __init__(self, home: Path, address: str, token: str) -> None:
        self.address = address
        self.environment = {**SETTINGS, "RAY_AUTH_TOKEN": token}
        self._home = home

    def add(self, **options: Any) -> int:
        """Start another node; its number."""
        return int(self._ask("add", options))

    def kill(self, number: int) -> None:
        """Kill a node with SIGKILL, as a machine that loses its power."""
        self._ask("kill", number)

    def _ask(self, what: str, value: Any) -> Any:
        with Client(str(self._home / "socket"), authkey=b"loopback") as line:
            line.send((what, value))
            return line.recv()


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One process at a time."""
    home.mkdir(exist_ok=True)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def shared_nodes(home: Path) -> Nodes:
    """The cluster that lives in this folder, started by whoever comes first. Call it `locked`."""
    (home / f"user-{os.getpid()}").touch()
    said = home / "cluster.json"
    if not said.exists():
        token = secrets.token_hex(32)
        command = [sys.executable, __file__, str(home), token]
        environment = os.environ | SETTINGS | {"RAY_AUTH_TOKEN": token}
        with open(home / "cluster.log", "w") as log:
            _started.append(
                subprocess.Popen(command, env=environment, start_new_session=True, stdout=log, stderr=log)
            )
        until = time.monotonic() + 120
        while not said.exists():
            assert time.monotonic() < until, (home / "cluster.log").read_text()
            time.sleep(0.1)
    return Nodes(home, **json.loads(said.read_text()))


def _serve(home: Path, token: str) -> None:
    from ray.cluster_utils import Cluster

    shared = {"object_store_memory": _STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "resources": {"tpu": 2}, **shared})
    nodes: list[Any] = []
    with Listener(str(home / "socket"), authkey=b"loopback") as listener:
        draft = home / "cluster.draft"
        draft.write_text(json.dumps({"address": cluster.address, "token": token}))
        draft.rename(home / "cluster.json")
        listener._listener._socket.settimeout(0.5)  # type: ignore[attr-defined]  # to look at the users
        while any(psutil.pid_exists(int(path.name.split("-")[1])) for path in home.glob("user-*")):
            try:
                line = listener.accept()
            except TimeoutError:
                continue
            what, value = line.recv()
            if what == "add":
                nodes.append(cluster.add_node(wait=False, object_store_memory=_STORE, **value))
                line.send(len(nodes) - 1)
            else:
                cluster.remove_node(nodes[value], allow_graceful=False)
                line.send(None)
            line.close()
    cluster.shutdown()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
