"""`rung methods`: every sampler, scheduler, named combination, learner and search strategy."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from rung.cli import output
from rung.cli.options import Json


class Row(NamedTuple):
    name: str
    kind: str
    line: str
    paper: str


def methods(json: Json = False) -> None:
    """List every sampler, scheduler, combination, learner, search strategy: what it does, and its paper."""
    rows = table()
    if json:
        output.print_json([row._asdict() for row in rows])
        return
    shown = output.grid("name", "kind", "what it does", "paper")
    for row in rows:
        shown.add_row(row.name, row.kind, row.line, _brief(row.paper))
    output.out().print(shown)


def _brief(paper: str) -> str:
    """Authors and year: the titles would take half of the screen; `--json` has them."""
    return re.sub(r"(\d{4}), [^;]*", r"\1", paper)


def table() -> list[Row]:
    """All methods; plug-ins of samplers and schedulers too, without loading them."""
    from rung.nas.strategies.described import COMPLETE, GRADIENT
    from rung.samplers import FAMILY
    from rung.schedulers import known_schedulers
    from rung.study.methods import METHODS
    from rung.tabular.learners.table import learners
    from rung.trials.methods import known

    rows = [
        Row(method.name, method.kind, method.line, method.paper)
        for family in (known(FAMILY), known_schedulers())
        for method in family.values()
    ]
    for name, one in METHODS.items():
        rows.append(Row(name, "combination", f"{one.sampler} + {one.scheduler}: {one.line}", one.paper))
    rows += [_learner(learner.name, learner.line) for learner in learners().values()]
    strategies = {**GRADIENT, **COMPLETE}
    rows += [Row(name, "search strategy", one.line, one.paper) for name, one in strategies.items()]
    return [row._replace(paper=row.paper.replace(" & ", ", ")) for row in rows]


def _learner(name: str, line: str) -> Row:
    """A learner's row in the words of the others: its line is a sentence, at whose end may be its paper."""
    text = line.removesuffix(".")
    cited = _CITED.search(text)
    if cited is not None:
        text = text[: cited.start()]
    first, blank, rest = text.partition(" ")
    if first.istitle() and first not in _NAMES:
        first = first.lower()
    return Row(name, "learner", first + blank + rest, "" if cited is None else cited[1])


_CITED: Final = re.compile(r" \(([^()]*\d{4})\)$")
_NAMES: Final = ("Gaussian",)  # of people
