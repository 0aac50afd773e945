"""Whether what a paper claims holds in the rows: paired tests, equivalence within a margin, speed-ups.

Searches are paired where problem, seed and setting are the same; what is compared is the logarithm of the
regret. Regrets below a thousandth of what a problem's first incumbents have count as that thousandth, and
where a search had no incumbent yet it counts as the worst of its problem's first incumbents.

The thresholds stand here, and were chosen before rows were looked at; where an experiment has one of its own
that was not, its docstring says so:
- p < 0.05 in the claim's direction holds, in the other direction fails, all else is unclear
  (Wilcoxon's signed-rank test, one-sided each way);
- "not behind" and "as good as" allow a quarter more regret (`MARGIN`);
- near-linear is at least 0.7 of linear (`LINEAR`), by the 95 % interval of a bootstrap over the seeds.

Nothing here raises for rows that are few or missing: the verdict is unclear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp, inf, isfinite, log
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments import Claim
from benchmarks.experiments.rows import Row

MARGIN: Final = 1.25
LINEAR: Final = 0.7
_LEVEL: Final = 0.05
_FLOOR: Final = 1e-3
_DRAWS: Final = 2000  # of the bootstrap

Measure = Callable[[Row], float | None]
"""Something of a row, None where it has none."""


class Said(NamedTuple):
    """A paper's claim, in a sentence, and where it stands."""

    claim: str
    source: str

    def found(self, verdict: str, measured: str, test: str) -> Claim:
        """With what was measured."""
        return Claim(self.claim, self.source, measured, verdict, test)


class Group(NamedTuple):
    """Systems that are compared as one, by their mean logarithm of regret, at a moment of their search."""

    systems: tuple[str, ...]
    at: Measure


def group(*systems: str, at: Measure | None = None) -> Group:
    """Systems at a moment, at the end if told none."""
    return Group(systems, at or at_end)


def at_end(row: Row) -> float | None:
    """The regret of the last incumbent."""
    return row.regret(inf)


def at_share(share: float) -> Measure:
    """The regret when so much of the resource was spent."""
    return lambda row: row.regret(share * row.budget)


def at_moment(seconds: float) -> Measure:
    """The regret at a moment of virtual time."""
    return lambda row: row.regret_at(seconds)


# -- pairs ------------------------------------------------------------------------------------------------


class Scale(NamedTuple):
    """Of a problem: the least and the largest regret that are told apart."""

    least: float
    worst: float

    def log(self, regret: float | None) -> float:
        """Of a regret, or of no incumbent yet."""
        return log(self.worst if regret is None else min(max(regret, self.least), self.worst))


def differences(rows: Sequence[Row], first: Group, second: Group) -> NDArray[np.float64]:
    """The logarithm of the first group's regret over the second's, of each search that all of them ran."""
    known = scales(rows)
    mine, other = _logs(rows, first, known), _logs(rows, second, known)
    return np.array([mine[key] - other[key] for key in mine if key in other])


def scales(rows: Sequence[Row]) -> dict[str, Scale]:
    """By problem; none for one of which no search has an incumbent."""
    firsts: dict[str, list[float]] = {}
    for row in rows:
        known = row.points[0][3] - row.optimum if row.points else inf
        if isfinite(known):
            firsts.setdefault(row.problem, []).append(max(known, 0.0))
    return {
        name: Scale(max(_FLOOR * float(np.median(known)), 1e-12), max(*known, 1e-12))
        for name, known in firsts.items()
    }


