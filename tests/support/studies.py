"""Logs of whole studies in virtual time, made from a scheduler, a function and a seed; no process runs."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rung.schedulers import make_scheduler
from rung.schedulers.base import Resume, Start, Stop
from rung.space import compile_space, to_json
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.trials import events as ev
from rung.trials.events import Event, Failure, Goal, Identity, JobStarted, Limits, Resource, Spec
from rung.trials.history import History

SPACE = Space(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "layers": Integer(1, 8),
        "batch": Ordinal([16, 32, 64, 128]),
        "activation": Categorical(["relu", "tanh", "gelu"]),
        "optimizer": Choice({"sgd": {"momentum": Float(0.0, 0.99)}, "adam": {"beta": Float(0.8, 0.999)}}),
        "seed": Constant(3),
    }
)
STUDIES = ("asha", "stopping", "hyperband", "plain", "max", "two", "population", "running")
BARREN = ("begun", "empty", "failed", "equal")  # those that have hardly anything to show
Objective = Callable[[Mapping[str, Any], int, np.random.Generator], Mapping[str, float]]


def loss_of(config: Mapping[str, Any], resource: int, rng: np.random.Generator) -> dict[str, float]:
    """A loss that the learning rate matters most for; a few configurations diverge."""
    distance = abs(math.log10(config["lr"]) + 2.0)
    if config["lr"] > 0.5 and config["layers"] > 5:
        return {"loss": math.nan}
    end = 0.1 + 0.35 * distance + 0.03 * abs(config["layers"] - 4) + 0.2 * (config["optimizer"] == "sgd")
    end += 0.15 * abs(config.get("momentum", 0.9) - 0.9)
    return {"loss": end + 1.5 * resource**-0.7 + 0.01 * float(rng.normal())}


def two_of(config: Mapping[str, Any], resource: int, rng: np.random.Generator) -> dict[str, float]:
    """An error that falls and a time that rises with the layers; the time is bounded by a constraint."""
    error = loss_of({**config, "lr": min(config["lr"], 0.5)}, resource, rng)["loss"] + 0.5 / config["layers"]
    return {"error": error, "time": 3.0 * config["layers"] + config["batch"] / 16 + float(rng.random())}


def identity_of(
    space: Space = SPACE,
    *,
    metric: str = "loss",
    mode: str = "min",
    resource: tuple[int, int] | None = (1, 27),
    scheduler: str = "asha",
    goals: tuple[Goal, ...] = (),
    constraints: tuple[ev.Constraint, ...] = (),
) -> Identity:
    amount = Resource("epoch", *resource) if resource else None
    specs = Spec("random"), Spec(scheduler)
    return Identity(to_json(space), metric, mode, amount, 3, *specs, 0, goals=goals, constraints=constraints)


def log_of(
    who: Identity,
    objective: Objective = loss_of,
    *,
    trials: int = 60,
    workers: int = 4,
    failing: float = 0.004,
    seed: int = 0,
) -> list[Event]:
    """The log of a study with this identity: random configurations, each epoch reported, in virtual time."""
    scheduler = make_scheduler(who.scheduler)
    history, log = History(scheduler), list[Event]()
    space = compile_space(SPACE if who.space == to_json(SPACE) else _space(who))
    rng = np.random.default_rng(seed)

    def fold(*events: Event) -> None:
        for event in events:
            history.fold(event)
            log.append(event)

    fold(ev.StudyCreated(who, "test", 100.0), ev.LimitsChanged(Limits(trials=trials), 100.0))
    fold(ev.SessionStarted("here", 1, "simulated", workers, time=100.0))
    queue: list[tuple[float, int, int, int, bool]] = []  # time, order, trial, resource, last
    clock, order = 100.0, 0
    while True:
        decision = scheduler.next(history)
        while isinstance(decision, Start | Resume | Stop) and (
            isinstance(decision, Stop) or len(history.running) < workers
        ):
            if isinstance(decision, Stop):
                fold(ev.TrialStopped(decision.trial, clock))
            else:
                job = _job(decision, history, space, clock)
                fold(job)
                pace = 0.5 + rng.random()
                steps = range(job.start + 1, job.until + 1) if who.resource else [1]
                for step in steps:
                    order += 1
                    at = clock + pace * (step - job.start)
                    heapq.heappush(queue, (at, order, job.trial, step, step == job.until or not who.resource))
            decision = scheduler.next(history)
        if not queue:
            break
        clock, _, trial, resource, last = heapq.heappop(queue)
        running = history.running.get(trial)
        if running is None:
            continue
        attempt = running.job.attempt
        if running.stopping:
            fold(ev.JobStopped(trial, attempt, clock))
            continue
        if rng.random() < failing:
            fold(ev.JobFailed(trial, Failure.ERROR, "ValueError: it does not work", attempt, clock))
            continue
        metrics = objective(space.to_mapping(history.values[trial]), resource, rng)
        if who.resource:
            fold(ev.Reported(trial, resource, metrics, attempt, clock))
        if last:
            fold(ev.JobFinished(trial, attempt, None if who.resource else metrics, clock))
    fold(ev.SessionEnded("done", clock))
    return log


def _space(who: Identity) -> Space:
    from rung.space import from_json

    return from_json(who.space)


def _job(decision: Start | Resume, history: History, space: Any, now: float) -> JobStarted:
    if isinstance(decision, Start):
        trial = len(history)
        values = space.sample(7, trial)
        return JobStarted(
            trial,
            decision.until,
            values=values,
            bracket=decision.bracket,
            gates=decision.gates,
            time=now,
            origin=ev.Origin("random"),
        )
    trial = decision.trial
    start = int(history.reached[trial])
    return JobStarted(
        trial,
        decision.until,
        start,
        history.attempts[trial],
        bracket=history.brackets[trial],
        gates=decision.gates,
        time=now,
    )


def population_log(generations: int = 5, size: int = 6) -> list[Event]:
    """The log of a population based training: each generation's two worst give way to changed copies."""
    who = identity_of(resource=(1, 4 * generations), scheduler="pbt")
    space, rng, history = compile_space(SPACE), np.random.default_rng(1), History()
    log: list[Event] = []

    def add(event: Event) -> None:
        history.fold(event)
        log.append(event)

    add(ev.StudyCreated(who, "test", 0.0))
    add(ev.SessionStarted("here", 1, "simulated", size))
    alive: list[int] = []
    for generation in range(generations):
        start, until, clock = 4 * generation, 4 * (generation + 1), 4.0 * generation
        parents = alive[:2] if generation else [None] * size
        alive = alive[: size - 2]
        for trial in alive:
            add(JobStarted(trial, until, start, history.attempts[trial], time=clock))
        for parent in parents:
            if parent is None:
                values = space.sample(3, len(history))
            else:
                values = space.neighbours(history.values[parent], rng, 1)[0]
            checkpoint = None if parent is None else f"t{parent}"
            origin = ev.Origin("pbt", parent=parent)
            alive.append(len(history))
            add(
                JobStarted(
                    alive[-1], until, start, values=values, origin=origin, checkpoint=checkpoint, time=clock
                )
            )
        for trial in alive:
            config, attempt = space.to_mapping(history.values[trial]), history.running[trial].job.attempt
            for step in range(start + 1, until + 1):
                metrics = loss_of({**config, "lr": min(config["lr"], 0.4)}, step, rng)
                add(ev.Reported(trial, step, metrics, attempt, clock + step - start))
            add(ev.CheckpointSaved(trial, until, f"t{trial}", attempt, clock + 4))
            add(ev.JobFinished(trial, attempt, None, clock + 4))
        alive.sort(key=lambda trial: history.latest[trial])
    return log


def stored(log: list[Event], url: str, name: str) -> None:
    """Put a log into a storage, as a study of this name."""
    storage = open_storage(url)
    history = History().fold_all(log)
    best = history.incumbent
    summary = Summary(
        metric=history.identity.metric,
        state="done",
        trials=len(history),
        spent=history.spent,
        best=best.value if best else None,
        seconds=history.clock.seconds,
    )
    storage.create(name, log, summary).close()
    storage.close()
