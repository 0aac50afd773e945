"""Experiments: which systems search which problems, how often, and what a paper claims of the outcome.

Each module has `ENTRIES`, from an experiment's name to an `Experiment`. `python -m benchmarks.experiments`
runs them; `benchmarks.reports` makes tables and pictures of their rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

from benchmarks.entries import collect, pick
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting


class Plan(NamedTuple):
    """Every system on every problem in every setting, with seeds 0, 1, ...; all systems of one seed first.

    `settings` hold anything but the seed.
    """

    problems: tuple[str, ...]
    systems: tuple[str, ...]
    settings: tuple[Setting, ...]
    seeds: int

    def runs(self) -> Iterator[tuple[str, str, Setting]]:
        """(system, problem, setting) of each search."""
        for seed, name, setting, system in product(
            range(self.seeds), self.problems, self.settings, self.systems
        ):
            yield system, name, setting._replace(seed=seed)


class Claim(NamedTuple):
    """What a paper claims, and what was measured.

    Attributes:
        claim: in a sentence.
        source: paper and section.
        measured: the figures, in words.
        verdict: "holds", "fails" or "unclear", by the test that `test` names.
        test: such as "Wilcoxon signed-rank, p = 0.002, n = 30".
    """

    claim: str
    source: str
    measured: str
    verdict: str
    test: str


class Experiment(NamedTuple):
    """An experiment.

    Attributes:
        what: in a sentence, with the paper's section.
        full, quick: its two forms; each a plan, or several.
        minutes: that the full form takes on two cores.
        claims: what the rows say of the paper's claims; it must do with rows that are not all there.
    """

    what: str
    full: tuple[Plan, ...]
    quick: tuple[Plan, ...]
    minutes: float
    claims: Callable[[Sequence[Row]], list[Claim]] = lambda rows: []


@cache
def experiments() -> Mapping[str, Experiment]:
    """All experiments, by name."""
    return collect(sys.modules[__name__])


def experiment(name: str) -> Experiment:
    """The experiment of this name; ValueError if there is none."""
    found: Experiment = pick(experiments(), name, "experiment")
    return found
