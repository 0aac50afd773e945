"""What the history makes of each event: one defined outcome for all that can go wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.trials import events as ev
from rung.trials.events import Failure, JobFailed, JobFinished, JobStarted, Limits, Origin, Reported
from rung.trials.history import ENQUEUED, EXHAUSTED, Checkpoint, History, Incumbent, Result
from rung.trials.states import TrialState
from support.driver import identity

INF = math.inf


class Listener:
    """Keeps what the history tells a scheduler or a sampler."""

    def initial(self, identity):
        return []

    def fold(self, state, item):
        return [*state, item]


def begin(maximum: int = 27, mode: str = "min", plain: bool = False, **limits) -> History:
    history = History(Listener(), Listener())
    history.fold(ev.StudyCreated(identity(1, maximum, mode=mode, plain=plain), "test"))
    history.fold(ev.LimitsChanged(Limits(**limits)))
    return history


def start(trial: int, until: int, **more) -> JobStarted:
    return JobStarted(trial, until, values=(trial,), **more)


def told(history: History) -> list[tuple[int, int, float]]:
    return [item[:3] for item in history.scheduler if type(item) is Result]


def column(history: History, resource: int) -> list[tuple[int, float]]:
    results = history.results[resource]
    return list(zip(results.trials, results.values, strict=True))


# -- reports ------------------------------------------------------------------------------------------


def test_the_first_of_two_reports_at_a_resource_counts():
    history = begin()
    history.fold_all([start(0, 3), Reported(0, 3, {"loss": 1.0}), Reported(0, 3, {"loss": 0.5})])
    assert history.incumbent == Incumbent(0, 3, 1.0)
    history.fold(JobFinished(0))
    assert told(history) == [(0, 3, 1.0)]
    assert history.incumbent == Incumbent(0, 3, 1.0)


def test_a_report_below_what_the_trial_has_reached_is_ignored():
    history = begin()
    history.fold_all([start(0, 3), Reported(0, 2, {"loss": 1.0}), Reported(0, 1, {"loss": 0.1})])
    assert (history.reached[0], history.latest[0]) == (2, 1.0)
    assert history.incumbent == Incumbent(0, 2, 1.0)


def test_a_job_that_goes_back_to_a_checkpoint_does_not_count_its_reports_twice():
    history = begin(retries=1)
    history.fold_all(
        [start(0, 9, gates=(1, 3)), Reported(0, 1, {"loss": 1.0}), Reported(0, 3, {"loss": 2.0})]
    )
    history.fold(JobFailed(0, Failure.LOST))
    history.fold(JobStarted(0, 9, attempt=1, gates=(1, 3)))
    history.fold_all(Reported(0, at, {"loss": 7.0}, attempt=1) for at in (1, 2, 3, 4, 9))
    history.fold(JobFinished(0, attempt=1))
    assert told(history) == [(0, 1, 1.0), (0, 3, 2.0), (0, 9, 7.0)]


def test_a_value_reported_before_the_worker_was_lost_is_kept():
    history = begin()
    history.fold_all([start(0, 3), Reported(0, 3, {"loss": 1.0}), JobFailed(0, Failure.LOST)])
    history.fold(JobStarted(0, 3, attempt=1))
    history.fold(JobFinished(0, attempt=1, metrics={"loss": 9.0}))
    assert told(history) == [(0, 3, 1.0)]


def test_a_late_report_is_ignored():
    history = begin()
    history.fold_all([start(0, 3), JobFailed(0, Failure.INTERRUPTED)])
    history.fold(Reported(0, 3, {"loss": 0.1}))  # nothing runs
    history.fold(JobStarted(0, 3, attempt=1))
    history.fold(Reported(0, 3, {"loss": 0.2}))  # of the attempt before
    history.fold(JobFinished(0, metrics={"loss": 0.2}))
    history.fold(JobFailed(0, Failure.ERROR))
    history.fold(ev.JobStopped(0))
    assert history.states[0] is TrialState.RUNNING
    assert told(history) == []
    assert history.incumbent is None
    history.fold(JobFinished(0, attempt=1, metrics={"loss": 0.5}))
    assert told(history) == [(0, 3, 0.5)]


def test_attempts_are_counted_over_the_whole_life_of_a_trial():
    history = begin()
    history.fold_all([start(0, 3), JobFailed(0, Failure.LOST), JobStarted(0, 3, attempt=1)])
    history.fold(JobFinished(0, attempt=1, metrics={"loss": 0.5}))
    assert history.attempts[0] == 2


def test_a_report_of_a_trial_that_does_not_exist_is_ignored():
    history = begin()
    history.fold_all([Reported(5, 1, {"loss": 0.0}), JobFinished(5, metrics={"loss": 0.0})])
    assert len(history) == 0
    assert history.results == {}


def test_a_report_that_skips_gates_counts_at_each_of_them():
    history = begin()
    history.fold_all([start(0, 27, gates=(1, 3, 9)), Reported(0, 5, {"loss": 0.5})])
    assert told(history) == [(0, 1, 0.5), (0, 3, 0.5)]
    assert history.running[0].next_gate == 9
    history.fold(Reported(0, 27, {"loss": 0.25}))
    assert told(history)[2:] == [(0, 9, 0.25)]
    history.fold(JobFinished(0))
    assert told(history)[3:] == [(0, 27, 0.25)]
    assert history.states[0] is TrialState.COMPLETE


def test_a_report_beyond_the_end_of_its_job_counts_at_its_end():
    history = begin()
    history.fold_all([start(0, 3), Reported(0, 10, {"loss": 0.5}), ev.CheckpointSaved(0, 10, "a")])
    history.fold(JobFinished(0))
    assert told(history) == [(0, 3, 0.5)]
    assert (history.reached[0], history.start_of(0)) == (3, 3)
    assert history.incumbent == Incumbent(0, 3, 0.5)
    history.fold_all([JobStarted(0, 9, start=3, attempt=1), Reported(0, 10, {"loss": 0.4}, attempt=1)])
    history.fold(JobFinished(0, attempt=1))
    assert told(history)[1:] == [(0, 9, 0.4)]


def test_a_job_that_only_returns_its_value_passes_its_gates_at_once():
    history = begin()
    history.fold_all([start(0, 27, gates=(3, 9)), JobFinished(0, metrics={"loss": 0.5})])
    assert history.scheduler[1:] == [Result(0, at, 0.5, 0, ended=True) for at in (3, 9, 27)]


@pytest.mark.parametrize(
    "metrics",
    [
        {"loss": math.nan},
        {"loss": INF},
        {"loss": -INF},
        {"loss": "low"},
        {"loss": None},
        {"loss": True},
        {"loss": 10**400},
        {"other": 1.0},
        {},
    ],
)
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("reported", [True, False])
def test_a_metric_that_is_no_finite_number_is_the_worst_and_fails_the_trial(metrics, mode, reported):
    history = begin(mode=mode)
    history.fold(start(0, 3))
    if reported:
        history.fold(Reported(0, 3, metrics))
    history.fold(JobFinished(0, metrics=None if reported else metrics))
    assert told(history) == [(0, 3, INF)]
    assert history.states[0] is TrialState.FAILED
    assert history.incumbent is None


def test_a_job_that_ends_without_a_value_at_its_end_has_failed():
    history = begin()
    history.fold_all([start(0, 9), Reported(0, 8, {"loss": 0.5}), JobFinished(0)])
    assert told(history) == [(0, 9, INF)]
    assert history.states[0] is TrialState.FAILED


def test_a_nan_on_the_way_hurts_only_the_gates_that_it_reaches():
    history = begin()
    history.fold_all([start(0, 9, gates=(3,)), Reported(0, 3, {"loss": math.nan})])
    assert told(history) == [(0, 3, INF)]
    history.fold_all([Reported(0, 5, {"loss": math.nan}), Reported(0, 9, {"loss": 1.0}), JobFinished(0)])
    assert told(history)[1:] == [(0, 9, 1.0)]


def test_without_a_resource_the_last_report_counts_unless_a_value_is_returned():
    history = begin(plain=True)
    for trial, returned in enumerate([None, {"loss": 0.3}]):
        history.fold_all([start(trial, 1), *(Reported(trial, at, {"loss": at / 10}) for at in (1, 2, 7))])
        history.fold(JobFinished(trial, metrics=returned))
    assert column(history, 1) == [(0, 0.7), (1, 0.3)]
    assert history.incumbent == Incumbent(1, 1, 0.3)
    history.fold_all([start(2, 1), JobFinished(2)])
    assert history.states[2] is TrialState.FAILED
    history.fold_all(
        [start(3, 1), Reported(3, 1, {"loss": 0.1}), Reported(3, 2, {"seconds": 4.0}), JobFinished(3)]
    )
    assert history.incumbent == Incumbent(3, 1, 0.1), "what else is told does not take its place"
    history.fold_all(
        [start(4, 1), Reported(4, 1, {"loss": 0.0}), Reported(4, 2, {"loss": math.nan}), JobFinished(4)]
    )
    assert history.states[4] is TrialState.FAILED


# -- failures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [Failure.ERROR, Failure.TIMEOUT, Failure.MEMORY, Failure.INFEASIBLE])
def test_a_crash_is_the_worst_result_where_the_next_was_due(failure):
    history = begin()
    history.fold_all([start(0, 27, gates=(3, 9), bracket=2), Reported(0, 4, {"loss": 1.0})])
    history.fold(JobFailed(0, failure))
    assert history.scheduler[2:] == [Result(0, 9, INF, 2, ended=True)]
    assert history.states[0] == ("infeasible" if failure is Failure.INFEASIBLE else "failed")
    assert not history.running
    assert not history.retry


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_lost_worker_is_tried_again_and_then_counts_as_a_crash(retries):
    history = begin(retries=retries)
    history.fold(start(0, 9))
    for attempt in range(retries):
        history.fold(JobFailed(0, Failure.LOST, attempt=attempt))
        assert history.states[0] is TrialState.INTERRUPTED
        assert [running.job.trial for running in history.retry] == [0]
        history.fold(JobStarted(0, 9, attempt=attempt + 1))
        assert not history.retry
    history.fold(JobFailed(0, Failure.LOST, attempt=retries))
    assert history.states[0] is TrialState.FAILED
    assert told(history) == [(0, 9, INF)]
    assert history.spent == 9
    assert sum(type(item) is JobStarted for item in history.scheduler) == 1


def test_losses_are_counted_for_each_job_anew():
    history = begin(retries=1)
    history.fold_all([start(0, 3), JobFailed(0, Failure.LOST), JobStarted(0, 3, attempt=1)])
    history.fold(JobFinished(0, attempt=1, metrics={"loss": 1.0}))
    history.fold_all([JobStarted(0, 9, start=3, attempt=2), JobFailed(0, Failure.LOST, attempt=2)])
    assert history.states[0] is TrialState.INTERRUPTED


def test_an_interruption_is_not_counted():
    history = begin(retries=0)
    history.fold(start(0, 3))
    for attempt in range(5):
        event = (
            ev.JobStopped(0, attempt) if attempt % 2 else JobFailed(0, Failure.INTERRUPTED, attempt=attempt)
        )
        history.fold_all([event, JobStarted(0, 3, attempt=attempt + 1)])
    history.fold(JobFinished(0, attempt=5, metrics={"loss": 1.0}))
    assert told(history) == [(0, 3, 1.0)]
    assert history.spent == 3


def test_jobs_that_must_run_again_keep_their_order_and_may_be_taken_out_of_it():
    history = begin()
    history.fold_all(start(trial, 3) for trial in range(3))
    history.fold_all(JobFailed(trial, Failure.LOST) for trial in (2, 0, 1))
    assert [running.job.trial for running in history.retry] == [2, 0, 1]
    history.fold(JobStarted(0, 3, attempt=1))
    assert [running.job.trial for running in history.retry] == [2, 1]
    assert history.spent == 9


# -- stops --------------------------------------------------------------------------------------------


def test_a_trial_that_is_stopped_passes_no_more_gates():
    history = begin()
    history.fold_all([start(0, 27, gates=(1, 3, 9)), Reported(0, 1, {"loss": 2.0}), ev.TrialStopped(0)])
    history.fold_all([Reported(0, 3, {"loss": 1.0}), ev.JobStopped(0)])
    assert told(history) == [(0, 1, 2.0)]
    assert history.states[0] is TrialState.STOPPED
    assert ev.TrialStopped(0) in history.scheduler
    assert ev.TrialStopped(0) not in history.sampler


@pytest.mark.parametrize("failure", list(Failure))
def test_whatever_ends_a_trial_that_is_being_stopped_it_was_stopped(failure):
    history = begin()
    history.fold_all([start(0, 27, gates=(1,)), ev.TrialStopped(0), JobFailed(0, failure)])
    assert history.states[0] is TrialState.STOPPED
    assert told(history) == []
    assert not history.retry


def test_a_trial_that_reaches_its_end_before_it_obeys_is_complete():
    history = begin()
    history.fold_all([start(0, 27, gates=(1, 3)), Reported(0, 1, {"loss": 2.0}), ev.TrialStopped(0)])
    history.fold(JobFinished(0, metrics={"loss": 1.5}))
    assert told(history) == [(0, 1, 2.0), (0, 27, 1.5)]
    assert history.states[0] is TrialState.COMPLETE


def test_an_objective_that_returns_nothing_when_stopped_has_not_failed():
    history = begin()
    history.fold_all([start(0, 27, gates=(1,)), ev.TrialStopped(0), JobFinished(0)])
    assert history.states[0] is TrialState.STOPPED
    assert told(history) == []


def test_a_trial_that_waits_to_run_again_can_be_stopped():
    history = begin()
    history.fold_all([start(0, 27, gates=(1,)), JobFailed(0, Failure.LOST), ev.TrialStopped(0)])
    assert history.states[0] is TrialState.STOPPED
    assert not history.retry


# -- the incumbent ------------------------------------------------------------------------------------


def test_the_incumbent_is_the_best_at_the_largest_resource():
    history = begin()
    history.fold_all([start(0, 1), start(1, 3), start(2, 3), start(3, 9)])
    history.fold(Reported(0, 1, {"loss": -100.0}))
    history.fold(Reported(1, 3, {"loss": 5.0}))
    assert history.incumbent == Incumbent(1, 3, 5.0)
    history.fold(Reported(2, 3, {"loss": 4.0}))
    assert history.incumbent == Incumbent(2, 3, 4.0)
    history.fold(Reported(3, 9, {"loss": math.nan}))
    assert history.incumbent == Incumbent(2, 3, 4.0)
    history.fold(JobFinished(3))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_of_equal_trials_the_older_is_the_incumbent(order, mode):
    history = begin(mode=mode)
    history.fold_all(start(trial, 3) for trial in range(3))
    history.fold_all(Reported(trial, 3, {"loss": 1.0}) for trial in order)
    assert history.incumbent == Incumbent(0, 3, 1.0)


def test_in_mode_max_the_largest_value_is_the_best_and_results_are_turned_round():
    history = begin(mode="max")
    history.fold_all([start(0, 3), start(1, 3)])
    history.fold_all(JobFinished(trial, metrics={"loss": value}) for trial, value in enumerate([0.5, 0.75]))
    assert column(history, 3) == [(0, -0.5), (1, -0.75)]
    assert history.incumbent == Incumbent(1, 3, 0.75)


# -- counts, limits, sessions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending",
    [
        [ev.TrialStopped(0), ev.JobStopped(0)],
        [ev.TrialStopped(0), JobFailed(0, Failure.LOST)],
        [ev.TrialStopped(0), JobFinished(0, metrics={})],
        [JobFailed(0, Failure.LOST), ev.TrialStopped(0)],
    ],
)
def test_a_trial_that_is_stopped_costs_what_it_came_to(ending: list[ev.Event]) -> None:
    """Also where its worker is lost first, or it waits to run again."""
    history = begin(retries=1)
    history.fold_all([start(0, 9), Reported(0, 2, {"loss": 1.0}), *ending])
    assert history.states[0] is TrialState.STOPPED
    assert history.spent == 2


def test_what_is_spent_is_what_the_jobs_run():
    history = begin(total_resource=30)
    history.fold_all([start(0, 3), JobFinished(0, metrics={"loss": 1.0})])
    history.fold(JobStarted(0, 9, start=3, attempt=1))
    history.fold(start(1, 9))
    assert history.spent == 3 + 6 + 9
    assert history.may_spend(12)
    assert not history.may_spend(13)


def test_whether_one_more_may_start():
    history = begin(trials=2)
    assert history.may_start
    history.fold_all([start(0, 3), start(1, 3)])
    assert not history.may_start
    history.fold(ev.LimitsChanged(Limits(trials=3)))
    assert history.may_start
    for reason in ("budget", EXHAUSTED):
        history.fold(ev.StopDecided(reason))
        assert not history.may_start
        history.fold(ev.SessionStarted("host", 1, "inline", 1))
        assert history.may_start


def test_enqueued_configurations_are_taken_in_their_order():
    history = begin()
    history.fold_all(ev.Requested("enqueue", {"x": x}) for x in (1, 2))
    history.fold(start(0, 3, origin=Origin("random")))
    assert list(history.enqueued) == [{"x": 1}, {"x": 2}]
    history.fold(start(1, 3, origin=Origin(ENQUEUED)))
    assert list(history.enqueued) == [{"x": 2}]


def test_the_clock_counts_sessions_and_a_dead_one_up_to_its_last_event():
    history = begin()
    history.fold(ev.SessionStarted("host", 1, "inline", 1, time=100.0))
    history.fold(start(0, 3, time=110.0))  # and dies
    history.fold(ev.SessionStarted("host", 2, "inline", 1, time=500.0))
    assert history.clock.spent(505.0) == 15.0
    assert history.clock.known() == 10.0, "the dead one's, and of the new one nothing yet"
    history.fold(ev.SessionEnded("done", time=520.0))
    assert history.clock.spent(9999.0) == 30.0
    assert history.clock.known() == 30.0


def test_checkpoints_the_latest_is_kept_and_a_deleted_one_is_gone():
    history = begin()
    history.fold_all([start(0, 9), ev.CheckpointSaved(0, 3, "a"), ev.CheckpointSaved(0, 2, "b")])
    assert history.checkpoints[0] == Checkpoint(3, "a")
    history.fold(ev.CheckpointSaved(0, 3, "c"))
    assert history.checkpoints[0] == Checkpoint(3, "c")
    history.fold(ev.CheckpointDeleted(0))
    assert history.start_of(0) == 0


def test_records_by_topic():
    history = begin()
    first, second = ev.Recorded("a", {"x": 1}), ev.Recorded("a", {"x": 2}, trial=0)
    history.fold_all([first, second])
    assert history.records == {"a": [first, second]}


def test_each_configuration_is_encoded_once():
    class Space:
        size = 2
        encoded = 0

        def encode(self, values):
            self.encoded += len(values)
            return np.array([[v[0], -v[0]] for v in values], dtype=float)

    history, space = begin(), Space()
    for trial in range(200):
        history.fold(start(trial, 3))
        if trial % 7 == 0:
            matrix = history.matrix(space)
            assert matrix.shape == (trial + 1, 2)
    assert np.array_equal(history.matrix(space)[:, 0], np.arange(200))
    assert space.encoded == 200


# -- any log ------------------------------------------------------------------------------------------

numbers = st.sampled_from([0.0, 1.0, 1.0, 2.0, -3.0, math.nan, INF, -INF])
steps = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12), st.integers(1, 12), numbers), max_size=80)


class Model:
    """The definitions once more, naively: everything about a trial in a dictionary of its own."""

    def __init__(self, retries: int) -> None:
        self.retries, self.trials, self.waiting, self.results = retries, {}, [], []
        self.observed: list[tuple[int, float, int]] = []  # (-resource, value, trial)
        self.raised: set[int] = set()

    def start(self, trial: int, until: int, gates: tuple[int, ...]) -> None:
        due = [*gates, until]
        known = self.trials.get(trial)
        if known is None:
            self.trials[trial] = {
                "due": due,
                "until": until,
                "reached": 0,
                "lost": 0,
                "state": "running",
                "final": None,
                "own": None,  # reached before its present attempt reported at `until`
                "none": [False],  # whether what it told was no number; the last is the latest
                "attempt": 0,
                "stop": False,
            }
        elif trial in self.waiting:
            self.waiting.remove(trial)
            known.update(state="running", own=None, attempt=known["attempt"] + 1)
        else:
            known.update(due=due, until=until, lost=0, state="running", final=None, own=None, stop=False)
            known["attempt"] += 1

    def report(self, trial: int, resource: int, value: float) -> None:
        known = self.trials[trial]
        value = value if math.isfinite(value) else INF
        resource = min(resource, known["until"])
        if resource <= known["reached"]:
            return
        if resource == known["until"]:
            known["own"] = known["reached"]
        known["reached"] = resource
        known["none"].append(value == INF)
        if value < INF:
            self.observed.append((-resource, value, trial))
        while known["due"][0] <= resource and len(known["due"]) > 1 and not known["stop"]:
            self.results.append((trial, known["due"].pop(0), value))
        if resource == known["until"]:
            known["final"] = value

    def finish(self, trial: int, value: float | None) -> None:
        known = self.trials[trial]
        if value is not None and (known["final"] is None or known["own"] is not None):
            self.end_with(trial, value if math.isfinite(value) else INF)
        if known["final"] is None or known["final"] == INF:
            self.fail(trial, again=False, raised=True)
            return
        known["state"] = "done"
        self.results.append((trial, known["until"], known["final"]))

    def end_with(self, trial: int, value: float) -> None:
        """The end's value stands in the place of the one that was reported there."""
        known = self.trials[trial]
        if known["own"] is not None and known["final"] != value:
            known["reached"] = known["own"]
            known["none"].pop()
            if known["final"] < INF:
                self.observed.remove((-known["until"], known["final"], trial))
        known["final"] = value
        if value < INF:
            self.report(trial, known["until"], value)

    def fail(self, trial: int, again: bool, raised: bool = False) -> None:
        known = self.trials[trial]
        if (raised and not known["stop"]) or (known["none"][-1] and (known["stop"] or not again)):
            self.raised.add(trial)
        if known["stop"]:
            known["state"] = "stopped"
        elif again:
            known["state"] = "waiting"
            self.waiting.append(trial)
        else:
            known["state"] = "failed"
            self.results.append((trial, known["due"][0], INF))


