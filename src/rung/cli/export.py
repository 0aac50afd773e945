"""The forms in which a study's trials leave the house: JSON and CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any, TextIO

from rung.cli.output import plain
from rung.study.records import TrialRecord


def as_json(records: Sequence[TrialRecord], incumbent: int | None) -> list[dict[str, Any]]:
    """A list of trials in order of number, as plain data.

    What depends on the clock, on the worker or on the number of attempts lies under the one key `timing`;
    NaN and infinities are strings.
    """
    return [plain(_trial(record, record.number == incumbent)) for record in records]


def _trial(record: TrialRecord, incumbent: bool) -> dict[str, Any]:
    return {
        "number": record.number,
        "config": record.config,
        "state": record.state,
        "observations": [{"resource": o.resource, "metrics": o.metrics} for o in record.observations],
        "incumbent": incumbent,
        "timing": {**plain(record.timing), "checkpoint": record.checkpoint},
    }


def write_csv(file: TextIO, records: Sequence[TrialRecord], incumbent: int | None) -> None:
    """One row a trial: a column for each parameter, and the metric at the largest resource reached."""
    names = list(dict.fromkeys(name for record in records for name in record.config))
    head = ["number", "state", "incumbent", "value", "resource", *(f"config.{name}" for name in names)]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*head, "started", "ended", "attempts"])
    for record in records:
        config = [plain(record.config.get(name)) for name in names]
        mine = str(record.number == incumbent).lower()
        timing = record.timing
        row = [record.number, record.state.value, mine, plain(record.value), record.resource, *config]
        writer.writerow([*row, timing.started, timing.ended, timing.attempts])
