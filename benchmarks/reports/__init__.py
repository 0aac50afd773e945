"""Reports: what rows of experiments say, as tables, claims and pictures; made from the rows alone.

Each module has `ENTRIES`, from a section's name to a `Section`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from benchmarks.entries import collect
from benchmarks.experiments.rows import Row


class Page(NamedTuple):
    """A section's Markdown, and its pictures by file name, SVG each."""

    text: str
    pictures: Mapping[str, str]


class Section(NamedTuple):
    """A section of the document: its place, and what makes it from the rows of all experiments, by name."""

    order: int
    make: Callable[[Mapping[str, Sequence[Row]]], Page]


@cache
def sections() -> Mapping[str, Section]:
    """All sections, in their order."""
    found: dict[str, Section] = collect(sys.modules[__name__])
    return dict(sorted(found.items(), key=lambda one: one[1].order))
