"""docs/conformance.md, made of the rules and of what runs found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from benchmarks.conformance.record import OURS, Found, Records
from benchmarks.conformance.rule import Rule

NAMES: Final = {
    "optuna": "Optuna 5.0",
    "hpbandster": "HpBandSter 0.7.4",
    "smac": "SMAC 2.4",
    "dehb": "DEHB 0.1.2",
    "syne-tune": "Syne Tune 0.16",
}
_INTRO: Final = """# Conformance

What papers say, what rung does, and what peers do, rule by rule. This page is made by

    make peers
    python -m benchmarks.conformance

which runs rung and, in environments of their own, the peers; nothing here is from reading but the reasons
after –. A test runs rung's column again and compares it with this page. ✓ keeps the rule, ✗ does not, –
was not run, and why. What is here of the peers was found with Python 3.11 and NumPy 1.26, all in one
environment (RUNG_PEERS names another folder of environments than .peers).

Where a paper leaves something open the rule says so, and is what the paper's other rules ask for. Peers are
called as their own optimisers call them, without their servers. Some of what they do otherwise is by choice,
and said in their documentation. Rules are here because implementations differ in them: counts are no grades.
"""


def page(rules: Sequence[Rule], records: Records) -> str:
    """The whole page."""
    parts = [_INTRO, *_summary(rules, records)]
    for method, group in groupby(rules, key=lambda rule: rule.method):
        parts += [f"## {method}", "", *_table(list(group), records), ""]
    return "\n".join(parts)


def _summary(rules: Sequence[Rule], records: Records) -> Iterator[str]:
    """How many rules each keeps, of those that it was asked about."""
    yield "| | rules run | kept |"
    yield "| --- | ---: | ---: |"
    for who in (OURS, *NAMES):
        found = [records[rule.key, who] for rule in rules if (rule.key, who) in records]
        run = [each for each in found if each.agrees is not None]
        yield f"| {NAMES.get(who, who)} | {len(run)} | {sum(bool(each.agrees) for each in run)} |"
    yield ""


def _table(rules: Sequence[Rule], records: Records) -> Iterator[str]:
    yield "| rule | rung | peers |"
    yield "| --- | --- | --- |"
    for rule in rules:
        others = [records.get((rule.key, peer.peer)) for peer in rule.peers]
        own = records.get((rule.key, OURS))
        said = f"**{rule.name}**: {rule.says}. *{rule.source}*"
        ours = _shown(own) if own else ""
        if rule.departs:
            ours += f": on purpose, {rule.departs}"
        yield f"| {_cell(said)} | {_cell(ours)} | {_cell('<br>'.join(_peers(others)))} |"


def _peers(found: Iterable[Found | None]) -> Iterator[str]:
    for each in found:
        if each is not None:
            yield f"{NAMES[each.who]} {_shown(each)}"


def _shown(found: Found) -> str:
    mark = {True: "✓", False: "✗", None: "–"}[found.agrees]
    return f"{mark} {found.text}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
