"""The compiled space: sampling, the unit cube, activity, mappings."""

from __future__ import annotations

import math
import pickle
from collections import Counter, OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.errors import SpaceError
from rung.space import compile_space, from_json, to_json
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer, Normal, Ordinal, Space
from rung.space.rules import Condition, Forbidden, Is, Relation
from rung.space.values import INACTIVE

SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "layers": Integer(1, 8),
        "width": Integer(16, 1024, log=True),
        "drop": Float(0, 0.9, step=0.05),
        "act": Categorical(["relu", True, 1, 1.0, None]),
        "size": Ordinal([32, 64, 128]),
        "fixed": Constant("yes"),
        "opt": Choice(
            {
                "sgd": {"m": Float(0, 0.99), "nesterov": Categorical([True, False])},
                "adam": {"m": Float(0.8, 1)},
            }
        ),
    },
    [Condition("drop", on="layers", greater=2), Condition("opt.sgd.nesterov", on="opt.sgd.m", greater=0.3)],
    [
        Forbidden(Is("act", equals=True) & Is("layers", at_least=6)),
        Forbidden(Relation("layers", "greater", "size")),
    ],
)
COMPILED = compile_space(SPACE)


def domains():
    bound = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
    pairs = st.tuples(bound, bound).filter(lambda p: p[0] < p[1])
    positive = st.tuples(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9)).filter(lambda p: p[0] < p[1])
    whole = st.tuples(st.integers(-(10**12), 10**12), st.integers(1, 10**12)).map(
        lambda p: (p[0], p[0] + p[1])
    )
    return st.one_of(
        pairs.map(lambda p: Float(*p)),
        positive.map(lambda p: Float(*p, log=True)),
        whole.map(lambda p: Integer(*p)),
        st.tuples(st.integers(1, 10**6), st.integers(1, 10**9)).map(
            lambda p: Integer(p[0], p[0] + p[1], log=True)
        ),
        st.tuples(st.integers(-50, 50), st.integers(1, 40), st.integers(1, 30)).map(
            lambda p: Float(p[0] / 10, (p[0] + p[1] * p[2]) / 10, step=p[1] / 10)
        ),
        st.tuples(st.integers(-(10**12), 10**12), st.integers(2, 10**9), st.integers(1, 30)).map(
            lambda p: Integer(p[0], p[0] + p[1] * p[2], step=p[1])
        ),
        st.integers(1, 9).map(lambda n: Ordinal(range(n))),
        st.integers(1, 9).map(lambda n: Categorical(range(n))),
        st.just(Constant(None)),
    )


def test_shape_and_names() -> None:
    assert COMPILED.size == 11
    assert COMPILED.names[-4:] == ("opt", "m", "nesterov", "m")
    assert COMPILED.keys[-3:] == ("opt.sgd.m", "opt.sgd.nesterov", "opt.adam.m")
    assert COMPILED.levels.tolist() == [0, 0, 0, 0, 5, 0, 0, 2, 0, 2, 0]
    again = pickle.loads(pickle.dumps(COMPILED))
    assert again.sample(1, 2) == COMPILED.sample(1, 2)


def test_a_sample_is_a_pure_function() -> None:
    many = COMPILED.samples(7, 0, 700)
    assert COMPILED.samples(7, 300, 5) == many[300:305]
    order = np.random.default_rng(0).permutation(700).tolist()
    fresh = compile_space(SPACE)
    assert all(fresh.sample(7, i) == many[i] for i in order)
    assert COMPILED.samples(8, 0, 5) != many[:5]
    assert len(set(many)) == 700


def test_samples_are_legal_and_of_exact_types() -> None:
    rows = COMPILED.samples(3, 0, 2000)
    assert COMPILED.legal(rows).all()
    kinds = [{type(v) for v in column if v is not INACTIVE} for column in zip(*rows, strict=True)]
    text = {str, bool, int, float, type(None)}
    assert kinds == [{float}, {int}, {int}, {float}, text, {int}, {str}, {str}, {float}, {bool}, {float}]
    for row in rows[:300]:
        mapping = COMPILED.to_mapping(row)
        assert ("drop" in mapping) == (mapping["layers"] > 2)
        assert ("nesterov" in mapping) == (mapping["opt"] == "sgd" and mapping["m"] > 0.3)
        assert not (mapping["act"] is True and mapping["layers"] >= 6)
        assert COMPILED.from_mapping(mapping) == row


