"""Three studies of two users on a small cluster whose parts are killed.

    make cluster-demo        (python -m benchmarks.cluster_demo)

Starts PostgreSQL, the service and three workers (one of them on Ray), all on loopback, submits three studies,
kills workers, the service and the database while they run, and shows the shares. The last line says what the
store, read at the end by itself, has to say: {"studies_done": 3, "kills": ..., "lost": 0, "doubled": 0},
where `kills` are the deaths that the logs show.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live

from benchmarks.cluster_demo.processes import Process, rung, wait_ready
from benchmarks.cluster_demo.screen import Seen
from benchmarks.cluster_demo.verdict import deaths, verdict
from benchmarks.postgres_server import Server, free_port
from rung.storage import open_storage

LEASE = 6.0  # seconds: a worker that is silent for so long has lost its jobs
STUDIES = (  # name, user, weight, trials, seed
    ("ann-wide", "ann", "1", "81", "1"),
    ("ann-small", "ann", "1", "36", "2"),
    ("bob-heavy", "bob", "2", "81", "3"),
)
_LIMIT = 400.0  # seconds after which it gives up
console = Console()


class Cluster:
    """All parts, in a folder of their own."""

    def __init__(self, folder: Path, seen_kills: list[str], ray: bool) -> None:
        self.folder = folder
        self.said = seen_kills
        shutil.copy(Path(__file__).with_name("objectives.py"), folder / "objectives.py")
        self.files = folder / "files"
        self.server = Server(durable=True)
        self.storage = self.server.url(self.server.database())
        self.env = {"RUNG_FILES": str(self.files), "RUNG_STORAGE": self.storage}
        self.tokens = {
            name: self._token(name, role, scope)
            for name, role, scope in (("root", "admin", None), ("lender", "member", "workers"))
        }
        for user in ("ann", "bob"):
            self.tokens[user] = self._token(user, "member", None)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.service = Process(
            "service", ["service", "--port", str(port), "--lease", str(LEASE)], folder, self.env
        )
        wait_ready(self.url)
        self.workers = [self._worker("worker-1"), self._worker("worker-2"), self._worker("worker-3", ray=ray)]

    def _token(self, user: str, role: str, scope: str | None) -> str:
        scopes = [] if scope is None else ["--scope", scope]
        made = rung(
            ["service", "token", "create", "--user", user, "--role", role, *scopes], self.folder, self.env
        )
        return made.split()[-1]

    def _worker(self, name: str, *, ray: bool = False) -> Process:
        command = ["worker", "--service", self.url, "--slots", "2", "--name", name]
        command += ["--executor", "ray"] if ray else []
        return Process(name, command, self.folder, {"RUNG_TOKEN": self.tokens["lender"]})

    def submit(self) -> None:
        for name, user, weight, trials, seed in STUDIES:
            command = ["--service", self.url, "tune", "objectives:train", "--study", name]
            command += ["--space", "objectives.py", "--resource", "epoch:1:9", "--trials", trials]
            command += ["--weight", weight, "--seed", seed, "--detach"]
            rung(command, self.folder, {"RUNG_TOKEN": self.tokens[user]})

    def close(self) -> None:
        for process in (*self.workers, self.service):
            process.stop()


def kill_something(cluster: Cluster, seen: Seen, number: int, rng: random.Random) -> None:
    """One death: of a worker, of the service, of the database, in turn."""
    kind = ("worker", "service", "worker", "database")[number % 4]
    if kind == "database":
        seen.say("killed PostgreSQL (SIGKILL to all its processes)")
        cluster.server.kill()
        time.sleep(1.0)
        cluster.server.start()
        seen.say("PostgreSQL is back")
        return
    process = cluster.service if kind == "service" else rng.choice(cluster.workers)
    process.kill()
    seen.say(f"killed {process.name} (SIGKILL)")
    time.sleep(1.0 if kind == "service" else LEASE / 2)
    process.start()
    seen.say(f"{process.name} starts again")


def watch(cluster: Cluster, seed: int, every: float, most: int) -> bool:
    """Kill and show until all studies are done; whether they are."""
    rng = random.Random(seed)
    seen = Seen(cluster.url, cluster.tokens["root"])
    killed, next_kill = 0, time.monotonic() + every
    with Live(seen.drawn(), console=console, refresh_per_second=4, transient=not console.is_terminal) as live:
        while time.monotonic() - seen.began < _LIMIT:
            seen.look()
            live.update(seen.drawn())
            if seen.all_done:
                break
            if killed < most and time.monotonic() >= next_kill:
                kill_something(cluster, seen, killed, rng)
                killed, next_kill = killed + 1, time.monotonic() + every
            time.sleep(0.5)
    if not console.is_terminal:
        console.print(seen.drawn())
    return seen.all_done


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster_demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of who is killed")
    parser.add_argument("--every", type=float, default=12.0, help="seconds between two kills")
    parser.add_argument("--most", type=int, default=8, help="kills at most")
    parser.add_argument("--no-ray", action="store_true", help="all workers local")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rung-cluster-") as name:
        console.print("starting PostgreSQL, the service and three workers ...")
        cluster = Cluster(Path(name), [], not given.no_ray)
        try:
            cluster.submit()
            done = watch(cluster, given.seed, given.every, given.most)
        finally:
            cluster.close()
        try:
            result = told(cluster)
        finally:
            cluster.server.remove()
        if not done:
            for log in sorted(Path(name).glob("*.log")):
                console.print(f"--- {log.name}\n{log.read_text()[-3000:]}", markup=False)
    print(json.dumps(result))
    return 0 if done and result["studies_done"] == 3 and not result["lost"] + result["doubled"] else 1


def told(cluster: Cluster) -> dict[str, int]:
    """What the store has to say."""
    os.environ["RUNG_FILES"] = str(cluster.files)
    storage = open_storage(cluster.storage)
    found = [verdict(storage, name) for name, *_ in STUDIES]
    dead = deaths([list(storage.read(name)) for name, *_ in STUDIES])
    storage.close()
    for one in found:
        console.print(
            f"{one.name}: {one.trials} trials, best {one.best}, lost {one.lost}, doubled {one.doubled}, "
            f"{one.differences} decisions that do not derive again"
        )
    console.print(f"deaths in the logs: {dead['services']} of the service, {dead['workers']} of workers")
    return {
        "studies_done": sum(one.done for one in found),
        "kills": sum(dead.values()),
        "lost": sum(one.lost for one in found),
        "doubled": sum(one.doubled for one in found),
    }


if __name__ == "__main__":
    sys.exit(main())
