"""The Gaussian-process sampler: what it sees, what it proposes, and that it finds what it is for."""

from __future__ import annotations

import copy
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import wilcoxon

import rung
from rung.errors import StudyError
from rung.models import process
from rung.models.torch_scope import require
from rung.samplers import gp, gp_kept, ladder, make_sampler, surrogate
from rung.samplers.base import Request
from rung.samplers.gp import GpSampler
from rung.space.compiled import CompiledSpace, compile_space
from rung.space.domains import Categorical, Choice, Float, Integer, Normal, Ordinal, Space
from rung.space.draws import Rng
from rung.space.rules import Condition, Forbidden, Is
from rung.trials.events import Constraint, Goal, JobFinished
from support.problems import BRANIN, CONDITIONAL, COUNTING_ONES, HARTMANN6, best_value

PLANE = compile_space({"x": Float(0, 1), "y": Float(0, 1)})
HARD = compile_space(
    Space(
        {
            "lr": Float(1e-5, 1, log=True),
            "n": Integer(1, 5),
            "kind": Choice({"a": {"m": Integer(1, 500, log=True), "p": Float(0, 1)}, "b": {}, "c": {}}),
            "size": Ordinal(["s", "m", "l"]),
            "deep": Float(0, 1, step=0.25),
            "flag": Categorical([True, False, None]),
        },
        [Condition("deep", "n", greater=2)],
        [Forbidden(Is("kind", equals="b") & Is("flag", equals=True))],
    )
)


def bowl(values: Any) -> float:
    return float((values[0] - 0.2) ** 2 + (values[1] - 0.7) ** 2)


def told(recorder: Any, space: CompiledSpace, count: int, loss: Any, **more: Any) -> Any:
    """A history of `count` random configurations of `space` with their losses."""
    record = recorder(None, space, **more)
    for number in range(count):
        values = space.sample(0, number)
        record.trial(values, loss(values))
    return record


def suggest(record: Any, number: int = 100, space: CompiledSpace = PLANE, **settings: Any) -> Any:
    return GpSampler(**settings).suggest(space, record.history, Request(1), Rng(0, number))


def test_it_begins_with_a_spread_design(recorder):
    record = told(recorder, PLANE, 4, bowl)
    assert suggest(record).origin == gp._SPREAD
    record.trial((0.5, 0.5), bowl((0.5, 0.5)))
    assert suggest(record).origin.model
    assert suggest(record, initial=8).origin == gp._SPREAD
    wide = compile_space({f"x{i}": Float(0, 1) for i in range(50)})
    assert suggest(told(recorder, wide, 29, bowl), space=wide).origin == gp._SPREAD
    assert suggest(told(recorder, wide, 30, bowl), space=wide).origin.model


def test_it_goes_where_losses_fall(recorder):
    record = told(recorder, PLANE, 15, bowl)
    for number in range(15, 22):
        values = suggest(record, number).values
        record.trial(values, bowl(values))
    assert min(record.history.results[1].values) < 1e-4


def test_suggestions_follow_from_the_history_with_nothing_kept(recorder):
    record = told(recorder, PLANE, 45, bowl)
    record.start((0.5, 0.5))
    before = suggest(record)
    for number in range(45, 49):
        suggest(record, number)
    process._fit.cache_clear()
    gp_kept._kept.clear()
    surrogate._inputs.clear()
    record.history = copy.deepcopy(record.history)
    assert suggest(record) == before


@pytest.mark.parametrize("loss", [lambda v: 1.0, lambda v: None, lambda v: float("nan")])
def test_without_differences_it_goes_on(recorder, loss):
    record = told(recorder, PLANE, 20, loss)
    assert suggest(record).origin.model == (loss(()) == 1.0)


def test_failed_trials_are_bad(recorder):
    """The half where trials fail is where losses fall."""
    record = told(recorder, PLANE, 25, lambda v: None if v[0] > 0.6 else 1.0 - v[0])
    assert all(suggest(record, number).values[0] < 0.75 for number in range(100, 105))


