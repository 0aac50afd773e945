"""Each rule against the paper's, written slowly: the same decisions after any history."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from rung.schedulers import make_scheduler
from rung.schedulers.async_hyperband import AsyncHyperband
from rung.schedulers.base import Start, Stop
from rung.trials import events as ev
from rung.trials.events import Limits
from rung.trials.history import History, Result
from support.driver import Driver, identity
from support.oracles import PaperASHA, PaperBrackets, PaperStopping

LADDERS = [  # r, R, eta, rungs
    (1, 1, 3, [1]),
    (1, 9, 3, [1, 3, 9]),
    (1, 27, 3, [1, 3, 9, 27]),
    (2, 16, 2, [2, 4, 8, 16]),
    (1, 64, 4, [1, 4, 16, 64]),
    (1, 100, 3, [1, 3, 9, 27, 100]),
]
ladders = st.sampled_from(LADDERS)
choices = st.lists(st.integers(0, 10**6), max_size=120)
workers = st.integers(1, 6)
trials = st.integers(1, 60)
rules = settings(max_examples=150, deadline=None)


def hyperband_sizes(levels: int, eta: int) -> list[int]:
    """ceil((s_max + 1) / (s + 1) * eta^s) for s = s_max, ..., 0, by counting up."""
    return [next(n for n in range(10**9) if n * (s + 1) >= levels * eta**s) for s in reversed(range(levels))]


def check(name: str, oracle: object, ladder: tuple, n: int, slots: int, numbers: list[int]) -> None:
    r, R, eta, _ = ladder
    driver = Driver(
        make_scheduler(name),
        identity(r, R, eta),
        Limits(trials=n, retries=1),
        workers=slots,
        choices=numbers,
        oracle=oracle,
    )
    driver.run()
    assert len(driver.history) == n


@rules
@given(ladders, trials, workers, choices)
def test_asha_decides_as_algorithm_2_of_the_paper(ladder, n, slots, numbers):
    rungs, eta = ladder[3], ladder[2]
    check("asha", PaperASHA([rungs], [1], eta), ladder, n, slots, numbers)


@rules
@given(ladders, trials, workers, choices)
def test_async_hyperband_is_asha_in_brackets_shared_out_by_hyperbands_sizes(ladder, n, slots, numbers):
    rungs, eta = ladder[3], ladder[2]
    oracle = PaperASHA([rungs[b:] for b in range(len(rungs))], hyperband_sizes(len(rungs), eta), eta)
    check("async-hyperband", oracle, ladder, n, slots, numbers)


@rules
@given(ladders, trials, workers, choices)
def test_sha_decides_as_the_paper(ladder, n, slots, numbers):
    rungs, eta = ladder[3], ladder[2]
    sizes = [eta**k for k in reversed(range(len(rungs)))]
    check("sha", PaperBrackets([(sizes, rungs)], eta), ladder, n, slots, numbers)


@rules
@given(ladders, trials, workers, choices)
def test_hyperband_decides_as_algorithm_1_of_the_paper(ladder, n, slots, numbers):
    rungs, eta = ladder[3], ladder[2]
    table = [
        ([math.floor(size / eta**i) for i in range(len(rungs) - b)], rungs[b:])
        for b, size in enumerate(hyperband_sizes(len(rungs), eta))
    ]
    check("hyperband", PaperBrackets(table, eta), ladder, n, slots, numbers)


@rules
@given(ladders, trials, workers, choices)
def test_stopping_asha_stops_whoever_is_not_among_the_best(ladder, n, slots, numbers):
    r, R, eta, rungs = ladder
    driver = Driver(
        make_scheduler("asha-stopping"), identity(r, R, eta), Limits(trials=n), workers=slots, choices=numbers
    ).run()
    oracle, stopped = PaperStopping(eta), set()
    history = driver.history
    results = list(results_at(driver, rungs[:-1]))
    for trial, resource, value, ended in results:
        if not oracle.goes_on(trial, resource, value) and not ended:
            stopped.add(trial)
    told = {event.trial for event in driver.log if isinstance(event, ev.TrialStopped)}
    assert told <= stopped
    assert all(history.states[t] == "failed" for t in stopped - told)  # it failed before it could be stopped
    starts = {d for _, d in driver.decisions if isinstance(d, Start)}
    assert starts == {Start(R, gates=tuple(rungs[:-1]))}
    assert [d.trial for _, d in driver.decisions if isinstance(d, Stop)] == [
        event.trial for event in driver.log if isinstance(event, ev.TrialStopped)
    ]


def results_at(driver, gates):
    """The results at gates as they came: trial, resource, value, whether its job had ended."""
    told = []

    class Listener:
        def initial(self, identity):
            return told

        def fold(self, state, item):
            if type(item).__name__ == "Result" and item.resource in gates:
                state.append((item.trial, item.resource, item.value, item.ended))
            return state

    from support.driver import replayed

    replayed(driver.log, Listener())
    return told


def test_of_two_brackets_that_can_promote_at_one_rung_the_first_comes_first():
    """Rare in a run: both have somebody to promote only if jobs that run again took the free workers."""
    scheduler, history = AsyncHyperband(), History()
    history.fold(ev.StudyCreated(identity(1, 9, 3), "test"))
    history.scheduler = scheduler.initial(history.identity)
    for trial, (bracket, resource) in enumerate([(1, 3)] * 3 + [(0, 3)] * 3 + [(0, 1)] * 3):
        scheduler.fold(history.scheduler, Result(trial, resource, float(trial), bracket))
    order = []
    for _ in range(3):
        promotion = scheduler.next(history)
        order.append((promotion.trial, promotion.until))
        job = ev.JobStarted(promotion.trial, promotion.until, bracket=1 if promotion.trial == 0 else 0)
        scheduler.fold(history.scheduler, job)
    assert order == [(3, 9), (0, 9), (6, 3)]
    assert isinstance(scheduler.next(history), Start)
