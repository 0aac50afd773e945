"""What is killed: a search on this machine, one with its log in PostgreSQL, a service with workers, Ray."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.cluster_demo.processes import Process, rung, wait_ready
from benchmarks.cluster_demo.verdict import Verdict, verdict
from benchmarks.postgres_server import Server, free_port
from rung.storage import open_storage
from rung.storage.base import StudyRow

STUDY = "soak"
TRIALS = "27"
_TUNE = ("tune", "objective.py", "--trials", TRIALS, "--study", STUDY, "--retries", "100000")
_METHOD = ("--sampler", "random", "--scheduler", "sha")  # its result does not hang on the order of results


class Scene:
    """A search and the parts that can be killed.

    Attributes:
        kills: by part, those that hit a living process.
    """

    name = "none"
    pause = (0.2, 0.9)  # seconds between two kills

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.kills: Counter[str] = Counter()
        self.storage = str(folder / "soak.db")
        self.env: dict[str, str] = {"RUNG_STORAGE": self.storage}
        shutil.copy(Path(__file__).with_name("objective.py"), folder / "objective.py")

    def begin(self) -> None:
        """Start everything."""

    def parts(self) -> dict[str, Callable[[random.Random], bool]]:
        """What can be killed; each tells whether it hit something."""
        return {}

    def mend(self) -> None:
        """Start again what is dead."""

    def _row(self) -> StudyRow | None:
        storage = open_storage(self.storage)
        try:
            return storage.find(STUDY)
        finally:
            storage.close()

    def done(self) -> bool:
        """Whether the search has ended by itself."""
        row = self._row()
        return row is not None and row.summary.state == "done"

    def progress(self) -> float:
        """A number that grows as the search does."""
        row = self._row()
        return 0.0 if row is None else row.summary.trials + row.summary.spent

    def close(self) -> None:
        """End everything that runs."""

    def remove(self) -> None:
        """Remove what `verdict` still needed."""

    def verdict(self) -> Verdict:
        """What the store says at the end."""
        os.environ.update({name: value for name, value in self.env.items() if name == "RUNG_FILES"})
        storage = open_storage(self.storage)
        try:
            return verdict(storage, STUDY)
        finally:
            storage.close()


def kill_process(pid: int) -> bool:
    """SIGKILL; whether there was somebody."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            process.kill()
            return True
    return False


class Local(Scene):
    """`rung tune` with two local workers on SQLite: the driver, a worker, or all at once die."""

    name = "local"
    executor: tuple[str, ...] = ("--workers", "2")

    def begin(self) -> None:
        command = [*_TUNE, *_METHOD, *self.executor, "--seed", str(self.seed)]
        self.driver = Process("driver", command, self.folder, self.env)

    def parts(self) -> dict[str, Callable[[random.Random], bool]]:
        return {
            "driver": self._driver,
            "worker": self._worker,
            "worker again": self._worker,
            "all": self._all,
        }

    def _children(self) -> list[int]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.driver.pid).children()]
        return []

    def _driver(self, _: random.Random) -> bool:
        return self.driver.kill()

    def _worker(self, choice: random.Random) -> bool:
        children = self._children()
        return bool(children) and kill_process(choice.choice(children))

    def _all(self, _: random.Random) -> bool:
        hit = [kill_process(child) for child in self._children()]
        return self.driver.kill() or any(hit)

    def mend(self) -> None:
        if not self.driver.alive and not self.done():
            begun = (self.folder / "begun").exists() or self._has_begun()
            command = [*_TUNE, *_METHOD, *self.executor, "--seed", str(self.seed)]
            if begun:
                command = ["resume", STUDY, *self.executor]
            self.driver.start(command)

    def _has_begun(self) -> bool:
        row = self._row()
        ready = row is not None and row.events > 3  # the command that made it is in the log, too
        if ready:
            (self.folder / "begun").touch()
        return ready

    def done(self) -> bool:
        return not self.driver.alive and super().done()

    def close(self) -> None:
        self.driver.stop()


class Postgres(Local):
    """The same with the log in PostgreSQL, whose server dies too."""

    name = "postgres"
    pause = (0.5, 1.5)

    def begin(self) -> None:
        self.server = Server(durable=True)
        self.storage = self.server.url(self.server.database())
        self.env = {"RUNG_STORAGE": self.storage, "RUNG_FILES": str(self.folder / "files")}
        os.environ["RUNG_FILES"] = self.env["RUNG_FILES"]
        super().begin()

    def parts(self) -> dict[str, Callable[[random.Random], bool]]:
        return {**super().parts(), "database": self._server}

    def _server(self, _: random.Random) -> bool:
        self.server.kill()
        time.sleep(0.2)
        self.server.start()
        return True

    def remove(self) -> None:
        self.server.remove()


class Service(Scene):
    """A service with two workers: each of them dies, and what a worker runs."""

    name = "service"
    pause = (0.6, 2.0)
    lease = "2"

    def begin(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        made = rung(
            ["service", "token", "create", "--user", "root", "--role", "admin"], self.folder, self.env
        )
        token = {"RUNG_TOKEN": made.split()[-1]}
        command = ["service", "--port", str(port), "--lease", self.lease]
        self.service = Process("service", command, self.folder, self.env)
        wait_ready(self.url)
        self.workers = [
            Process(
                name, ["worker", "--service", self.url, "--slots", "1", "--name", name], self.folder, token
            )
            for name in ("one", "two")
        ]
        tune = ["--service", self.url, "tune", "objective:train", "--study", STUDY, "--space", "objective.py"]
        tune += ["--resource", "epoch:1:9", "--trials", TRIALS, "--retries", "100000", "--detach"]
        rung([*tune, *_METHOD, "--seed", str(self.seed)], self.folder, token)

    def parts(self) -> dict[str, Callable[[random.Random], bool]]:
        return {"service": self._service, "worker": self._worker, "job": self._job, "job again": self._job}

    def _service(self, _: random.Random) -> bool:
        return self.service.kill()

    def _worker(self, choice: random.Random) -> bool:
        return choice.choice(self.workers).kill()

    def _job(self, choice: random.Random) -> bool:
        pids: list[int] = []
        for worker in self.workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                pids += [child.pid for child in psutil.Process(worker.pid).children()]
        return bool(pids) and kill_process(choice.choice(pids))

    def mend(self) -> None:
        for process in (self.service, *self.workers):
            if not process.alive:
                process.start()

    def close(self) -> None:
        for process in (*self.workers, self.service):
            process.stop()


class Ray(Local):
    """`rung tune` on a private Ray: the driver, or any process of Ray's that it started."""

    name = "ray"
    pause = (2.0, 6.0)
    executor = ("--executor", "ray", "--workers", "2")

    def parts(self) -> dict[str, Callable[[random.Random], bool]]:
        return {"driver": self._driver, "ray": self._ray, "ray again": self._ray}

    def _ray(self, choice: random.Random) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.driver.pid).children(recursive=True)
            actors = [child.pid for child in children if child.name().startswith("ray::")]
            return bool(actors) and kill_process(choice.choice(actors))
        return False


SCENES: dict[str, type[Scene]] = {scene.name: scene for scene in (Local, Postgres, Service, Ray)}