def test_forbidden_ones_are_drawn_again_not_moved() -> None:
    """Rejection keeps the proportions among what is legal."""
    space = compile_space(
        Space(
            {"a": Categorical("xyz".__iter__()), "b": Categorical([0, 1])},
            (),
            [Forbidden(Is("a", equals="x") & Is("b", equals=0))],
        )
    )
    counts = Counter(space.samples(0, 0, 5000))
    assert len(counts) == 5
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_hardly_anything_legal_is_said() -> None:
    space = compile_space(Space({"a": Float(0, 1)}, (), [Forbidden(Is("a", greater=0.0))]))
    with pytest.raises(SpaceError, match="leave almost nothing: 1,000 random"):
        space.sample(0, 0)
    rare = compile_space(Space({"a": Float(0, 1)}, (), [Forbidden(Is("a", greater=0.03))]))
    assert rare.legal([rare.sample(0, i) for i in range(300)]).all()


@settings(max_examples=200)
@given(domains(), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_decoding_one_and_many_is_the_same(domain, points) -> None:
    space = compile_space({"a": domain, "b": Float(1e-4, 1, log=True)})
    x = np.array([[p, p] for p in points])
    rows = space.decode(x)
    assert rows == [space.decode(x[i : i + 1])[0] for i in range(len(x))]
    assert rows == space.decode(np.asfortranarray(x))
    for value, _ in rows:
        assert domain.admit(value) == value  # inside, on the steps, of the type
        assert type(value) in (int, float, type(None))


@settings(max_examples=200)
@given(domains(), st.floats(0, 1))
def test_encoding_is_stable(domain, point) -> None:
    space = compile_space({"a": domain})
    row = space.decode([[point]])[0]
    x = space.encode([row])
    assert ((x >= 0) & (x <= 1)).all()
    again = space.decode(x)[0]
    if isinstance(row[0], float):
        low, high = getattr(domain, "low", 0), getattr(domain, "high", 1)
        assert again[0] == pytest.approx(row[0], rel=1e-9, abs=1e-12 * (abs(low) + abs(high)))
        assert getattr(domain, "step", None) is None or again == row
    else:
        assert again == row
    assert space.encode([again])[0, 0] == pytest.approx(x[0, 0], abs=1e-12)


@pytest.mark.parametrize(
    "domain",
    [
        Float(1e-5, 0.1, log=True),
        Float(-0.1, 0.3),
        Integer(3, 9),
        Integer(1, 900, log=True),
        Float(0, 1, step=0.1),
        Integer(-7, 2**50, step=2**50 + 7),
    ],
)
def test_both_ends_are_exact(domain) -> None:
    space = compile_space({"a": domain})
    assert space.decode([[0.0], [1.0], [-3.0], [7.0]]) == [(v,) for v in (domain.low, domain.high) * 2]


@pytest.mark.parametrize("low", [1, 1000, 2**30])
def test_whole_numbers_on_a_logarithmic_scale_are_exact_up_to_a_limit_and_close_beyond(low: int) -> None:
    for high, apart in ((2**45, 0), (2**52, 100)):
        axis = compile_space({"a": Integer(low, high, log=True)}).columns.axes[0]
        spread = np.geomspace(low, high, 3000).astype(np.int64).clip(low, high)
        numbers = np.concatenate([spread, np.arange(high - 3000, high + 1)])
        assert np.abs(axis.raw(axis.cube(numbers)) - numbers).max() <= apart


def test_steps_beyond_exact_floats() -> None:
    space = compile_space({"a": Float(0, 1e300, step=1e299, default=3e299)})
    assert space.decode([[0], [0.5], [1], [math.nan]]) == [(0.0,), (5e299,), (1e300,), (3e299,)]
    assert space.encode([(5e299,)])[0, 0] == pytest.approx(0.5)
    assert space.grid_size(20) == 11


def test_every_value_has_its_probability() -> None:
    x = (np.arange(200_000) + 0.5)[:, None] / 200_000
    for domain, weights in [
        (Integer(2, 6), [1.0] * 5),
        (Integer(1, 6, log=True), [math.log((k + 0.5) / (k - 0.5)) for k in range(1, 7)]),
        (Float(0, 1, step=0.25), [1.0] * 5),
        (Integer(32, 160, step=32), [1.0] * 5),
        (Ordinal(["a", "b", "c"]), [1.0] * 3),
        (Categorical([True, 1, None]), [1.0] * 3),
    ]:
        rows = compile_space({"a": domain}).decode(x)
        counts = Counter((type(v), v) for (v,) in rows)
        shares = np.array(list(counts.values())) / 200_000  # in the values' order, as x rises
        assert shares == pytest.approx(np.array(weights) / sum(weights), abs=1e-4)


def cdf(values, distribution) -> float:
    return stats.kstest(values, distribution.cdf).pvalue


@pytest.mark.parametrize("mean", [0.3, -2.0, 5.0, 0.99])
def test_normal_prior(mean: float) -> None:
    space = compile_space({"a": Float(0, 2, prior=Normal(mean, 0.5))})
    values = [v for (v,) in space.samples(0, 0, 4000)]
    a, b = (0 - mean) / 0.5, (2 - mean) / 0.5
    assert cdf(values, stats.truncnorm(a, b, mean, 0.5)) > 1e-4


def test_other_priors() -> None:
    space = compile_space(
        {
            "log": Float(1e-4, 1, log=True, prior=Normal(1e-2, 1.0)),
            "beta": Float(2, 4, prior=Beta(2, 5)),
            "whole": Integer(0, 10, prior=Normal(3, 2)),
            "cat": Categorical(["a", "b", "c"], prior=[1, 0, 3]),
            "choice": Choice({"x": {}, "y": {}}, prior=[1, 4]),
            "steps": Float(0, 1, step=0.5, prior=Beta(1, 3)),
        }
    )
    log, beta, whole, cat, choice, steps = zip(*space.samples(0, 0, 6000), strict=True)
    normal = stats.truncnorm(*((np.log([1e-4, 1]) - math.log(1e-2)) / 1.0), math.log(1e-2), 1.0)
    assert cdf(np.log(log), normal) > 1e-4
    assert cdf((np.array(beta) - 2) / 2, stats.beta(2, 5)) > 1e-4
    edges = stats.truncnorm((-0.5 - 3) / 2, (10.5 - 3) / 2, 3, 2).cdf(np.arange(-0.5, 11))
    counts = [whole.count(k) for k in range(11)]
    assert stats.chisquare(counts, np.diff(edges) * 6000).pvalue > 1e-4
    assert cat.count("b") == 0
    assert cat.count("c") / 6000 == pytest.approx(0.75, abs=0.02)
    assert choice.count("y") / 6000 == pytest.approx(0.8, abs=0.02)
    thirds = stats.beta(1, 3).cdf([1 / 3, 2 / 3, 1])
    assert [steps.count(v) / 6000 for v in (0.0, 0.5, 1.0)] == pytest.approx(np.diff([0, *thirds]), abs=0.02)
    assert set(space.default()) >= {"c", "y", 3}


def test_a_far_prior_stays_inside() -> None:
    space = compile_space(
        {"a": Float(0, 1, prior=Normal(500, 0.1)), "b": Float(0, 1, prior=Normal(-500, 0.1))}
    )
    rows = np.array(space.samples(0, 0, 500))
    assert (rows >= 0).all()
    assert (rows <= 1).all()
    assert rows[:, 0].min() > 0.99
    assert rows[:, 1].max() < 0.01


def test_a_hardly_curved_prior_is_even() -> None:
    for deviation in (1e3, 1e5, 1e7, 1e300):
        space = compile_space({"a": Float(0, 1, prior=Normal(0.5, deviation))})
        assert cdf([v for (v,) in space.samples(0, 0, 2000)], stats.uniform) > 1e-4


def test_nan_means_the_default() -> None:
    space = compile_space(
        {
            "a": Float(1e-7, 1, log=True, default=1e-3),
            "b": Integer(1, 9),
            "c": Categorical(["x", "y", None], default=None),
            "d": Categorical([1, 2, 3], prior=[1, 5, 5]),
            "e": Ordinal([1, 2, 3]),
            "f": Choice({"p": {}, "q": {"g": Integer(1, 5, default=4)}}, default="q"),
            "h": Float(0, 1, prior=Normal(0.25, 1)),
        }
    )
    assert space.default() == (1e-3, 5, None, 2, 2, "q", 4, 0.25)
    assert space.defaults == space.default()
    assert space.decode(np.full((2, 8), np.nan)) == [space.default()] * 2


def test_encode_and_activity() -> None:
    rows = COMPILED.samples(0, 0, 200)
    x = COMPILED.encode(rows)
    active = COMPILED.activity(rows)
    assert (np.isnan(x) == ~active).all()
    assert active[:, :3].all()
    assert set(x[:, 4]) <= {0.1, 0.3, 0.5, 0.7, 0.9}
    assert (x[:, 6] == 0.5).all()
    again = COMPILED.decode(x)
    assert (COMPILED.activity(again) == active).all()
    assert COMPILED.encode([]).shape == (0, 11)
    assert COMPILED.activity([]).shape == (0, 11)
    assert COMPILED.legal([]).shape == (0,)
    assert COMPILED.decode(np.empty((0, 11))) == []
    with pytest.raises(ValueError, match="shape"):
        COMPILED.decode(np.zeros((3, 2)))


GOOD = {
    "lr": 1e-3,
    "layers": 3,
    "width": 20,
    "drop": 0.5,
    "act": None,
    "size": 32,
    "fixed": "yes",
    "opt": "adam",
    "m": 0.9,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 5}, "parameter 'lr' is 5, which is not between"),
        ({"lr": "a"}, "parameter 'lr' is 'a', which is not a number"),
        ({"layers": 2.5}, "parameter 'layers' is 2.5, which is not a whole number"),
        ({"layers": True}, "parameter 'layers' is True"),
        ({"act": 0}, "parameter 'act' is 0, which is not one of 'relu', True, 1, 1.0, None"),
        ({"m": 0.2}, "parameter 'opt.adam.m' is 0.2"),
        ({"fixed": "no"}, "parameter 'fixed' is 'no'"),
        ({"layers": 2}, "names parameter 'drop', which is not active beside"),
        ({"nesterov": True}, "names parameter 'nesterov', which is not active"),
        ({"other": 1}, "names parameter 'other', which is not in the space"),
        ({"layers": 7, "act": True}, "is forbidden in this space"),
    ],
)
def test_mappings_that_are_not_in_the_space(change, message: str) -> None:
    assert COMPILED.to_mapping(COMPILED.from_mapping(GOOD)) == GOOD
    with pytest.raises(SpaceError, match=message):
        COMPILED.from_mapping({**GOOD, **change})


