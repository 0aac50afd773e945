"""A peer's search on a virtual clock with any number of workers, as rung's own simulated executor does it.

A job lasts as long as the problem says. What a configuration was trained to is kept, whatever the peer does
about checkpoints: a job goes on from the largest resource below its own that this configuration was trained
to, and only the rest is paid for, which favours peers that would train anew. A training that goes on keeps
its luck, even where the peer gives each job a number of its own. A configuration that is proposed once more
is an evaluation repeated, and paid for. No job is started whose cost would pass the budget; those that run
come to their end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any, NamedTuple

from benchmarks.peers.session import Session
from benchmarks.problems import Problem
from benchmarks.systems import Setting
from benchmarks.systems.flat import flat, restored
from benchmarks.systems.trace import Trace


class Running(NamedTuple):
    """A job; the first two say when it ends, and which of equals first.

    Attributes:
        cost: the resource that it spends.
        luck: the trial whose noise it has: its own, or that of the training which it goes on with.
    """

    ends: float
    number: int
    trial: int
    config: dict[str, Any]
    until: int
    cost: int
    luck: int


def payload(problem: Problem, setting: Setting, multi_fidelity: bool) -> dict[str, Any]:
    """What a peer is told of its search."""
    resource = problem.resource[1:] if problem.resource and multi_fidelity else None
    return {
        "space": list(flat(problem.space)),
        "resource": resource,
        "full": problem.largest,
        "seed": setting.seed,
        "evaluations": setting.evaluations,
        "workers": setting.workers,
        "eta": setting.eta,
    }


def search(
    problem: Problem, setting: Setting, trace: Trace, peer: str, multi_fidelity: bool = True, option: str = ""
) -> None:
    """Let a peer search; `option` is for its script.

    Raises:
        ValueError: a setting that is for rung's own simulations only.
    """
    if setting.stragglers or setting.drop or setting.trials is not None:
        raise ValueError("peers are run without stragglers, dropped jobs and a limit of trials")
    told = payload(problem, setting, multi_fidelity) | {"option": option}
    with Session(peer, told) as session:
        drive(problem, setting, trace, session)
        trace.deciding = session.seconds


def drive(problem: Problem, setting: Setting, trace: Trace, session: Any) -> None:
    """Ask for jobs while a worker is free and the budget allows, tell results in the order of their ends.

    Raises:
        RuntimeError: the peer waits although nothing runs.
    """
    floor = Floor(problem, setting)
    while True:
        waits = False
        while len(floor.running) < setting.workers and not floor.spent_up and not waits:
            job = session.ask()
            waits = job is None
            if job is not None:
                floor.start(job[0], restored(problem.space, job[1]), job[2])
        if not floor.running:
            if waits:
                raise RuntimeError("the peer waits for results, and nothing runs")
            return
        if not floor.finish(trace, session.tell):
            return


class Floor:
    """The workers, the clock, and what was spent."""

    def __init__(self, problem: Problem, setting: Setting) -> None:
        self.running: list[Running] = []
        self.spent_up = False
        self._problem = problem
        self._setting = setting
        self._now = 0.0
        self._count = 0
        self._started = 0.0  # resource of all jobs that began
        self._spent = 0.0  # of those that ended
        # By configuration, the resources that it was trained to, and whose training each is.
        self._saved: dict[tuple[Any, ...], dict[int, int]] = {}

    def start(self, trial: int, config: dict[str, Any], until: int) -> None:
        """Start a job, unless its cost passes the budget: then nothing more is started."""
        saved = self._saved.get(_key(config), {}) if self._problem.continues else {}
        start = max((reached for reached in saved if reached < until), default=0)
        cost = until - start
        if self._started + cost > self._setting.evaluations * self._problem.largest:
            self.spent_up = True
            return
        self._started += cost
        self._count += 1
        ends = self._now + self._problem.seconds(config, start, until)
        luck = saved.get(start, trial)
        heappush(self.running, Running(ends, self._count, trial, config, until, cost, luck))

    def finish(self, trace: Trace, tell: Callable[[int, int, float | None], int | None]) -> bool:
        """The next job ends; False if that is after the time there is."""
        job = heappop(self.running)
        if self._setting.seconds is not None and job.ends > self._setting.seconds:
            return False
        self._now = job.ends
        self._spent += job.cost
        self._saved.setdefault(_key(job.config), {})[job.until] = job.luck
        loss = self._problem.value(job.config, job.until, 100_000 * self._setting.seed + job.luck)
        trace.result(job.config, job.until, loss, self._spent, self._now)
        until = tell(job.trial, job.until, loss if math.isfinite(loss) else None)
        if until is not None:
            self.start(job.trial, job.config, until)
        return True


def _key(config: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(config.items())
