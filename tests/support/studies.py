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
    end: bool = True,
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
        if rng.random() < 0.004:
            fold(ev.JobFailed(trial, Failure.ERROR, "ValueError: it does not work", attempt, clock))
            continue
        metrics = objective(space.to_mapping(history.values[trial]), resource, rng)
        if who.resource:
            fold(ev.Reported(trial, resource, metrics, attempt, clock))
        if last:
            fold(ev.JobFinished(trial, attempt, None if who.resource else metrics, clock))
    if end:
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
    """The log of a population based training: each generation's worst start from the best's checkpoint."""
    who = identity_of(resource=(1, 4 * generations))
    space, rng = compile_space(SPACE), np.random.default_rng(1)
    log: list[Event] = [ev.StudyCreated(who, "test", 0.0), ev.SessionStarted("here", 1, "simulated", size)]
    alive: list[Any] = [(n, space.sample(3, n), None) for n in range(size)]
    number, clock = size, 0.0
    for generation in range(generations):
        start, until = 4 * generation, 4 * (generation + 1)
        scores = []
        alive.sort(key=lambda row: row[0])
        for trial, values, parent in alive:
            first = generation == 0 or parent is not None
            origin = ev.Origin("pbt", parent=parent)
            log.append(
                JobStarted(
                    trial,
                    until,
                    start,
                    0 if first else generation,
                    time=clock,
                    values=values if first else None,
                    origin=origin if first else None,
                )
            )
        for trial, values, parent in alive:
            attempt = 0 if generation == 0 or parent is not None else generation
            config = space.to_mapping(values)
            for step in range(start + 1, until + 1):
                metrics = loss_of({**config, "lr": min(config["lr"], 0.4)}, step, rng)
                log.append(ev.Reported(trial, step, metrics, attempt, clock + step - start))
            log.append(ev.CheckpointSaved(trial, until, f"t{trial}", attempt, clock + 4))
            log.append(ev.JobFinished(trial, attempt, None, clock + 4))
            scores.append((metrics["loss"], trial, values))
        clock += 4.0
        scores.sort(key=lambda row: row[0])
        alive = [(trial, values, None) for _, trial, values in scores]
        if generation < generations - 1:
            for place in (-1, -2):
                best = scores[-1 - place - 1]
                changed = space.neighbours(best[2], rng, 1)[0]
                alive[place] = (number, changed, best[1])
                number += 1
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
