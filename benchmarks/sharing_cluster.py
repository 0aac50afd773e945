"""A cluster on a virtual clock, studies of ASHA that arrive over time, and what becomes of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

import rung
from rung.cluster.sharing import (
    Claim,
    ClaimChanged,
    Launch,
    Node,
    NodeJoined,
    Passed,
    Policy,
    Preempt,
    PreemptionAsked,
    Sharing,
    SharingEvent,
    StudyLeft,
    Task,
    TaskEnded,
    TaskStarted,
    fold,
    initial,
)
from rung.study.ready import ready

ETA, LARGEST = 4, 16  # of every study's ladder
SAVING = 10.0  # seconds that a job takes to save and stop
SAMPLED = 120.0  # seconds between looks at who has what


class Workload(NamedTuple):
    """What arrives, and where: `apart` is the mean time between two studies' arrivals, in seconds."""

    studies: int
    nodes: int
    slots: int  # of each node
    apart: float
    seed: int = 0


class Figures(NamedTuple):
    """What became of the studies; times in seconds, shares over life as got / ideal."""

    mean: float
    late: float
    slowdown: float
    worst: float
    jain: float
    utilisation: float
    preempted: int
    jobs: int
    cost: float
    end: float
    shares: list[float]
    times: list[float]
    curves: dict[str, list[float]]


class Search:
    """A study: rung's own, with made-up losses, and a number of trials and a pace drawn from the seed."""

    def __init__(self, number: int, arrival: float, rng: np.random.Generator) -> None:
        self.name = f"s{number:03}"
        self.arrival = arrival
        self.trials = int(np.clip(rng.lognormal(np.log(60), 1.2), 16, 3000))
        self.pace = float(rng.lognormal(np.log(600.0), 0.5))  # seconds a unit of resource
        self.gang = 4 if number % 10 == 9 else 1
        self.seed = int(rng.integers(2**31))
        self.study: rung.Study | None = None
        self.paused: deque[tuple[object, float]] = deque()  # stopped jobs, and what is left of them
        self.running: dict[int, tuple[object, float, float]] = {}  # job, its end, when it started
        self.got = self.ideal = 0.0
        self.done: float | None = None

    def open(self) -> None:
        self.study = rung.Study(
            {"x": rung.Float(0.0, 1.0)},
            resource=("epoch", 1, LARGEST),
            eta=ETA,
            sampler="random",
            scheduler="asha",
            seed=self.seed,
            trials=self.trials,
        )

    def waiting(self) -> int:
        """Jobs that it could start now: stopped ones, new trials, promotions as far as known."""
        assert self.study is not None
        return len(self.paused) + ready(self.study.history, self.study.writer.scheduler)

    def next(self) -> tuple[object, float] | None:
        """A job, and the seconds that it takes."""
        if self.paused:
            return self.paused.popleft()
        assert self.study is not None
        job = self.study.ask()
        if job is None:
            return None
        factor = 0.5 + _uniform(self.seed, job.number, 1)  # configurations differ in speed
        return job, self.pace * factor * (job.resource - job.start) / self.gang

    def tell(self, job: object) -> None:
        loss = (
            _uniform(self.seed, job.number, 2)
            + 0.5 * _uniform(self.seed, job.number, job.resource) / job.resource
        )
        self.study.tell(job, loss)

    def over(self) -> bool:
        return not self.running and not self.paused and self.study is not None and self.study.done