def test_pending_trials_are_kept_away_from(recorder):
    record = told(recorder, PLANE, 20, bowl)
    found = []
    for number in range(20, 26):
        found.append(suggest(record, number).values)
        record.start(found[-1])
    distances = [max(map(abs, np.subtract(a, b))) for i, a in enumerate(found) for b in found[:i]]
    assert min(distances) > 1e-3
    assert max(distances) > 0.03


def test_no_configuration_is_proposed_twice_unless_the_study_is_noisy(recorder):
    space = compile_space({"a": Categorical([0, 1, 2]), "b": Ordinal([1, 2, 3])})
    grid = [(a, b) for a in (0, 1, 2) for b in (1, 2, 3)]
    record, noisy = recorder(None, space), recorder(None, space, noisy=True)
    for values in grid[1:]:
        record.trial(values, float(sum(values)))
        noisy.trial(values, float(sum(values)))
    settings = {"initial": 2, "space": space}
    assert suggest(record, **settings).values == grid[0]
    noisy.trial(grid[0], 0.0)
    assert suggest(noisy, **settings).values == grid[0]
    assert suggest(noisy, **settings).origin.model
    record.trial(grid[0], 0.0)
    assert not suggest(record, **settings).origin.model


def hard_loss(values: Any) -> float | None:
    lr, n, kind, m, _, _, deep, flag = values
    if flag is None and n == 1:
        return None
    return abs(np.log10(lr) + 2) + n / 5 + (0.0 if kind == "a" and m > 20 else 1.0) + (deep == 0.5)


@pytest.mark.parametrize("belief", [0.0, 5.0])
def test_suggestions_for_a_hard_space_are_legal(recorder, belief):
    assert HARD.names == ("lr", "n", "kind", "m", "p", "size", "deep", "flag")
    record = told(recorder, HARD, 12, hard_loss)
    for number in range(12, 30):
        suggestion = suggest(record, number, HARD, initial=5, belief=belief)
        assert suggestion.origin.model
        assert HARD.from_mapping(HARD.to_mapping(suggestion.values)) == suggestion.values
        record.trial(suggestion.values, hard_loss(suggestion.values))
    losses = list(record.history.results[1].values)
    assert min(losses[12:]) < min(losses[:12])


def test_results_of_all_fidelities_are_modelled_for_the_largest(recorder):
    """The lower one is spread out, and the larger one, of a few alone, says the same and has another mean."""
    record = recorder()
    for number in range(30):
        record.trial(PLANE.sample(0, number), bowl(PLANE.sample(0, number)), until=3)
    assert suggest(record).origin.fidelity == 3
    for number in range(30, 34):
        values = PLANE.sample(0, number)
        record.trial(values, bowl(values) + 5.0, until=9)
    found = [suggest(record, number) for number in range(100, 104)]
    assert {each.origin.fidelity for each in found} == {9}
    assert min(bowl(each.values) for each in found) < 0.03


def test_it_does_not_follow_fidelities_that_mislead(recorder):
    """Losses fall to the other corner where trials are short."""
    record = recorder()
    for number in range(40):
        values = PLANE.sample(0, number)
        record.trial(values, bowl((1.0 - values[0], 1.0 - values[1])), until=3)
        record.trial(values, bowl(values), until=9)
    assert suggest(record).origin.fidelity == 9
    assert bowl(suggest(record).values) < 0.03


def test_cheap_jobs_get_a_cheap_search(recorder):
    record = recorder()
    sampler, request = GpSampler(), Request(3)._replace
    assert sampler._effort(record.history, request(resource=record.history.identity.resource.maximum)) == (
        512,
        6,
        30,
        200,
    )
    cheap = sampler._effort(record.history, request(resource=1))
    assert all(a <= b for a, b in zip(cheap, (512, 6, 30, 200), strict=True))
    assert cheap.candidates < 512
    few = GpSampler(candidates=20, starts=1, iterations=0, most_points=10)
    assert few._effort(record.history, request(resource=1)) == (20, 1, 0, 10)


