"""The papers' claims, each with what was measured and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.experiments import experiments
from benchmarks.experiments.rows import Row
from benchmarks.reports import Page, Section


def make(rows: Mapping[str, Sequence[Row]]) -> Page:
    """A table of all claims, in the order of the experiments."""
    lines = ["| experiment | claimed | where | measured | verdict | test |", "| --- " * 6 + "|"]
    counts: dict[str, int] = {}
    for name, one in experiments().items():
        if not rows.get(name):
            continue
        for claim in one.claims(rows[name]):
            counts[claim.verdict] = counts.get(claim.verdict, 0) + 1
            lines.append(
                f"| {name} | {claim.claim} | {claim.source} | {claim.measured} | **{claim.verdict}** "
                f"| {claim.test} |"
            )
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    return Page(
        f"## What the papers claim\n\nVerdicts are by the test named: {told}. A claim that is unclear needs "
        "more seeds, or its difference is small.\n\n" + "\n".join(lines),
        {},
    )


ENTRIES: Final = {"claims": Section(10, make)}
