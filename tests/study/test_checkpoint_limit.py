"""Which checkpoints go under a limit: never the incumbent's or one in use, and the limit holds if it can."""

import random
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rung
from rung.study.checkpoint_limit import Held, held, promotion_chances, surplus
from rung.study.checkpoints import Keeper
from rung.trials import events as ev
from rung.trials.history import History

SPACE = {"x": rung.Float(0.0, 1.0)}


def in_every_order(there, more, eta):
    """The same by counting: each set of places that those here may have among all."""
    every, chosen = there + more, (there + more) // eta
    wins = np.zeros(there)
    for places in combinations(range(every), there):
        wins += [place < chosen for place in places]
    chance = wins / comb(every, there)
    chance[: there // eta] = 1.0
    return chance


@pytest.mark.parametrize("eta", [2, 3, 4])
@pytest.mark.parametrize(("there", "more"), [(1, 0), (1, 5), (4, 0), (4, 3), (6, 6), (9, 2), (3, 9)])
def test_the_chance_to_go_on_by_counting_all_orders(there, more, eta):
    np.testing.assert_allclose(
        promotion_chances(there, more, eta), in_every_order(there, more, eta), atol=1e-12
    )


def test_the_chance_to_go_on_of_many():
    chance = promotion_chances(5000, 5000, 3)
    assert np.all(np.diff(chance) <= 0)
    assert chance[1665] == 1.0
    assert chance[-1] == pytest.approx(0.0, abs=1e-300)
    assert chance[1667] == pytest.approx(0.5, abs=0.02)


ONE = st.builds(
    Held,
    trial=st.integers(0, 99),
    path=st.uuids().map(str),
    size=st.integers(0, 50),
    cost=st.floats(0.0, 81.0),
    needed=st.booleans(),
)


@given(st.lists(ONE, max_size=20), st.integers(0, 300))
def test_what_goes(kept, limit):
    gone = surplus(kept, limit)
    assert not any(one.needed for one in gone)
    assert len(set(gone)) == len(gone)
    left = [one for one in kept if one not in gone]
    size = sum(one.size for one in left)
    assert size <= limit or all(one.needed or one.size == 0 for one in left)
    for one in gone:  # none of it had to go
        assert size + one.size > limit
    if gone and len({one.size for one in kept if not one.needed}) == 1:  # all alike: the cheapest go
        dearest = max(one.cost for one in gone)
        assert all(one.cost >= dearest for one in left if not one.needed)


class Machine:
    """A study of several jobs at once, without files: what its keeper gives up, and what is then left."""

    def __init__(self, scheduler, limit, seed):
        self.random = random.Random(seed)
        self.study = rung.Study(
            SPACE, resource=("epoch", 1, 27), sampler="random", scheduler=scheduler, trials=16, seed=seed
        )
        self.study.record("checkpoints", {"place": None, "limit": limit})
        self.limit = limit
        self.history: History = self.study.history
        self.keeper = Keeper(self.study.writer)
        self.keeper.tidy()
        self.sizes: dict[str, int] = {}
        self.jobs: list = []

    def step(self):
        """One thing happens; whether anything can."""
        asked = self.study.ask() if len(self.jobs) < 4 else None
        if asked is not None:
            job = asked._event
            if job.checkpoint is not None:
                assert job.checkpoint in self.sizes  # nothing is started from that was given up
            self.jobs.append(job)
            return True
        if not self.jobs:
            return False
        job = self.random.choice(self.jobs)
        loss = self.history.values[job.trial][0] + 1 / job.until + 0.1 * self.random.random()
        news = []
        for at in sorted({self.random.randint(min(job.start + 1, job.until), job.until), job.until}):
            path = f"trial-{job.trial:06d}/resource-{at}-{job.attempt}"
            self.sizes[path] = self.random.randint(1, 9)
            news.append(ev.Reported(job.trial, at, {"loss": loss}, job.attempt, 1.0))
            news.append(ev.CheckpointSaved(job.trial, at, path, job.attempt, 1.0, self.sizes[path]))
        failure = ev.JobFailed(job.trial, ev.Failure.LOST, "", job.attempt, 1.0)
        news.append(self.random.choice([*[ev.JobFinished(job.trial, job.attempt, None, 1.0)] * 4, failure]))
        self.study.writer.commit(news)
        self.jobs.remove(job)
        given_up = self.keeper.sweep(news, 1.0)
        self.study.writer.commit_folded(given_up)
        self.check(given_up)
        return True

    def check(self, given_up):
        history = self.history
        left = held(history, self.study.writer.scheduler, self.keeper._there)
        paths = {one.path for one in left}
        assert {one.path for one in history.checkpoints.values()} <= paths
        if history.best_checkpoint is not None:
            assert history.best_checkpoint.path in paths
        for running in history.running.values():
            assert running.job.checkpoint is None or running.job.checkpoint in paths
        assert self.keeper._bytes == sum(self.sizes[path] for path in paths)
        assert self.keeper._bytes <= self.limit or all(one.needed for one in left)
        for path in set(self.sizes) - paths:
            del self.sizes[path]


@settings(max_examples=10, deadline=None)
@given(
    scheduler=st.sampled_from(["asha", "sha", "async-hyperband", "pbt(population=5,quantile=0.4)"]),
    limit=st.integers(1, 80),
    seed=st.integers(0, 1000),
)
def test_in_any_study(scheduler, limit, seed):
    machine = Machine(scheduler, limit, seed)
    with machine.study:
        while machine.step():
            pass
        events = list(machine.study.events())
    again = History(None, None).fold_all(events)
    assert again.checkpoints == machine.history.checkpoints
    assert again.spent == machine.history.spent


def test_one_that_goes_on_after_all_starts_anew_and_costs_again():
    machine = Machine("asha", 1, 0)
    with machine.study:
        while machine.step():
            pass
        events = list(machine.study.events())
    given_up = {e.trial for e in events if isinstance(e, ev.CheckpointDeleted) and e.why == "limit"}
    anew = [e for e in events if isinstance(e, ev.JobStarted) and e.trial in given_up and e.until > 1]
    assert any(event.start == 0 and event.checkpoint is None for event in anew)
    first = {(e.trial, e.until): e for e in reversed(events) if isinstance(e, ev.JobStarted)}
    assert machine.history.spent == sum(event.until - event.start for event in first.values())