def test_the_work_is_bounded_as_results_grow(recorder, monkeypatch):
    sizes: list[int] = []
    fit = ladder.fit

    def counted(data: Any, *rest: Any) -> Any:
        sizes.append(len(data.x))
        return fit(data, *rest)

    monkeypatch.setattr(ladder, "fit", counted)
    record = told(recorder, PLANE, 400, bowl)
    assert suggest(record, most_points=50).origin.model
    assert max(sizes) == 50
    assert len(sizes) <= 1 + np.log2(400)
    suggest(record, most_points=50)
    assert len(sizes) <= 1 + np.log2(400)


def test_above_some_numbers_there_is_a_trust_region(recorder):
    space = compile_space({f"x{i}": Float(0, 1) for i in range(8)})
    centre = (0.5,) * 8

    def loss(values: Any) -> float:
        return sum((v - 0.5) ** 2 for v in values)

    record = told(recorder, space, 20, loss)
    record.trial(centre, 0.0)
    for number in range(21, 53):  # four times as many failures as it takes to halve the region
        record.trial(space.sample(0, number), loss(space.sample(0, number)))
    found = [suggest(record, number, space, region_above=7).values for number in range(60, 64)]
    assert max(abs(v - 0.5) for values in found for v in values) < 0.25
    free = [suggest(record, number, space).values for number in range(60, 64)]
    assert found != free


def biobjective(values: Any) -> dict[str, float]:
    x, y = values
    return {"loss": x**2 + (y - 0.5) ** 2, "gain": 1.0 - (x - 1.0) ** 2 - (y - 0.5) ** 2}


def front_of(recorder: Any, reference: tuple[float | None, float | None], trials: int = 24) -> Any:
    goals = (Goal("loss", "min", reference[0]), Goal("gain", "max", reference[1]))
    record = recorder(None, PLANE, goals=goals)
    for number in range(trials):
        values = suggest(record, number).values
        trial = record.start(values)
        record.history.fold(JobFinished(trial, metrics=biobjective(values)))
    return record


def test_several_objectives_go_to_the_whole_front(recorder):
    record = front_of(recorder, (None, None))
    late = np.array(record.history.values[8:])
    assert np.median(np.abs(late[:, 1] - 0.5)) < 0.1  # the front is y = 1/2
    assert (np.histogram(late[:, 0], bins=4, range=(0, 1))[0] >= 1).all()


def test_beyond_the_reference_there_is_nothing_to_gain(recorder):
    record = front_of(recorder, (0.25, 0.0))  # x at most 1/2
    late = np.array(record.history.values[10:])
    assert np.mean(late[:, 0] <= 0.5) > 0.8


def test_broken_constraints_are_kept_away_from(recorder):
    record = recorder(None, PLANE, constraints=(Constraint("x", 0.5),))
    for number in range(22):
        values = suggest(record, number).values
        trial = record.start(values)
        record.history.fold(JobFinished(trial, metrics={"loss": 1.0 - values[0] + values[1], "x": values[0]}))
    late = np.array(record.history.values[8:])
    assert np.mean(late[:, 0] <= 0.5) > 0.5
    assert record.history.incumbent is not None
    assert record.history.incumbent.value < 0.56  # the best that is allowed has 0.5


def test_several_objectives_behind_a_constraint(recorder):
    goals = (Goal("loss"), Goal("gain", "max"))
    record = recorder(None, PLANE, goals=goals, constraints=(Constraint("y", 0.4),))
    for number in range(10):
        values = PLANE.sample(0, number)
        metrics = biobjective(values) | {"y": values[1]}
        record.history.fold(JobFinished(record.start(values), metrics=metrics if number else {}))
    known = GpSampler()._known(PLANE, record.history, surrogate.inputs_of(PLANE))
    assert known is not None
    kept = ~known.violated & np.isfinite(known.goals).all(axis=1)
    assert known.violated.any()
    assert (
        known.goals[known.violated & np.isfinite(known.losses)].min(axis=0) > known.goals[kept].max(axis=0)
    ).all()
    assert np.isinf(known.goals[0]).all()
    assert suggest(record).origin.model


PRIOR = compile_space({"x": Float(0, 1, prior=Normal(0.8, 0.05)), "y": Float(0, 1)})


