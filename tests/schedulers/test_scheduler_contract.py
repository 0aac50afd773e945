"""What every scheduler promises, whatever its rule: one suite that all of them pass."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.schedulers import SCHEDULERS, make_scheduler, spec_of
from rung.schedulers.base import Done, Resume, Start, Stop, Wait
from rung.study.decide import decide, out_of_resource
from rung.trials import events as ev
from rung.trials.events import Failure, JobStarted, Limits
from rung.trials.history import EXHAUSTED
from rung.trials.states import TrialState
from support.driver import WITH_MODEL, Driver, few, identity, is_done, replayed

LADDERS = [(1, 1, 3), (1, 27, 3), (3, 30, 3), (1, 16, 2), (1, 100, 4)]
every = pytest.mark.parametrize("name", SCHEDULERS)
DEAR = ("freeze-thaw",)  # its model takes most of the time: some of the suite is for the long form
cheap = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in DEAR else name for name in SCHEDULERS]
)
ladders = st.sampled_from(LADDERS)
choices = st.lists(st.integers(0, 10**6), max_size=100)
contract = settings(max_examples=40, deadline=None)


def watch(driver: Driver, decision: object) -> None:
    """What must hold of each decision when it is taken."""
    history = driver.history
    match decision:
        case Start(until=until, gates=gates):
            assert history.may_start
            resource = history.identity.resource
            assert 1 <= until <= (resource.maximum if resource else 1)
            assert list(gates) == sorted(g for g in set(gates) if g < until)
        case Resume(trial=trial, until=until):
            assert history.states[trial] is TrialState.PAUSED
            assert history.latest[trial] < math.inf
            assert until > history.reached[trial]
        case Stop(trial=trial):
            waiting = [running for running in history.retry if running.job.trial == trial]
            assert not (waiting or [history.running[trial]])[0].stopping
        case Wait():
            assert history.running or history.retry
        case Done():
            assert not history.running
            assert not history.retry
            assert not history.may_start


def drive(name: str, ladder: tuple, n: int | None, slots: int, numbers: list[int], **more) -> Driver:
    limits = Limits(trials=n, retries=2)
    return Driver(
        make_scheduler(WITH_MODEL.get(name, name)),
        identity(*ladder),
        limits,
        workers=slots,
        choices=numbers,
        check=watch,
        **more,
    )


@cheap
@given(ladder=ladders, n=st.integers(0, 50), slots=st.integers(1, 7), numbers=choices)
@contract
def test_it_ends_after_exactly_n_configurations(name, ladder, n, slots, numbers):
    n = few(name, n)
    driver = drive(name, ladder, n, slots, numbers).run()
    assert len(driver.history) == n
    assert is_done(driver.ask())


@every
@given(ladder=ladders, n=st.integers(1, 40), slots=st.integers(1, 5), numbers=choices)
@contract
def test_every_decision_follows_from_the_log_before_it(name, ladder, n, slots, numbers):
    driver = drive(name, ladder, few(name, n), slots, numbers).run()
    scheduler = make_scheduler(spec_of(driver.scheduler))
    for length, decision in driver.decisions[:: max(1, len(driver.decisions) // 8)]:
        assert scheduler.next(replayed(driver.log[:length], scheduler)) == decision


@cheap
@given(
    ladder=ladders, n=st.integers(1, 30), more=st.integers(1, 30), slots=st.integers(1, 5), numbers=choices
)
@contract
def test_a_finished_study_can_be_extended(name, ladder, n, more, slots, numbers):
    n, more = few(name, n), few(name, more)
    driver = drive(name, ladder, n, slots, numbers).run()
    driver.fold(ev.LimitsChanged(Limits(trials=n + more, retries=2)))
    driver.run()
    assert len(driver.history) == n + more


@cheap
@given(ladder=ladders, n=st.integers(1, 40), slots=st.integers(1, 5), numbers=choices)
@contract
def test_a_sampler_that_runs_out_ends_it(name, ladder, n, slots, numbers):
    n = few(name, n)
    driver = drive(name, ladder, None, slots, numbers)
    while len(driver.history) < n:
        driver.decide() if len(driver.history) + slots <= n else step(driver)
        if driver.history.running:
            driver.outcome()
    driver.fold(ev.StopDecided(EXHAUSTED))
    started = len(driver.history)
    driver.run()
    assert len(driver.history) == started


def step(driver: Driver) -> None:
    """One decision only, if a worker is free."""
    decision = driver.ask()
    free = len(driver.history.running) < driver.workers
    if isinstance(decision, Stop):
        driver.again = [job for job in driver.again if job.trial != decision.trial]
        driver.fold(ev.TrialStopped(decision.trial))
    elif driver.again and free:
        driver.run_again()
    elif isinstance(decision, Start | Resume) and free:
        driver.start(decision)


@cheap
@given(ladder=ladders, n=st.integers(1, 40), slots=st.integers(1, 5), numbers=choices)
@contract
def test_whoever_may_not_resume_never_does(name, ladder, n, slots, numbers):
    given_up: set[int] = set()

    def check(driver: Driver, decision: object) -> None:
        watch(driver, decision)
        history = driver.history
        if isinstance(decision, Resume):
            assert decision.trial not in given_up
        for trial, state in enumerate(history.states):
            if state is TrialState.PAUSED and not driver.scheduler.may_resume(history, trial):
                given_up.add(trial)

    driver = drive(name, ladder, few(name, n), slots, numbers)
    driver.check = check
    driver.run()
    paused = [t for t, state in enumerate(driver.history.states) if state is TrialState.PAUSED]
    assert given_up >= set(paused)  # in the end all are given up


@every
@given(n=st.integers(1, 30), slots=st.integers(1, 5), numbers=choices)
@contract
def test_without_a_resource_each_trial_has_one_job(name, n, slots, numbers):
    who, n = identity(plain=True), max(1, few(name, n))
    limits = Limits(trials=n, retries=2)
    driver = Driver(
        make_scheduler(WITH_MODEL.get(name, name)), who, limits, workers=slots, choices=numbers, check=watch
    ).run()
    assert {d.until for _, d in driver.decisions if isinstance(d, Start)} == {1}
    assert not any(isinstance(d, Resume | Stop) for _, d in driver.decisions)
    assert len(driver.history) == n


@every
@pytest.mark.parametrize("failure", [Failure.ERROR, Failure.INFEASIBLE, Failure.MEMORY, Failure.LOST])
def test_if_all_fail_it_ends_and_promotes_nobody(name, failure):
    driver = drive(name, (1, 27, 3), 40, 3, [])
    while not driver.decide():
        driver.fails(next(iter(driver.history.running.values())).job, failure, 0, False)
    jobs = [event for event in driver.log if isinstance(event, JobStarted)]
    assert {job.trial for job in jobs} == set(range(40))
    assert len(jobs) == (40 * 3 if failure is Failure.LOST else 40)  # retries=2
    assert set(driver.history.states) <= {TrialState.FAILED, TrialState.INFEASIBLE}
    assert driver.history.incumbent is None


@every
def test_a_study_in_which_all_values_are_equal_prefers_the_older_trials(name):
    driver = drive(name, (1, 9, 3), 9, 1, [], values=1).run()
    promoted = [e.trial for e in driver.log if isinstance(e, JobStarted) and e.values is None]
    if name in ("sha", "asha"):
        assert promoted == [0, 1, 2, 0]
    if name == "asha-stopping":
        reached = list(driver.history.reached)
        assert reached == [9, 1, 1, 1, 1, 1, 1, 1, 1]  # a plateau stops all but the first


@every
def test_running_jobs_are_waited_for(name):
    driver = drive(name, (1, 9, 3), 2, 2, [])
    assert not driver.decide()
    assert isinstance(driver.ask(), Wait)


@cheap
@given(ladder=ladders, most=st.integers(1, 400), slots=st.integers(1, 5), numbers=choices)
@contract
def test_a_limit_on_the_total_resource_is_never_exceeded(name, ladder, most, slots, numbers):
    """And it ends only when the next job has no room, or there is none."""
    limits = Limits(trials=few(name, 30), total_resource=most, retries=2)
    driver = Driver(
        make_scheduler(WITH_MODEL.get(name, name)),
        identity(*ladder),
        limits,
        workers=slots,
        choices=numbers,
        within=decide,
    ).run()
    history = driver.history
    assert history.spent <= most
    assert not history.running
    assert is_done(driver.scheduler.next(history)) or out_of_resource(history, driver.scheduler)


@every
@given(
    ladder=ladders,
    n=st.integers(1, 30),
    slots=st.integers(1, 6),
    hung=st.integers(1, 4),
    numbers=choices,
)
@contract
def test_workers_that_never_answer_hold_up_nobody_for_ever(name, ladder, n, slots, hung, numbers):
    """The first jobs hang. The others go on until all wait for these, which then count as lost, again and
    again: all configurations are started, and it ends."""
    n = max(1, few(name, n))
    driver = drive(name, ladder, n, slots, [])
    order = iter(numbers)
    while not driver.decide():
        running = [each.job for each in driver.history.running.values()]
        sound = [job for job in running if job.trial >= hung]
        if sound:
            job = sound[next(order, 0) % len(sound)]
            gate = driver.history.running[job.trial].next_gate
            driver.reports(job, gate, "value", float(next(order, 1) % 7))
        else:
            job = running[-1]
            driver.fails(job, Failure.LOST, driver.history.running[job.trial].next_gate, stopping=False)
    assert len(driver.history) == n
    assert not driver.history.running
    assert not driver.history.retry


@cheap
@given(ladder=ladders, n=st.integers(1, 40), slots=st.integers(1, 5), newest=st.booleans())
@contract
def test_in_whatever_order_results_come_it_ends(name, ladder, n, slots, newest):
    """Always the job that was started last, or first; every third one crashes."""
    n = max(1, few(name, n))
    driver = drive(name, ladder, n, slots, [])
    while not driver.decide():
        running = list(driver.history.running.values())
        chosen = running[-1] if newest else running[0]
        if chosen.job.trial % 3 == 2:
            driver.fails(chosen.job, Failure.ERROR, chosen.next_gate, chosen.stopping)
        elif chosen.stopping:
            driver.fold(ev.JobStopped(chosen.job.trial, chosen.job.attempt))
        else:
            driver.reports(chosen.job, chosen.next_gate, "value", float(chosen.job.trial * 5 % 7))
    assert len(driver.history) == n
    crashed = [trial for trial in range(n) if trial % 3 == 2]
    jobs = [event.trial for event in driver.log if isinstance(event, JobStarted)]
    assert all(jobs.count(trial) == 1 for trial in crashed)  # never promoted


@cheap
@pytest.mark.parametrize(("goals", "bounded"), [(3, False), (1, True), (2, True)])
@given(ladder=ladders, n=st.integers(1, 40), slots=st.integers(1, 5), numbers=choices)
@settings(max_examples=15, deadline=None)
def test_several_objectives_and_constraints(name, goals, bounded, ladder, n, slots, numbers):
    n = max(1, few(name, n))
    who, limits = identity(*ladder, goals=goals, bounded=bounded), Limits(trials=n, retries=2)
    driver = Driver(
        make_scheduler(WITH_MODEL.get(name, name)), who, limits, workers=slots, choices=numbers, check=watch
    ).run()
    assert len(driver.history) == n
