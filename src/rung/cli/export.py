"""The forms in which a study's trials leave the house: JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any, TextIO

from rung.cli.output import plain
from rung.study.records import TrialRecord, further


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
        "attributes": record.attributes,
        "incumbent": incumbent,
        "timing": {**plain(record.timing), "checkpoint": record.checkpoint},
    }


def write_csv(file: TextIO, records: Sequence[TrialRecord], incumbent: int | None, metric: str) -> None:
    """One row a trial, a column a parameter, an attribute and a metric, at the largest resource reached.

    The study's own `metric` is the column `value`; `message` says how a job of the trial failed last.
    """
    names = list(dict.fromkeys(name for record in records for name in record.config))
    kept = list(dict.fromkeys(name for record in records for name in record.attributes))
    beside = further(records, metric)
    head = ["number", "state", "incumbent", "value", "resource", *(f"metric.{name}" for name in beside)]
    head += [f"config.{name}" for name in names]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        [*head, "started", "ended", "attempts", "message", *(f"attribute.{name}" for name in kept)]
    )
    for record in records:
        metrics = [plain(record.metrics.get(name)) for name in beside]
        config = [plain(record.config.get(name)) for name in names]
        mine = str(record.number == incumbent).lower()
        timing = record.timing
        row = [record.number, record.state.value, mine, plain(record.value), record.resource]
        times = [timing.started, timing.ended, timing.attempts, timing.message]
        attributes = [_cell(record.attributes.get(name)) for name in kept]
        writer.writerow([*row, *metrics, *config, *times, *attributes])


def _cell(value: Any) -> Any:
    """What a cell holds: lists and mappings as JSON."""
    return json.dumps(plain(value), ensure_ascii=False) if isinstance(value, list | dict) else plain(value)
