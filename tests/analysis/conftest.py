"""Studies to look at, each made once: their logs are values that no test changes."""

from functools import cache

import pytest

from rung.analysis.subject import Subject
from rung.trials import events as ev
from rung.trials.events import Constraint, Goal
from support.studies import identity_of, log_of, population_log, two_of

GOALS = (Goal("error", "min", 2.5), Goal("time", "min", 35.0))


@cache
def _log(name: str) -> tuple[ev.Event, ...]:
    two = identity_of(metric="error", goals=GOALS, constraints=(Constraint("time", 24.0),))
    logs = {
        "asha": lambda: log_of(identity_of(), trials=80, workers=4),
        "stopping": lambda: log_of(identity_of(scheduler="asha-stopping"), trials=40),
        "hyperband": lambda: log_of(identity_of(scheduler="hyperband"), trials=50),
        "plain": lambda: log_of(identity_of(resource=None, scheduler="plain"), trials=60),
        "max": lambda: log_of(
            identity_of(metric="accuracy", mode="max"),
            lambda config, resource, rng: {"accuracy": config["layers"] / 10 - 1 / (resource + 1)},
            trials=40,
        ),
        "two": lambda: log_of(two, two_of, trials=90),
        "population": population_log,
        "running": lambda: log_of(identity_of(), trials=30)[:90],
        "begun": lambda: log_of(identity_of(), trials=5)[:4],
        "empty": lambda: log_of(identity_of(), trials=5)[:1],
        "failed": lambda: log_of(
            identity_of(resource=None, scheduler="plain"),
            lambda config, resource, rng: {"loss": float("nan")},
            trials=15,
        ),
        "equal": lambda: log_of(
            identity_of(resource=None, scheduler="plain"),
            lambda config, resource, rng: {"loss": 1.0},
            trials=15,
            seed=4,
        ),
    }
    return tuple(logs[name]())


@pytest.fixture
def subject():
    """A study by its name."""
    return lambda name: Subject(name, _log(name))
