"""`rung fit`: from a table and a budget to a model file and a report."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import typer

from rung.cli.fit_options import (
    Budget,
    DriftSample,
    Drop,
    Embed,
    Exclude,
    Holdout,
    Include,
    Kinds,
    MetricName,
    Out,
    Positive,
    PredictTime,
    Refit,
    Report,
    Seed,
    Split,
    Table,
    Target,
    TaskName,
    Trials,
    WarmStart,
    Weights,
)
from rung.cli.fit_order import Order
from rung.cli.options import (
    DEFAULT_STORAGE,
    Address,
    Executor,
    Json,
    Needs,
    Storage,
    StudyName,
    Workers,
)
from rung.cli.wishes import Wishes
from rung.errors import DataError, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from rung.executors.setup import Engine
    from rung.tabular.result import FitResult
    from rung.trials.history import History

RECORD = "command"  # the topic under which the log keeps what ran
SAVE = 0.6  # seconds that are kept for writing the files, and
EXPLAIN = 0.04  # of the budget, but
MOST = 4.0  # seconds at most, for saying what the model looks at,
ASIDE = 15  # seconds of budget from which the search waits for workers, so that more can be loaded beside it
EXPLAINED = 60  # seconds of budget from which forests are explained, for which shap must be loaded
ASKED = 2.0  # seconds for that where the number of trials ends the search
LEAST = 0.03  # of the budget, one second at most, even where the search ended late


def fit(  # noqa: PLR0913  # a door
    table: Table,
    target: Target,
    budget: Budget = "60s",
    trials: Trials = None,
    task: TaskName = None,
    metric: MetricName = None,
    holdout: Holdout = None,
    kinds: Kinds = None,
    drop: Drop = None,
    embed: Embed = None,
    weights: Weights = None,
    positive: Positive = None,
    split: Split = None,
    include: Include = None,
    exclude: Exclude = None,
    predict_time: PredictTime = None,
    warm_start: WarmStart = True,
    refit: Refit = False,
    drift_sample: DriftSample = True,
    seed: Seed = 0,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    needs: Needs = None,
    out: Out = Path("model.rung"),
    report: Report = Path("report.html"),
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    json: Json = False,
) -> None:
    """Find the best model for a table's column within a time budget."""
    from rung.cli.begin import command_start
    from rung.cli.fit_several import run_several, targets_of
    from rung.cli.parse import parse_duration, parse_latency, parse_share
    from rung.cli.wishes import folders, names, pairs

    began = command_start()
    share = None if holdout is None else parse_share(holdout, "holdout")
    wishes = Wishes(
        pairs(kinds, "--kinds"),
        names(drop),
        weights,
        positive,
        split,
        names(include),
        names(exclude),
        None if predict_time is None else parse_latency(predict_time),
        warm_start,
        refit,
        folders(embed),
        drift_sample,
        trials,
    )
    seconds = parse_duration(budget)
    asked = (table, target, seconds, task, metric, share, seed, workers, str(out), str(report), wishes)
    order = Order(*asked, executor, address, needs)
    if len(targets := targets_of(table, target)) > 1:
        run_several(order, targets, (storage, study), (_check_each, _fitted), json=json)
    else:
        _run(order, storage, study, began, json)


def resume_fit(name: str, storage: str, workers: int | None = None) -> None:
    """Go on with an interrupted or extended fit, for what is left of its budget.

    Raises:
        StudyError: nothing is left, or the study was begun from Python.
    """
    import msgspec

    from rung.cli.begin import command_start
    from rung.cli.store import read_study, reading

    began = command_start()
    with reading(storage) as store:
        history = read_study(store, name).history
    recorded = history.records.get(RECORD, [])
    if not recorded:
        raise UserError(
            f"study {name!r} was begun from Python: go on there, with fit_table and the same settings"
        )
    order = msgspec.convert(dict(recorded[-1].data), Order)
    order = dataclasses.replace(_rest(order, name, history), workers=workers or order.workers)
    _run(order, storage, name, began, json=False)


