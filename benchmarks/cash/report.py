"""docs/benchmark.md, made from the rows and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.cash.comparing import Field, fields
from benchmarks.cash.rows import TIES, Row
from benchmarks.cash.systems import SYSTEMS
from benchmarks.reports.markdown import listed, number, span, table

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "benchmark.md"
_INTRO: Final = """# Tables: rung beside other systems

This page is made of the rows in `benchmarks/data/cash/rows.jsonl` alone, a run each:

    make peers PEERS="flaml autogluon"      # environments of their own
    python -m benchmarks.cash run           # what has no row yet; --systems, --budgets, --tables, --splits
    python -m benchmarks.cash report        # this page

{ran}

Each table is split 70 to 30 % (stratified by class; the number of the split is the seed), at most 50,000
rows. Every system gets the same two CSV files, the second without the target, in a process and an environment
of its own. The clock runs from the start of that process to the written predictions, so that interpreter,
imports and reading count; each system is told what is left of the budget once its libraries are imported and
the table is read, less half a second to predict. A run is killed after three budgets and a minute. Scores are
of the test rows: area under the ROC curve (two classes), log loss (more), root mean squared error (numbers).
What rung has learned from earlier tables ([meta.md](meta.md)) is taken without the table that is judged.

The systems:

{systems}
"""
_NOTES: Final = f"""\
- **Wins**: the share of tables on which rung's mean over the splits is better; one closer than {TIES:g}
  (of errors: as a share of the constant's error) is a tie and counts one half. In brackets: 95 % of 5,000
  bootstrap samples of the tables. *Strict*: the same, where a run that took more than 110 % of its budget, or
  failed, is lost, whichever side it is.
- **Rank**: the mean over the tables that all systems have; 1 is best.
- **Scaled**: the mean over tables, with 0 for the constant prediction and 1 for the table's best system.
  *Of the forest*: with 0 for the random forest instead, which is what tells good systems apart; tables where
  no system is better than the forest are left out, and -1 is the least.
- A run that failed counts as the constant prediction.
- **Over**: seconds beyond the budget, 0 where it was kept: mean, and worst. **Start**: interpreter and
  imports.
- **Peak**: most memory of the process and its children; pages that they share count once for each.
- **Size**: of the model on disk. **1,000 rows**: time to predict them at once, the fastest of three.
  Medians, as all of these.
"""


def write(rows: Iterable[Row], path: Path | None = None) -> Path:
    """Write the page; the same rows give the same bytes."""
    place = path or PAGE
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(page(list(rows)), encoding="utf-8", newline="\n")
    return place


def page(rows: Sequence[Row]) -> str:
    """The text."""
    known = sorted(rows, key=lambda row: row.key)
    systems = table(["system", "version", "what is compared"], list(_systems(known)), left=3)
    parts = [_INTRO.format(ran=_ran(known), systems=systems.rstrip())]
    for field in fields(known):
        parts += _section(field)
    if len(parts) > 1:
        parts.append(f"## What the columns say\n\n{_NOTES}")
    return "\n".join(parts)


def _ran(rows: Sequence[Row]) -> str:
    if not rows:
        return "No run has been made yet."
    tables = len({row.table for row in rows})
    splits = len({row.split for row in rows})
    failed = sum(bool(row.failed) for row in rows)
    cores = span(row.cores for row in rows)
    busy = sum(row.load > row.cores for row in rows)
    halves = "one split" if splits == 1 else f"{splits} splits"
    text = f"{len(rows)} runs on {tables} tables, {halves}, {cores} cores; {failed} failed."
    if busy:
        text += (
            f" The machine had more to do than it has cores when {busy} of them began,\n"
            "which costs every system time: such rows compare no more than roughly."
        )
    return text


def _systems(rows: Sequence[Row]) -> Iterator[list[str]]:
    for name, system in SYSTEMS.items():
        versions = sorted({row.version for row in rows if row.system == name and row.version})
        yield [name, ", ".join(versions) or "–", system.note]


def _section(field: Field) -> Iterator[str]:
    yield f"## {field.budget:g} seconds\n"
    if "rung" in field.systems:
        yield _wins(field)
    yield _quality(field)
    yield _costs(field)
    if "rung" in field.systems:
        yield from _losses(field)
    yield from _failures(field)


def _wins(field: Field) -> str:
    rows = []
    for name in field.systems:
        if name == "rung" or not (pairs := field.against(name)):
            continue
        won, tied, lost = (sum(one.points == value for one in pairs) for value in (1.0, 0.5, 0.0))
        low, high = field.interval([one.points for one in pairs])
        share = np.mean([one.points for one in pairs])
        strict = np.mean([one.strict for one in pairs])
        said = f"{share:.0%} ({low:.0%} to {high:.0%})"
        rows.append([name, str(len(pairs)), str(won), str(tied), str(lost), said, f"{strict:.0%}"])
    head = ["rung against", "tables", "won", "tied", "lost", "wins (95 %)", "strict"]
    return table(head, rows)


def _quality(field: Field) -> str:
    ranks, scaled, beyond = field.ranks(), field.scaled(), field.beyond_forest()
    rows = [
        [
            name,
            _given(ranks.get(name), 2),
            _given(scaled.get(name), 3),
            _given(beyond.get(name), 3),
            str(field.runs(name)),
            str(field.failed(name)),
        ]
        for name in sorted(field.systems, key=lambda one: ranks.get(one, np.inf))
    ]
    common = len(field.common)
    head = ["system", f"rank ({common} tables)", "scaled", "of the forest", "runs", "failed"]
    return table(head, rows)


def _costs(field: Field) -> str:
    rows = []
    for name in field.systems:
        costs = field.costs(name)
        over = [f"{costs.over:.1f} s", f"{costs.worst:.1f} s"] if costs.timed else ["–", "–"]
        wall, start = f"{costs.wall:.1f} s", f"{costs.start:.1f} s"
        memory, size = f"{costs.peak:.0f} MB", f"{costs.size:.2f} MB"
        rows.append([name, wall, *over, start, memory, size, f"{number(costs.predict)} ms"])
    head = ["system", "wall", "over", "worst", "start", "peak", "size", "1,000 rows"]
    return table(head, rows)


def _losses(field: Field) -> Iterator[str]:
    yield f"### Where rung is behind at {field.budget:g} seconds\n"
    rows = [
        [one.table, one.metric, number(one.mine), name, number(one.theirs)]
        for name in field.systems
        if name != "rung"
        for one in field.against(name)
        if one.points == 0.0
    ]
    head = ["table", "metric", "rung", "system", "its score"]
    yield table(head, sorted(rows), left=2) if rows else "Nowhere.\n"


def _failures(field: Field) -> Iterator[str]:
    failed = [row for row in field.rows if row.failed]
    if failed:
        yield f"### Runs that failed at {field.budget:g} seconds\n"
        yield "".join(f"- {row.system}, {row.table}, split {row.split}: {row.failed}\n" for row in failed)
    absent = [name for name in field.systems if len(field.tables(name)) < len(field.all_tables)]
    if absent:
        yield f"Not run on all of the {len(field.all_tables)} tables: {listed(absent)}.\n"


def _given(value: float | None, digits: int) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"
