"""`rung check`: what is wrong with a table before a model is fitted, or how far it has drifted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rung.cli import output
from rung.cli.exits import NO_RESULT
from rung.cli.fit_options import Drop, Kinds, Weights
from rung.cli.one_target import one_target
from rung.cli.options import Json, Trust
from rung.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from rung.tabular.audit.check import Audit, Outline
    from rung.tabular.audit.drift import DriftReport
    from rung.tabular.audit.finding import Finding
    from rung.tabular.request import Request

_PATIENCE: Final = 2.0  # seconds before it is said what takes so long
_STYLES: Final = {"error": "bold red", "warning": "yellow", "note": "dim"}
_SHOWN: Final = 40  # columns

Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write an HTML page there, which needs no network."),
]


def check(  # noqa: PLR0913  # a door
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="CSV, TSV, Parquet, Feather, JSON or Excel; - is standard input."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="COL",
            help="The column to predict; several with commas between; without it, the columns only.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="binary, multiclass or regression.", show_default="guessed"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|TABLE", help="Look for drift from this model's training table, or table."
        ),
    ] = None,
    kinds: Kinds = None,
    drop: Drop = None,
    weights: Weights = None,
    report: Report = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Check a table before a model is fitted: what is wrong, what leaks, what has drifted.

    Exits with 1 if no model can be fitted (or, with --against, if the model cannot predict the table).
    """
    prepare_report(
        report, {"the table itself": table, **({"what it is compared with": against} if against else {})}
    )
    from rung.cli.wishes import names, pairs
    from rung.tabular.request import Request

    asked = Request(kinds=pairs(kinds, "--kinds"), drop=tuple(names(drop)), weights=weights)
    if against is not None:
        if asked != Request():
            raise UserError("--kinds, --drop and --weights are for a table before a fit, not for --against")
        _against(table, against, target, report, tuple(trust or ()), json)
    else:
        _before_a_fit((table, report), target, task, asked, json)


def _before_a_fit(
    places: tuple[str, Path | None], target: str | None, task: str | None, asked: Request, json: bool
) -> None:
    """The check for each target.

    Args:
        places: the table's, and where the page goes.
    """
    from rung.cli.fit_several import beside, parts_of
    from rung.tabular.columns import reading_notes
    from rung.tabular.read import read_table

    table, report = places
    with patiently() as tell:
        tell("reading the table")
        frame = read_table(table, used=lambda name: name not in asked.drop)
    targets = [None] if target is None else parts_of(target, [str(name) for name in frame.columns])
    audits = []
    for one in targets:
        place = report if report is None or len(targets) == 1 else beside(report, str(one))
        audits.append(_audit(frame, (table, place), (one, targets), task, asked, said=not json))
    for note in reading_notes(frame):
        output.say(note)
    if json:
        plain = [_plain(audit) for audit in audits]
        output.print_json(
            plain[0] if len(plain) == 1 else {"targets": dict(zip(targets, plain, strict=True))}
        )
    if not all(audit.fittable for audit in audits):
        raise typer.Exit(NO_RESULT)


def _audit(
    frame: pd.DataFrame,
    places: tuple[str, Path | None],
    target: tuple[str | None, Sequence[str | None]],
    task: str | None,
    asked: Request,
    *,
    said: bool,
) -> Audit:
    """The check for one of the targets, which sees none of the others; printed and written.

    Args:
        places: the table's, and where the page goes.
        asked: kinds that are not guessed, and columns that are not looked at.
    """
    from rung.tabular.audit.check import audit_table

    one, every = target
    table, report = places
    asked.check(frame, one)
    asked.row_weights(frame)
    hidden = {str(name) for name in every if name != one} | asked.left_out()
    rest = frame.loc[:, [str(name) not in hidden for name in frame.columns]] if hidden else frame
    with patiently() as tell:
        audit = audit_table(rest, one, task, tell=tell, asked=asked.kinds)
    if report is not None:
        from rung.tabular.audit.page import write_check_page

        write_check_page(report, audit, Path(table).name)
    if said:
        _print(audit, report)
    return audit


def prepare_report(report: Path | None, others: dict[str, str]) -> None:
    """Refuse a place where no page can be written, before anything is done."""
    if report is not None:
        from rung.cli.begin import check_apart, check_writable

        check_apart(report, "--report", others)
        check_writable(report, "--report")


