"""A study as a notebook shows it: its first line, and its best trials as a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from rung.study.front import front
from rung.study.ranking import objectives, ranking
from rung.study.records import TrialRecord
from rung.trials.history import History

ROWS: Final = 10  # trials that are shown
COLUMNS: Final = 12  # parameters that are shown


def as_html(line: str, history: History, records: Sequence[TrialRecord], best: TrialRecord | None) -> str:
    """The line, and the trials that reached furthest, the best first; of several objectives the front."""
    identity = history.identity
    goals = [goal.metric for goal in identity.goals or (identity,)]
    shown = _front(history, records) if identity.goals else _ranked(history, records, best)
    names = list(dict.fromkeys(name for record in shown for name in record.config))[:COLUMNS]
    resource = [] if identity.resource is None else [identity.resource.name]
    head = ["trial", *goals, *resource, "state", *names]
    rows = []
    for record in shown:
        spent = [record.resource] if resource else []
        config = [record.config.get(name, "") for name in names]
        rows.append([record.number, *objectives(history, record), *spent, str(record.state), *config])
    if not rows:
        return f"<p>{escape(line)}</p>"
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return f"<p>{escape(line)}</p>\n<table>\n" + "\n".join(lines) + "\n</table>"


def _front(history: History, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [records[trial] for trial in front(history)][:ROWS]


def _ranked(history: History, records: Sequence[TrialRecord], best: TrialRecord | None) -> list[TrialRecord]:
    """The best first, as `Result.best` has it, which repeats may have found, then the others."""
    others = ranking(history, records)
    if best is None:  # none keeps the constraints
        return others[:ROWS]
    return [best, *(each for each in others if each.number != best.number)][:ROWS]


def _row(tag: str, cells: Sequence[Any]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(_text(cell))}</{tag}>" for cell in cells) + "</tr>"


def _text(cell: Any) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
