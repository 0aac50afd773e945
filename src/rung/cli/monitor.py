"""`rung monitor`: whether a model in use still sees what it was trained on, and still scores as it did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli.check import Report, patiently, plain_drift, prepare_report, print_drift
from rung.cli.exits import NO_RESULT
from rung.cli.one_target import OneTarget, one_target
from rung.cli.options import Json, Trust
from rung.cli.predict import read_for, say_lost
from rung.tabular.digits import score_form, score_text

if TYPE_CHECKING:
    from rung.tabular.audit.distance import Distance
    from rung.tabular.audit.monitor import Decay, Watch


def monitor(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, as rung fit writes it.")],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="New rows, with the target if it is known: CSV, TSV, Parquet, ..."
        ),
    ],
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit with 1 if something drifted much or the score fell.")
    ] = False,
    report: Report = None,
    target: OneTarget = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Say whether to refit a model: drift of columns and predictions, and decay where the target is known."""
    prepare_report(report, {"the table itself": table, "the model's file": model})
    from rung.tabular.audit.monitor import watch
    from rung.tabular.model_file import load_model, read_manifest

    model = one_target(model, target)
    read_manifest(model)
    with patiently() as tell:
        fitted = load_model(model, tuple(trust or ()))
        frame = read_for(fitted, table)
        found = watch(fitted, frame, tell)
    say_lost(fitted, frame)
    if report is not None:
        from rung.tabular.audit.page import write_drift_page

        write_drift_page(report, found.drift, Path(table).name, found)
    if json:
        output.print_json(_plain(found))
    else:
        _print(found, report)
    if fail_on_drift and found.drifted:
        raise typer.Exit(NO_RESULT)


def _print(found: Watch, report: Path | None) -> None:
    console = output.out()
    if found.drift is not None:
        print_drift(found.drift)
        console.print()
    _print_scores(found)
    shown = set() if found.drift is None else set(found.drift.notes)
    for note in found.notes:
        if note not in shown:
            output.say(note)
    console.print(found.verdict, style="bold")
    if report is not None:
        output.say(f"report {report}")


def _print_scores(found: Watch) -> None:
    """The metric then and now, and how far predictions and target have moved."""
    table = output.grid("", "then", "now", "drift", right=("then", "now"))
    if found.decay is not None:
        decay = found.decay
        word = "worse" if decay.worse else ""
        form = score_form([decay.then.value, decay.now.value])
        table.add_row(decay.metric, *(_score(one, form) for one in (decay.then, decay.now)), word)
    for name, distance in (("predictions", found.predictions), ("target", found.target)):
        if distance is not None:
            table.add_row(name, "", f"PSI {distance.psi:.3f}", ("", "some", "much")[distance.level])
    if table.row_count:
        output.out().print(table)
        output.out().print()


def _score(one: Any, form: str) -> str:
    value, low, high = (score_text(score, form) for score in (one.value, one.low, one.high))
    return f"{value} ({low} to {high})"


def _plain(found: Watch) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "rows": found.rows,
        "refit": found.refit,
        "verdict": found.verdict,
        "drifted": found.drifted,
        "predictions": _distance(found.predictions),
        "target": _distance(found.target),
        "decay": _decay(found.decay),
        "drift": found.drift and plain_drift(found.drift),
        "unknown_class": found.unknown.rows,
        "notes": found.notes,
    }


def _distance(one: Distance | None) -> dict[str, Any] | None:
    return None if one is None else {**one._asdict(), "level": one.level}


def _decay(one: Decay | None) -> dict[str, Any] | None:
    from dataclasses import asdict

    return None if one is None else asdict(one)
