"""What the commands say of a search's study: cells instead of an edge a parameter. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.analysis.wording import architecture, cell_text, cells_text, found

if TYPE_CHECKING:
    from rung.analysis.subject import Subject
    from rung.analysis.wording import Wording

__all__ = ["architecture", "cell_text", "cells_text", "found", "wording"]


def wording(subject: Subject) -> Wording:
    """How the report of a search's study words configurations and space."""
    assert subject.wording is not None  # it is asked of searches alone
    return subject.wording
