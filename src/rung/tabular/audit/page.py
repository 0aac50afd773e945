"""The pages of a check and of drift: one HTML file each, without a script; no row of the table is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rung import __version__
from rung.tabular import charts
from rung.tabular.audit.check import Audit
from rung.tabular.audit.drift import DriftReport
from rung.tabular.audit.finding import SEVERITIES, Finding
from rung.tabular.audit.monitor import Watch
from rung.tabular.names import listed
from rung.tabular.pages import write_text

if TYPE_CHECKING:
    from markupsafe import Markup

_BARS: Final = 20
_NAMED: Final = 8  # columns that one line names, in
_LINE: Final = 90  # letters, of
_NAME: Final = 32  # each at most
_NAMES: Final = {"error": "errors", "warning": "warnings", "note": "notes"}


@dataclass(frozen=True, slots=True)
class Line:
    """Findings of one check that say the same of several columns, or a single one."""

    severity: str
    subject: str
    sentence: str
    remedy: str
    check: str


def condensed(found: Sequence[Finding], most: int = 5) -> list[Line]:
    """The findings in order; more than `most` notes of one check become one line."""
    groups: dict[str, list[Finding]] = {}
    for one in found:
        if one.severity == "note":
            groups.setdefault(one.check, []).append(one)
    lines, done = [], set()
    for one in found:
        group = groups.get(one.check, [])
        if one.severity != "note" or len(group) <= most:
            lines.append(Line(one.severity, one.subject, one.sentence, one.remedy, one.check))
        elif one.check not in done:
            done.add(one.check)
            lines.append(_together(group))
    return lines


def _together(group: list[Finding]) -> Line:
    first = group[0]
    subjects = list(dict.fromkeys(one.subject for one in group))
    if len(subjects) == 1:
        sentence = f"{len(group)} times; the first: {first.sentence}"
        return Line("note", first.subject, sentence, first.remedy, first.check)
    sentence = f"{_some_of(subjects)}; the first: {first.sentence}"
    return Line("note", f"({len(subjects)} columns)", sentence, first.remedy, first.check)


def _some_of(names: list[str]) -> str:
    """The first names, as many as a line has room for, and how many more there are."""
    short = [name if len(name) <= _NAME else name[: _NAME - 1] + "…" for name in names]
    shown = max(1, sum(reach <= _LINE for reach in accumulate(len(name) + 2 for name in short)))
    return listed(short, "and", min(shown, _NAMED))


def write_check_page(path: Path, audit: Audit, table: str) -> None:
    """Write the page of a check, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    gaps = sorted((one for one in audit.columns if one.missing > 0), key=lambda one: -one.missing)
    bars = [(one.name, 100 * one.missing, 0.0) for one in gaps[:_BARS]]
    _write(
        path,
        "check.html.j2",
        {
            "title": f"Check of {table}",
            "audit": audit,
            "lines": condensed(audit.findings),
            "counts": counted(audit.findings),
            "gaps": charts.bar_chart(bars, "per cent missing") if bars else None,
            "more_gaps": max(0, len(gaps) - _BARS),
            "sparks": {one.name: spark(one.bars) for one in audit.columns},
        },
    )


def write_drift_page(path: Path, report: DriftReport | None, table: str, watch: Watch | None = None) -> None:
    """Write the page of drift, or of a model's monitoring, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    moved = [] if report is None else [one for one in report.columns if one.psi >= 0.005][:_BARS]
    bars = [(one.name, one.psi, 0.0) for one in moved]
    _write(
        path,
        "drift.html.j2",
        {
            "title": f"Drift of {table}",
            "report": report,
            "watch": watch,
            "lines": [] if report is None else condensed(report.findings),
            "counts": [] if report is None else counted(report.findings),
            "chart": charts.bar_chart(bars, "population stability index") if bars else None,
        },
    )


def counted(found: Sequence[Finding]) -> list[tuple[str, int]]:
    """How many of each severity, the gravest first."""
    counts = [(severity, sum(one.severity == severity for one in found)) for severity in SEVERITIES]
    return [(severity if n == 1 else _NAMES[severity], n) for severity, n in counts if n]


def spark(bars: Sequence[int]) -> Markup:
    """A tiny histogram."""
    from markupsafe import Markup

    if not bars:
        return Markup("")
    top, width = max(max(bars), 1), 100 / max(len(bars), 4)
    heights = np.maximum(np.asarray(bars, dtype=float) / top * 22, [1.0 if n else 0.0 for n in bars])
    parts = [
        f'<rect class="bar" x="{i * width:.1f}" y="{24 - h:.1f}" width="{width - 1:.1f}" height="{h:.1f}"/>'
        for i, h in enumerate(heights.tolist())
        if h
    ]
    return Markup(f'<svg class="spark" viewBox="0 0 100 24" aria-hidden="true">{"".join(parts)}</svg>')


def _write(path: Path, template: str, context: dict[str, Any]) -> None:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("rung.tabular.audit"), autoescape=True, undefined=StrictUndefined
    )
    made = datetime.now().astimezone().strftime("%d %B %Y, %H:%M").lstrip("0")
    page = pages.get_template(template).render(made=made, version=__version__, **context)
    write_text(path, page, "--report")
