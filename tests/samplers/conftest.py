"""Histories and spaces that the samplers' tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rung.space import to_json
from rung.space.compiled import CompiledSpace
from rung.space.values import Values
from rung.trials.events import Identity, JobFinished, JobStarted, Origin, Resource, Spec, StudyCreated
from rung.trials.history import History

RANDOM = Origin("random")


class Recorder:
    """A history that grows by whole trials.

    Args:
        sampler: whose state the history keeps, if it has one.
        space: which such a sampler reads from the study's identity.
        more: further fields of the identity, such as `goals`.
    """

    def __init__(self, sampler: object = None, space: CompiledSpace | None = None, **more: Any) -> None:
        resource = Resource("epoch", 1, 81)
        form = to_json(space.space) if space is not None else {}
        identity = Identity(form, "loss", "min", resource, 3, Spec("kde"), Spec("asha"), 0, **more)
        self.history = History(sampler=sampler).fold_all([StudyCreated(identity, "0")])

    def start(self, values: Values, until: int = 1, origin: Origin = RANDOM) -> int:
        """Start a trial of this configuration; returns its number."""
        number = len(self.history)
        self.history.fold(JobStarted(number, until, values=values, origin=origin))
        return number

    def result(self, number: int, value: float | None, until: int = 1) -> None:
        """A trial's value at its end; None if it returned nothing."""
        metrics = {} if value is None else {"loss": value}
        self.history.fold(JobFinished(number, metrics=metrics))

    def trial(self, values: Values, value: float | None, until: int = 1, origin: Origin = RANDOM) -> int:
        """A trial from start to end."""
        number = self.start(values, until, origin)
        self.result(number, value)
        return number

    def random_trials(
        self, space: CompiledSpace, values: Sequence[float | None], until: int = 1, seed: int = 0
    ) -> Recorder:
        """Random configurations with these values."""
        first = len(self.history)
        for number, value in enumerate(values, first):
            self.trial(space.sample(seed, number), value, until)
        return self


@pytest.fixture(scope="session")
def recorder() -> Callable[..., Recorder]:
    return Recorder
