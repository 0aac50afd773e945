"""Two schedulers on one history: the second, slow and obvious, must decide as the first does."""

from __future__ import annotations

from typing import Any

from rung.schedulers.base import DONE, WAIT, Decision
from rung.trials.history import History


class View:
    """A history whose scheduler has another state."""

    def __init__(self, history: History, state: Any) -> None:
        self._history, self.scheduler = history, state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._history, name)


class Beside:
    """Decides as `scheduler`, and holds that `oracle` does, too."""

    def __init__(self, scheduler: Any, oracle: Any) -> None:
        self.both = (scheduler, oracle)

    def initial(self, identity: Any) -> list[Any]:
        return [each.initial(identity) for each in self.both]

    def fold(self, states: list[Any], item: Any) -> list[Any]:
        return [each.fold(state, item) for each, state in zip(self.both, states, strict=True)]

    def next(self, history: History) -> Decision:
        states = history.scheduler
        found, expected = (
            each.next(View(history, state)) for each, state in zip(self.both, states, strict=True)
        )
        assert found == expected
        return found

    def may_resume(self, history: History, trial: int) -> bool:
        return self.both[0].may_resume(View(history, history.scheduler[0]), trial)


def idle(history: History) -> Decision:
    return WAIT if history.running or history.retry else DONE