class patiently:  # noqa: N801  # reads as a verb: with patiently() as tell
    """Says on stderr what is being done, once it takes over two seconds; a moving line on a terminal."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()
        self._status: Any = None

    def __enter__(self) -> Callable[[str], None]:
        return self._tell

    def _tell(self, text: str) -> None:
        now = time.monotonic()
        if output.quiet() or now - self._began < _PATIENCE:
            return
        console = output.err()
        if console.is_terminal:
            if self._status is None:
                self._status = console.status(text)
                self._status.start()
            self._status.update(text)
        elif now - self._said >= _PATIENCE:
            self._said = now
            output.say(f"{text} ...")

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()


def _against(
    table: str, against: str, target: str | None, report: Path | None, trust: tuple[str, ...], json: bool
) -> None:
    drift = _drift(table, against, target, trust)
    if report is not None:
        from rung.tabular.audit.page import write_drift_page

        write_drift_page(report, drift, Path(table).name)
    if json:
        output.print_json(plain_drift(drift))
    else:
        print_drift(drift)
        _written(report)
    if not drift.usable:
        raise typer.Exit(NO_RESULT)


def _drift(table: str, against: str, target: str | None, trust: tuple[str, ...]) -> DriftReport:
    from rung.errors import DataError
    from rung.tabular.audit.compare import drift_between
    from rung.tabular.audit.drift import drift_from_profile
    from rung.tabular.columns import as_they_stand, infer_columns
    from rung.tabular.formats import is_table
    from rung.tabular.model_file import load_model
    from rung.tabular.read import read_table

    with patiently() as tell:
        tell("reading the table")
        if is_table(against) or Path(against).is_dir():
            known = read_table(against)
            words = as_they_stand(infer_columns(known))
            return drift_between(read_table(table, words), known, target, tell)
        model = load_model(one_target(against, target), trust)
        profile = getattr(model, "profile", None)
        if profile is None:
            raise DataError(
                f"{against} holds no profile of its training table, for it was made by an earlier rung; fit "
                "it again, or give the training table itself to --against"
            )
        return drift_from_profile(read_table(table, as_they_stand(model.columns)), profile, tell)


def _written(report: Path | None) -> None:
    if report is not None:
        output.say(f"report {report}")


def _print(audit: Audit, report: Path | None) -> None:
    console = output.out()
    beside = f" beside {audit.target}" if audit.target else ""
    console.print(f"{audit.rows:,} rows, {len(audit.columns):,} columns{beside}")
    if audit.task is not None:
        console.print(f"task: {audit.task.why}")
    console.print()
    _print_columns(audit.columns)
    console.print()
    print_findings(audit.findings, "Nothing was found that you should know.")
    for note in audit.notes:
        output.say(note)
    output.say(f"looked at in {audit.seconds:.1f} s")
    _written(report)


def _print_columns(columns: Sequence[Outline]) -> None:
    table = output.grid(
        "column", "kind", "sure", "missing", "different", "values", right=("sure", "missing", "different")
    )
    for one in columns[:_SHOWN]:
        missing = f"{one.missing:.1%}" if one.missing else ""
        table.add_row(
            one.name, one.kind, f"{100 * one.agree:.4g}%", missing, f"{one.distinct:,}", _values(one)
        )
    more = len(columns) - _SHOWN
    table.caption = f"and {more} more columns: see --json or --report" if more > 0 else None
    table.caption_justify = "left"
    output.out().print(table)


def _values(one: Outline) -> str:
    if one.low is not None:
        return f"{one.low:.6g} to {one.high:.6g}, median {one.middle:.6g}"
    if one.top is None:
        return ""
    from rung.tabular.audit.finding import in_a_line

    return f"{in_a_line(one.top[0], 30)} ({one.top[1]:.0%})"


def print_findings(found: Sequence[Finding], none: str) -> None:
    """The findings as a table, errors first, and how many there are."""
    from rich.text import Text

    from rung.tabular.audit.page import condensed, counted

    console = output.out()
    if not found:
        console.print(none)
        return
    console.print(", ".join(f"{n} {name}" for name, n in counted(found)))
    table = output.grid("", "column", "what was found, and what to do")
    for line in condensed(found):
        words = Text.assemble(line.sentence, "\n", (line.remedy, "dim"))
        table.add_row(Text(line.severity, _STYLES[line.severity]), line.subject, words)
    console.print(table)


def print_drift(drift: DriftReport) -> None:
    """Columns with most drift, then the findings."""
    console = output.out()
    console.print(f"{drift.rows:,} rows against {drift.reference:,} of {drift.against}")
    if drift.apart is not None:
        auc = drift.apart.auc
        console.print(
            f"a model tells the two tables apart with an AUC of {auc.value:.3f} (95 % interval {auc.low:.3f} "
            f"to {auc.high:.3f}; 0.5 is chance)"
        )
    console.print()
    right = ("PSI", "KS", "p", "missing then", "now", "unseen")
    table = output.grid("column", "kind", "drift", *right, right=right)
    for one in drift.columns[:_SHOWN]:
        table.add_row(
            one.name,
            one.kind,
            ("", "some", "much")[one.level],
            f"{one.psi:.3f}",
            "" if one.ks is None else f"{one.ks:.3f}",
            "" if one.p is None else f"{one.p:.2g}",
            *(f"{part:.1%}" for part in one.missing),
            "" if one.unseen is None else f"{one.unseen:.1%}",
            style="yellow" if one.level == 2 else "",
        )
    more = len(drift.columns) - _SHOWN
    table.caption = f"and {more} more columns with less drift: see --json or --report" if more > 0 else None
    table.caption_justify = "left"
    console.print(table)
    console.print()
    print_findings(drift.findings, "No drift was found.")
    for note in drift.notes:
        output.say(note)


def _plain(audit: Audit) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "rows": audit.rows,
        "target": audit.target,
        "task": audit.task and audit.task.kind,
        "fittable": audit.fittable,
        "findings": [asdict(one) for one in audit.findings],
        "columns": [asdict(one) for one in audit.columns],
        "notes": audit.notes,
        "seconds": audit.seconds,
    }


def plain_drift(drift: DriftReport) -> dict[str, Any]:
    """What `--json` prints of drift."""
    return {
        "rows": drift.rows,
        "reference_rows": drift.reference,
        "drifted": drift.drifted,
        "auc": drift.apart and drift.apart.auc.value,
        "auc_interval": drift.apart and list(drift.apart.auc[1:]),
        "telling": [
            {"column": name, "share": part} for name, part in (drift.apart.telling if drift.apart else ())
        ],
        "findings": [asdict(one) for one in drift.findings],
        "columns": [
            {**asdict(one), "missing": {"then": one.missing[0], "now": one.missing[1]}}
            for one in drift.columns
        ],
        "notes": drift.notes,
        "seconds": drift.seconds,
    }
