"""Samplers that learn as they go: `anneal`, `genetic`, `evolution`, `dehb`, `cmaes`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from benchmarks.conformance.lab import Lab
from benchmarks.conformance.rule import Asked, Cannot, Outcome, Rule, expect, listed
from rung.samplers.anneal import AnnealSampler
from rung.samplers.cmaes import CmaesSampler
from rung.samplers.dehb import DehbSampler, cross, hyperband_sizes, inside, pick
from rung.samplers.evolution import EvolutionSampler
from rung.samplers.genetic import GeneticSampler
from rung.space.compiled import compile_space
from rung.space.domains import Float
from rung.trials.history import Result

SQUARE: Final = compile_space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
FIVE: Final = compile_space({f"x{i}": Float(0.0, 1.0) for i in range(5)})


def _bowl(config: Mapping[str, Any]) -> float:
    return float(sum((value - 0.3) ** 2 for value in config.values()))


# -- annealing, populations --------------------------------------------------------------------------------


def _metropolis() -> Outcome:
    """A chain at 0.5, and 20,000 results that are worse by the temperature: exp(-1) of them are accepted."""
    sampler = AnnealSampler(initial_trials=8, heat=1.0, cooling=1.0)
    lab = Lab(sampler=sampler, space=SQUARE, resource=None).random(40, _bowl)
    state = lab.history.sampler
    current = state.standing(state.current).value
    temperature = sampler.temperature(state, 1)
    worse = [Result(1000 + n, 1, current + temperature, 0) for n in range(20_000)]
    part = sum(sampler.accepts(state, result) for result in worse) / len(worse)
    better = sampler.accepts(state, Result(1000, 1, current - 1e-9, 0))
    text = f"{part:.3f} of those worse by T accepted, exp(-1) = {math.exp(-1):.3f}; a better one: {better}"
    return Outcome(text, abs(part - math.exp(-1)) < 0.01 and better)


def _tournament() -> Outcome:
    """The frequency with which each member of ten wins a tournament of two."""
    sampler = GeneticSampler(population=10, tournament=2, crossover=0.0)
    lab = Lab(sampler=sampler, space=SQUARE, resource=None).random(10, _bowl)
    parents = Counter(lab.suggest(100 + n).origin.parent for n in range(4000))
    order = [member.trial for member in lab.history.sampler.members]
    found = [parents[trial] / 4000 for trial in order]
    wanted = [(2 * (10 - k) - 1) / 100 for k in range(10)]
    text = f"best {found[0]:.3f}, second {found[1]:.3f}, last {found[9]:.3f} (0.19, 0.17, 0.01)"
    return Outcome(text, max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 0.02)


def _elitist() -> Outcome:
    lab = Lab(sampler=GeneticSampler(), space=SQUARE, resource=None).follow(120, _bowl)
    best = min(range(120), key=lambda trial: lab.history.latest[trial])
    kept = lab.history.sampler.members[0].trial
    return expect(kept, best, "after 120 trials the best of all is in the population")


def _ageing() -> Outcome:
    lab = Lab(sampler=EvolutionSampler(population=3, sample=3), space=SQUARE, resource=None)
    for trial, value in enumerate((0.0, 1.0, 2.0, 3.0)):
        lab.trial(SQUARE.sample(0, trial), value)
    return _members(list(lab.history.sampler.members))


def _members(found: list[int]) -> Outcome:
    text = f"of trials 0 (the best), 1, 2, 3 in turn, the population of 3 holds {sorted(found)}"
    return Outcome(text, sorted(found) == [1, 2, 3])


def _one_change() -> Outcome:
    sampler = EvolutionSampler(population=5, sample=2)
    lab = Lab(sampler=sampler, space=FIVE, resource=None).random(10, _bowl)
    changes = []
    for number in range(200):
        values, origin = lab.suggest(100 + number)
        before = lab.history.values[origin.parent]
        changes.append(sum(a != b for a, b in zip(values, before, strict=True)))
    return expect(set(changes), {1}, f"{listed(sorted(set(changes)))} of 5 parameters changed, 200 times")


def _read_changes(answer: Mapping[str, Any]) -> Outcome:
    found = sorted(set(answer["changes"]))
    return Outcome(f"{listed(found)} of 5 parameters changed, 200 times", found == [1])


# -- differential evolution --------------------------------------------------------------------------------


def _mutation() -> Outcome:
    """v = r1 + F (r2 - r3) of three different ones: seen from a child that is all mutant (CR = 1)."""
    sampler = DehbSampler(crossover=1.0, population=4)
    lab = Lab(sampler=sampler, space=FIVE, resource=None).random(4, _bowl)
    points = np.array([lab.history.values[trial] for trial in range(4)])
    right = 0
    for number in range(100):
        child = np.array(lab.suggest(100 + number).values)
        right += _is_mutant(child, points)
    return expect(
        right, 100, f"{right} of 100 children are r1 + 0.5 (r2 - r3), but where that leaves the cube"
    )


def _is_mutant(child: Any, points: Any) -> bool:
    n = range(len(points))
    for a, b, c in ((a, b, c) for a in n for b in n for c in n if len({a, b, c}) == 3):
        mutant = points[a] + 0.5 * (points[b] - points[c])
        outside = (mutant < 0) | (mutant > 1)
        if np.allclose(child[~outside], mutant[~outside]) and (~outside).any():
            return True
    return False


def _crossover() -> Outcome:
    generator = np.random.default_rng(0)
    target, mutant = np.zeros(20), np.ones(20)
    none = [int(cross(target, mutant, 0.0, generator).sum()) for _ in range(100)]
    half = float(np.mean([cross(target, mutant, 0.5, generator).mean() for _ in range(500)]))
    return _crossed(none, half)


def _crossed(none: list[int], half: float) -> Outcome:
    text = f"CR = 0: {listed(sorted(set(none)))} coordinate of the mutant; CR = 0.5: {half:.2f} of all"
    return Outcome(text, set(none) == {1} and abs(half - 0.5) < 0.02)


def _boundary() -> Outcome:
    generator = np.random.default_rng(0)
    point = np.tile([0.4, 1.7, -0.2], 500)
    fixed = inside(point, generator).reshape(500, 3)
    kept, drawn = bool((fixed[:, 0] == 0.4).all()), fixed[:, 1:].ravel()
    three = pick(np.zeros((4, 2)), np.zeros((0, 2)), generator)
    assert three is not None
    return _repaired(kept, float(drawn.mean()), float(drawn.min()), float(drawn.max()))


def _repaired(kept: bool, mean: float, low: float, high: float) -> Outcome:
    text = f"what lies outside is drawn anew: mean {mean:.2f}, from {low:.2f} to {high:.2f}; the rest stays"
    return Outcome(text, kept and abs(mean - 0.5) < 0.03 and 0 <= low < 0.02 and 0.98 < high <= 1)


def _subpopulations() -> Outcome:
    found = list(hyperband_sizes(5, 3)[0])
    return expect(found, [81, 34, 15, 8, 5], f"{listed(found)} individuals at 1, 3, 9, 27, 81")


def _read_subpopulations(answer: Mapping[str, Any]) -> Outcome:
    found = [int(size) for size in answer["sizes"]]
    return Outcome(f"{listed(found)} individuals at 1, 3, 9, 27, 81", found == [81, 34, 15, 8, 5])


# -- CMA-ES ------------------------------------------------------------------------------------------------


def _generations() -> Outcome:
    """Mean and covariance after five generations, by the library fed with the study's own trials."""
    from cmaes import CMAwM

    lab = Lab(sampler=CmaesSampler(), space=FIVE, resource=None)
    state = lab.history.sampler
    size = state.now.population
    lab.follow(5 * size, _bowl)
    bounds, steps = np.array([[0.0, 1.0]] * 5), np.zeros(5)
    library = CMAwM(np.full(5, 0.5), 1 / 6, bounds, steps, population_size=size, seed=0)
    for generation in range(5):
        trials = range(generation * size, (generation + 1) * size)
        library.tell([(np.array(lab.history.values[t]), float(lab.history.latest[t])) for t in trials])
    ours = state.now._library
    gap = max(np.abs(ours.mean - library.mean).max(), np.abs(ours._cma._C - library._cma._C).max())
    near = "within" if gap < 1e-9 else "beyond"
    text = f"after 5 generations of {size} mean and covariance {near} 1e-9 of the library's"
    return Outcome(text, bool(gap < 1e-9) and state.age == 5)


