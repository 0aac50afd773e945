"""What stands in a slot of a cluster: one supervised worker process, asked from afar.

It is `LocalExecutor` with one worker, so that a job has the same limits, logs, gates, heartbeat and end
wherever it runs. The executor asks it by `turn`, which answers as soon as there is something to tell:
one call is one `poll`, and a report at a gate waits for the next one.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import msgspec

import rung
from rung.executors.base import Job
from rung.executors.files import trial_name
from rung.executors.local import LocalExecutor
from rung.executors.needs import Needs
from rung.executors.pipes import Run, from_worker, to_worker
from rung.executors.processes import THREADS, Shipped
from rung.executors.setup import Setup
from rung.trials.events import Event, JobFailed, JobFinished, JobStopped

_TICK = 0.25  # seconds until a running job hears that it is cancelled
ENDS = (JobFinished, JobFailed, JobStopped)


class Brief(NamedTuple):
    """What all slots of an executor are given.

    Attributes:
        shipped: the objective.
        setup: the executor's, but for the objective.
        path: entries of the driver's `sys.path`.
        arguments: `sys.argv` of the driver.
        directory: where it runs; jobs run there too, on nodes that have it.
        token: the name of a file in the study's folder by which a node sees that the folder is shared.
    """

    shipped: Shipped
    setup: Setup
    path: tuple[str, ...]
    arguments: tuple[str, ...]
    directory: str
    token: str


class Hello(NamedTuple):
    """What a slot says of itself when it is up."""

    node: str
    address: str
    host: str
    version: str
    shares: bool  # it sees the study's folder
    port: int  # that was free


class Host:
    """One slot.

    Args:
        number: the slot's, by which its files are named.
        rank: place of its node among those of its trial.
        needs: what is reserved for it: threads of linear algebra, GPUs that it may see.
        alone: its trial runs on this node only: the worker starts at once.
    """

    def __init__(self, brief: Brief, number: int, rank: int, needs: Needs, alone: bool) -> None:
        self._brief = brief
        self._number = number
        self._rank = rank
        self._executor: LocalExecutor | None = None
        self._serial = self._cancelled = 0
        for name in THREADS:
            os.environ[name] = str(max(1, ceil(needs.cpus)))
        if not needs.gpus:  # what is not reserved is not seen
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        sys.argv = list(brief.arguments)
        if os.path.isdir(brief.directory):
            os.chdir(brief.directory)
        sys.path.extend(entry for entry in brief.path if entry not in sys.path)
        if alone:
            self.join({})

    def introduce(self, node: str, address: str) -> Hello:
        """Who it is; `node` and `address` are told by the engine."""
        with socket.socket() as free:
            free.bind((address if address.startswith("127.") else "", 0))
            port = free.getsockname()[1]
        shares = os.path.exists(os.path.join(self._brief.setup.folder, self._brief.token))
        return Hello(node, address, socket.gethostname(), rung.__version__, shares, port)

    def join(self, environment: Mapping[str, str]) -> None:
        """Start the worker process, with these variables beside those of this process."""
        os.environ.update(environment)
        setup = self._brief.setup
        if self._rank:  # what the others of a trial save is not the trial's
            setup = replace(setup, folder=setup.folder / "nodes" / str(self._rank), checkpoints=None)
        setup.folder.mkdir(parents=True, exist_ok=True)
        self._executor = LocalExecutor(setup, shipped=self._brief.shipped, first=self._number)

    def turn(self, serial: int, job: bytes | None, stop: bool) -> bytes:
        """Begin a job or go on with it, until it tells something.

        Args:
            serial: the job's number in this slot.
            job: one that begins; None: let the one that runs go on.
            stop: it is cancelled.
        """
        executor = self._executor
        assert executor is not None
        if job is not None:
            executor.poll(0.0)  # a process that died since the last job is noticed here
            self._serial = serial
            executor.submit([_job(job)])
        if stop:
            self._cancelled = serial
        while True:
            if self._cancelled == self._serial:
                self._cancelled = 0
                for trial in executor.running:
                    executor.cancel(trial)
            events = executor.poll(_TICK)
            if events:
                if self._rank and isinstance(events[-1], ENDS):
                    self._forget(events[-1].trial)
                return encode(events)

    def cancel(self, serial: int) -> None:
        """Stop the job of this number, if it still runs; called while `turn` waits."""
        self._cancelled = serial

    def _forget(self, trial: int) -> None:
        home = self._brief.setup.folder / "nodes" / str(self._rank) / trial_name(trial)
        shutil.rmtree(home, ignore_errors=True)


def _job(data: bytes) -> Job:
    (message,) = to_worker.decode(data)
    assert isinstance(message, Run)
    return message.job


def encode(messages: Any) -> bytes:
    """Jobs and events as they travel."""
    return msgspec.msgpack.encode(messages)


def decode(data: bytes) -> list[Event]:
    """The events of a `turn`."""
    return [message for message in from_worker.decode(data) if isinstance(message, Event)]
