"""The sequence: a function of seed and number alone, even in every coordinate, by the priors."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

from rung.samplers import sobol
from rung.samplers.base import Request
from rung.samplers.sobol import _STREAM, BITS, BLOCK, SobolSampler
from rung.space.compiled import compile_space
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer, Normal, Space
from rung.space.draws import Rng, key
from rung.space.rules import Forbidden, Is
from rung.space.values import INACTIVE
from rung.trials.history import History

CUBE = {f"x{i}": Float(0, 1) for i in range(4)}


def points(space, numbers, seed=0, sampler=SobolSampler()):  # noqa: B008  # frozen
    history = History()
    return [sampler.suggest(space, history, Request(1), Rng(seed, number)).values for number in numbers]


def test_a_point_depends_on_seed_and_number_alone():
    numbers = list(range(3 * BLOCK))
    in_order = points(compile_space(CUBE), numbers)
    assert len(set(in_order)) == len(numbers)
    shuffled = np.random.default_rng(0).permutation(numbers).tolist()
    others = points(compile_space(CUBE), shuffled)
    assert others == [in_order[n] for n in shuffled]
    assert points(compile_space(CUBE), [150, 3]) == [in_order[150], in_order[3]]
    assert not set(points(compile_space(CUBE), numbers, seed=1)) & set(in_order)


@pytest.mark.parametrize("first", [0, 5 * BLOCK])
def test_it_is_scipys_sequence(first):
    generator = np.random.default_rng(key(3, _STREAM))
    expected = qmc.Sobol(4, bits=BITS, rng=generator).random(8 * BLOCK)[first : first + 2 * BLOCK]
    found = points(compile_space(CUBE), range(first, first + 2 * BLOCK), seed=3)
    assert np.array_equal(np.array(found), expected)


def test_lower_discrepancy_than_random_points():
    space = compile_space(CUBE)
    wins = 0
    for seed in range(20):
        random = np.array(space.samples(seed, 0, 128))
        wins += qmc.discrepancy(np.array(points(space, range(128), seed))) < qmc.discrepancy(random)
    assert stats.binomtest(wins, 20, alternative="greater").pvalue < 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_each_coordinate_is_stratified_by_its_prior(seed):
    space = compile_space(
        {
            "x": Float(-5, 10),
            "lr": Float(1e-5, 1, log=True),
            "normal": Float(0, 1, prior=Normal(0.3, 0.1)),
            "beta": Float(0, 1, prior=Beta(2, 5)),
            "weighted": Categorical(["a", "b", "c"], prior=[1, 5, 2]),
            "n": Integer(1, 8),
        }
    )
    found = points(space, range(64, 128), seed)
    x, lr, normal, beta, weighted, n = map(np.array, zip(*found, strict=True))
    low, high = stats.norm.cdf([0, 1], 0.3, 0.1)
    ranks = {
        "x": (x + 5) / 15,
        "lr": np.log10(lr) / 5 + 1,
        "normal": (stats.norm.cdf(normal, 0.3, 0.1) - low) / (high - low),
        "beta": stats.beta.cdf(beta, 2, 5),
    }
    for name, rank in ranks.items():
        assert sorted(np.floor(rank * 64).tolist()) == list(range(64)), name
    assert Counter(weighted.tolist()) == {"a": 8, "b": 40, "c": 16}
    assert Counter(n.tolist()) == dict.fromkeys(range(1, 9), 8)


def test_conditional_parameters_are_even_where_they_are_active():
    space = compile_space(
        {"kind": Choice({"p": {"a": Float(0, 1), "b": Float(0, 1)}, "q": {"c": Float(0, 1)}})}
    )
    found = points(space, range(512))
    p = np.array([row[1:3] for row in found if row[0] == "p"])
    c = np.array([row[3] for row in found if row[0] == "q"])
    assert len(p) == len(c) == 256
    assert all((row[3] is INACTIVE) == (row[0] == "p") for row in found)
    random = np.random.default_rng(0).random((256, 2))
    assert qmc.discrepancy(p) < qmc.discrepancy(random) / 4
    assert stats.kstest(c, "uniform").statistic < 0.02  # of random numbers it is about 0.05


def test_a_forbidden_point_gives_way_to_the_trials_random_configuration():
    parameters = {"x": Float(0, 1), "c": Categorical(["good", "bad"])}
    free = compile_space(parameters)
    bound = compile_space(Space(parameters, forbidden=[Forbidden(Is("c", equals="bad") & Is("x", less=0.5))]))
    everywhere, found = points(free, range(200)), points(bound, range(200))
    for number, (point, values) in enumerate(zip(everywhere, found, strict=True)):
        legal = not (point[1] == "bad" and point[0] < 0.5)
        assert values == (point if legal else bound.sample(0, number))
    assert found != everywhere


def test_parameters_of_one_value_take_no_coordinate():
    space = compile_space({"a": Constant(3), "x": Float(0, 1), "b": Categorical(["b"]), "y": Float(0, 1)})
    plain = compile_space({"x": Float(0, 1), "y": Float(0, 1)})
    assert [(row[1], row[3]) for row in points(space, range(100))] == points(plain, range(100))
    assert points(compile_space({"a": Constant(3)}), [0, 7]) == [(3,), (3,)]


def test_more_parameters_than_the_sequence_has_coordinates(monkeypatch):
    monkeypatch.setattr(qmc.Sobol, "MAXDIM", 3)
    space = compile_space({f"x{i}": Float(0, 1) for i in range(5)})
    found = np.array(points(space, range(64)))
    strata = [len(set(np.floor(column * 64))) for column in found.T]
    assert strata[:3] == [64] * 3
    assert max(strata[3:]) < 60
    assert points(compile_space(space.space), [63, 0]) == [tuple(found[63]), tuple(found[0])]


def test_beyond_the_end_of_the_sequence_trials_are_random(monkeypatch):
    monkeypatch.setattr(sobol, "BITS", 8)
    space = compile_space(CUBE)
    last, *beyond = points(space, [255, 256, 10**12])
    assert beyond == [space.sample(0, 256), space.sample(0, 10**12)]
    assert last != space.sample(0, 255)


def test_a_point_costs_the_same_however_far_along(monkeypatch):
    drawn, forwarded = [], []
    random, forward = qmc.Sobol.random, qmc.Sobol.fast_forward
    monkeypatch.setattr(qmc.Sobol, "random", lambda e, n: drawn.append(n) or random(e, n))
    monkeypatch.setattr(qmc.Sobol, "fast_forward", lambda e, n: forwarded.append(n) or forward(e, n))
    points(compile_space(CUBE), range(20 * BLOCK))
    assert drawn == [BLOCK] * 20
    assert forwarded == []


def test_the_first_trial_may_have_the_default_configuration_unless_that_is_forbidden():
    parameters = {
        "x": Float(1e-4, 1, log=True),
        "k": Integer(1, 9, default=2),
        "c": Categorical(["a", "b", "c"]),
    }
    free, sampler = compile_space(parameters), SobolSampler(from_default=True)
    first, *rest = points(free, range(4), seed=3, sampler=sampler)
    assert first == (pytest.approx(1e-2), 2, "a")
    assert rest == points(free, range(1, 4), seed=3)
    bound = compile_space(Space(parameters, forbidden=[Forbidden(Is("c", equals="a"))]))
    assert points(bound, [0], sampler=sampler) == points(bound, [0])
