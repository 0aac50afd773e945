"""What an experiment planned and what of it is there, told from the plans and the rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.experiments import Experiment
from benchmarks.experiments.rows import Row, key
from benchmarks.reports.markdown import listed, minutes, span


def about(name: str, one: Experiment, rows: Sequence[Row]) -> str:
    """The head of an experiment's section: what ran, how to run it, how long it took, what is not there."""
    parts = [f"## {name}\n\n{one.what[0].upper()}{one.what[1:]}.\n"]
    if rows:
        seconds = sum(row.wall for row in rows)
        seeds = Counter((row.system, row.problem, row.workers, row.budget, row.variant) for row in rows)
        parts.append(
            f"{len(rows)} searches, {_seeds(set(seeds.values()))} of each, {minutes(seconds)} of wall time: "
            f"`python -m benchmarks.experiments run {name}`.\n"
        )
    else:
        parts.append(f"Not run yet: `python -m benchmarks.experiments run {name}`.\n")
    missing = list(gaps(one, rows)) if rows else []
    if missing:
        parts.append(f"Not there: {'; '.join(missing)}.\n")
    return "\n".join(parts)


def gaps(one: Experiment, rows: Sequence[Row]) -> Iterator[str]:
    """What the full form has and the rows have not: whole problems, then whole systems, then the rest."""
    there = {_told(row.key) for row in rows}
    planned = {_told(key(*run, largest=1)) for plan in one.full for run in plan.runs()}
    absent = planned - there
    for part, kind in ((1, "problem"), (0, "system")):
        whole = sorted(_whole(planned, absent, part))
        if whole:
            yield f"any search of the {kind}{'s' * (len(whole) > 1)} {listed(whole)}"
        absent = {known for known in absent if known[part] not in whole}
    counts = Counter(str(known[0]) for known in absent)
    if counts:
        of = Counter(str(known[0]) for known in planned)
        yield listed([f"{count} of {of[name]} searches of {name}" for name, count in sorted(counts.items())])


def _seeds(counts: set[int]) -> str:
    return f"{span(counts)} seed{'s' * (counts != {1})}"


def _told(known: Sequence[object]) -> tuple[object, ...]:
    """A search's key without its budget, which only the problem itself knows."""
    return (*known[:4], *known[5:])


def _whole(
    planned: set[tuple[object, ...]],
    absent: set[tuple[object, ...]],
    part: int,
) -> set[str]:
    """Those of which nothing is there."""
    there = {str(known[part]) for known in planned - absent}
    return {str(known[part]) for known in absent} - there
