"""The door: from data and a strategy to a cell, as a study whose one trial is the search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rung.errors import UserError
from rung.executors.handle import Trial
from rung.executors.setup import Engine
from rung.nas.away import Away, Follower
from rung.nas.checkpoint import load, save
from rung.nas.complete import CompleteSearch
from rung.nas.complete_plan import is_complete
from rung.nas.devices import device_of, from_first, gpus, world
from rung.nas.loop import Diverged, Plan, Record, State, run, start
from rung.nas.memory import out_of_memory
from rung.nas.outcome import open_points, outcome
from rung.nas.pacing import Patience, best_threads, fit_budget, time_for_another, with_epochs
from rung.nas.planning import Prepared, Request, prepare, preset_of
from rung.nas.processes import check_processes, follow, others_gone, told, told_beginning, told_end
from rung.nas.result import SearchResult
from rung.nas.room import explained
from rung.nas.search_study import (
    EPOCH,
    LAST,
    METRIC,
    PLANNED,
    RESULT,
    check_checkpoints,
    last_checkpoint,
    latencies_of,
    latency_record,
    metrics,
    objective_of,
    opened,
)
from rung.nas.task import Short, told_of
from rung.study import Study
from rung.study.result import Result
from rung.trials.events import CheckpointSaved, Event

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
    networks: int | None = None,
    workers: int | None = None,
    storage: Any = "memory",
    study: str | None = None,
    watch: Callable[..., None] | None = None,
) -> SearchResult:
    """Search a cell.

    Calling again with the same `storage` and `study` goes on where the search stopped, bit for bit.

    Args:
        data: pictures as `rung.nas.data.reading.read_pictures` takes them, or a text for recurrent cells.
        strategy: a name in `rung.nas.strategies.table.STRATEGIES`, or, with each network trained on its own,
            in `rung.nas.discrete.table.DISCRETE`.
        cell: "cnn" or "rnn".
        space: a `Space` or the name of one in `SPACES`; "darts" for pictures, "recurrent" for text.
        preset: "tiny" (minutes), "small" (an hour) or "paper" (a GPU).
        budget: seconds, or text such as "2h": fewer epochs are planned where the preset's do not fit.
        epochs: instead of the preset's; of each network, where each is trained on its own.
        seed: of everything random.
        settings: of the strategy or of the recipe, by name, such as {"batch": 64, "T0": 1.6}.
        limit: of so many training pictures, or words of a text, instead of the preset's.
        cutout: side of the square that is cut out of training pictures, in pixels; 0 for none.
        crop: whether training pictures are cropped out of a border.
        flip: whether half of them are mirrored; guessed by the data's name unless told.
        size: scale and cut all pictures to this side, in pixels.
        classes: use only these: names, or positions where names are no numbers, or a text such as "0-4".
        device: "cpu", "cuda", or "auto".
        retrain: whether the derived network is trained for a short time at the end.
        networks: how many are trained, where each is trained on its own, instead of the preset's.
        workers: how many of them are trained at a time, each in a process of its own; one unless told.
        storage, study: where its events and checkpoints are kept, and under which name.
        watch: called after each epoch, with its record and the plan; where each network is trained on its
            own, with a `rung.nas.complete.Progress`.

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
        networks,
        workers,
    )
    if is_complete(strategy):
        return CompleteSearch(request, storage, study, watch).run()
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
        self.prepared = prepare(request, lambda: latencies_of(storage, study))
        self._phase: Callable[[str], None] = lambda _: None
        self._opened: Study | None = None  # in the first process only
        self.study: str | None = None  # its name, once it is open
        self._found: Result | None = None
        self._state: State | None = None
        self._unlogged: list[tuple[str, Mapping[str, Any]]] = []
        self._notes: list[str] = []
        self._checkpoint: Path | None = None  # the latest
        self._broken: Exception | None = None  # why the search could not go on

    def keep(self, topic: str, data: Mapping[str, Any]) -> None:
        """Write something of the caller's into the study's log when it begins."""
        self._unlogged.append((topic, data))

    def count_from(self, began: float) -> None:
        """Let the budget count from this monotonic time: someone has been waiting since."""
        self._began = began

    def run(self, phase: Callable[[str], None] | None = None) -> SearchResult:
        """Search, derive, retrain.

        Args:
            phase: told, in a few words, what begins.
        """
        self._phase = phase or self._phase
        threads = torch.get_num_threads()
        try:
            with torch.random.fork_rng(devices=gpus(device_of(self.request.device))):  # epochs seed it
                return self._run()
        finally:
            torch.set_num_threads(threads)
            if self._opened is not None:
                self._opened.close()

    def _run(self) -> SearchResult:
        begun = from_first(self._begun)  # opens the study, where there is one: not in further processes
        study = self._opened
        try:
            prepared = self.prepared = self._planned(begun)
        except (MemoryError, RuntimeError) as error:  # steps are timed
            raise self._said(error) from error
        from_first(lambda: check_checkpoints(prepared.plan, self._opened))
        self._phase("searching")
        if study is None:
            state = follow(prepared.plan, self._watch)
        else:
            self._flush(study)
            state = self._searched(prepared.plan, study)
        interrupted = from_first(self._interrupted)
        assert state is not None  # or the first process has said why
        if interrupted:
            self._notes.append(f"interrupted after {state.epoch} of {prepared.plan.recipe.epochs} epochs")
        request = replace(self.request, retrain=self.request.retrain and not interrupted)
        self._phase("deriving and training the derived network" if request.retrain else "deriving")
        noted = prepared._replace(notes=(*prepared.notes, *self._notes))
        name = "" if self._found is None else self._found.study
        more = Patience(lambda: 0.0 if interrupted else self._left(), training=request.retrain)
        found = outcome(noted, state, request, name, self._short, lambda: from_first(more), self._phase)
        result = replace(found, interrupted=interrupted or found.interrupted)
        if study is not None:
            study.record(RESULT, {**result.to_dict(), "records": []})
        return result

    def _begun(self) -> dict[str, Any] | None:
        """How the study's search was planned, None where it begins; opens the study."""
        plan = self.prepared.plan
        self._opened = opened(plan, self._storage, self._study)
        self.study = self._opened.name
        known = self._opened.history.records.get(PLANNED)
        if known:
            return dict(known[-1].data)
        self._flush(self._opened)  # where it is stopped while steps are timed, it can be gone on with
        return None

    def _searched(self, plan: Plan, study: Study) -> State | None:
        """What the study ends with."""
        try:
            if self._engine is None:
                found = study.run(self._objective(plan), executor="inline", watch=self._log)
            else:
                found = self._run_away(study, self._engine)
        except KeyboardInterrupt:
            if self._broken is not None:  # it was not the user
                raise self._broken from None
            raise
        self._found = found
        self._flush(study)
        if self._state is None and self._broken is None:  # it had ended before
            self._state = told_end(plan, lambda: last_checkpoint(found))
        return self._state

    def _interrupted(self) -> bool:
        """Whether the search was stopped before its end.

        Raises:
            UserError: it broke.
        """
        if self._broken is not None:
            raise self._said(self._broken)
        return self._found is not None and self._found.reason == "interrupted"

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
        objective = Away(self._away, plan.recipe.epochs, metrics, self.prepared.latencies)
        found = study.run(objective, workers=1, executor=engine, watch=self._log)
        self._state = self._follower.state
        if self._state is not None and self._state.epoch >= plan.recipe.epochs:
            self._notes += open_points(plan, self._state)
        return found

    def _planned(self, begun: Mapping[str, Any] | None) -> Prepared:
        """The plan with the epochs that the study was begun with, or that fit the budget."""
        prepared = self.prepared
        if begun is not None:
            check_processes(int(begun.get("processes", 1)))
            torch.set_num_threads(int(begun["threads"]))  # as it began: sums of others differ in last bits
            return prepared._replace(plan=with_epochs(prepared.plan, int(begun["epochs"])))
        if self._engine is None:
            self._phase("timing a few steps")
            threads = best_threads(prepared.plan)
            torch.set_num_threads(from_first(lambda: threads))
        if self.request.budget is not None:
            prepared = fit_budget(prepared, self.request.budget, self._began)
        if self._opened is not None:
            epochs, threads = prepared.plan.recipe.epochs, torch.get_num_threads()
            planned = {"epochs": epochs, "threads": threads, "processes": world()}
            self._opened.record(PLANNED, {**planned, **latency_record(prepared.latencies)})
        return prepared

    def _objective(self, plan: Plan) -> Callable[[Trial], dict[str, float]]:
        def train(trial: Trial) -> dict[str, float]:
            told_beginning(trial.checkpoint)
            state = load(plan, trial.checkpoint) if trial.checkpoint else start(plan)
            self._state = state
            self._checkpoint = Path(trial.checkpoint) if trial.checkpoint else None

            def watch(state: State, record: Record) -> bool:
                self._unlogged.append((EPOCH, record.to_dict()))
                if record.epoch == plan.recipe.epochs:
                    self._notes += open_points(plan, state)
                if self._watch is not None:
                    self._watch(record, plan)
                another = False
                try:
                    trial.report(
                        record.epoch, save=lambda folder: save(plan, state, folder), **metrics(record)
                    )
                    trial.save_now()
                    another = self._time_for_another(plan, state)
                finally:  # also when it is told to stop
                    told(another)
                return another

            try:
                run(plan, state, watch)
            except Diverged as why:
                self._state = self._back(plan, str(why))
            except (UserError, MemoryError, RuntimeError) as error:
                self._broken = error  # the caller's, not only the log's
                if world() > 1 and not out_of_memory(error) and not isinstance(error, UserError):
                    self._broken = others_gone(error)
                    raise KeyboardInterrupt from error  # for the study: it can be resumed
                raise
            return {METRIC: objective_of(self._state.records[-1])}

        return train

    def _back(self, plan: Plan, why: str) -> State:
        """The last good epoch, after one whose loss was not finite.

        Raises:
            UserError: it was the first.
        """
        state = told_end(plan, lambda: self._checkpoint)
        if state is None:
            lower = min(plan.recipe.rate / 10, preset_of(self.request).rate)
            self._broken = UserError(f"{why}: give a lower learning rate, such as --set rate={lower:g}")
            raise self._broken
        self._notes.append(f"{why}: the search ended, and epoch {state.epoch} is the last that counts")
        return state

    def _time_for_another(self, plan: Plan, state: State) -> bool:
        left, budget = self._left(), self.request.budget
        if left is None or budget is None or time_for_another(plan, state, left, budget):
            return True
        self._notes.append(f"ended after epoch {state.epoch}, because the budget was used")
        return False

    def _short(self) -> Short:
        """How the derived network's training runs, when it begins."""
        study = self._opened
        out = from_first(lambda: None if study is None else study.folder / LAST)
        return Short(from_first(self._left), out, told_of("training the derived network", self._phase))

    def _left(self) -> float | None:
        budget = self.request.budget
        return None if budget is None else budget - (time.monotonic() - self._began)

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
