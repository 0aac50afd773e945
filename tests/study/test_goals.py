"""Several objectives and constraints: what counts as better, the front, the hypervolume."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rung
from rung.errors import StudyError
from rung.samplers.observed import crowding, nondominated, places, sorted_fronts
from rung.study.front import dominated_volume
from rung.study.settings import make_constraint, make_goals
from rung.trials.events import Constraint, Goal

POINTS = st.integers(1, 3).flatmap(
    lambda m: st.lists(st.tuples(*[st.integers(0, 6)] * m), min_size=1, max_size=14)
)
SPACE = {"x": rung.Float(0, 1), "y": rung.Float(0, 1)}


def dominates(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


@given(points=POINTS)
def test_nobody_dominates_those_on_the_front(points):
    found = nondominated(np.array(points, float))
    assert list(found) == [not any(dominates(other, one) for other in points) for one in points]


@given(points=POINTS)
def test_fronts_come_one_after_the_other(points):
    order = sorted_fronts(np.array(points, float)).tolist()
    assert sorted(order) == list(range(len(points)))
    for earlier, later in itertools.combinations(order, 2):
        assert not dominates(points[later], points[earlier])


def test_crowding_distance_is_the_papers():
    """Deb et al. 2002: ends are infinite; inside, the sum over objectives of the neighbours' gap."""
    points = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 3.0], [10.0, 0.0]])
    assert crowding(points).tolist() == [math.inf, 0.4 + 0.7, 0.9 + 0.6, math.inf]


@given(points=POINTS)
@settings(deadline=None)
def test_the_hypervolume_counts_cells(points):
    """On a grid of unit cells: those that some point dominates."""
    m = len(points[0])
    reference = np.full(m, 5.0)
    cells = itertools.product(range(5), repeat=m)
    expected = sum(
        any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points) for cell in cells
    )
    assert dominated_volume(np.array(points, float), reference) == pytest.approx(expected)


def test_places_order_fronts_then_the_broken_then_the_failed():
    vectors = np.array([[1.0, 1.0], [2.0, 2.0], [0.0, 3.0], [math.inf, math.inf], [0.0, 0.0]])
    losses = places(vectors, np.array([0.0, 0.0, 0.0, math.inf, 0.5]))
    assert max(losses[0], losses[2]) < losses[1] < losses[4] < losses[3] == math.inf


def test_many_results_are_sorted_among_the_latest():
    rng = np.random.default_rng(0)
    vectors = rng.random((5000, 2))
    losses = places(vectors, np.zeros(5000))
    front = np.flatnonzero(nondominated(vectors))
    assert losses[front].max() < 2 * len(front) / 5000
    assert len(set(losses)) == 5000


# -- what people write --------------------------------------------------------------------------------


def test_goals_from_lists_and_texts():
    assert make_goals("loss", "min", None) == (Goal("loss"),)
    expected = (Goal("acc", "max", 0.5), Goal("ms", "min", 9.0))
    assert make_goals("acc, ms", "max,min", [0.5, 9]) == expected
    assert make_goals(["a", "b"], "max", None) == (Goal("a", "max"), Goal("b", "max"))
    for names, modes, points in (("a,b", "min,max,min", None), ("a,a", "min", None), ("a,b", "min", [1.0])):
        with pytest.raises(StudyError):
            make_goals(names, modes, points)
    with pytest.raises(StudyError, match="finite"):
        make_goals("a", "min", [math.nan])


def test_constraints_from_texts():
    assert make_constraint("memory <= 2e9") == Constraint("memory", 2e9)
    assert make_constraint("accuracy>=0.9") == Constraint("accuracy", 0.9, ">=")
    for text, sense, towards in (("mem < 5", "<=", -math.inf), ("mem>5", ">=", math.inf)):
        strict = make_constraint(text)
        assert (strict.metric, strict.sense, str(strict)) == ("mem", sense, f"mem {sense} 5")
        assert strict.bound == math.nextafter(5.0, towards), "5 itself breaks it"
    for text in ("memory", "memory <= much", "memory = 3", "a <= nan", "<= 3"):
        with pytest.raises(StudyError, match="is not understood"):
            make_constraint(text)