def test_a_belief_draws_suggestions_to_it_and_is_forgotten(recorder):
    def far(count: int, belief: float) -> float:
        record = told(recorder, PLANE, count, bowl)  # the best is at 0.2, the belief at 0.8
        return abs(suggest(record, 500, PRIOR, belief=belief).values[0] - 0.8)

    assert far(10, 100.0) < 0.1 < far(10, 0.0)
    assert far(120, 1.0) > 0.4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("initial", 1),
        ("candidates", 0),
        ("starts", 0),
        ("iterations", -1),
        ("most_points", 9),
        ("most_points", 1001),
        ("belief", -1.0),
        ("region_above", 0),
    ],
)
def test_settings_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        GpSampler(**{name: value})


def test_without_botorch_turbo_is_refused_and_gp_has_one_objective(monkeypatch):
    monkeypatch.setattr("rung.models.torch_scope.find_spec", lambda package: None)
    with pytest.raises(StudyError, match=r"pip install 'rung\[gp\]'"):
        make_sampler("turbo")
    with pytest.raises(StudyError):
        require("gp")
    space = {"x": rung.Float(-1.0, 1.0)}
    assert rung.tune(lambda c: c["x"] ** 2, space, sampler="gp", trials=12, seed=0).best.value < 0.1
    with pytest.raises(StudyError, match=r"pip install 'rung\[gp\]'"):
        rung.tune(
            lambda c: {"a": c["x"], "b": -c["x"]}, space, metric=["a", "b"], sampler="gp", trials=3, seed=0
        )


def test_one_objective_imports_no_torch():
    code = (
        "import sys, rung; "
        "rung.tune(lambda c: c['x'] ** 2, {'x': rung.Float(-1.0, 1.0)}, sampler='gp', trials=12, seed=0); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_runs_in_a_study_with_workers_and_rungs():
    problem = CONDITIONAL
    result = rung.tune(problem.function, problem.space, sampler="gp", trials=30, seed=1)
    assert result.best.value < 0.1


PROBLEMS = {"branin": BRANIN, "hartmann6": HARTMANN6, "conditional": CONDITIONAL, "ones": COUNTING_ONES}


@cache
def found(problem: str, sampler: str, trials: int) -> tuple[float, ...]:
    """What a search finds under each of twelve seeds."""
    return tuple(best_value(PROBLEMS[problem], sampler, trials, seed) for seed in range(12))


def better(problem: str, other: str, trials: int) -> float:
    """The p-value of Wilcoxon's signed-rank test, seed by seed, that it finds less than `other` does."""
    ours, theirs = found(problem, "gp", trials), found(problem, other, trials)
    return float(wilcoxon(ours, theirs, alternative="less").pvalue)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("other", ["random", "kde", "tpe"])
@pytest.mark.parametrize("problem", ["branin", "hartmann6"])
def test_it_finds_more_in_fifty_evaluations(problem, other):
    assert better(problem, other, trials=50) < 0.01


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("problem", ["conditional", "ones"])
def test_it_finds_more_in_spaces_of_other_kinds(problem):
    assert better(problem, "random", trials=40) < 0.01


def believed(mean: float) -> Any:
    """Hartmann's function, of whose best point the user has an idea that is right or wrong."""
    best = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)
    centres = [b if mean == 0.0 else 1.0 - b for b in best]
    space = {f"x{i}": Float(0, 1, prior=Normal(c, 0.15)) for i, c in enumerate(centres)}
    return HARTMANN6._replace(space=space)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_right_belief_helps_and_a_wrong_one_is_forgotten():
    sampler = GpSampler(belief=3.0)
    regrets = {
        name: np.median([best_value(problem, one, 30, seed) for seed in range(6)]) - HARTMANN6.optimum
        for name, problem, one in (
            ("right", believed(0.0), sampler),
            ("none", HARTMANN6, "gp"),
            ("wrong", believed(1.0), sampler),
            ("random", HARTMANN6, "random"),
        )
    }
    assert regrets["right"] < regrets["none"]
    assert regrets["wrong"] < regrets["random"] / 2
