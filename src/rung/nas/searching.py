"""The door: from data and a strategy to a cell, as a study whose one trial is the search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from rung.errors import UserError
from rung.executors.handle import Trial
from rung.executors.setup import Engine
from rung.nas.away import Away, Follower
from rung.nas.checkpoint import load, save
from rung.nas.devices import average, from_first, world
from rung.nas.loop import Diverged, Plan, Record, State, run, start
from rung.nas.outcome import outcome
from rung.nas.planning import Prepared, Request, best_threads, fit_budget, prepare, with_epochs
from rung.nas.result import SearchResult
from rung.nas.room import explained, out_of_memory
from rung.space.domains import Constant
from rung.study import Study
from rung.study.result import Result
from rung.trials.events import CheckpointSaved, Event

METRIC: Final = "error"  # of the supernet on held-out pictures, or the loss of words in nats
EPOCH: Final = "epoch"  # the topic of an epoch's record in the study's log
PLANNED: Final = "planned"  # of how many epochs were planned
RESULT: Final = "result"
_SHOWN: Final = 6  # of what a search had not decided

Watch = Callable[[Record, Plan], None]


def search(  # noqa: PLR0913  # a door
    data: Any,
    *,
    strategy: str = "asap",
    cell: str = "cnn",
    space: Any = None,
    preset: str = "tiny",
    budget: str | float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    limit: int | None = None,
    cutout: int = 0,
    crop: bool = True,
    flip: bool | None = None,
    size: int | None = None,
    classes: Any = None,
    device: str = "auto",
    retrain: bool = True,
    storage: Any = "memory",
    study: str | None = None,
    watch: Watch | None = None,
) -> SearchResult:
    """Search a cell.

    Calling again with the same `storage` and `study` goes on where the search stopped, bit for bit.

    Args:
        data: pictures as `rung.nas.data.reading.read_pictures` takes them, or a text for recurrent cells.
        strategy: a name in `rung.nas.strategies.table.STRATEGIES`.
        cell: "cnn" or "rnn".
        space: a `Space` or the name of one in `SPACES`; "darts" for pictures, "recurrent" for text.
        preset: "tiny" (minutes), "small" (an hour) or "paper" (a GPU).
        budget: seconds, or text such as "2h": fewer epochs are planned where the preset's do not fit.
        epochs: instead of the preset's.
        seed: of everything random.
        settings: of the strategy or of the recipe, by name, such as {"batch": 64, "T0": 1.6}.
        limit: of so many training pictures, instead of the preset's.
        cutout: side of the square that is cut out of training pictures, in pixels; 0 for none.
        crop: whether training pictures are cropped out of a border.
        flip: whether half of them are mirrored; guessed by the data's name unless told.
        size: scale and cut all pictures to this side, in pixels.
        classes: use only these: names or positions, or a text such as "0-4".
        device: "cpu", "cuda", or "auto".
        retrain: whether the derived network is trained for a short time at the end.
        storage, study: where its events and checkpoints are kept, and under which name.
        watch: called after each epoch.

    Returns:
        The result; of the epochs that were done, if it was interrupted.

    Raises:
        UserError: what was given cannot be used; the message says what to do.
    """
    from rung.study.durations import seconds

    request = Request(
        data,
        strategy,
        cell,
        space,
        preset,
        None if budget is None else seconds(budget),
        epochs,
        seed,
        dict(settings or {}),
        limit,
        cutout,
        device,
        retrain,
        crop,
        flip,
        size,
        classes,
    )
    return Search(request, storage, study, watch).run()


class Search:
    """One search: it is a study with one trial, whose resource is epochs.

    Args:
        request: what was asked.
        storage, study: where, and under which name.
        watch: called after each epoch.
        engine: where it runs, if not in this process; its budget is counted in epochs then.
        device: that of the engine's node, "auto" for whatever it has.

    Raises:
        UserError: the request cannot be met.
    """

    def __init__(  # a door
        self,
        request: Request,
        storage: Any,
        study: str | None,
        watch: Watch | None,
        engine: Engine | None = None,
        device: str = "auto",
    ) -> None:
        if engine is not None and request.budget is not None:
            raise UserError(
                "a search on a cluster cannot plan by --budget, since steps are timed here and run there: "
                "give --epochs"
            )
        self.request = request
        self._engine = engine
        self._away = replace(request, device=device)
        self._follower: Follower | None = None
        self._storage, self._study, self._watch = storage, study, watch
        self._began = time.monotonic()
        self.prepared = prepare(request)
        self._phase: Callable[[str], None] = lambda _: None
        self._state: State | None = None
        self._unlogged: list[tuple[str, Mapping[str, Any]]] = []
        self._notes: list[str] = []
        self._checkpoint: Path | None = None  # the latest
        self._broken: Exception | None = None  # why the search could not go on

    def keep(self, topic: str, data: Mapping[str, Any]) -> None:
        """Write something of the caller's into the study's log when it begins."""
        self._unlogged.append((topic, data))

    def run(self, phase: Callable[[str], None] | None = None) -> SearchResult:
        """Search, derive, retrain.

        Args:
            phase: told, in a few words, what begins.
        """
        self._phase = phase or self._phase
        plan = self.prepared.plan
        study = Study(
            {"strategy": Constant(plan.strategy.name)},
            metric=METRIC,
            resource=(EPOCH, 1, plan.recipe.epochs + getattr(plan.strategy, "extra", 0) + 1),
            door="search",
            sampler="random",
            scheduler="plain",
            trials=1,
            seed=self.request.seed,
            storage=self._storage,
            study=self._study,
        )
        threads = torch.get_num_threads()
        try:
            return self._run(study)
        finally:
            torch.set_num_threads(threads)
            study.close()

    def _run(self, study: Study) -> SearchResult:
        try:
            prepared = self.prepared = self._planned(study)
        except (MemoryError, RuntimeError) as error:  # steps are timed
            raise self._said(error) from error
        for kept in study.history.checkpoints.values():
            load(
                prepared.plan, study.folder / kept.path
            )  # before the study is touched: says if it is another's
        self._flush(study)
        self._phase("searching")
        if self._engine is None:
            found = study.run(self._objective(prepared.plan), executor="inline", watch=self._log)
        else:
            found = self._run_away(study, self._engine)
        self._flush(study)
        if self._broken is not None:
            raise self._said(self._broken)
        state = self._state or self._kept(prepared.plan, found)
        interrupted = found.reason == "interrupted"
        if interrupted:
            self._notes.append(f"interrupted after {state.epoch} of {prepared.plan.recipe.epochs} epochs")
        request = replace(self.request, retrain=self.request.retrain and not interrupted)
        notes = (*prepared.notes, *self._notes)
        self._phase("deriving and training the derived network" if request.retrain else "deriving")
        result = outcome(prepared._replace(notes=notes), state, request, found.study, self._left())
        result = replace(result, interrupted=interrupted)
        study.record(RESULT, {**result.to_dict(), "records": []})
        return result

    def _said(self, error: Exception) -> Exception:
        """What to tell of an error; out of memory takes a look at what would fit."""
        if out_of_memory(error):
            self._phase("out of memory: trying what fits")
            self._state = None  # its memory is free for that
        return explained(error, self.prepared.plan, self.request)

    def _run_away(self, study: Study, engine: Engine) -> Result:
        """Search on the engine's node, and follow it by what it saves."""
        plan = self.prepared.plan

        def told(record: Record) -> None:
            self._unlogged.append((EPOCH, record.to_dict()))
            if self._watch is not None:
                self._watch(record, plan)

        self._follower = Follower(plan, told, len(study.history.records.get(EPOCH, ())))
        objective = Away(self._away, plan.recipe.epochs, _metrics)
        found = study.run(objective, workers=1, executor=engine, watch=self._log)
        self._state = self._follower.state
        if self._state is not None and self._state.epoch >= plan.recipe.epochs:
            self._notes += open_points(plan, self._state)
        return found

    def _planned(self, study: Study) -> Prepared:
        """The plan with the epochs that the study was begun with, or that fit the budget."""
        prepared, known = self.prepared, study.history.records.get(PLANNED)
        if world() > 1 and from_first(lambda: bool(known)):
            raise UserError("several processes search from the start: give another --study")
        if known:
            planned = dict(known[-1].data)
            torch.set_num_threads(int(planned["threads"]))  # as it began: sums of others differ in last bits
            return prepared._replace(plan=with_epochs(prepared.plan, int(planned["epochs"])))
        if self._engine is None:
            self._phase("timing a few steps")
            torch.set_num_threads(best_threads(prepared.plan))
        if self.request.budget is not None:
            prepared = fit_budget(prepared, self.request.budget)
        study.record(PLANNED, {"epochs": prepared.plan.recipe.epochs, "threads": torch.get_num_threads()})
        return prepared

    def _objective(self, plan: Plan) -> Callable[[Trial], dict[str, float]]:
        def train(trial: Trial) -> dict[str, float]:
            state = load(plan, trial.checkpoint) if trial.checkpoint else start(plan)
            self._state = state
            self._checkpoint = Path(trial.checkpoint) if trial.checkpoint else None

            def watch(state: State, record: Record) -> bool:
                self._unlogged.append((EPOCH, record.to_dict()))
                if record.epoch == plan.recipe.epochs:
                    self._notes += open_points(plan, state)
                if self._watch is not None:
                    self._watch(record, plan)
                trial.report(record.epoch, save=lambda folder: save(plan, state, folder), **_metrics(record))
                trial.save_now()
                return self._time_for_another(state)

            try:
                run(plan, state, watch)
            except Diverged as why:
                self._state = self._back(plan, str(why))
            except (UserError, MemoryError, RuntimeError) as error:
                self._broken = error  # the caller's, not only the log's
                raise
            return {METRIC: _error(self._state.records[-1])}

        return train

    def _back(self, plan: Plan, why: str) -> State:
        """The last good epoch, after one whose loss was not finite.

        Raises:
            UserError: it was the first.
        """
        if self._checkpoint is None:
            self._broken = UserError(
                f"{why}: give a lower learning rate, such as --set rate={plan.recipe.rate / 10:g}"
            )
            raise self._broken
        state = load(plan, self._checkpoint)
        self._notes.append(f"{why}: the search ended, and epoch {state.epoch} is the last that counts")
        return state

    def _time_for_another(self, state: State) -> bool:
        left = self._left()
        if left is None:
            return True
        each = state.ledger.seconds / state.epoch
        if left >= each:
            return True
        self._notes.append(f"ended after {state.epoch} epochs, because the budget was used")
        return False

    def _left(self) -> float | None:
        budget = self.request.budget
        return None if budget is None else budget - average(time.monotonic() - self._began)

    def _log(self, study: Study, events: Sequence[Event]) -> None:
        """Write what the log does not have yet; called with each batch of events."""
        saved = [event.path for event in events if isinstance(event, CheckpointSaved)]
        if saved:
            self._checkpoint = study.folder / saved[-1]  # earlier ones may be gone
            if self._follower is not None:
                self._follower.take(self._checkpoint)
        self._flush(study)

    def _flush(self, study: Study) -> None:
        waiting, self._unlogged = self._unlogged, []  # first, because writing calls this again
        for topic, data in waiting:
            study.record(topic, data)

    def _kept(self, plan: Plan, found: Result) -> State:
        """The state of a search that had ended before."""
        checkpoint = found.trials[0].checkpoint if found.trials else None
        if checkpoint is None:
            why = found.trials[0].timing.message if found.trials else "no trial was begun"
            raise UserError(f"the search {found.study!r} has no checkpoint: {why}")
        return load(plan, checkpoint)


def open_points(plan: Plan, state: State) -> list[str]:
    """What a pruning strategy had not decided after the last planned epoch, in a sentence, if anything."""
    undecided = getattr(plan.strategy, "undecided", None)
    lines = undecided(plan.space, state.net.alive) if undecided is not None else []
    if not lines:
        return []
    rest = f", and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return [
        f"undecided after {plan.recipe.epochs} epochs, and annealed to the end in further ones: "
        f"{'; '.join(lines[:_SHOWN])}{rest}"
    ]


def _metrics(record: Record) -> dict[str, float]:
    metrics = {METRIC: _error(record), "train_loss": record.train_loss, "loss": record.loss}
    if record.accuracy is not None:
        metrics["accuracy"] = record.accuracy
    if record.temperature is not None:
        metrics["temperature"] = record.temperature
    return {**metrics, "operations": float(record.operations)}


def _error(record: Record) -> float:
    return record.loss if record.accuracy is None else 1.0 - record.accuracy
