"""What `rung fit` says before the search and after it."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.cli import output
from rung.cli.sizes import spoken_size
from rung.cli.store import command
from rung.storage import shown
from rung.study.durations import spoken
from rung.tabular.digits import score_form, score_text

if TYPE_CHECKING:
    import pandas as pd

    from rung.cli.fit_order import Order
    from rung.tabular.result import FitResult

SHOWN = 10  # rows of the leaderboard


def announce(order: Order, frame: pd.DataFrame, notes: tuple[str, ...]) -> None:
    """Say what was read, and what will be done."""
    from rung.tabular.columns import column_notes, infer_columns
    from rung.tabular.metrics import get_metric
    from rung.tabular.predict import lost_cells
    from rung.tabular.task import guess_task

    if output.quiet():
        return
    request = order.wishes.request(order.task, order.metric)
    columns = infer_columns(frame, order.target, request.asked_kinds(), request.left_out())
    task = guess_task(frame[order.target], order.task, order.wishes.positive)
    kinds = Counter(str(column.kind) for column in columns).most_common()
    what = ", ".join(f"{count} {kind}" for kind, count in kinds)
    missing = sum(column.missing for column in columns) * len(frame)
    width = f"{len(columns):,} column{'s' * (len(columns) != 1)}"
    output.say(f"{order.table}: {len(frame):,} rows, {width} ({what}), {missing:,.0f} missing cells")
    for note in (f"task {task.why}", *notes, *column_notes(columns), *lost_cells(columns, frame)):
        output.say(note)
    metric = get_metric(order.metric, task)
    better = "more" if metric.greater_is_better else "less"
    output.say(f"metric {metric.name} ({better} is better), {_limit(order)}")


def _limit(order: Order) -> str:
    trials = order.wishes.trials
    if trials is None:
        return f"budget {spoken(order.budget)}"
    return f"ends after {trials:,} configuration{'s' * (trials != 1)}"


def outcome(order: Order, result: FitResult, storage: str, *, json: bool, interrupted: bool) -> None:
    """Print what was found, where it lies, and the next command to type."""
    if json:
        output.print_json(as_json(order, result))
    tell(order, result, storage, table=not json)
    if interrupted:
        output.say(
            f"interrupted; everything is saved. Go on with: {command('resume', result.study, storage)}"
        )
        return
    output.say(f"next    {prediction(order)}")


def tell(order: Order, result: FitResult, storage: str, *, table: bool) -> None:
    """Print what was found, and where it lies; of one of several targets, without the file of all."""
    if table:
        _print(result, storage)
    for note in result.notes[1:]:
        output.say(note)
    if order.alone is None:
        output.say(f"model   {order.out} ({spoken_size(Path(order.out).stat().st_size)})")
    output.say(f"report  {order.report} ({spoken_size(Path(order.report).stat().st_size)})")
    if output.verbose():
        output.say(
            f"study {result.study} in {shown(storage)}: {result.trials} trials, {result.failed} failed"
        )


def prediction(order: Order) -> str:
    """The command that predicts with the model."""
    return shlex.join(["rung", "predict", order.out, order.table, "--out", "predictions.csv"])


def _print(result: FitResult, storage: str) -> None:
    console = output.out()
    name = result.metric.name
    table = output.grid(
        "", "learner", name, "rows", "seconds", "weight", right=("", name, "rows", "seconds", "weight")
    )
    shown = result.leaderboard[:SHOWN]
    form = score_form(row.score for row in shown)
    for row in shown:
        weight = f"{row.weight:.0%}" if row.weight else ""
        cells = (
            str(row.rank),
            row.learner,
            score_text(row.score, form),
            f"{row.rows:,}",
            f"{row.seconds:.2f}",
            weight,
        )
        table.add_row(*cells, style="bold" if row.weight else "")
    more = len(result.leaderboard) - SHOWN
    table.caption = f"and {more} more: {command('show', result.study, storage)}" if more > 0 else None
    table.caption_justify = "left"
    console.print(table)
    console.print(_scores(result))


def _scores(result: FitResult) -> Any:
    """The ensemble's score beside those that it must beat."""
    name = result.metric.name
    held = result.held
    table = output.grid(
        "", *(["validation", "held out"] if held else ["validation"]), right=("validation", "held out")
    )
    rows: list[tuple[str, float | None, float | None]] = [
        (
            _members(sum(1 for member, _ in result.model.shares() if member.name != "constant")),
            result.score,
            held and held.score,
        ),
        ("LightGBM's defaults", None, held and held.lightgbm),
        ("a constant", result.constant, held and held.constant),
    ]
    form = score_form(score for _, *both in rows for score in both)
    for label, valid, out in rows:
        if valid is None and out is None:
            continue
        cells = [score_text(score, form, "") for score in ((valid, out) if held else (valid,))]
        table.add_row(label, *cells, style="bold" if label.startswith("the model") else "")
    if result.optimism:
        told = score_text(result.optimism, form)
        cells = [told, ""] if held else [told]
        table.add_row("its score is too good by about", *cells)
    table.columns[0].header = name + (f" on {len(held.y):,} rows held out" if held else "")
    return table


def _members(count: int) -> str:
    return f"the model ({count} member{'s' * (count != 1)})" if count else "the model (a constant)"


def as_json(order: Order, result: FitResult) -> dict[str, Any]:
    """The outcome as JSON has it."""
    held = result.held
    return {
        "study": result.study,
        "task": result.task.kind,
        "classes": list(result.task.classes),
        "metric": result.metric.name,
        "greater_is_better": result.metric.greater_is_better,
        "score": {"model": result.score, "constant": result.constant, "rows": len(result.y)},
        "held_out": held
        and {"model": held.score, "constant": held.constant, "lightgbm": held.lightgbm, "rows": len(held.y)},
        "optimism": result.optimism,
        "trials": result.trials,
        "failed": result.failed,
        "seconds": result.seconds,
        "model": order.out,
        "report": order.report,
        "leaderboard": [row._asdict() for row in result.leaderboard],
        "notes": result.notes,
    }
