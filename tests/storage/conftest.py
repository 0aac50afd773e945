"""What the storage's tests write: small studies."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rung.storage import open_storage
from rung.storage.base import Storage, Summary
from rung.trials import events as ev

IDENTITY = ev.Identity(
    space={"x": {"type": "float", "low": 0.0, "high": 1.0}},
    metric="loss",
    mode="min",
    resource=ev.Resource("epoch", 1, 9),
    eta=3,
    sampler=ev.Spec("random"),
    scheduler=ev.Spec("asha"),
    seed=0,
)


def _report(number: int) -> ev.Event:
    return ev.Reported(trial=number, resource=3, metrics={"loss": number / 7}, time=float(number))


@pytest.fixture
def samples() -> SimpleNamespace:
    """`created`, `summary` and `reports(start, stop)`."""
    return SimpleNamespace(
        created=ev.StudyCreated(IDENTITY, "0.1.0", 1.0),
        summary=Summary(metric="loss", created=1.0, updated=2.0),
        reports=lambda start, stop: [_report(number) for number in range(start, stop)],
    )


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'rung.db'}"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    places = {
        "memory": lambda: "memory",
        "sqlite": lambda: tmp_path / "rung.db",
        "postgres": lambda: request.getfixturevalue("postgres_schema_url"),
    }
    made = open_storage(places[request.param]())
    yield made
    made.close()


@pytest.fixture
def new(storage: Storage, samples: Any) -> Callable[..., Any]:
    """Create a study in the storage under test."""
    return lambda name="mine": storage.create(name, [samples.created], samples.summary)
