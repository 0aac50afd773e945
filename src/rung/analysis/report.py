"""The report of a study: one HTML file that says what was found, what it took, and how to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from rung.analysis import summary
from rung.analysis.charts import STATES, Chart
from rung.analysis.pages import embedded, render, write
from rung.analysis.plotly_figure import figure
from rung.analysis.plotting import KINDS, chart
from rung.analysis.subject import Subject, subject_of
from rung.errors import StudyError
from rung.study.ranking import ranking

WIDE: Final = ("history", "ladder", "slice", "parallel", "timeline", "lineage")
"""Kinds of plots that take the page's whole width."""
PER_PARAMETER: Final = ("importance", "slice", "contour", "parallel")
"""Kinds of plots that have a panel or an axis for each parameter."""
SHOWN: Final = 50  # trials of the table


class Command(NamedTuple):
    """A command to type, and what it does."""

    text: str
    does: str


class Live(NamedTuple):
    """What makes a page that is served look whether there is more.

    Attributes:
        at: where it asks, which answers with these two:
        events: of the log that it was made from.
        state: of the study.
        every: seconds between two looks.
    """

    at: str
    events: int
    state: str
    every: float


def report(
    study: Any,
    path: str | Path,
    *,
    storage: str | None = None,
    commands: Sequence[Command] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write the report of a study to a file, whole or not at all.

    Args:
        study: a result, a study, or a study's name (looked up in `storage`).
        commands: how to go on.
        tell: is told what is being done.

    Raises:
        StudyError: there is no such study.
        UserError: the file cannot be written.
    """
    tell("reading the log")
    subject = subject_of(study, storage)
    charts = usable_charts(subject, tell)
    tell("writing the page")
    place = Path(path)
    write(place, page(subject, charts, commands))
    return place


def usable_charts(subject: Subject, tell: Callable[[str], None] = lambda _: None) -> list[Chart]:
    """Every kind of plot that has something to show of this study."""
    left_out = () if subject.wording is None or subject.wording.per_parameter else PER_PARAMETER
    found = []
    for kind in KINDS:
        if kind in left_out:
            continue
        tell(f"drawing {kind}")
        try:
            found.append(chart(subject, kind))
        except StudyError:  # it says why there is nothing of this kind
            continue
    return found


def page(
    subject: Subject,
    charts: Sequence[Chart],
    commands: Sequence[Command] = (),
    live: Live | None = None,
) -> str:
    """The report as text; a `live` one takes Plotly's script from `/plotly.js`."""
    wording = subject.wording
    ranked = ranking(subject.history, subject.records)
    placed = _placed(charts)
    parameters = summary.parameters(subject)
    counted = f"{len(parameters)} parameter{'s' * (len(parameters) != 1)}"
    headline = summary.headline(subject)
    rows = [summary.row(subject, record) for record in ranked[:SHOWN]]
    if wording is not None:
        parameters, counted = wording.space or parameters, wording.counted or counted
        rows = [row._replace(config=wording.configuration(row.number) or row.config) for row in rows]
        if headline.config and subject.best is not None:
            headline = headline._replace(config=wording.configuration(subject.best) or headline.config)
    context = {
        "name": subject.name,
        "identity": subject.identity,
        "goals": subject.goals,
        "made": datetime.now().astimezone().strftime("%d %B %Y, %H:%M").lstrip("0"),
        "headline": headline,
        "facts": summary.facts(subject),
        "rungs": summary.ladder_table(subject),
        "charts": placed,
        "figures": embedded([figure(c) for c, _ in placed]),
        "ranked": rows,
        "all": len(subject.records),
        "best": subject.best,
        "colours": STATES,
        "parameters": parameters,
        "counted": counted,
        "by_parameter": wording is None or wording.space is None,
        "settings": summary.settings(subject),
        "notes": summary.notes(subject),
        "commands": commands,
        "live": live,
    }
    return render("report.html.j2", context)


def _placed(charts: Sequence[Chart]) -> list[tuple[Chart, bool]]:
    """The charts in their order on the page, and which take its whole width; two narrow ones share a row."""
    wide = [c for c in charts if c.kind in WIDE or len(c.panels) > 2]
    narrow = [c for c in charts if c not in wide]
    found: list[tuple[Chart, bool]] = []
    while wide or narrow:
        found += [(c, True) for c in wide[:1]]
        found += [(c, len(narrow) == 1) for c in narrow[:2]]
        wide, narrow = wide[1:], narrow[2:]
    return found