def _rest(order: Order, name: str, history: History) -> Order:
    """The order for what is left to do.

    Raises:
        UserError: nothing is.
    """
    limits = history.limits
    if order.wishes.trials is not None:
        most = limits.trials or order.wishes.trials
        if most <= history.begun and not history.running:
            raise UserError(
                f"study {name!r} has done its {most} trials: add some with rung extend {name} --trials 10"
            )
        return dataclasses.replace(order, wishes=dataclasses.replace(order.wishes, trials=most))
    left = (limits.seconds or 0.0) - history.clock.known()
    if left < 1:
        raise UserError(f"study {name!r} has used its budget: add some with rung extend {name} --budget 60s")
    return dataclasses.replace(order, budget=round(left, 3))


def _run(order: Order, storage: str, study: str | None, began: float, json: bool) -> None:
    """Fit, and print what was found."""
    from rung.cli.exits import INTERRUPTED, NO_RESULT
    from rung.cli.fit_outcome import outcome

    result, interrupted = _fitted(order, storage, study, began)
    if result.leaderboard:
        outcome(order, result, storage, json=json, interrupted=interrupted)
    if interrupted or not result.leaderboard:
        raise typer.Exit(INTERRUPTED if interrupted else NO_RESULT)


def _fitted(order: Order, storage: str, study: str | None, began: float) -> tuple[FitResult, bool]:
    """The whole way, from checking the input to the last file; and whether Ctrl-C cut it short.

    Without a trial that has a value there are no files, and it is said.
    """
    from rung.cli.fit_outcome import announce
    from rung.cli.output import fail

    engine = order.engine  # refused before anything is read
    _check_places(order, storage)
    frame, notes = _read(order)
    announce(order, frame, notes)
    result, interrupted = _search(order, frame, (storage, study), engine, began)
    if result.leaderboard:
        end = time.monotonic() if interrupted else began + order.budget
        _write(order, frame, result, storage, end)
    else:
        fail("no configuration could be fitted in this time: give a larger --budget")
    return result, interrupted


def _check_places(order: Order, storage: str) -> None:
    """Refuse, before anything is done, places that cannot be written or hold what is needed still.

    Raises:
        UserError: saying which, and what to do.
    """
    from rung.cli.begin import check_apart, check_writable, studies_file

    kept: dict[str, str | Path] = {
        "the table itself": order.table,
        "the studies' file": studies_file(storage),
    }
    check_apart(Path(order.out), "--out", kept)
    check_apart(Path(order.report), "--report", {**kept, "the model's file": order.out})
    check_writable(Path(order.out), "--out")
    check_writable(Path(order.report), "--report")


