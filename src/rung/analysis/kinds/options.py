"""What a caller may choose about a plot, and words that several kinds share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rung.analysis.charts import short
from rung.analysis.subject import Subject
from rung.study.records import TrialRecord

SHOWN: Final = 2000  # points of one panel at most


@dataclass(frozen=True)
class Options:
    """Which objective, fidelity and parameters a plot is about; None: the kind's own choice."""

    goal: str | None = None
    resource: int | None = None
    parameters: Sequence[str] | None = None


def described(subject: Subject, record: TrialRecord, what: str) -> str:
    """A trial in some lines, for the pointer: its number, what it reached, its configuration."""
    words = subject.words(record.number)
    if words is None:
        words = [(name, short(value)) for name, value in list(record.config.items())[:8]]
    settings = [f"{name} = {text}" for name, text in words]
    return "<br>".join([f"<b>trial {record.number}</b>", what, *settings])


def amount(subject: Subject) -> str:
    """The resource as an axis calls it."""
    resource = subject.identity.resource
    return resource.unit if resource else "resource"