def _population() -> Outcome:
    sizes = []
    for d in (2, 5, 20):
        space = compile_space({f"x{i}": Float(0.0, 1.0) for i in range(d)})
        sizes.append(Lab(sampler=CmaesSampler(), space=space).history.sampler.now.population)
    return _populations(sizes)


def _populations(found: list[int]) -> Outcome:
    return Outcome(
        f"{listed(found)} for d = 2, 5, 20", found == [4 + int(3 * math.log(d)) for d in (2, 5, 20)]
    )


def _failed() -> Outcome:
    """Every third result is missing: these draws are the worst of their generation."""
    lab = Lab(sampler=CmaesSampler(), space=FIVE, resource=None)
    for number in range(80):
        values, origin = lab.suggest()
        lab.trial(values, None if number % 3 == 2 else _bowl(FIVE.to_mapping(values)), 1, origin)
    age = lab.history.sampler.age
    return Outcome(f"80 trials, a third failed: all count, in {age} generations of 8", age == 10)


def _read_failed(answer: Mapping[str, Any]) -> Outcome:
    text = f"80 trials, a third failed: {answer['told']} of 80 are told to the distribution"
    return Outcome(text, answer["told"] == 80)


AWAD: Final = "Awad et al. 2021"
RULES: Final = (
    Rule(
        "anneal",
        "acceptance",
        "a move that is worse by d is accepted with probability exp(-d / T), a better one always",
        "Kirkpatrick et al. 1983; Metropolis et al. 1953",
        _metropolis,
        (Cannot("optuna", "has it in OptunaHub only"),),
    ),
    Rule(
        "genetic",
        "tournament",
        "rank k of n wins a tournament of two with probability (2 (n - k) + 1) / n^2",
        "Goldberg & Deb 1991",
        _tournament,
    ),
    Rule(
        "genetic",
        "the best survives",
        "the worst member leaves, so that the best is never lost",
        "Whitley 1989, GENITOR",
        _elitist,
    ),
    Rule(
        "evolution",
        "the oldest dies",
        "a child enters, the oldest member dies, however good it is",
        "Real et al. 2019, Algorithm 1",
        _ageing,
        (Asked("syne-tune", "ageing", lambda answer: _members(answer["members"])),),
    ),
    Rule(
        "evolution",
        "mutation",
        "a child differs from its parent by one change",
        "Real et al. 2019, Algorithm 1",
        _one_change,
        (Asked("syne-tune", "mutation", _read_changes),),
    ),
    Rule(
        "dehb",
        "mutation",
        "v = r1 + F (r2 - r3), three different individuals",
        AWAD + ", section 3",
        _mutation,
        (
            Asked(
                "dehb", "mutation", lambda answer: expect(answer["gap"] < 1e-12, True, "r1 + 0.5 (r2 - r3)")
            ),
        ),
    ),
    Rule(
        "dehb",
        "crossover",
        "each coordinate is the mutant's with probability CR, one at least",
        AWAD + ", section 3",
        _crossover,
        (Asked("dehb", "crossover", lambda answer: _crossed(answer["none"], answer["half"])),),
    ),
    Rule(
        "dehb",
        "boundary",
        "a coordinate outside [0, 1] is drawn anew, uniformly",
        AWAD + ", and the authors' code",
        _boundary,
        (
            Asked(
                "dehb",
                "boundary",
                lambda answer: _repaired(*(answer[k] for k in ("kept", "mean", "low", "high"))),
            ),
        ),
    ),
    Rule(
        "dehb",
        "sub-populations",
        "as many individuals at a fidelity as Hyperband runs there at most",
        AWAD + ", section 4.1",
        _subpopulations,
        (Asked("dehb", "subpopulations", _read_subpopulations),),
    ),
    Rule(
        "cmaes",
        "mean and covariance",
        "rank-one and rank-mu update of mean, width and covariance",
        "Hansen 2016; the `cmaes` library",
        _generations,
    ),
    Rule(
        "cmaes",
        "population",
        "lambda = 4 + floor(3 ln d)",
        "Hansen 2016, Table 1",
        _population,
        (Asked("optuna", "population", lambda answer: _populations(answer["sizes"])),),
    ),
    Rule(
        "cmaes",
        "failed trials",
        "left open; a draw that failed ranks last",
        "Hansen 2016 (ranks only count)",
        _failed,
        (Asked("optuna", "cmaes_failed", _read_failed),),
    ),
)