@settings(max_examples=300, deadline=None)
@given(steps, st.integers(0, 2))
def test_any_log_gives_what_the_definitions_say(actions, retries):
    history, model = begin(maximum=12, retries=retries), Model(retries)
    for trial, action, resource, value in actions:
        act(history, model, min(trial, len(history)), action, resource, value)
    assert told(history) == model.results
    assert [running.job.trial for running in history.retry] == model.waiting
    assert {t for t, known in model.trials.items() if known["state"] == "running"} == set(history.running)
    assert list(history.reached) == [model.trials[t]["reached"] for t in range(len(history))]
    best = min((seen for seen in model.observed if seen[2] not in model.raised), default=None)
    if best is None:
        assert history.incumbent is None
    else:
        assert history.incumbent == Incumbent(best[2], -best[0], best[1])
    kept = sorted((r, t, v) for r in history.results for t, v in column(history, r))
    assert kept == sorted((r, t, v) for t, r, v in model.results)


def act(history: History, model: Model, trial: int, action: int, resource: int, value: float) -> None:
    """One thing happens to `trial`, if it can."""
    known = model.trials.get(trial)
    if known is None or known["state"] == "waiting":
        again = known is not None
        job = history.retry[model.waiting.index(trial)].job if again else start(trial, resource, gates=())
        gates = tuple(g for g in (1, 3, 9) if g < resource) if action % 2 and not again else job.gates
        attempt = known["attempt"] + 1 if again else 0
        model.start(trial, job.until, gates)
        values = None if again else (trial,)
        history.fold(JobStarted(trial, job.until, attempt=attempt, values=values, gates=gates))
    elif known["state"] == "running":
        running(history, model, trial, action, resource, value)
    elif known["state"] == "done" and resource > known["until"]:
        model.start(trial, resource, ())
        history.fold(JobStarted(trial, resource, attempt=known["attempt"]))