def test_no_mapping() -> None:
    with pytest.raises(SpaceError, match="a configuration is a mapping"):
        COMPILED.from_mapping([1])  # type: ignore[arg-type]


def test_a_missing_parameter_is_said() -> None:
    with pytest.raises(SpaceError, match=r"no value for parameter 'opt\.adam\.m', which is active"):
        COMPILED.from_mapping({name: value for name, value in GOOD.items() if name != "m"})


def test_types_come_back_from_mappings() -> None:
    values = {act: COMPILED.from_mapping({**GOOD, "act": act})[4] for act in ("relu", None)}
    assert values == {"relu": "relu", None: None}
    for act in (True, 1, 1.0):
        row = COMPILED.from_mapping({**GOOD, "act": act})
        assert type(row[4]) is type(act)
        assert type(COMPILED.decode(COMPILED.encode([row]))[0][4]) is type(act)


def test_relations_compare_values() -> None:
    space = compile_space(
        Space(
            {
                "a": Integer(1, 3),
                "b": Ordinal([3, 1, 2]),
                "s": Categorical(["b", "a"]),
                "t": Ordinal(["a", "b"]),
                "u": Categorical([True, 1, "a"]),
                "v": Categorical([1.0, "a", False]),
            },
            (),
            [
                Forbidden(Relation("a", "less", "b")),
                Forbidden(Relation("s", "greater", "t")),
                Forbidden(Relation("u", "equals", "v")),
            ],
        )
    )
    for row in space.grid():
        a, b, s, t, u, v = row
        assert not a < b
        assert not s > t
        assert isinstance(u, bool) != isinstance(v, bool) or u != v
    legal = (
        sum(a >= b for a in (1, 2, 3) for b in (1, 2, 3)) * sum(s <= t for s in "ab" for t in "ab") * (9 - 2)
    )
    assert space.grid_size() == legal


