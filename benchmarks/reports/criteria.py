"""What rung's default is to be in the comparison, and whether the rows say that it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from benchmarks.experiments import experiment
from benchmarks.experiments.judging import of
from benchmarks.experiments.rows import Row
from benchmarks.reports import deciding
from benchmarks.reports.field import BOHBS, MAIN, Field, reached, shared, whole, workers_of
from benchmarks.reports.markdown import listed, number, table
from benchmarks.reports.ranks import Curves, mean_ranks

_TENTH: Final = 10.0
_OWN: Final = "rung "  # how the names of rung's other methods begin: they are no peers

Line = tuple[str, str, str]


def told(rows: Sequence[Row], fields: Sequence[Field]) -> Iterator[str]:
    """A table of what is asked, what was measured and whether it is met."""
    lines: list[Line] = []
    for field in fields:
        lines += [*_ranks(field), *_half(field)]
    lines += [_class(rows), _hpbandster(rows)]
    counts = Counter(met for *_, met in lines)
    yield (
        f"Of {len(lines)} things asked: {counts[_met(True)]} met, {counts[_met(False)]} **not met**, "
        f"{counts[_met(None)]} not measured.\n"
    )
    yield table(("asked of rung's default", "measured", "met"), lines, 3)


def _met(known: bool | None) -> str:
    return "not measured" if known is None else "**yes**" if known else "**no**"


def _ranks(field: Field) -> Iterator[Line]:
    """Among the systems that ran on every problem; then beside each of the others, on those that it has."""
    names = sorted({row.system for row in field.rows})
    full = whole(field)
    absent = sorted({one for plan in experiment("ahead").full for one in plan.systems} - set(full))
    without = f" ({listed(absent)} did not)" if absent else ""
    said = f"the best mean rank on the way of those that ran on every problem, {workers_of(field)}{without}"
    ranks = _means(field.spent, full)
    if MAIN not in ranks or len(full) < 2:
        yield said, "", _met(None)
    else:
        best, other = min((ranks[name], name) for name in full if name != MAIN)
        place = 1 + sum(ranks[name] < ranks[MAIN] for name in full)
        measured = f"{ranks[MAIN]:.2f}, place {place} of {len(full)}; {other} {best:.2f}"
        yield said, measured, _met(ranks[MAIN] <= best)
    for name in names:
        if name not in full and (problems := shared(field, name)):
            there = _means({problem: field.spent[problem] for problem in problems}, [*full, name])
            on = f"{len(problems)} of {len(field.spent)} problems"
            yield (
                f"no worse a mean rank than {name} on the problems that it ran on, {workers_of(field)}",
                f"{there[MAIN]:.2f}, {name} {there[name]:.2f} on {on}",
                _met(there[MAIN] <= there[name]),
            )


def _means(table: Curves, names: Sequence[str]) -> dict[str, float]:
    return {name: float(way.mean()) for name, way in mean_ranks(table, names).items()}


def _half(field: Field) -> Iterator[Line]:
    shares = reached(field)
    for name in BOHBS:
        found = [one[name] for one in shares.values() if name in one]
        said = (
            f"half of the resource for what {name} has in the end, on two thirds of the problems with a "
            f"resource, {workers_of(field)}"
        )
        good = sum(share <= 0.5 for share in found)
        measured = f"{good} of {len(found)} problems" if found else ""
        yield said, measured, _met(3 * good >= 2 * len(found) if found else None)


def _class(rows: Sequence[Row]) -> Line:
    """Beside the cheapest peer whose model is of rung's class."""
    mine = deciding.model(MAIN)
    said = f"decides no longer than the cheapest peer with such a model ({deciding.SAME.get(mine, mine)})"
    peers = {row.system for row in rows if not f"{row.system} ".startswith(_OWN)}
    found = {name: deciding.ratio(rows, name) for name in peers if deciding.model(name) == mine}
    known = sorted((ratio, name) for name, ratio in found.items() if ratio is not None)
    if not known:
        return said, "", _met(None)
    ratio, name = known[0]
    return said, f"{name} takes {_times(rows, name)}", _met(ratio >= 1.0)


def _times(rows: Sequence[Row], name: str) -> str:
    """How many times as long, and of how many searches that is the median."""
    found = deciding.ratios(rows, name)
    searches = f"{len(found)} search{'es' * (len(found) > 1)}"
    return f"{number(float(np.median(found)))} times as long ({searches})"


def _hpbandster(rows: Sequence[Row]) -> Line:
    said = "decides in a tenth of hpbandster's time on counting ones 8 + 8, one worker"
    alone = of(rows, "counting ones 8+8", workers=1)
    ratio = deciding.ratio(alone, "hpbandster")
    if ratio is None:
        return said, "", _met(None)
    return said, f"hpbandster takes {_times(alone, 'hpbandster')}", _met(ratio >= _TENTH)
