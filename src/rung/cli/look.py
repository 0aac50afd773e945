"""`rung importance`, `rung plot`, `rung report`: what a study has found, to look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rung.cli import output
from rung.cli.options import DEFAULT_STORAGE, Json, Name, Storage

if TYPE_CHECKING:
    from rung.analysis import Importances
    from rung.analysis.report import Command
    from rung.analysis.subject import Subject

_PATIENCE: Final = 2.0  # seconds before it is said what takes so long
_BAR: Final = 30  # letters of the longest bar

Goal = Annotated[
    str | None,
    typer.Option("--goal", metavar="METRIC", help="Which objective, of several.", show_default=False),
]


def importance(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    method: Annotated[
        str, typer.Option("--method", metavar="ped-anova|fanova", help="How it is measured.")
    ] = "ped-anova",
    resource: Annotated[
        str | None,
        typer.Option(
            "--resource",
            metavar="N|all",
            help="At which fidelity; the largest with enough results unless told. all: at each.",
        ),
    ] = None,
    goal: Goal = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Also what two parameters do together (fanova only).")
    ] = False,
    json: Json = False,
) -> None:
    """Show how much each parameter of a study matters."""
    from rung.analysis import importance as measure
    from rung.analysis import importances_by_resource
    from rung.errors import UserError

    subject = subject_of(name, storage)
    if resource == "all":
        if pairs:
            raise UserError("--pairs goes with one --resource, not with all")
        found = importances_by_resource(subject, method=method, goal=goal)
    else:
        at = None if resource is None else _whole(resource)
        found = [measure(subject, method=method, resource=at, goal=goal, pairs=pairs)]
    if json:
        rows = [_plain(one) for one in found]
        output.print_json(rows if resource == "all" else rows[0])
        return
    for place, one in enumerate(found):
        if place:
            output.out().print()
        _show(one, subject)


def _whole(text: str) -> int:
    from rung.errors import UserError

    if not text.isdecimal():
        raise UserError(f"--resource {text!r} is no whole number: give one of the rungs, or all")
    return int(text)


def _plain(found: Importances) -> dict[str, Any]:
    """What `--json` prints."""
    pairs = [{"parameters": [a, b], "importance": value} for a, b, value in found.pairs]
    return {
        "method": found.method,
        "metric": found.metric,
        "resource": found.resource,
        "trials": found.trials,
        "parameters": [
            {"parameter": one.parameter, "importance": one.value, "spread": one.spread}
            for one in found.parameters
        ],
        "rest": found.rest,
        "pairs": pairs,
    }


def _show(found: Importances, subject: Subject) -> None:
    at = "" if found.resource is None else subject.at(found.resource)
    output.say(f"importance for {found.metric}{at}, by {found.method}, from {found.trials:,} trials")
    table = output.grid("parameter", "importance", "", right=("importance",))
    longest = max((one.value for one in found.parameters), default=0.0) or 1.0
    for one in found.parameters:
        share = f"{one.value:.1%} ± {one.spread:.1%}"
        table.add_row(one.parameter, share, _bar(one.value / longest))
    if found.rest is not None:
        table.add_row("(together, and noise)", f"{found.rest:.1%}", "")
    for a, b, value in found.pairs[:10]:
        table.add_row(f"  {a} with {b}", f"{value:.1%}", _bar(value / longest))
    output.out().print(table)


def _bar(share: float) -> str:
    """A bar of blocks, to an eighth of a letter."""
    eighths = round(max(0.0, min(1.0, share)) * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def plot(
    name: Name,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="history, curves, ladder, importance, slice, contour, parallel, pareto, edf, timeline or "
            "lineage.",
        ),
    ],
    storage: Storage = DEFAULT_STORAGE,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="A file that ends in .html, .png, .svg or .pdf; NAME-KIND.html unless told.",
            show_default=False,
        ),
    ] = None,
    goal: Goal = None,
    resource: Annotated[
        int | None, typer.Option("--resource", min=1, help="At which fidelity.", show_default=False)
    ] = None,
    parameters: Annotated[
        str | None,
        typer.Option("--parameters", metavar="A,B", help="Which parameters.", show_default=False),
    ] = None,
) -> None:
    """Draw one plot of a study into a file."""
    from rung.analysis.kinds.options import Options
    from rung.analysis.plotting import chart, check_ending, save
    from rung.cli.begin import check_place

    path = out or _file(f"{name}-{kind}")
    check_ending(path)
    check_place(path, "--out", storage)
    names = None if parameters is None else [part.strip() for part in parameters.split(",")]
    made = chart(subject_of(name, storage), kind, Options(goal, resource, names))
    save(made, path)
    output.say(f"{kind} of {name} is in {path}")


def report(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where it goes; NAME.html unless told.", show_default=False
        ),
    ] = None,
) -> None:
    """Write a report of a study: one HTML file that works without a network."""
    from rung.analysis.report import report as write
    from rung.cli.begin import check_place

    path = out or _file(name)
    check_place(path, "--out", storage)
    subject = subject_of(name, storage)
    write(subject, path, commands=commands_of(subject, storage), tell=_patient())
    if subject.identity.door == "fit":
        output.say(
            f"{name} was made by rung fit: this page is about its search, fit's own is about the model"
        )
    output.say(f"the report of {name} is in {path}")


def _file(stem: str) -> Path:
    """A file of the present folder, whatever signs a study's name has."""
    return Path("".join(sign if sign.isalnum() or sign in "-_. " else "-" for sign in stem) + ".html")


def subject_of(name: str, storage: str) -> Subject:
    """A study by name."""
    from rung.analysis.subject import Subject
    from rung.cli.store import looking, read_study

    with looking(storage) as store:
        return Subject(name, tuple(read_study(store, name).events))


def commands_of(subject: Subject, storage: str) -> list[Command]:
    """How to go on with this study."""
    from rung.analysis.report import Command
    from rung.cli.store import command, resuming

    name = subject.name
    if subject.identity.door == "fit":
        return [Command(command("show", name, storage), "Show it in the terminal:")]
    more = command("extend", name, storage, "--trials", str(max(10, len(subject.history))))
    on = resuming(subject.history, name, storage)
    return [
        Command(f"{more}\n{on}", "Give it more budget, then go on:"),
        Command(command("export", name, storage), "Every trial as JSON (or --format csv):"),
        Command(command("importance", name, storage, "--method", "fanova"), "Another look at importance:"),
    ]


def _patient() -> Callable[[str], None]:
    """Says on stderr what is being done, once it takes long."""
    began = time.monotonic()

    def tell(text: str) -> None:
        if time.monotonic() - began > _PATIENCE:
            output.say(f"{text} ...")

    return tell