def _logs(rows: Sequence[Row], wanted: Group, known: Mapping[str, Scale]) -> dict[tuple[Any, ...], float]:
    """By search without its system: the mean logarithm, where all the group's systems have a row."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        if row.system in wanted.systems and row.problem in known:
            found.setdefault(row.key[1:], []).append(known[row.problem].log(wanted.at(row)))
    return {key: float(np.mean(logs)) for key, logs in found.items() if len(logs) == len(wanted.systems)}


def paired(rows: Iterable[Row], first: str, second: str, measure: Measure) -> NDArray[np.float64]:
    """Pairs of something else than regret, (searches, 2); those of which one is None are left out."""
    sides: tuple[dict[tuple[Any, ...], float], ...] = ({}, {})
    for row in rows:
        value = measure(row) if row.system in (first, second) else None
        if value is not None:
            sides[row.system == second][row.key[1:]] = value
    both = [(sides[0][key], sides[1][key]) for key in sides[0] if key in sides[1]]
    return np.array(both, dtype=np.float64).reshape(-1, 2)


# -- verdicts ---------------------------------------------------------------------------------------------


def below(values: NDArray[np.float64], bound: float = 0.0) -> float:
    """The p of Wilcoxon's signed-rank test that the values lie below a bound; 1 without any that differ.

    Exact, with the mean rank where sizes are equal: the share of all signs that these ranks could have whose
    positive ones add up to no more.
    """
    shifted = np.asarray(values, dtype=np.float64) - bound
    shifted = shifted[np.isfinite(shifted) & (np.abs(shifted) > 1e-12)]
    _, group_of, sizes = np.unique(np.abs(shifted).round(12), return_inverse=True, return_counts=True)
    twice = (2 * sizes.cumsum() - sizes + 1)[group_of]  # each one's rank, doubled: a whole number
    chances = np.zeros(twice.sum() + 1)
    chances[0] = 1.0
    for rank in twice:
        chances[rank:] += chances[:-rank].copy()
        chances /= 2.0
    return min(1.0, float(chances[: twice[shifted > 0].sum() + 1].sum()))


def less(said: Said, values: NDArray[np.float64], measured: str) -> Claim:
    """Whether the values lie below 0."""
    holds, fails = below(values), below(-values)
    verdict = "holds" if holds < _LEVEL else "fails" if fails < _LEVEL else "unclear"
    p = fails if verdict == "fails" else holds
    return said.found(verdict, measured, f"Wilcoxon signed-rank, one-sided, p = {p:.2g}, n = {len(values)}")


def ahead(said: Said, rows: Sequence[Row], first: Group, second: Group) -> Claim:
    """Whether the first has less regret than the second."""
    values = differences(rows, first, second)
    return less(said, values, _ratio(values, first, second))


def not_behind(said: Said, rows: Sequence[Row], first: Group, second: Group, margin: float = MARGIN) -> Claim:
    """Whether the first has at most `margin` times the regret of the second."""
    values = differences(rows, first, second)
    found = less(said, values - log(margin), _ratio(values, first, second))
    return found._replace(test=f"{found.test}, margin {margin:g}")


def as_good_as(said: Said, rows: Sequence[Row], first: Group, second: Group, margin: float = MARGIN) -> Claim:
    """Whether the regrets are the same but for a factor of `margin`: two one-sided tests."""
    values, bound = differences(rows, first, second), log(margin)
    inside = max(below(values, bound), below(-values, bound))
    outside = min(below(-values, -bound), below(values, -bound))  # above the margin, or under its inverse
    verdict = "holds" if inside < _LEVEL else "fails" if outside < _LEVEL else "unclear"
    p = outside if verdict == "fails" else inside
    test = f"two one-sided Wilcoxon signed-rank tests, margin {margin:g}, p = {p:.2g}, n = {len(values)}"
    return said.found(verdict, _ratio(values, first, second), test)


def _ratio(values: NDArray[np.float64], first: Group, second: Group) -> str:
    if not len(values):
        return "no search that all of them ran"
    ratio = exp(float(np.median(values)))
    return f"median regret ratio {', '.join(first.systems)} / {', '.join(second.systems)} = {ratio:.3g}"


# -- speed-ups --------------------------------------------------------------------------------------------


class Speedup(NamedTuple):
    """How many times sooner so many workers reach a regret than one does, with its 95 % interval."""

    workers: int
    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.3g} ({self.low:.3g} to {self.high:.3g}) with {self.workers}"


def quarter_way(rows: Iterable[Row]) -> float | None:
    """The mean regret that searches with one worker have when a quarter of their time is over; None of none.

    Later on curves are flat, where noise hides what could still be gained: the time to a regret there is
    mostly luck.
    """
    alone = [row for row in rows if row.workers == 1]
    worst = _worst(alone)
    known = [row.regret_at(row.now / 4) for row in alone]
    return float(np.mean([worst if one is None else min(one, worst) for one in known])) if known else None


def speedups(rows: Sequence[Row], target: float | None = None) -> list[Speedup]:
    """Of each number of workers above 1, in searches of one system on one problem.

    As the papers read it off their pictures: the time at which the mean regret of all seeds is as small as
    `target`, else as what one worker has after a quarter of its time.
    """
    target = quarter_way(rows) if target is None else target
    if target is None or not of(rows, workers=1):
        return []
    rng, worst = np.random.default_rng(0), _worst(rows)
    alone = _times(of(rows, workers=1), target, worst, rng)
    found = []
    for workers in sorted({row.workers for row in rows} - {1}):
        together = _times(of(rows, workers=workers), target, worst, rng)
        ratios = np.zeros(len(together))  # nothing is gained by workers that never get there
        there = np.isfinite(together)
        ratios[there] = alone[there] / np.maximum(together[there], 1e-12)
        low, high = np.quantile(ratios[1:], [0.025, 0.975], method="nearest")
        found.append(Speedup(workers, float(ratios[0]), float(low), float(high)))
    return found


def _times(rows: Sequence[Row], target: float, worst: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """When the mean regret is as small: of these seeds, then of as many drawn with replacement, many times.

    inf where it never is; a seed without an incumbent counts as `worst`.
    """
    moments = np.unique([point[1] for row in rows for point in row.points])
    regrets = np.full((len(rows), len(moments)), worst)
    for one, row in zip(regrets, rows, strict=True):
        for _, moment, _, true in row.points:
            one[np.searchsorted(moments, moment) :] = min(max(true - row.optimum, 0.0), worst)
    seeds = len(rows)
    shares = (
        np.vstack([np.ones(seeds), rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=_DRAWS)]) / seeds
    )
    small = shares @ regrets <= target * (1 + 1e-9) + 1e-12  # (1 + draws, moments)
    if not len(moments):
        return np.full(len(shares), inf)
    return np.where(small.any(axis=1), moments[small.argmax(axis=1)], inf)


def _worst(rows: Sequence[Row]) -> float:
    """The largest regret of a first incumbent."""
    firsts = [row.points[0][3] - row.optimum for row in rows if row.points]
    return max((one for one in firsts if isfinite(one)), default=1.0)


def near_linear(said: Said, rows: Sequence[Row], up_to: int, target: float | None = None) -> Claim:
    """Whether speed-ups are at least `LINEAR` of linear for all numbers of workers up to one."""
    found = [one for one in speedups(rows, target) if one.workers <= up_to]
    wanted = f"95 % bootstrap interval over the seeds above {LINEAR:g} of linear, n = {len(rows)} searches"
    if not found:
        return said.found("unclear", "no searches with one worker and with several", wanted)
    shares = [(one.low / one.workers, one.high / one.workers) for one in found]
    holds = _enough(rows) and all(low >= LINEAR for low, _ in shares)
    fails = _enough(rows) and any(high < LINEAR for _, high in shares)
    verdict = "holds" if holds else "fails" if fails else "unclear"
    return said.found(verdict, "speed-up " + ", ".join(map(str, found)), wanted)


def sublinear(said: Said, rows: Sequence[Row], workers: int) -> Claim:
    """Whether so many workers are less than so many times as fast."""
    test = f"95 % bootstrap interval over the seeds below {workers}, n = {len(rows)} searches"
    found = [one for one in speedups(rows) if one.workers == workers]
    if not found:
        return said.found("unclear", "no searches with one worker and with several", test)
    (one,) = found
    below_it, above_it = _enough(rows) and one.high < workers, _enough(rows) and one.low >= workers
    return said.found("holds" if below_it else "fails" if above_it else "unclear", f"speed-up {one}", test)


def faster(said: Said, hard: Sequence[Row], simple: Sequence[Row]) -> Claim:
    """Whether the speed-up with the most workers is larger in some searches than in others."""
    first, second = speedups(hard), speedups(simple)
    test = f"95 % bootstrap intervals over the seeds apart, n = {len(hard)} and {len(simple)} searches"
    if not (first and second):
        return said.found("unclear", "no searches with one worker and with several", test)
    one, other = first[-1], second[-1]
    apart = _enough(hard) and _enough(simple)
    verdict = (
        "holds"
        if apart and one.low > other.high
        else "fails"
        if apart and one.high < other.low
        else "unclear"
    )
    return said.found(verdict, f"speed-up {one} on the hard one, {other} on the simple one", test)


def _enough(rows: Sequence[Row]) -> bool:
    """Whether each number of workers has five seeds: an interval of fewer says little."""
    counts: dict[int, int] = {}
    for row in rows:
        counts[row.workers] = counts.get(row.workers, 0) + 1
    return min(counts.values(), default=0) >= 5


def of(
    rows: Iterable[Row], problem: str | None = None, system: str | None = None, workers: int | None = None
) -> list[Row]:
    """The rows of a problem, a system, a number of workers; of all where it is None."""
    return [
        row
        for row in rows
        if problem in (None, row.problem) and system in (None, row.system) and workers in (None, row.workers)
    ]