def _uniform(*parts: int) -> float:
    bits = 0x9E3779B97F4A7C15
    for part in parts:
        bits = ((bits ^ part) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        bits ^= bits >> 31
    return bits / 2.0**64


class Cluster:
    """Runs a workload as `decide` says.

    Args:
        workload: what arrives.
        decide: gives launches and preemptions from the sharing's state.
        only: the one study that arrives, at 0; None for all.
    """

    def __init__(
        self,
        workload: Workload,
        decide: Callable[[Sharing], list[Launch | Preempt]],
        only: int | None = None,
    ) -> None:
        rng = np.random.default_rng(workload.seed)
        arrivals = np.cumsum(rng.exponential(workload.apart, workload.studies))
        self.searches = {}
        for number, arrival in enumerate(arrivals):
            search = Search(number, 0.0 if only is not None else float(arrival), rng)
            if only is None or number == only:
                self.searches[search.name] = search
        self.workload, self.decide = workload, decide
        fair = getattr(decide, "__module__", "").startswith("rung.")
        self.state = initial(Policy() if fair else Policy(reserve_after=1e12))
        self.now = 0.0
        self.events = self.jobs = self.preempted = 0
        self.spent = 0.0  # seconds of this machine in folding and deciding
        self.used = self.usable = 0.0
        self.curves: dict[str, list[float]] = {"time": [], "studies": [], "used": []}
        self._heap: list[tuple[float, int, str, str, int]] = []
        self._count = 0

    def run(self) -> Figures:
        """Until all studies are done."""
        for number in range(self.workload.nodes):
            self._fold(NodeJoined(0.0, Node(f"n{number}", self.workload.slots)))
        for search in self.searches.values():
            self._push(search.arrival, "arrive", search.name, 0)
        self._push(SAMPLED, "look", "", 0)
        while self._heap:
            moment, _, kind, name, trial = heappop(self._heap)
            self._integrate(moment - self.now)
            self.now = moment
            if kind == "look":
                self._look()
            else:
                getattr(self, f"_{kind}")(self.searches[name], trial)
            if not self._heap or self._heap[0][0] > moment:
                self._act()
        return self._figures()

    # -- what happens ---------------------------------------------------------------------------------

    def _arrive(self, search: Search, _: int) -> None:
        search.open()
        self._claim(search)

    def _end(self, search: Search, trial: int) -> None:
        job, end, _ = search.running.get(trial, (None, 0.0, 0.0))
        if job is None or end > self.now + 1e-9:
            return  # it was stopped
        del search.running[trial]
        search.tell(job)
        self._fold(TaskEnded(self.now, search.name, trial))
        self._after(search)

    def _stop(self, search: Search, trial: int) -> None:
        if trial not in search.running:
            return  # it ended by itself
        job, end, _ = search.running.pop(trial)
        search.paused.append((job, max(1.0, end - self.now + SAVING)))
        self._fold(TaskEnded(self.now, search.name, trial))
        self._after(search)

    def _after(self, search: Search) -> None:
        if search.over():
            search.done = self.now
            self._fold(StudyLeft(self.now, search.name))
        else:
            self._claim(search)

    def _integrate(self, seconds: float) -> None:
        """Add up what each study gets and what it should get, which change at events only."""
        if seconds <= 0.0:
            return
        shares = [share for share in self.state.shares.values() if share.claim.waiting or share.held]
        held = np.array([float(share.held) for share in shares])
        most = held + [float(share.claim.waiting * share.claim.gang) for share in shares]
        ideal = equal_parts(most, float(self.state.cluster.capacity))
        for share, got, due in zip(shares, held.tolist(), ideal.tolist(), strict=True):
            search = self.searches[share.claim.study]
            search.got += got * seconds
            search.ideal += due * seconds
        self.used += self.state.cluster.used * seconds
        self.usable += float(ideal.sum()) * seconds

    def _look(self) -> None:
        """Note how many studies there are, and let time pass."""
        shares = [share for share in self.state.shares.values() if share.claim.waiting or share.held]
        self.curves["time"].append(self.now)
        self.curves["studies"].append(float(len(shares)))
        self.curves["used"].append(float(self.state.cluster.used))
        self._fold(Passed(self.now))
        if any(search.done is None for search in self.searches.values()):
            self._push(self.now + SAMPLED, "look", "", 0)

    # -- what is done ---------------------------------------------------------------------------------

    def _act(self) -> None:
        while True:
            start = time.process_time()
            decisions = self.decide(self.state)
            self.spent += time.process_time() - start
            started = False
            for decision in decisions:
                search = self.searches[decision.study]
                if isinstance(decision, Launch):
                    started = self._launch(search, decision) or started
                else:
                    self.preempted += 1
                    self._fold(PreemptionAsked(self.now, search.name, decision.trial))
                    self._push(self.now + SAVING, "stop", search.name, decision.trial)
            for name in {decision.study for decision in decisions if isinstance(decision, Launch)}:
                self._claim(self.searches[name])
            if not decisions or isinstance(decisions[0], Preempt):
                return

    def _launch(self, search: Search, launch: Launch) -> bool:
        given = search.next()
        if given is None:
            return False
        job, seconds = given
        self.jobs += 1
        self._fold(
            TaskStarted(
                self.now, Task(search.name, job.number, launch.node, launch.slots, job.resource, self.now)
            )
        )
        search.running[job.number] = job, self.now + seconds, self.now
        self._push(self.now + seconds, "end", search.name, job.number)
        return True

    def _claim(self, search: Search) -> None:
        waiting = search.waiting()
        share = self.state.shares.get(search.name)
        if share is None or share.claim.waiting != waiting:
            self._fold(ClaimChanged(self.now, Claim(search.name, waiting=waiting, gang=search.gang)))

    def _fold(self, event: SharingEvent) -> None:
        start = time.process_time()
        fold(self.state, event)
        self.spent += time.process_time() - start
        self.events += 1

    def _push(self, moment: float, kind: str, name: str, trial: int) -> None:
        self._count += 1
        heappush(self._heap, (moment, self._count, kind, name, trial))

    # -- what became of it ----------------------------------------------------------------------------

    def _figures(self) -> Figures:
        found = list(self.searches.values())
        times = [(search.done or self.now) - search.arrival for search in found]
        alone = [shortest(search, self.workload.nodes * self.workload.slots) for search in found]
        slow = [one / least for one, least in zip(times, alone, strict=True)]
        shares = [search.got / search.ideal for search in found if search.ideal > 0.0]
        return Figures(
            float(np.mean(times)),
            float(np.quantile(times, 0.95)),
            float(np.mean(slow)),
            float(np.quantile(slow, 0.95)),
            sum(shares) ** 2 / (len(shares) * sum(one * one for one in shares)),
            self.used / self.usable,
            self.preempted,
            self.jobs,
            1e3 * self.spent / self.events,
            max(search.done or self.now for search in found),
            sorted(shares),
            sorted(times),
            self.curves,
        )


def equal_parts(most: np.ndarray, capacity: float) -> np.ndarray:
    """Max-min fairness among equals, the slow and obvious way: who is content goes, the rest is parted anew.

    Args:
        most: slots that each could use. (studies,)
        capacity: slots.
    """
    shares = np.zeros_like(most)
    rising = most > 0.0
    while rising.any():
        part = (capacity - shares[~rising].sum()) / rising.sum()
        content = rising & (most <= part)
        if not content.any():
            shares[rising] = part
            return shares
        shares[content] = most[content]
        rising &= ~content
    return shares


def shortest(search: Search, slots: int) -> float:
    """About the time that a study takes alone: its work over all slots, or its longest trial."""
    unit = search.pace / search.gang
    rungs, level, count = 0.0, 1, search.trials
    while count and level <= LARGEST:
        rungs += count * (level - (level // ETA if level > 1 else 0))
        count, level = count // ETA, level * ETA
    return max(rungs * unit * search.gang / slots, unit * LARGEST)