# -- a study ------------------------------------------------------------------------------------------


def both(config):
    return {"f": config["x"] ** 2, "g": (config["x"] - 1) ** 2 + config["y"]}


@pytest.mark.parametrize("sampler", ["random", "kde", "genetic"])
def test_the_front_of_a_study(sampler):
    result = rung.tune(both, SPACE, metric=["f", "g"], reference=[1.1, 1.1], sampler=sampler, trials=60)
    values = [tuple(trial.observations[-1].metrics.values()) for trial in result.trials]
    expected = [n for n, one in enumerate(values) if not any(dominates(other, one) for other in values)]
    assert [trial.number for trial in result.front] == expected
    assert 0.3 < result.hypervolume < 1.21
    assert result.best.value == min(f for f, _ in values)  # the first objective's


def test_a_model_finds_a_better_front_than_random_search():
    """Mean hypervolume over ten seeds."""

    def volume(sampler, seed):
        result = rung.tune(
            both, SPACE, metric=["f", "g"], reference=[1.1, 1.1], sampler=sampler, trials=60, seed=seed
        )
        return result.hypervolume

    random, tpe = (np.mean([volume(sampler, seed) for seed in range(10)]) for sampler in ("random", "tpe"))
    assert tpe > random + 0.02


def test_maximised_goals_and_a_failed_one():
    def gain(config):
        return {"up": config["x"], "down": math.nan if config["x"] > 0.9 else 1 - config["x"]}

    result = rung.tune(gain, SPACE, metric=["up", "down"], mode=["max", "max"], sampler="random", trials=40)
    assert all(trial.config["x"] <= 0.9 for trial in result.front)
    assert any(str(trial.state) == "failed" for trial in result.trials)
    assert len(result.front) == sum(str(trial.state) == "complete" for trial in result.trials)


def limited(config):
    return {"loss": config["x"], "memory": 1.0 - config["x"], "speed": config["y"]}


def test_what_breaks_a_constraint_is_never_the_best():
    result = rung.tune(
        limited, SPACE, sampler="kde", trials=60, constraints=["memory <= 0.6", "speed >= 0.2"], seed=1
    )
    assert 0.4 <= result.best.value < 0.45
    assert result.best.config["y"] >= 0.2


def test_no_trial_keeps_the_constraints():
    with pytest.warns(UserWarning, match="constraints"):
        result = rung.tune(limited, SPACE, sampler="random", trials=5, constraints=["memory <= -1"])
    assert result.best is None
    assert result.front == []


def test_a_metric_that_is_missing_breaks_its_constraint():
    result = rung.tune(
        lambda config: {"loss": config["x"]} | ({"m": 0.0} if config["x"] > 0.5 else {}),
        SPACE,
        sampler="random",
        trials=20,
        constraints=["m <= 1"],
    )
    assert result.best.config["x"] > 0.5


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "asha-stopping", "mo-asha"])
def test_schedulers_promote_those_that_keep_the_constraints(scheduler):
    def curve(trial):
        for epoch in range(trial.start, trial.resource):
            x = trial.config["x"]
            trial.report(epoch + 1, loss=x + 1 / (epoch + 1), memory=1.0 - x)

    result = rung.tune(
        curve,
        SPACE,
        resource=("epoch", 1, 9),
        scheduler=scheduler,
        sampler="random",
        trials=30,
        constraints=["memory <= 0.5"],
    )
    reached = [trial.config["x"] for trial in result.trials if trial.resource == 9]
    assert result.best.config["x"] == min(x for x in reached if x >= 0.5)
    assert sum(x >= 0.5 for x in reached) > len(reached) / 2


def test_mo_asha_is_the_default_of_a_study_with_several_goals_and_a_resource():
    study = rung.Study(SPACE, metric="f,g", resource=("epoch", 1, 9))
    assert study.identity.scheduler.name == "mo-asha"
