"""A schedule of configurations, trained again: what population based training found, as one training.

Jaderberg et al. 2017, 5: what PBT finds is a schedule of hyperparameters, not one value of each. `stages`
has it, as `rung.study.lineage` reads it off a study: each is trained as a trial from the checkpoint of the
one before, with its own configuration. So the objective must save checkpoints. With several `repeats` the
schedule is trained as often, each time with other seeds.

What happens when:
- a stage fails (crash, NaN, infinite, missing): its repetition ends;
- fewer trials may be started than there are stages: so far it goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rung.errors import StudyError
from rung.schedulers.base import DONE, WAIT, Decision, Start
from rung.trials.events import Identity, JobStarted, Origin, TrialStopped
from rung.trials.history import WORST, History, Result

_ORIGIN: Final = Origin("replay")


class Chain:
    """One repetition: its latest trial, and how many stages are behind it."""

    __slots__ = ("done", "ended", "trial")

    def __init__(self) -> None:
        self.trial: int | None = None
        self.done = 0
        self.ended = False


@dataclass(frozen=True)
class Replay:
    """Trains a schedule of configurations.

    Args:
        stages: (until which resource, configuration) each, the resources rising.
        repeats: how often.

    Raises:
        StudyError: no stages, or resources that do not rise.
    """

    stages: Sequence[tuple[int, Mapping[str, Any]]] = field(default_factory=tuple)
    repeats: int = 1

    def __post_init__(self) -> None:
        ends = [until for until, _ in self.stages]
        if any(after <= before for before, after in zip([0, *ends], ends, strict=False)):
            raise StudyError(f"the stages of a replay must end at rising resources, not at {ends}")

    def initial(self, identity: Identity) -> list[Chain]:
        return [Chain() for _ in range(self.repeats)]

    def fold(self, state: list[Chain], item: JobStarted | Result | TrialStopped) -> list[Chain]:
        if isinstance(item, JobStarted) and item.bracket < len(state):
            state[item.bracket].trial = item.trial
        elif isinstance(item, Result) and item.bracket < len(state):
            chain = state[item.bracket]
            chain.done += 1
            chain.ended = item.value == WORST or chain.done == len(self.stages)
            if chain.trial == item.trial:
                chain.trial = None if chain.ended else item.trial
        return state

    def next(self, history: History) -> Decision:
        """Start the next stage of a repetition whose last one is done, else wait or be done."""
        chains: list[Chain] = history.scheduler
        if history.may_start and self.stages:
            for number, chain in enumerate(chains):
                busy = chain.trial is not None and chain.trial in history.running
                waits = any(running.job.trial == chain.trial for running in history.retry)
                if not (chain.ended or busy or waits):
                    return self._stage(history, number, chain)
        return WAIT if history.running or history.retry else DONE

    def _stage(self, history: History, number: int, chain: Chain) -> Start:
        until, config = self.stages[chain.done]
        values = history.space.from_mapping(config)
        return Start(until, bracket=number, parent=chain.trial, values=values, origin=_ORIGIN)

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether the next stage begins from this trial's checkpoint."""
        chains: list[Chain] = history.scheduler
        return any(chain.trial == trial and not chain.ended for chain in chains)
