"""A search on another machine: what its node runs, and how what it saved comes back.

The node reads the data itself and puts the plan together on its own device. After each epoch it saves; the
checkpoint holds the records of all epochs, so that whoever follows needs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rung.executors.handle import Trial
from rung.nas.checkpoint import load, save
from rung.nas.costs import Costs
from rung.nas.loop import Plan, Record, State, run, start
from rung.nas.pacing import with_epochs
from rung.nas.planning import Request, prepare

Metrics = Callable[[Record], dict[str, float]]


@dataclass(frozen=True)
class Away:
    """The objective of a search: picklable, unlike one that shares its state with the caller.

    Attributes:
        request: what was asked; its device is the node's to choose, if it is "auto".
        epochs: as planned.
        metrics: of a record, by the names that the study knows.
        latencies: of operations, as they were measured where the search was planned.
    """

    request: Request
    epochs: int
    metrics: Metrics
    latencies: Mapping[str, Costs]

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Search from the trial's checkpoint, if it has one, to the end."""
        plan = with_epochs(prepare(self.request, lambda: self.latencies).plan, self.epochs)
        state = load(plan, trial.checkpoint) if trial.checkpoint else start(plan)

        def watch(state: State, record: Record) -> bool:
            trial.report(record.epoch, save=lambda folder: save(plan, state, folder), **self.metrics(record))
            trial.save_now()
            return True

        run(plan, state, watch)
        return self.metrics(state.records[-1])


class Follower:
    """Follows a search that runs elsewhere, by its checkpoints.

    Args:
        plan: the same search, on this machine's device.
        told: called with each record that is new.
        epochs: so many are known already.
    """

    def __init__(self, plan: Plan, told: Callable[[Record], None], epochs: int) -> None:
        self._plan = plan
        self._told = told
        self._epochs = epochs
        self.state: State | None = None

    def take(self, folder: Path) -> None:
        """Read a checkpoint that was saved."""
        self.state = load(self._plan, folder)
        for record in self.state.records[self._epochs :]:
            self._told(record)
        self._epochs = len(self.state.records)