def _read(order: Order) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table, checked, while the libraries that will be needed are loaded beside it.

    Raises:
        DataError: table, target, task, metric or holdout cannot be used: nothing has been written yet.
    """
    if order.table != "-" and not Path(order.table).exists():
        from rung.tabular.read import read_table

        read_table(order.table)  # says what is wrong with the path
    import threading

    loading = threading.Thread(target=_load_libraries, args=(order,))
    loading.start()
    try:
        return _checked(order, _table(order))
    finally:
        loading.join()


def _table(order: Order) -> pd.DataFrame:
    from rung.tabular.read import read_table

    return read_table(order.table, used=lambda name: name not in order.wishes.drop)


def _check_each(whole: Order, orders: Sequence[Order], storage: str) -> list[Order]:
    """The orders, or a refusal of what one of several for a table asks, before the first is carried out.

    A positive class is that of the targets with two classes.

    Args:
        whole: the order that they are parts of.

    Raises:
        UserError: a place cannot be written; or saying which target's it is.
    """
    from rung.tabular.several import positives

    for order in (whole, *orders):
        _check_places(order, storage)
    table = _table(whole)
    targets = [order.target for order in orders]
    positive = positives(table, targets, whole.task, whole.wishes.positive)
    kept = []
    for order in orders:
        wishes = dataclasses.replace(order.wishes, positive=positive[order.target])
        kept.append(dataclasses.replace(order, wishes=wishes))
        try:
            _checked(kept[-1], table)
        except DataError as error:
            raise DataError(f"target {order.target}: {error}") from error
    return kept


def _checked(order: Order, table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    from rung.tabular.columns import reading_notes
    from rung.tabular.learners.table import Wanted, fitting
    from rung.tabular.metrics import get_metric
    from rung.tabular.task import check_classes, check_target, guess_task

    frame, notes = check_target(table, order.target)
    notes = (*reading_notes(table), *notes)
    y = frame[order.target]
    request = order.wishes.request(order.task, order.metric)
    request.check(frame, order.target)
    task = guess_task(y, order.task, order.wishes.positive)
    get_metric(order.metric, task).check(task.encode(y), order.target)
    if request.splitting()[1] is None:
        check_classes(y, task)
    wanted = Wanted(request.include, request.exclude, weighted=request.weights is not None)
    fitting(task.kind, len(task.classes), len(frame), wanted)
    if order.holdout and (len(frame) * order.holdout < 1 or len(frame) * (1 - order.holdout) < 2):
        raise DataError(
            f"a holdout of {order.holdout:.0%} of {len(frame)} rows leaves too few on one side: hold out "
            "another share, or none"
        )
    return frame, notes


def _load_libraries(order: Order) -> None:
    from contextlib import suppress

    with suppress(ImportError):  # the search's own import will say it
        import rung.tabular.fit
        import rung.tabular.learners.table  # noqa: F401
    if order.wishes.embed:
        from rung.tabular.pretrained.networks import load_libraries

        load_libraries()
    if order.budget < ASIDE:
        _load_later(order.budget)


def _load_later(budget: float) -> None:
    """What only the files at the end need."""
    from rung.tabular.explain.tree_shap import available, load
    from rung.tabular.skops_loading import load_skops

    load_skops()
    if budget >= EXPLAINED and available():
        load()


def _search(
    order: Order,
    frame: pd.DataFrame,
    place: tuple[str, str | None],
    engine: Engine | None,
    began: float,
) -> tuple[FitResult, bool]:
    """The result, and whether Ctrl-C cut it short."""
    from rung.cli import output
    from rung.cli.fit_progress import FitProgress
    from rung.tabular.fit import fit_table
    from rung.tabular.saying import told_to

    if order.budget >= ASIDE:  # else this process may fit by itself, and what it needs is loaded
        Thread(target=_load_later, args=(order.budget,), daemon=True).start()
    record = dataclasses.replace(order, out=order.alone or order.out, alone=None)
    progress = FitProgress(order.budget, began, order.wishes.trials, {RECORD: dataclasses.asdict(record)})
    with progress.showing(), told_to(output.say):
        result = fit_table(
            frame,
            order.target,
            budget=order.budget,
            task=order.task,
            metric=order.metric,
            seed=order.seed,
            workers=order.workers,
            engine=engine,
            storage=place[0],
            study=place[1],
            watch=progress,
            started=began,
            holdout=order.holdout,
            reserve=_reserve(order.budget),
            **order.wishes.arguments(),
        )
    return result, result.interrupted


def _reserve(budget: float) -> float:
    """Seconds of the budget for what comes after the search."""
    return min(SAVE + min(EXPLAIN * budget, MOST), 0.15 * budget)


def _write(order: Order, frame: pd.DataFrame, result: FitResult, storage: str, end: float) -> None:
    """Model and report, the report with what explanation the time until `end` (monotonic) allows."""
    from rung.tabular.card import model_card
    from rung.tabular.model_file import save_model
    from rung.tabular.report import write_report

    command = order.command(storage, result.study)
    card = model_card(result, frame, command)
    save_model(result.model, order.out, _facts(order, result, storage), card=card)
    # Where the search ended late, the explanation still gets a moment: a budget is kept within 5 % and 2 s.
    if order.wishes.trials is not None:
        end = time.monotonic() + ASKED
    deadline = max(end - 0.2, time.monotonic() + min(LEAST * order.budget, 1.0))
    write_report(order.report, result, frame, command, deadline)


def _facts(order: Order, result: FitResult, storage: str) -> Mapping[str, Any]:
    """What the manifest adds about this fit."""
    from rung.tabular.card import leaderboard_facts

    held = result.held
    return {
        "leaderboard": leaderboard_facts(result),
        "metric": result.metric.name,
        "score": result.score,
        "held_out": None
        if held is None
        else {"score": held.score, "constant": held.constant, "rows": len(held.y)},
        "study": result.study,
        "seed": order.seed,
        "command": order.command(storage, result.study),
    }
