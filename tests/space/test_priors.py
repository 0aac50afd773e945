"""Priors as densities: against scipy.stats, and against what sampling does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.space import compile_space
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer, Normal, Ordinal, Space
from rung.space.draws import uniforms
from rung.space.priors import BetaPrior, TruncatedNormal, log_density_of_cells
from rung.space.rules import Condition
from rung.space.values import INACTIVE

UNIT = np.linspace(0, 1, 41)


def log_prior(domain, values):
    """By the space, at these values."""
    space = compile_space({"x": domain})
    return space.log_prior(space.encode([(value,) for value in values]))


@pytest.mark.parametrize(
    ("mean", "deviation"), [(0.3, 0.1), (0.9, 2.0), (-4.0, 0.2), (30.0, 0.5), (0.5, 1e-3)]
)
def test_a_truncated_normal_is_scipys(mean, deviation):
    expected = stats.truncnorm(-mean / deviation, (1 - mean) / deviation, mean, deviation)
    found = TruncatedNormal(mean, deviation)
    assert found.log_density(UNIT) == pytest.approx(expected.logpdf(UNIT), rel=1e-9, abs=1e-9)
    assert found.cdf(UNIT) == pytest.approx(expected.cdf(UNIT), abs=1e-9)
    ranks = np.linspace(0.01, 0.99, 30)
    assert found.cdf(found.quantile(ranks)) == pytest.approx(ranks, abs=1e-9)


@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (2, 5), (1, 3), (400, 30)])
def test_a_beta_is_scipys_and_finite_at_its_ends(alpha, beta):
    expected, found = stats.beta(alpha, beta), BetaPrior(alpha, beta)
    assert found.log_density(UNIT[1:-1]) == pytest.approx(expected.logpdf(UNIT[1:-1]), rel=1e-10, abs=1e-10)
    assert found.cdf(UNIT) == pytest.approx(expected.cdf(UNIT), abs=1e-12)
    assert np.isfinite(found.log_density(np.array([0.0, 1.0]))).all()


def test_a_float_has_the_density_of_its_prior_in_its_own_scale():
    values = [1.0, 3.5, 4.0, 9.0]
    spread = stats.truncnorm(-1.5, 3, 4, 2)  # on [1, 10], whose uniform density is 1 / 9
    assert log_prior(Float(1, 10, prior=Normal(4, 2)), values) == pytest.approx(
        spread.logpdf(values) + math.log(9)
    )
    logs = np.log(values)
    spread = stats.truncnorm(-2, (math.log(10) - 1) / 0.5, 1, 0.5)
    assert log_prior(Float(1, 10, log=True, prior=Normal(math.e, 0.5)), values) == pytest.approx(
        spread.logpdf(logs) + math.log(math.log(10))
    )
    found = log_prior(Float(1, 10, prior=Beta(2, 3)), values[1:])
    assert found == pytest.approx(stats.beta(2, 3).logpdf((np.array(values[1:]) - 1) / 9))
    assert log_prior(Float(1, 10), values).tolist() == [0.0] * 4


def test_a_whole_number_has_the_probability_of_its_part():
    values = [1, 2, 3, 4, 5]
    normal = stats.truncnorm(-5, 20, 1.5, 0.2)  # on [0.5, 5.5]
    mass = normal.cdf(np.array(values) + 0.5) - normal.cdf(np.array(values) - 0.5)
    found = log_prior(Integer(1, 5, prior=Normal(1.5, 0.2)), values)
    assert np.exp(found) == pytest.approx(5 * mass, abs=1e-12)
    edges = np.log(np.arange(0.5, 6))
    width = np.diff(edges) / (edges[-1] - edges[0])
    beta = stats.beta(3, 2)
    mass = np.diff(beta.cdf((edges - edges[0]) / (edges[-1] - edges[0])))
    found = log_prior(Integer(1, 5, log=True, prior=Beta(3, 2)), values)
    assert np.exp(found) == pytest.approx(mass / width)


def test_a_step_has_the_probability_of_its_part():
    found = log_prior(Float(0, 1, step=0.25, prior=Normal(0.5, 0.1)), [0.0, 0.25, 0.5, 0.75, 1.0])
    normal = stats.truncnorm(-6.25, 6.25, 0.5, 0.1)
    mass = np.diff(normal.cdf(np.arange(-0.125, 1.2, 0.25)))
    assert np.exp(found) == pytest.approx(5 * mass, abs=1e-12)


def test_categories_and_branches_have_their_weights():
    found = log_prior(Categorical(["a", "b", "c"], prior=[1, 0, 3]), ["a", "b", "c"])
    assert found.tolist() == pytest.approx([math.log(3 / 4), -math.inf, math.log(9 / 4)])
    choice = compile_space({"k": Choice({"p": {"x": Float(0, 1, prior=Beta(2, 1))}, "q": {}}, prior=[3, 1])})
    found = choice.log_prior(choice.encode([("p", 0.75), ("q", INACTIVE)]))
    assert found == pytest.approx([math.log(1.5) + math.log(1.5), math.log(0.5)])


def test_what_has_no_prior_or_is_not_active_counts_nothing():
    space = compile_space(
        Space(
            {
                "c": Categorical([1, 2]),
                "o": Ordinal([1, 2]),
                "k": Constant(1),
                "x": Float(0, 1, prior=Beta(9, 9)),
            },
            [Condition("x", on="c", equals=1)],
        )
    )
    rows = [(2, 1, 1, INACTIVE), (2, 2, 1, INACTIVE), (1, 1, 1, 0.5)]
    found = space.log_prior(space.encode(rows))
    assert found[:2].tolist() == [0.0, 0.0]
    assert found[2] == pytest.approx(stats.beta(9, 9).logpdf(0.5))
    assert space.log_prior(np.empty((0, 4))).shape == (0,)
    with pytest.raises(ValueError, match=r"shape \(n, 4\)"):
        space.log_prior(np.zeros((3, 5)))


DOMAINS = st.one_of(
    st.builds(lambda m, s: Float(-2, 3, prior=Normal(m, s)), st.floats(-9, 9), st.floats(0.05, 50)),
    st.builds(lambda a, b: Float(1, 100, log=True, prior=Beta(a, b)), st.floats(1, 60), st.floats(1, 60)),
    st.builds(
        lambda n, m, s: Integer(1, n, prior=Normal(m, s)),
        st.integers(2, 1000),
        st.floats(1, 99),
        st.floats(0.1, 1e9),
    ),
    st.builds(lambda m, s: Integer(1, 10**12, prior=Normal(m, s)), st.floats(1, 1e12), st.floats(1e10, 1e20)),
    st.builds(
        lambda n, m, s: Integer(1, n, log=True, prior=Normal(m, s)),
        st.integers(2, 10**6),
        st.floats(1, 99),
        st.floats(0.1, 9),
    ),
    st.builds(lambda a, b: Float(0, 1, step=0.125, prior=Beta(a, b)), st.floats(1, 900), st.floats(1, 900)),
    st.lists(st.integers(0, 9), min_size=1, max_size=6)
    .filter(any)
    .map(lambda w: Categorical(range(len(w)), prior=w)),
)


@settings(deadline=None, max_examples=150)
@given(DOMAINS, st.integers(0, 2**32))
def test_densities_agree_with_a_spaces_own_samples(domain, seed):
    """What is drawn has a density, and densities have the mean 1."""
    space = compile_space({"x": domain})
    assert np.isfinite(space.log_prior(space.encode(space.samples(seed, 0, 200)))).all()
    grid = (np.arange(20_000) + 0.5)[:, None] / 20_000
    assert np.exp(space.log_prior(grid)).mean() == pytest.approx(1.0, abs=0.03)


def test_the_densest_half_is_drawn_as_often_as_its_density_says():
    """The integral of the density over where it is above 1 is the share of draws there."""
    space = compile_space({"x": Float(0, 1, prior=Normal(0.2, 0.3)), "n": Integer(1, 9, prior=Beta(3, 6))})
    drawn = space.log_prior(space.encode(space.samples(0, 0, 20_000))) > 0.0
    uniform = np.exp(space.log_prior(space.encode(space.samples(1, 0, 20_000, uniform=True))))
    assert drawn.mean() == pytest.approx((uniform * (uniform > 1.0)).mean(), abs=0.02)


@settings(deadline=None, max_examples=100)
@given(st.floats(-3, 4), st.floats(0.01, 3), st.integers(1, 50))
def test_the_parts_of_all_values_sum_to_one(mean, deviation, count):
    edges = np.linspace(0, 1, count + 1)
    logs = log_density_of_cells(TruncatedNormal(mean, deviation), edges[:-1], edges[1:])
    assert np.exp(logs).mean() == pytest.approx(1.0, abs=1e-8)


def test_narrow_and_distant_parts_keep_their_digits():
    prior = TruncatedNormal(0.3, 0.01)
    low = np.array([0.9, 0.3, 0.3])
    high = low + np.array([0.05, 1e-15, 1e-6])
    found = log_density_of_cells(prior, low, high)
    tail = stats.norm.logsf(60.0) - math.log(0.05)  # all of it lies at the near end of the first part
    assert found[0] == pytest.approx(tail, rel=0.02)
    assert found[1:] == pytest.approx(prior.log_density(np.array([0.3, 0.3 + 5e-7])), abs=1e-6)
    wide = BetaPrior(500, 500)
    assert log_density_of_cells(wide, np.array([0.0]), np.array([1 / 3]))[0] == pytest.approx(
        stats.beta(500, 500).logcdf(1 / 3) + math.log(3), rel=0.01
    )


def test_uniform_samples_know_no_prior():
    belief = {"x": Float(0, 1, prior=Normal(0.9, 0.01)), "c": Categorical([1, 2], prior=[0, 1])}
    bare = compile_space({"x": Float(0, 1), "c": Categorical([1, 2])})
    space = compile_space(belief)
    assert space.samples(3, 7, 50, uniform=True) == bare.samples(3, 7, 50)
    assert space.samples(3, 7, 50) != bare.samples(3, 7, 50)
    assert bare.samples(3, 7, 50, uniform=True) == [bare.sample(3, n) for n in range(7, 57)]


def test_points_by_priors_are_those_of_samples():
    space = compile_space({"x": Float(0, 1, prior=Normal(0.9, 0.1)), "c": Categorical([1, 2], prior=[1, 3])})
    points = space.by_priors(uniforms(5, 3, 20, space.size))
    assert space.decode(points) == space.samples(5, 3, 20)
