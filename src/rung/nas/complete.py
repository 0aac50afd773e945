"""A search over complete networks: a study whose trials are networks, each trained on its own.

A trial's resource is epochs; its checkpoint, where a training is interrupted, lies in the study's folder. The
networks of a search are trained on the weights' half of the pictures and scored on the alphas' half, as a
supernet is. The best is trained once more, from other weights and in another order: the least of many scores
is better than its network is, by what was luck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from rung.errors import DataError, Infeasible, RungError, StudyError, UserError
from rung.executors.handle import Trial
from rung.nas.choice import random_choice
from rung.nas.complete_plan import prepare_complete
from rung.nas.complete_result import RECIPE, Tried, best_of, complete_result, notes_of, tried
from rung.nas.data.keys import seed_of
from rung.nas.devices import world
from rung.nas.discrete.architectures import parameters
from rung.nas.discrete.configurations import genotype_of
from rung.nas.genotype import Genotype
from rung.nas.loop import Diverged
from rung.nas.planning import SEARCHING, Request
from rung.nas.result import SearchResult
from rung.nas.retraining_epochs import Tick
from rung.nas.retraining_files import checkpoint_of, read
from rung.nas.search_study import EPOCH, METRIC, RESULT
from rung.nas.task import Scores
from rung.study import Study
from rung.study.result import Result, failures

_FOLDER: Final = "networks"  # of trainings under way


class NothingTrained(RungError):  # noqa: N818  # what there is not
    """A search was interrupted before its first network was trained."""

    def __init__(self, study: str) -> None:
        super().__init__("interrupted before the first network was trained to its end")
        self.study = study


class Progress(NamedTuple):
    """What a watcher sees after each epoch of each network.

    Attributes:
        number: of the network, from 1.
        networks: how many there will be.
        epoch, epochs: of this network.
        error: of this network on held-out pictures, None where it was not tested after this epoch.
        best: the one with the least score so far, None before the first is trained.
        done: whether this network is trained.
    """

    number: int
    networks: int
    epoch: int
    epochs: int
    error: float | None
    best: Tried | None
    done: bool


class CompleteSearch:
    """One search.

    Args:
        request: what was asked; `networks` of it says how many are trained.
        storage, study: where, and under which name.
        watch: called after each epoch of each network.

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
                f"strategy {request.strategy!r} trains networks one after the other in one process: "
                "start rung without torchrun"
            )
        self._began = time.monotonic()
        self.request = request
        self.prepared = prepare_complete(request)
        self._storage, self._name, self._watch = storage, study, watch
        self._study: Study | None = None
        self._unlogged: list[tuple[str, Mapping[str, Any]]] = []
        self._broken: Exception | None = None  # why the search could not go on
        self._known: list[Tried] = []  # networks of the log, and those of this session

    def keep(self, topic: str, data: Mapping[str, Any]) -> None:
        """Write something of the caller's into the study's log when it begins."""
        self._unlogged.append((topic, data))

    def run(self, phase: Callable[[str], None] | None = None) -> SearchResult:
        """Search, and train the best network once more.

        Args:
            phase: told, in a few words, what begins.

        Raises:
            UserError: a network cannot be trained at all; the message says why.
            NothingTrained: it was interrupted before there was anything to show.
        """
        phase = phase or (lambda _: None)
        study = self._study = self._opened()
        try:
            for topic, data in self._unlogged:
                study.record(topic, data)
            result = self._searched(study, phase)
            study.record(RESULT, {**result.to_dict(), "tried": []})
            return result
        finally:
            study.close()

    def _opened(self) -> Study:
        plan, request = self.prepared.plan, self.request
        return Study(
            parameters(plan.space),
            metric=METRIC,
            resource=(EPOCH, 1, plan.recipe.retrain_epochs),
            door="search",
            sampler=plan.sampler,
            scheduler="plain",
            trials=plan.networks,
            budget=None if request.budget is None else SEARCHING * request.budget,
            seed=plan.seed,
            noisy=True,  # a strategy may come back to an architecture
            storage=self._storage,
            study=self._name,
            task=self._task(),
        )

    def _task(self) -> dict[str, Any]:
        """What makes it this search, beside space, strategy and seed."""
        plan = self.prepared.plan
        shape = [*plan.task.pictures.shape, len(plan.task.y), len(plan.task.y_alphas)]
        recipe = {name: getattr(plan.recipe, name) for name in RECIPE}
        price = {"price": plan.thrift.price, "resource": plan.thrift.resource} if plan.thrift.price else {}
        return {"data": self.prepared.data, "shape": shape, **recipe, **price}

    def _searched(self, study: Study, phase: Callable[[str], None]) -> SearchResult:
        plan, request = self.prepared.plan, self.request
        self._known = tried(plan, study)
        if request.budget is not None and not self._known:
            phase("timing a few steps")
            self._check_budget(request.budget)
        phase("searching")
        try:
            found = study.run(self._train, executor="inline")
        except KeyboardInterrupt:
            if self._broken is not None:  # it was not the user
                raise self._broken from None
            raise
        networks, interrupted = tried(plan, study), found.reason == "interrupted"
        best = best_of(plan, networks)
        if best is None:
            raise self._nothing(found, interrupted)
        notes = [*self.prepared.notes, *notes_of(plan, networks, found.reason)]
        retrained: Scores | None = None
        if request.retrain and not interrupted:
            phase("training the best network once more")
            retrained, said = plan.task.retrain(best.genotype, plan.recipe, plan.seed, self._left())
            notes += said
        return complete_result(
            self.prepared, request, best, networks, retrained, notes, study.name, interrupted
        )

    def _check_budget(self, budget: float) -> None:
        """Refuse a budget in which not even one network could be trained.

        Raises:
            UserError: it is one.
        """
        plan = self.prepared.plan
        genotype = plan.space.genotype(random_choice(plan.space, torch.Generator().manual_seed(plan.seed)))
        seconds = plan.task.training_seconds(genotype, plan.recipe)
        if seconds > SEARCHING * budget:
            raise UserError(
                f"a budget of {budget:g} s is under the training of one network, which takes about "
                f"{seconds:.0f} s here and may have {SEARCHING:.0%} of it: give --budget "
                f"{seconds / SEARCHING + 1:.0f}s, or fewer --epochs or pictures (--limit)"
            )

    def _nothing(self, found: Result, interrupted: bool) -> RungError:
        if interrupted:
            return NothingTrained(found.study)
        why = failures(found.trials, METRIC)
        if why:
            return UserError(f"no network could be trained: {why}")
        if found.reason == "budget":
            return UserError(
                f"the budget of {self.request.budget:g} s ended before one network was trained: give a "
                "longer --budget, or fewer --epochs or pictures (--limit)"
            )
        return UserError("no architecture within the limit was found in fifty draws: raise most")

    def _left(self) -> float | None:
        budget = self.request.budget
        return None if budget is None else budget - (time.monotonic() - self._began)

    # -- a trial --------------------------------------------------------------------------------------

    def _train(self, trial: Trial) -> dict[str, float]:
        """The objective: train a network, unless the same was trained before."""
        plan = self.prepared.plan
        genotype = genotype_of(plan.space, trial.config)
        same = next((one for one in self._known if one.genotype == genotype and one.error is not None), None)
        try:
            told = self._trained(trial, genotype) if same is None else _again(same)
        except Diverged as why:
            raise Infeasible(str(why)) from why
        except DataError as error:  # its checkpoint
            said = str(error).partition(": give another")[0]
            name = trial.number + 1
            self._broken = StudyError(
                f"the training of network {name} cannot be kept: {said}; mend that, and go on with the same "
                "study: the networks before it are kept"
            )
            raise KeyboardInterrupt from error  # for the study: it can be resumed
        except UserError as error:  # it would be the same of the next
            self._broken = error
            raise KeyboardInterrupt from error  # for the study: it can be resumed
        self._known.append(_now(trial, genotype, told))
        self._tell(trial, plan.recipe.retrain_epochs, 1.0 - told["accuracy"], done=True)
        return told

    def _trained(self, trial: Trial, genotype: Genotype) -> dict[str, float]:
        plan = self.prepared.plan
        assert self._study is not None
        out = self._study.folder / _FOLDER / f"{trial.number}.pt"
        out.parent.mkdir(parents=True, exist_ok=True)
        size, multiply_adds = plan.task.size(genotype, plan.recipe)
        price = plan.price(genotype)
        batch = min(plan.recipe.retrain_batch, len(plan.task.y))

        def metrics(epoch: int, loss: float, accuracy: float) -> dict[str, float]:
            steps = epoch * (len(plan.task.y) // batch)
            return {
                METRIC: 1.0 - accuracy + price,
                "accuracy": accuracy,
                "loss": loss,
                "parameters": float(size),
                "multiply_adds": float(multiply_adds or 0),
                "passes": float(steps),
                "images": float(steps * batch),
            }

        waiting: list[tuple[int, dict[str, Any]]] = []

        def watch(tick: Tick) -> None:
            while waiting:  # its epoch is saved by now, so that a stop here loses a step
                epoch, values = waiting.pop()
                trial.report(epoch, **values)
            row = tick.row
            if row is None or row.epoch == tick.epochs:
                return
            self._tell(trial, row.epoch, None if row.accuracy is None else 1.0 - row.accuracy)
            if row.accuracy is not None and row.loss is not None:
                waiting.append((row.epoch, metrics(row.epoch, row.loss, row.accuracy)))

        seed = seed_of(plan.seed, "search") % 2**31
        resume = checkpoint_of(out).exists() and _readable(checkpoint_of(out))
        found = plan.task.train(genotype, plan.recipe, seed=seed, out=out, resume=resume, watch=watch)
        for path in (out, checkpoint_of(out)):
            path.unlink(missing_ok=True)
        return metrics(found.epochs, found.loss, found.accuracy)

    def _tell(self, trial: Trial, epoch: int, error: float | None, *, done: bool = False) -> None:
        if self._watch is not None:
            plan = self.prepared.plan
            best = best_of(plan, self._known)
            epochs = plan.recipe.retrain_epochs
            self._watch(Progress(trial.number + 1, plan.networks, epoch, epochs, error, best, done))


def _readable(path: Path) -> bool:
    """Whether a checkpoint can be read; one that is damaged is removed: its network begins anew."""
    try:
        read(path)
    except DataError:
        path.unlink()
        return False
    return True


def _again(before: Tried) -> dict[str, float]:
    """What is told of an architecture that was trained before: it would come to the same."""
    assert before.score is not None
    assert before.error is not None
    assert before.loss is not None
    return {
        METRIC: before.score,
        "accuracy": 1.0 - before.error,
        "loss": before.loss,
        "parameters": float(before.parameters),
        "multiply_adds": float(before.multiply_adds),
        "passes": 0.0,
        "images": 0.0,
    }


def _now(trial: Trial, genotype: Genotype, told: Mapping[str, float]) -> Tried:
    """A network that was trained in this session, before the log has its end."""
    return Tried(
        number=trial.number + 1,
        genotype=genotype,
        score=told[METRIC],
        error=1.0 - told["accuracy"],
        loss=told["loss"],
        parameters=int(told["parameters"]),
        multiply_adds=int(told["multiply_adds"]),
        passes=int(told["passes"]),
        images=int(told["images"]),
        seconds=0.0,
        state="complete",
    )
