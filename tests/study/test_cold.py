"""Decisions derived anew from the log alone: whatever is kept between decisions changes none of them.

The studies have three workers on a clock of their own, and a report at each unit of the resource. Parameters
are fixed and the space is changed while jobs run. Somebody looks at what comes next after every event, so
that what is kept from such a look is there when things change between it and the decision.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import rung
from rung.samplers import SAMPLERS, make_sampler
from rung.schedulers import SCHEDULERS, make_scheduler
from rung.space.domains import Normal
from rung.study.decide import Decider, decide
from rung.study.study import Study
from rung.trials import events as ev
from rung.trials.events import Event, JobStarted, StopDecided, TrialStopped
from rung.trials.history import EXHAUSTED, History

SPACE = {
    "x": rung.Float(0.0, 1.0, prior=Normal(0.4, 0.2)),
    "layers": rung.Integer(1, 6),
    "kind": rung.Choice({"sgd": {"momentum": rung.Float(0.0, 0.99)}, "adam": {}}),
}
WIDER = {**SPACE, "x": rung.Float(0.0, 0.8), "width": rung.Integer(2, 9)}
WORKERS, TRIALS = 3, 48
FIXED, CHANGED, FREE = 20, 28, 36  # at which trial
DEAR = {"gp": 12, "turbo": 12, "cqr": 12, "auto": 12, "transfer": 12, "fabolas": 9, "freeze-thaw": 12}


def loss(config, trial, epoch):
    """One in eleven has no value."""
    value = (config["x"] - 0.3) ** 2 + config["layers"] / (5.0 + epoch) + config.get("momentum", 0.4) / 9
    return {"loss": float("nan") if trial % 11 == 10 else value}


class Bench:
    """Runs a study: jobs go on a unit at a time, each at its own pace."""

    def __init__(self, study: Study) -> None:
        self.study, self.writer = study, study.writer
        self.clock = 0.0
        self.due: dict[int, tuple[float, int]] = {}  # by trial, when it reports next, and where

    def run(self) -> list[Event]:
        self.writer.begin("test", WORKERS, None, self.clock)
        while True:
            self.decide()
            if not self.due:
                return list(self.study.events())
            self.go_on(min(self.due, key=self.due.get))

    def decide(self) -> None:
        """Whatever is decided now."""
        while True:
            self.look()
            free = len(self.due) < WORKERS
            if free:
                self.meddle()
            event = self.writer.next_event(self.clock, only_stops=not free)
            if not isinstance(event, Event):
                return
            self.commit(event)
            if isinstance(event, TrialStopped):
                del self.due[event.trial]
                attempt = self.study.history.running[event.trial].job.attempt
                self.commit(ev.JobStopped(event.trial, attempt, self.clock))
            elif isinstance(event, JobStarted):
                self.due[event.trial] = (self.clock + self.pace(event.trial), event.start + 1)

    def go_on(self, trial: int) -> None:
        """A job reports; at its end its checkpoint comes last."""
        self.clock, resource = self.due.pop(trial)
        job = self.study.history.running[trial].job
        metrics = loss(self.study.history.config(trial), trial, resource)
        self.commit(ev.Reported(trial, resource, metrics, job.attempt, self.clock))
        if resource < job.until:
            self.due[trial] = (self.clock + self.pace(trial), resource + 1)
            return
        self.commit(ev.JobFinished(trial, job.attempt, time=self.clock))
        self.commit(ev.CheckpointSaved(trial, resource, f"{trial}-{resource}", job.attempt, self.clock))

    def pace(self, trial: int) -> float:
        return 1.0 + 0.1 * (trial % 4)

    def commit(self, event: Event) -> None:
        self.writer.commit([event])
        self.look()

    def look(self) -> None:
        decide(self.study.history, self.writer.scheduler)

    def meddle(self) -> None:
        """Fix a parameter, later change the space, and let the parameter go again."""
        study, begun = self.study, self.study.history.begun
        if begun in (FIXED, CHANGED, FREE):
            self.writer.next_event(self.clock)  # the sampler has been asked, too
        if FIXED <= begun < FREE and not study.history.fixed:
            study.fix({"layers": 3})
        elif begun >= CHANGED and not study.history.space_version:
            study.change_space(WIDER, given={"width": 4})
        elif begun >= FREE and study.history.fixed:
            study.fix({})


def log_of(sampler: str, scheduler: str) -> list[Event]:
    with Study(
        SPACE, resource=("epoch", 1, 9), sampler=sampler, scheduler=scheduler, trials=TRIALS, seed=3
    ) as study:
        return Bench(study).run()


def decided(event: Event) -> bool:
    ended = isinstance(event, StopDecided) and event.reason == EXHAUSTED
    return ended or isinstance(event, JobStarted | TrialStopped)


def looked_at(log: list[Event], every: int) -> Iterator[int]:
    """Each so many decisions, and the first after something was changed."""
    count, changed = 0, False
    for place, event in enumerate(log):
        changed |= isinstance(event, ev.Requested | ev.SpaceChanged)
        if decided(event):
            count += 1
            if changed or count % every == 0:
                yield place
            changed = False


def cold(log: list[Event], place: int) -> str:
    """What is decided after the first `place` events, by a history that knows nothing but these."""
    identity = log[0].identity
    sampler, scheduler = make_sampler(identity.sampler), make_scheduler(identity.scheduler)
    history = History(scheduler, sampler).fold_all(log[:place])
    return repr(Decider(sampler, scheduler).next(history, log[place].time))


def check(sampler: str, scheduler: str) -> None:
    log = log_of(sampler, scheduler)
    assert sum(isinstance(event, ev.SpaceChanged) for event in log) == 1
    assert sum(isinstance(event, ev.Requested) and event.request == "fix" for event in log) == 2
    every = max(DEAR.get(sampler, 5), DEAR.get(scheduler, 5))
    places = list(looked_at(log, every))
    assert len(places) >= 4
    for place in places:
        assert cold(log, place) == repr(log[place]), f"event {place} of {len(log)}"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_keep_nothing_that_does_not_follow_from_the_log(sampler):
    check(sampler, "asha")


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize(
    "scheduler",
    [pytest.param(name, marks=pytest.mark.long) if name == "freeze-thaw" else name for name in SCHEDULERS],
)
def test_schedulers_keep_nothing_that_does_not_follow_from_the_log(scheduler, sampler):
    check(sampler, scheduler)
