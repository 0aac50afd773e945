"""What a scheduler is: frozen settings, a fold, and one pure method that returns a frozen decision."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final, Protocol

import msgspec

from rung.space.values import Values
from rung.trials.events import Identity, JobStarted, Origin, TrialStopped
from rung.trials.history import History, Result


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What the study does next."""


class Explore(msgspec.Struct, frozen=True, gc=False):
    """How a configuration is changed into a new one (Jaderberg et al. 2017, 4.1.1, "explore").

    Each parameter is drawn anew with probability `resample`; else a number is multiplied by `factor` or
    divided by it, and a value of a list gives way to one beside it.
    """

    resample: float = 0.25
    factor: float = 1.2


class Start(Decision, frozen=True, gc=False):
    """Start a new configuration and run it up to `until`.

    At each of `gates` (resources below `until`) its report waits for the scheduler's word.
    `parent` is a trial whose latest checkpoint the new one starts from; with `explore` its configuration is
    the parent's, changed so (population based training). `values` is the configuration itself, where the
    scheduler's own model chose it, and `origin` says so. Without either the sampler is asked.
    """

    until: int
    bracket: int = 0
    gates: tuple[int, ...] = ()
    parent: int | None = None
    explore: Explore | None = None
    values: Values | None = None
    origin: Origin | None = None


class Resume(Decision, frozen=True, gc=False):
    """Run `trial` further, up to `until`."""

    trial: int
    until: int
    gates: tuple[int, ...] = ()


class Stop(Decision, frozen=True, gc=False):
    """Stop the running `trial` for good."""

    trial: int


class Wait(Decision, frozen=True, gc=False):
    """Nothing can run until something that runs has ended."""


class Done(Decision, frozen=True, gc=False):
    """Nothing runs, and nothing will."""


WAIT: Final = Wait()
DONE: Final = Done()


class Scheduler(Protocol):
    """Decides which trial runs next and how far.

    A scheduler is a frozen dataclass of settings. Its state is a fold of the log that the history keeps
    (`history.scheduler`); `initial` and `fold` may be missing where none is needed (see
    `rung.trials.history.Folding`). One that promotes trials may have `space_changed(state, outside)` beside
    `fold`: told which trials the space has no more, it returns the state. `next` reads the history only,
    changes nothing, and costs O(log n); it may be asked several times about one history, so what a model
    costs is paid once for each `history.length`.

    The contract, tested for all: it starts a configuration only if `history.may_start`; a result of `inf`
    counts as worst and is never promoted; ties go to the older trial; it returns `Wait` only while
    something runs (or waits to run again), and `Done` only when nothing can ever be started or resumed.
    """

    def initial(self, identity: Identity) -> Any:
        """The state before the first job."""

    def fold(self, state: Any, item: JobStarted | Result | TrialStopped) -> Any:
        """The state after a job started, a result came or a trial was stopped (may change `state` in place).

        A job that runs again is told only when it first starts.
        """

    def next(self, history: History) -> Decision:
        """What to do now."""

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether `trial`, which is paused, can still be promoted: its checkpoint is kept as long."""


class Keeper(Protocol):
    """A state that decides by itself."""

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started, a result or a trial that was stopped."""

    def pass_over(self, outside: Set[int]) -> None:
        """Promote none of these trials, which the space has no more, but again those that it has again."""

    def next(self, history: History) -> Decision:
        """What to do now; changes nothing."""

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether a paused trial can still be promoted."""


class ByState:
    """A scheduler that leaves all to its state, a `Keeper`, which `initial` makes of its settings."""

    def fold(self, state: Keeper, item: JobStarted | Result | TrialStopped) -> Keeper:
        """The state after a job started, a result came or a trial was stopped."""
        state.fold(item)
        return state

    def space_changed(self, state: Keeper, outside: Set[int]) -> Keeper:
        """The state after the space was changed."""
        state.pass_over(outside)
        return state

    def next(self, history: History) -> Decision:
        """What to do now."""
        state: Keeper = history.scheduler
        return state.next(history)

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether a paused trial can still be promoted."""
        state: Keeper = history.scheduler
        return state.may_resume(history, trial)


def at_its_end(history: History) -> bool:
    """Whether, within its present limits, no configuration is started any more and no result is to come."""
    limit = history.limits.trials
    may_start = not history.exhausted and (limit is None or history.begun < limit)
    return not (may_start or history.running or history.retry)
