"""Which checkpoints go when they are more bytes than the study may keep: those that cost least to make again.

Expected cost of a paused trial's checkpoint: the probability that the trial goes on, times the resource that
it would have to be trained again. (The idea is that of Syne Tune's early removal of checkpoints in Hyperband;
the probability is our own.) Of a rung with n results, to which m more come, the best T = (n + m) // eta go
on. If values come in no particular order, the n that are there are a random n of all n + m, so that the
number of them among those T is hypergeometric; the trial of rank k (from 0) goes on if it is at least k + 1.
m follows from the limit on the number of trials; without one, as many more are taken to come as there are.

What is never given up: the incumbent's, and what a job that runs, or will run again, starts from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rung.schedulers.base import Scheduler, at_its_end
from rung.trials.history import History
from rung.trials.states import TrialState

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Held(NamedTuple):
    """A checkpoint that is kept: whose, where, its bytes, and the expected resource of making it again.

    `needed`: it must stay.
    """

    trial: int
    path: str
    size: int
    cost: float
    needed: bool


def surplus(held: Sequence[Held], limit: int) -> list[Held]:
    """What to give up so that the rest is at most `limit` bytes, or as few as can be: the cheapest first.

    Of equal cost the largest goes first. What is given up and would fit in the end all the same, stays.
    """
    over = sum(one.size for one in held) - limit
    chosen: list[Held] = []
    for one in sorted(held, key=lambda one: (one.cost, -one.size, one.trial)):
        if over <= 0:
            break
        if not one.needed and one.size > 0:
            chosen.append(one)
            over -= one.size
    spared: list[Held] = []
    for one in reversed(chosen):  # the dearest first
        if one.size <= -over:
            spared.append(one)
            over += one.size
    return [one for one in chosen if one not in spared]


def held(history: History, scheduler: Scheduler, there: Mapping[int, Mapping[str, int]]) -> list[Held]:
    """What is known of the checkpoints that are there.

    Args:
        there: by trial and path, their bytes.
    """
    needed, chances = _needed(history), _Chances(history)
    found: list[Held] = []
    for trial, sizes in there.items():
        latest = history.checkpoints.get(trial)
        for path, size in sizes.items():
            stays, cost = path in needed, 0.0
            if not stays and latest is not None and path == latest.path:
                cost = chances.of(trial, scheduler) * latest.resource
            found.append(Held(trial, path, size, cost, stays))
    return found


def _needed(history: History) -> set[str]:
    """The paths of the incumbent's, and of those that jobs that run, or will run again, start from."""
    paths = set(history.borrowed.values())
    best, incumbent = history.best_checkpoint, history.incumbent
    latest = [*history.running, *(waiting.job.trial for waiting in history.retry)]
    latest += [incumbent.trial] if incumbent is not None else []
    paths |= {history.checkpoints[trial].path for trial in latest if trial in history.checkpoints}
    paths |= {one.job.checkpoint for one in history.running.values() if one.job.checkpoint is not None}
    for waiting in history.retry:  # it goes on from what it saved itself, if it did
        own = history.checkpoints.get(waiting.job.trial)
        if waiting.job.checkpoint is not None and own is None:
            paths.add(waiting.job.checkpoint)
    return paths | ({best.path} if best is not None else set())


class _Chances:
    """The probability that a paused trial goes on, by its rank among the results of its rung."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._rungs: dict[tuple[int, int], dict[int, float]] = {}  # by bracket and resource, then by trial

    def of(self, trial: int, scheduler: Scheduler) -> float:
        history = self._history
        if history.states[trial] is not TrialState.PAUSED or not scheduler.may_resume(history, trial):
            return 0.0
        rung = (history.brackets[trial], history.reached[trial])
        if rung not in self._rungs:
            self._rungs[rung] = self._rung(*rung)
        return self._rungs[rung].get(trial, 1.0)

    def _rung(self, bracket: int, resource: int) -> dict[int, float]:
        history = self._history
        column = history.results.get(resource)
        if column is None:
            return {}
        pairs = zip(column.values, column.trials, strict=True)
        ranked = sorted(pair for pair in pairs if history.brackets[pair[1]] == bracket)
        chances = promotion_chances(len(ranked), _more(history, len(ranked)), history.identity.eta)
        return {trial: float(chances[rank]) for rank, (_, trial) in enumerate(ranked)}


def _more(history: History, there: int) -> int:
    """How many results are expected to come to a rung that has so many."""
    if at_its_end(history):
        return 0
    limit = history.limits.trials
    if limit is None:
        return there
    ended = max(1, history.begun - len(history.running))
    return -(-there * max(0, limit - ended) // ended)


def promotion_chances(there: int, more: int, eta: int) -> NDArray[np.float64]:
    """By rank, best first, the probability of being in the best 1/eta when `more` results have come: (n,)."""
    chance = np.zeros(there)  # (n,)
    every, chosen = there + more, (there + more) // eta
    among = np.arange(max(0, chosen - more), min(there, chosen) + 1)  # those chosen that are here by now
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, every + 1)))))  # their logarithms

    def ways(n: int, k: NDArray[np.int_]) -> NDArray[np.float64]:
        return np.asarray(factorials[n] - factorials[k] - factorials[n - k])

    log_total = factorials[every] - factorials[chosen] - factorials[every - chosen]
    probability = np.exp(ways(there, among) + ways(more, chosen - among) - log_total)
    at_least = np.minimum(1.0, np.cumsum(probability[::-1])[::-1])  # as many as in `among`, or more
    chance[: among[0]] = 1.0
    ranks = among[among > 0] - 1
    chance[ranks] = at_least[among > 0]
    chance[: there // eta] = 1.0  # promoted as soon as there is a worker
    return chance
