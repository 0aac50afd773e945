"""The cost of a model's suggestion, Optuna's TPE beside it."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.rows import Row
from rung.samplers.base import Request
from rung.samplers.kde import KdeSampler
from rung.space.compiled import CompiledSpace, compile_space
from rung.space.domains import Categorical, Float
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials.events import Identity, JobFinished, JobStarted, Origin, Spec, StudyCreated
from rung.trials.history import History


def space_of_ten() -> CompiledSpace:
    """Seven continuous parameters and three categorical ones."""
    numbers = {f"x{i}": Float(0.0, 1.0) for i in range(7)}
    return compile_space(numbers | {f"c{i}": Categorical(["a", "b", "c"]) for i in range(3)})


def loss(config: dict[str, Any]) -> float:
    """Smooth in the numbers; one category is best in each of the others."""
    return sum((config[f"x{i}"] - 0.3) ** 2 for i in range(7)) + sum(config[f"c{i}"] != "a" for i in range(3))


def kde_rows(observations: int = 10_000, suggestions: int = 100) -> list[Row]:
    """Milliseconds a suggestion, with one more result before each, so that every model is fitted anew."""
    ours = _median(_kde(observations), suggestions)
    what = f"kde, {observations:,} observations, 10 parameters"
    if importlib.util.find_spec("optuna") is None:
        return [Row(what, ours, "ms", 2.0, "Optuna is not installed: pip install optuna")]
    theirs = _median(_optuna(observations), max(5, suggestions // 5))
    return [
        Row(what, ours, "ms", 2.0, "Optuna TPE, ms", theirs),
        Row("  Optuna's TPE against kde", theirs / ours, "times", 10.0, at_least=True),
    ]


def _median(step: Callable[[], float], count: int) -> float:
    """Milliseconds of the median step, after two to warm up."""
    for _ in range(2):
        step()
    return 1e3 * statistics.median(step() for _ in range(count))


def _kde(observations: int) -> Callable[[], float]:
    """A suggestion made by the model (no random one) and its result; returns the suggestion's seconds."""
    space, sampler = space_of_ten(), KdeSampler(random_fraction=0.0)
    identity = Identity({}, "loss", "min", None, 3, Spec("kde"), Spec("plain"), 0)
    history = History().fold_all([StudyCreated(identity, "benchmark")])

    def trial(values: Values, origin: Origin) -> None:
        number = len(history)
        history.fold(JobStarted(number, 1, values=values, origin=origin))
        history.fold(JobFinished(number, metrics={"loss": loss(space.to_mapping(values))}))

    def step() -> float:
        start = time.perf_counter()
        values, origin = sampler.suggest(space, history, Request(1), Rng(0, len(history)))
        seconds = time.perf_counter() - start
        assert origin.model
        trial(values, origin)
        return seconds

    for number in range(observations):
        trial(space.sample(0, number), Origin("random"))
    return step


def _optuna(observations: int) -> Callable[[], float]:
    """The same with Optuna's TPE as it comes, its study in memory."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    floats = {f"x{i}": optuna.distributions.FloatDistribution(0.0, 1.0) for i in range(7)}
    choices = {f"c{i}": optuna.distributions.CategoricalDistribution(["a", "b", "c"]) for i in range(3)}
    domains: dict[str, Any] = floats | choices
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    rng = np.random.default_rng(0)
    trials = []
    for _ in range(observations):
        config = {name: float(rng.random()) for name in floats}
        config |= {name: "abc"[rng.integers(3)] for name in choices}
        trials.append(optuna.trial.create_trial(params=config, distributions=domains, value=loss(config)))
    study.add_trials(trials)

    def step() -> float:
        start = time.perf_counter()
        trial = study.ask(domains)
        seconds = time.perf_counter() - start
        study.tell(trial, loss(trial.params))
        return seconds

    return step
