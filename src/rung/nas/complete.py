"""A search over complete networks: a study whose trials are networks, each trained on its own.

A trial's resource is epochs; its checkpoint, where a training is interrupted, lies in the study's folder. The
networks of a search are trained on the weights' part of the data and scored on the alphas' part, as a
supernet is. Several at a time are trained by the engine's local workers, and their results taken in the order
of a virtual clock: the same search comes of a seed and a number of workers, whichever of them is faster. The
best is trained once more, from other weights and in another order: the least of many scores is better than
its network is, by what was luck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch

from rung.errors import RungError, StudyError, UserError
from rung.nas.choice import random_choice
from rung.nas.complete_plan import latencies_of, latency_record, prepare_complete
from rung.nas.complete_result import (
    ENDED,
    Tried,
    best_of,
    complete_result,
    notes_of,
    recipe_record,
    told,
    tried,
)
from rung.nas.complete_training import Training
from rung.nas.devices import world
from rung.nas.discrete.architectures import parameters
from rung.nas.genotype import Genotype
from rung.nas.memory import OutOfMemory
from rung.nas.pacing import SEARCHING, threads_worth
from rung.nas.planning import Request
from rung.nas.result import SearchResult
from rung.nas.search_study import EPOCH, LAST, PLANNED, RESULT
from rung.nas.task import Scores, Short, told_of
from rung.study import Study
from rung.study.found import failures
from rung.study.limits import make_limits
from rung.study.result import Result
from rung.trials.events import Event, Failure, JobFailed, JobFinished, JobStarted, StopDecided

_FOLDER: Final = "networks"  # of trainings under way
_STOPPING: Final = (
    "stopping: trainings under way end their epoch, within half a minute; Ctrl-C again stops at once"
)


class NothingTrained(RungError):  # noqa: N818  # what there is not
    """A search was interrupted before its first network was trained."""

    def __init__(self, study: str) -> None:
        super().__init__("interrupted before the first network was trained to its end")
        self.study = study


class Progress(NamedTuple):
    """What a watcher sees when a network is trained, and, one at a time, after each of its epochs.

    Attributes:
        number: of the network, from 1.
        networks: how many there will be.
        ended: how many are through by now.
        epoch, epochs: of this network.
        scores: of this network on held-out data, None where it was not tested after this epoch.
        best: the one with the least score so far, None before the first is trained.
        done: whether this network is trained.
    """

    number: int
    networks: int
    ended: int
    epoch: int
    epochs: int
    scores: Scores | None
    best: Tried | None
    done: bool


class CompleteSearch:
    """One search.

    Args:
        request: what was asked; `networks` of it says how many are trained.
        storage, study: where, and under which name.
        watch: called when a network is trained, and, with one at a time, after each of its epochs.

    Raises:
        UserError: the request cannot be met.
    """

    def __init__(
        self,
        request: Request,
        storage: Any,
        study: str | None,
        watch: Callable[[Progress], object] | None = None,
    ) -> None:
        if world() > 1:
            raise UserError(
                f"strategy {request.strategy!r} trains each network in one process: start rung without "
                "torchrun, with --workers N for several networks at a time"
            )
        self._began = time.monotonic()
        self.request = request
        self.prepared = prepare_complete(request, lambda: latencies_of(storage, study))
        self._storage, self._name, self._watch = storage, study, watch
        self._study: Study | None = None
        self.study: str | None = None  # its name, once it is open
        self._unlogged: list[tuple[str, Mapping[str, Any]]] = []
        self._known: list[Tried] = []  # networks of the log, and those of this session
        self._begun: set[int] = set()  # trials with a job in this session
        self._phase: Callable[[str], None] = lambda _: None

    def keep(self, topic: str, data: Mapping[str, Any]) -> None:
        """Write something of the caller's into the study's log when it begins."""
        self._unlogged.append((topic, data))

    def count_from(self, began: float) -> None:
        """Let the budget count from this monotonic time: someone has been waiting since."""
        self._began = began

    def run(self, phase: Callable[[str], None] | None = None) -> SearchResult:
        """Search, and train the best network once more.

        Args:
            phase: told, in a few words, what begins.

        Raises:
            UserError: a network cannot be trained at all; the message says why.
            NothingTrained: it was interrupted before there was anything to show.
        """
        phase = self._phase = phase or self._phase
        study = self._study = self._opened()
        self.study = study.name
        threads = torch.get_num_threads()
        try:
            for topic, data in self._unlogged:
                study.record(topic, data)
            result = self._searched(study, phase)
            study.record(RESULT, {**result.to_dict(), "tried": []})
            return result
        finally:
            torch.set_num_threads(threads)
            study.close()

    def _opened(self) -> Study:
        plan, request = self.prepared.plan, self.request
        return Study(
            parameters(plan.space),
            metric=plan.task.metric,
            resource=(EPOCH, 1, plan.recipe.retrain_epochs),
            door="search",
            sampler=plan.sampler,
            scheduler="plain",
            trials=plan.networks,
            budget=None if request.budget is None else SEARCHING * request.budget,
            seed=plan.seed,
            noisy=True,  # a strategy may come back to an architecture
            deterministic=plan.workers if plan.workers > 1 else False,
            storage=self._storage,
            study=self._name,
            task=self._task(),
        )

    def _task(self) -> dict[str, Any]:
        """What makes it this search, beside space, strategy and seed."""
        plan = self.prepared.plan
        price = {"price": plan.thrift.price, "resource": plan.thrift.resource} if plan.thrift.price else {}
        data = {"data": self.prepared.data, "shape": plan.task.shape, "checksums": plan.task.checksums}
        return {**data, **recipe_record(plan), **price, **latency_record(plan)}

    def _searched(self, study: Study, phase: Callable[[str], None]) -> SearchResult:
        plan, request = self.prepared.plan, self.request
        self._known = tried(plan, study)
        first = self._first()
        self._set_threads(study, first, phase)
        if request.budget is not None and not self._known:
            phase("timing a few steps")
            self._check_budget(first, request.budget)
        self._limit(study)
        phase("searching")
        training = Training(plan, study.folder / _FOLDER, self._tell if plan.workers == 1 else None)
        found = study.run(training, workers=plan.workers, watch=self._log)
        networks, interrupted = tried(plan, study), found.reason == "interrupted"
        best = best_of(plan, networks)
        if best is None:
            raise self._nothing(found, interrupted)
        notes = [*self.prepared.notes, *notes_of(plan, networks, found.reason)]
        retrained: Scores | None = None
        if request.retrain and not interrupted:
            doing = "training the best network once more"
            phase(doing)
            short = Short(self._left(), study.folder / LAST, told_of(doing, phase))
            retrained, said = plan.task.retrain(best.genotype, plan.recipe, plan.seed, short)
            notes += said
        return complete_result(
            self.prepared, request, best, networks, retrained, notes, study.name, interrupted
        )

    def _limit(self, study: Study) -> None:
        """Let the search have its share of the budget, less what went before in this session."""
        left = self._left()
        if left is not None and self.request.budget is not None:
            share = left - (1.0 - SEARCHING) * self.request.budget
            study.set_limits(make_limits(self.prepared.plan.networks, max(share, 1e-3)))

    def _first(self) -> Genotype:
        """A network to time."""
        plan = self.prepared.plan
        return plan.space.genotype(random_choice(plan.space, torch.Generator().manual_seed(plan.seed)))

    def _set_threads(self, study: Study, genotype: Genotype, phase: Callable[[str], None]) -> None:
        """As many threads as the search was begun with, or as are worth having; workers have their own."""
        plan, planned = self.prepared.plan, study.history.records.get(PLANNED)
        if plan.task.device.type != "cpu":
            return
        if planned:  # sums of another number of threads differ in last bits
            torch.set_num_threads(int(planned[-1].data["threads"]))
            return
        if plan.workers > 1:  # the last training has as many as each had before
            worth = max(torch.get_num_threads() // plan.workers, 1)
        else:
            phase("timing a few steps")
            try:
                worth = threads_worth(lambda probes: plan.task.step_seconds(genotype, plan.recipe, probes))
            except OutOfMemory as error:
                raise UserError(error.in_a_search()) from error
        torch.set_num_threads(worth)
        study.record(PLANNED, {"threads": worth})

    def _check_budget(self, genotype: Genotype, budget: float) -> None:
        """Refuse a budget in which not even one network could be trained.

        Raises:
            UserError: it is one.
        """
        plan = self.prepared.plan
        seconds = plan.task.training_seconds(genotype, plan.recipe)
        if seconds > SEARCHING * budget:
            raise UserError(
                f"a budget of {budget:g} s is under the training of one network, which takes about "
                f"{seconds:.0f} s here and may have {SEARCHING:.0%} of it: give --budget "
                f"{seconds / SEARCHING + 1:.0f}s, or fewer --epochs or samples (--limit)"
            )

    def _nothing(self, found: Result, interrupted: bool) -> RungError:
        if interrupted:
            return NothingTrained(found.study)
        why = failures(found.trials, self.prepared.plan.task.metric)
        if why:
            return UserError(f"no network could be trained: {why}")
        if found.reason == "budget":
            return UserError(
                f"the budget of {self.request.budget:g} s ended before one network was trained: give a "
                "longer --budget, or fewer --epochs or samples (--limit)"
            )
        return UserError("no architecture within the limit was found in fifty draws: raise most")

    def _left(self) -> float | None:
        budget = self.request.budget
        return None if budget is None else budget - (time.monotonic() - self._began)

    # -- what is told on the way ----------------------------------------------------------------------

    def _log(self, study: Study, events: Sequence[Event]) -> None:
        """Take in what happened; called with each batch of events.

        Raises:
            StudyError: a network cannot be trained for a reason that holds for the next, too.
        """
        for event in events:
            match event:
                case JobStarted(trial=trial):
                    self._begun.add(trial)
                case StopDecided(reason="interrupted"):
                    self._phase(_STOPPING)
                case JobFailed(trial=trial, failure=Failure.INTERRUPTED):
                    if trial in self._begun and study.history.stopping is None:  # the study was not stopped
                        raise StudyError(event.message)
                case JobFinished(trial=trial, metrics=metrics) if metrics is not None:
                    done = told(self.prepared.plan, trial, study.history.config(trial), metrics)
                    self._known.append(done)
                    self._tell(trial, self.prepared.plan.recipe.retrain_epochs, done.scores, done=True)

    def _tell(self, trial: int, epoch: int, scores: Scores | None, *, done: bool = False) -> None:
        if self._watch is None or self._study is None:
            return
        plan = self.prepared.plan
        ended = sum(state in ENDED for state in self._study.history.states)
        best, epochs = best_of(plan, self._known), plan.recipe.retrain_epochs
        self._watch(Progress(trial + 1, plan.networks, ended, epoch, epochs, scores, best, done))
