"""After a change of the space, schedulers promote none of the trials that it has no more."""

from __future__ import annotations

import pytest

import rung
from rung.schedulers.base import DONE, Resume
from rung.schedulers.mo_asha import FrontRung
from rung.schedulers.race import Racing
from rung.space import to_json
from rung.space.domains import Space
from rung.study.audit import audit
from rung.study.study import Study
from rung.trials import events as ev
from rung.trials.history import History, Result
from rung.trials.running import Measure
from rung.trials.states import TrialState

WIDE, NARROW = {"x": rung.Float(0.0, 1.0)}, {"x": rung.Float(0.5, 1.0)}
ASYNCHRONOUS = ["asha", "async-hyperband", "hyper-tune", "pasha", "mo-asha"]
SYNCHRONOUS = ["sha", "hyperband"]


def loss(job):
    """The best ones are in the part that is taken away."""
    return job.config["x"] + 1.0 / job.resource


def made(scheduler, trials=24, **more):
    return Study(
        WIDE,
        resource=("e", 1, 9),
        eta=3,
        sampler="random",
        scheduler=scheduler,
        trials=trials,
        seed=1,
        **more,
    )


def run(study, jobs=10_000, workers=3):
    """So many jobs, `workers` at once, the oldest ends first; returns what was asked for."""
    asked, running = [], []
    while True:
        while len(running) < workers and len(asked) < jobs and (job := study.ask()) is not None:
            running.append(job)
            asked.append(job)
        if not running:
            return asked
        job = running.pop(0)
        study.tell(job, loss(job))


@pytest.mark.parametrize("scheduler", ASYNCHRONOUS + SYNCHRONOUS)
@pytest.mark.parametrize("jobs", [4, 9, 10, 11, 13, 16, 30])
def test_trials_that_the_space_has_no_more_are_not_promoted(scheduler, jobs):
    study = made(scheduler)
    run(study, jobs)
    last = study.ask()  # it runs while the space is changed
    study.change_space(NARROW)
    assert study.history.outside
    if last is not None:
        study.tell(last, loss(last))
    asked = run(study)
    assert {job.number for job in asked}.isdisjoint(study.history.outside)
    assert not study.history.running, "it ends"
    assert audit(study.events()).differences == ()


@pytest.mark.parametrize("scheduler", ASYNCHRONOUS)
def test_trials_that_the_space_has_again_are_promoted_again(scheduler):
    plain, changed = made(scheduler), made(scheduler)
    for study in plain, changed:
        run(study, 12)
    changed.change_space(NARROW)
    changed.change_space(WIDE)
    left = [[(job.number, job.resource) for job in run(study)] for study in (plain, changed)]
    assert left[0] == left[1]
    assert any(number < 12 for number, _ in left[1])


def test_the_best_of_what_is_left_go_on_though_better_ones_are_outside():
    study = made("asha", trials=12)
    run(study, 9, workers=1)
    study.change_space(NARROW)
    asked = run(study, workers=1)
    assert any(job.resource > 1 for job in asked)


@pytest.mark.parametrize("scheduler", ASYNCHRONOUS + SYNCHRONOUS)
def test_a_log_in_which_such_trials_were_promoted_can_be_read(scheduler):
    """As earlier versions wrote it; wherever the change stands in it."""
    study = made(scheduler)
    run(study)
    log = list(study.events())
    change = ev.SpaceChanged(to_json(Space(NARROW)))
    for place in range(3, len(log), 4):
        history = History(study.writer.scheduler, study.writer._sampler)
        history.fold_all([*log[:place], change, *log[place:]])
        assert history.reached == study.history.reached
        decision = study.writer.scheduler.next(history)
        if isinstance(decision, Resume):
            assert decision.trial not in history.outside
            assert history.states[decision.trial] is TrialState.PAUSED
            assert history.reached[decision.trial] < decision.until
        else:
            assert decision == DONE


def test_a_front_is_of_trials_that_the_space_has():
    rung_ = FrontRung(eta=2, above=3)
    for trial, losses in enumerate([(0.0, 0.0), (1.0, 2.0), (2.0, 1.0), (3.0, 3.0)]):
        rung_.add(Result(trial, 1, losses[0], 0, measure=Measure(losses, 0.0)))
    assert rung_.candidate == 0
    rung_.pass_over({0})
    assert rung_.candidate == 1
    rung_.pass_over({0, 1, 2})
    assert rung_.candidate == 3
    rung_.pass_over(set())
    assert rung_.candidate == 0


def test_newcomers_of_a_race_are_compared_with_no_elite_that_the_space_has_no_more():
    """It has the best values, and each of them would drop out at the first test."""
    study = Study(
        WIDE, resource=("e", 1, 12), sampler="random", scheduler=Racing(candidates=6), trials=24, seed=1
    )
    while len(study.history) < 7:  # the first race is over
        run(study, 1, workers=1)
    first = len(study.history)
    study.change_space(NARROW)
    run(study, workers=1)
    assert study.best.number >= first
    assert study.history.reached[study.best.number] == 12
    assert audit(study.events()).differences == ()