def test_empty_space_is_refused() -> None:
    with pytest.raises(SpaceError, match="no parameters"):
        compile_space({})
    with pytest.raises(SpaceError, match="a space is a Space or a mapping"):
        compile_space(3)  # type: ignore[arg-type]


def test_lists_and_mappings_are_values() -> None:
    space = compile_space(
        {"a": Categorical([[64, 64], (128,), [], {"b": [1, None]}, "x"]), "c": Constant([1])}
    )
    rows = space.samples(0, 0, 60)
    found = [space.to_mapping(row) for row in rows]
    assert {str(config["a"]) for config in found} == {"[64, 64]", "[128]", "[]", "{'b': [1, None]}", "x"}
    assert all(config["c"] == [1] for config in found)
    assert [space.from_mapping(config) for config in found] == rows
    assert space.from_mapping({"a": (64, np.int64(64)), "c": [1]})[0] == "[64, 64]"
    found[0]["c"].append(2)  # the caller's own
    assert space.to_mapping(rows[0])["c"] == [1]
    assert space.decode(space.encode(rows)) == rows
    with pytest.raises(SpaceError, match=r"parameter 'a' is \[64\], which is not one of"):
        space.from_mapping({"a": [64], "c": [1]})


def test_the_order_of_a_mapping_s_keys_makes_no_difference() -> None:
    one, other = {"b": 2, "a": [{"d": 1, "c": 2}]}, {"a": [{"c": 2, "d": 1}], "b": 2}
    assert Categorical([one, 1], default=other) == Categorical([other, 1], default=one)
    assert Is("k", equals=one) == Is("k", equals=other)
    space = compile_space(Space({"k": Categorical([one, "x"])}, (), [Forbidden(Is("k", not_equals=other))]))
    row = space.from_mapping({"k": OrderedDict(other)})
    assert row == space.from_mapping({"k": one}) == space.sample(0, 0)
    assert space.to_mapping(row) == {"k": one}
    assert from_json(to_json(space.space)) == space.space
