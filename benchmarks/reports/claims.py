"""What papers claim, and what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.experiments import experiments
from benchmarks.experiments.judging import LINEAR, MARGIN
from benchmarks.experiments.rows import Row
from benchmarks.reports import Page, Section
from benchmarks.reports.markdown import listed, table
from benchmarks.reports.papers import in_order

_ABOUT: Final = f"""\
A claim *holds* or *fails* where a test says so with p < 0.05, and is *unclear* else. Searches are paired by
problem, seed and setting; what is compared is the logarithm of the regret. "Not behind" allows a quarter more
regret (a factor of {MARGIN:g}), near-linear is at least {LINEAR:g} of linear. The tests and these bounds are
in `benchmarks/experiments/judging.py`. A regret ratio below 1 is for the first one named.
"""


def make(rows: Mapping[str, Sequence[Row]]) -> Page:
    """A table of the claims of all experiments that have rows, and the names of those that have none."""
    lines, waiting = [], []
    verdicts: Counter[str] = Counter()
    for name in in_order(experiments()):
        claims = experiments()[name].claims(rows.get(name, []))
        if claims and not rows.get(name):
            waiting.append(f"[{name}](#{name}) ({len(claims)})")
            continue
        for claim in claims:
            verdicts[claim.verdict] += 1
            said = f"{claim.claim} *({claim.source})*"
            lines.append([f"[{name}](#{name})", said, claim.measured, f"**{claim.verdict}**", claim.test])
    counts = f"{verdicts['holds']} hold, {verdicts['fails']} fail, {verdicts['unclear']} are unclear"
    parts = [f"## Claims\n\nOf {len(lines)} claims {counts}.\n", _ABOUT]
    if waiting:
        parts.append(f"Of these experiments no search is there yet (claims): {listed(waiting)}.\n")
    head = ("experiment", "claim", "measured", "verdict", "test")
    return Page("\n".join([*parts, table(head, lines, len(head))]), {})


ENTRIES: Final = {"claims": Section(0, make)}