def running(history: History, model: Model, trial: int, action: int, resource: int, value: float) -> None:
    known = model.trials[trial]
    attempt = known["attempt"]
    if action < 7:
        model.report(trial, resource, value)
        history.fold(Reported(trial, resource, {"loss": value}, attempt))
    elif action == 7:
        history.fold(Reported(trial, resource, {"loss": value}, attempt + 1))  # late, in effect
    elif action == 8:
        returned = value if resource % 2 else None
        model.finish(trial, returned)
        metrics = None if returned is None else {"loss": returned}
        history.fold(JobFinished(trial, attempt, metrics))
    elif action == 9:
        known["lost"] += 1
        model.fail(trial, again=known["lost"] <= model.retries)
        history.fold(JobFailed(trial, Failure.LOST, attempt=attempt))
    elif action == 10:
        model.fail(trial, again=True)
        history.fold(JobFailed(trial, Failure.INTERRUPTED, attempt=attempt))
    elif action == 11:
        model.fail(trial, again=False, raised=True)
        history.fold(JobFailed(trial, Failure.ERROR, attempt=attempt))
    else:
        known["stop"] = True
        history.fold(ev.TrialStopped(trial))


def test_without_a_resource_a_checkpoint_keeps_the_step_that_it_was_saved_at():
    history = begin(plain=True)
    history.fold(ev.JobStarted(0, 1, values=(0,)))
    history.fold(ev.CheckpointSaved(0, 17, "there"))
    assert history.start_of(0) == 17
