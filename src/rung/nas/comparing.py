"""Strategies beside each other: the same seeds, searched, derived and retrained alike, with paired tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np

from rung.errors import UserError
from rung.nas.result import SearchResult

BASELINE: Final = "random"  # what every claim must beat, where it is among the strategies


@dataclass(frozen=True)
class Row:
    """One search of a comparison.

    Attributes:
        strategy, seed: which.
        retrained: error (or, of text, loss in nats) of the derived network after its training from scratch.
        searched, derived: of the supernet, and of the derived network with its weights.
        parameters: of the network that was retrained.
        seconds, passes, images, multiply_adds: cost of the search.
        gap_outputs: the relaxation gap, see `rung.nas.result.Gap`.
        genotype: in its JSON form.
    """

    strategy: str
    seed: int
    retrained: float | None
    searched: float | None
    derived: float | None
    parameters: int
    seconds: float
    passes: int
    images: int
    multiply_adds: float
    gap_outputs: float | None
    genotype: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(form: Mapping[str, Any]) -> Row:
        """The inverse; what is not a row's is left out."""
        return Row(**{f.name: form[f.name] for f in fields(Row)})

    @staticmethod
    def of(result: SearchResult) -> Row:
        """Of a search."""
        words = bool(result.perplexity)
        given: Mapping[str, float | None] = result.perplexity if words else asdict(result.accuracy)
        values = {
            name: None if v is None else (math.log(v) if words else 1.0 - v) for name, v in given.items()
        }
        cost = result.cost
        return Row(
            result.strategy,
            result.seed,
            values["retrained"],
            values["searched"],
            values["derived"],
            result.parameters,
            cost["seconds"],
            cost["passes"],
            cost["images"],
            cost["multiply_adds"],
            result.relaxation_gap.outputs,
            result.genotype.to_dict(),
        )


@dataclass(frozen=True)
class Line:
    """A strategy in the table of a comparison.

    Attributes:
        strategy: its name.
        seeds: how many searches.
        error, spread: mean and standard deviation of the retrained error over seeds.
        best: the least of them.
        parameters: mean.
        seconds, multiply_adds: mean cost of a search.
        gap: mean of the largest difference of outputs.
        difference, p: mean of the paired differences of error to the baseline's, and the two-sided p of the
            exact sign-flip test; None for the baseline, or without seeds in common.
    """

    strategy: str
    seeds: int
    error: float
    spread: float
    best: float
    parameters: float
    seconds: float
    multiply_adds: float
    gap: float | None
    difference: float | None = None
    p: float | None = None


def runs(strategies: Sequence[str], seeds: int, done: Iterable[Row] = ()) -> list[tuple[str, int]]:
    """(strategy, seed) that have no row yet: all strategies of a seed before the next seed."""
    known = {(row.strategy, row.seed) for row in done}
    return [(name, seed) for seed in range(seeds) for name in strategies if (name, seed) not in known]


def compare(
    strategies: Sequence[str],
    seeds: int,
    one: Callable[[str, int], SearchResult],
    done: Iterable[Row] = (),
) -> Iterator[Row]:
    """The rows that are missing, as they come.

    Args:
        one: searches with a strategy and a seed.
        done: rows that there are.

    Raises:
        UserError: no strategy, or no seed.
    """
    if not strategies or seeds < 1:
        raise UserError("a comparison needs at least one strategy and one seed")
    for name, seed in runs(strategies, seeds, done):
        yield Row.of(one(name, seed))


def table(rows: Sequence[Row], baseline: str = BASELINE) -> list[Line]:
    """One line a strategy, the best mean error first."""
    names = list(dict.fromkeys(row.strategy for row in rows))
    errors = {
        name: {r.seed: r.retrained for r in rows if r.strategy == name and r.retrained is not None}
        for name in names
    }
    lines = []
    for name in names:
        own, values = [r for r in rows if r.strategy == name], np.array(list(errors[name].values()))
        if not len(values):
            continue
        gaps = [r.gap_outputs for r in own if r.gap_outputs is not None]
        difference, p = None, None
        if name != baseline and baseline in errors:
            pairs = [errors[name][s] - errors[baseline][s] for s in errors[name] if s in errors[baseline]]
            if pairs:
                difference, p = float(np.mean(pairs)), sign_flip(pairs)
        lines.append(
            Line(
                strategy=name,
                seeds=len(values),
                error=float(values.mean()),
                spread=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
                best=float(values.min()),
                parameters=float(np.mean([r.parameters for r in own])),
                seconds=float(np.mean([r.seconds for r in own])),
                multiply_adds=float(np.mean([r.multiply_adds for r in own])),
                gap=float(np.mean(gaps)) if gaps else None,
                difference=difference,
                p=p,
            )
        )
    return sorted(lines, key=lambda line: line.error)


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p of the hypothesis that paired differences are as often negative as positive.

    Exact over all 2^n signs up to n = 16, from 65,536 random ones after that (Fisher 1935). With n pairs it
    cannot be under 2^(1 - n).
    """
    d = np.asarray(differences, dtype=float)
    if not len(d) or not d.any():
        return 1.0
    if len(d) <= 16:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(d))))
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(65536, len(d)))
    means = np.abs(signs @ d) / len(d)
    return float(np.mean(means >= abs(d.mean()) - 1e-12))
