"""The language: what is taken, and the sentence for what isn't."""

from __future__ import annotations

import copy
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.errors import SpaceError
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer, Normal, Ordinal, Space
from rung.space.layout import MisfitError
from rung.space.rules import AllOf, AnyOf, Condition, Forbidden, Is, Relation
from rung.space.steps import Steps

NAN, INF = math.nan, math.inf


def test_importing_the_language_imports_no_numpy() -> None:
    code = (
        "import sys, rung.space.domains, rung.space; rung.space.values; assert 'numpy' not in sys.modules; "
        "assert rung.Float(0, 1) and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1, 1), r"Float\(1.0, 1.0\): low must be below high; for a single value use Constant"),
        (lambda: Float(2, 1), "low must be below high"),
        (lambda: Integer(3, 2), r"Integer\(3, 2\): low must be below high"),
        (lambda: Float(0, 1, log=True), "with log=True low must be above 0"),
        (lambda: Integer(0, 5, log=True), "with log=True low must be above 0"),
        (lambda: Float(NAN, 1), "Float's low must be a finite number, not nan"),
        (lambda: Float(0, INF), "Float's high must be a finite number, not inf"),
        (lambda: Float("a", 1), "Float's low must be a number, not 'a'"),
        (lambda: Float(True, 2), "Float's low must be a number, not True"),
        (lambda: Float(-1e308, 1e308), "range is too large"),
        (lambda: Float(0, 1, step=0.3), "the step must divide the range"),
        (lambda: Float(0, 1, step=2), "the step must divide the range"),
        (lambda: Categorical([[1, NAN]]), r"a value is \[1, nan\], in which something is no JSON"),
        (lambda: Categorical([[1], (1,)]), r"has the value '\[1\]' twice"),
        (lambda: Integer(8, 100, step=32), r"Integer\(8, 100, step=32\).*as it does with high=72"),
        (lambda: Integer(8, 72, step=2.5), "Integer's step must be a whole number"),
        (lambda: Integer(8, 72, step=8, log=True), "step can't go with log=True"),
        (
            lambda: Integer(8, 72, step=32, default=41),
            "the default is 41, which is not 8 plus a multiple of 32",
        ),
        (lambda: Float(0, 1, step=0), "the step must be positive"),
        (lambda: Float(0, 1, step=NAN), "Float's step must be a finite number"),
        (lambda: Float(1, 2, step=0.5, log=True), "step can't go with log=True"),
        (lambda: Float(0, 1, default=2), "the default is 2, which is not between 0.0 and 1.0"),
        (
            lambda: Float(0, 1, step=0.1, default=0.15),
            "the default is 0.15, which is not 0.0 plus a multiple",
        ),
        (lambda: Float(0, 1, prior=[1, 2]), r"the prior must be Normal\(...\) or Beta\(...\)"),
        (lambda: Float(1, 2, log=True, prior=Normal(-1, 1)), "the prior's mean must be above 0"),
        (lambda: Float(0, 1, prior=Normal(1e300, 1)), "the prior's mean is over 10,000 deviations away"),
        (
            lambda: Float(1, 2, log=True, prior=Normal(1e300, 0.01)),
            "the prior's mean is over 10,000 deviations",
        ),
        (lambda: Categorical([1, 2], prior=3), "the prior must be a list of weights, not 3"),
        (
            lambda: Categorical([1, 2], prior={1: 0.9, 2: 0.1}),
            "a list of weights, not {1: 0.9, 2: 0.1}: one for",
        ),
        (lambda: Categorical([1, 2], prior={3, 4}), "a list of weights, not {3, 4}: one for each value"),
        (lambda: Categorical([1, 2], prior="12"), "a list of weights, not '12': one for each value"),
        (
            lambda: Choice({"a": {}, "b": {}}, prior={"a": 1, "b": 2}),
            "a list of weights, not {'a': 1, 'b': 2}",
        ),
        (lambda: Constant(np.array([1, 2])), "which is not a single value"),
        (lambda: Space({"a": Float(0, 1)}, 3), "a list of Condition"),
        (lambda: Normal(0, 0), "deviation must be positive"),
        (lambda: Normal(NAN, 1), "mean must be a finite number"),
        (lambda: Beta(0.5, 1), "at least 1"),
        (lambda: Integer(1.5, 3), "Integer's low must be a whole number"),
        (lambda: Integer(0, 2**60), "must be a whole number below"),
        (lambda: Integer(1 - 2**53, 2**52), "the range must be below"),
        (lambda: Integer(1, 5, default=2.5), "the default is 2.5, which is not a whole number"),
        (lambda: Categorical([]), "Categorical needs at least one value"),
        (lambda: Categorical("abc"), "Categorical needs a list of values, not 'abc'"),
        (lambda: Categorical({"a"}), "Categorical needs a list of values, not {'a'}"),
        (lambda: Categorical(3), "Categorical needs a list of values, not 3"),
        (lambda: Categorical([1, 2, 1]), "Categorical has the value 1 twice"),
        (
            lambda: Categorical([1j, 2]),
            "a value is 1j, which is not a str, int, float, bool, None, list or map",
        ),
        (lambda: Categorical([NAN]), "a value is nan"),
        (lambda: Categorical([1, 2], prior=[1]), "has 2 values and 1 weights"),
        (lambda: Categorical([1, 2], prior=[1, -1]), "weights must not be negative"),
        (lambda: Categorical([1, 2], prior=[0, 0]), "one of them must be positive"),
        (lambda: Categorical([1, 2], default=True), "the default is True, which is not one of 1, 2"),
        (lambda: Ordinal([]), "Ordinal needs at least one value"),
        (lambda: Ordinal([1, 2], default=3), "Ordinal: the default is 3"),
        (lambda: Constant([1j]), r"Constant's value is \[1j\], in which something is no JSON"),
        (lambda: Categorical([{1: "a"}]), "a value is {1: 'a'}, .*mapping's keys must be text, not 1"),
        (lambda: Constant([{"a": ({None: 1},)}]), "a mapping's keys must be text, not None"),
        (lambda: Is("a", one_of=[{True: 1}]), "about 'a' has {True: 1}, .* must be text, not True"),
        (lambda: Categorical([{"a": 1, "b": 2}, {"b": 2, "a": 1}]), "has the value .* twice"),
        (lambda: Choice({}), "Choice needs at least one branch"),
        (lambda: Categorical(["\ud800"]), "has half of a surrogate pair and is no text"),
        (lambda: Space({"\ud800": Float(0, 1)}), r"the parameter '\\ud800' has half of a surrogate pair"),
        (lambda: Choice({1: {}}), "the name of a branch must be text, not 1"),
        (lambda: Choice({"a": 3}), "a space is a Space or a mapping"),
        (lambda: Choice(3), "a mapping from names was expected, not 3"),
        (lambda: Choice({"a": {}}, default="b"), "the default 'b' is not one of its branches"),
        (lambda: Space({"": Float(0, 1)}), "the name of a parameter must be text, not ''"),
        (lambda: Space([("a", Float(0, 1)), ("a", Float(0, 1))]), "has the parameter 'a' twice"),
        (lambda: Space({"a": [1, 2]}), r"parameter 'a' must be a Float, .*, not \[1, 2\]"),
        (lambda: Space({"a": Float(0, 1)}, [Is("a", less=1)]), r"Condition\(...\) was expected"),
        (lambda: Space({"a": Float(0, 1)}, (), [Is("a", less=1)]), r"Forbidden\(...\) was expected"),
        (lambda: Is("a"), "exactly one of .*, not none"),
        (lambda: Is("a", equals=1, less=2), "exactly one of .*, not equals and less"),
        (lambda: Is("a", one_of="xyz"), "one_of for 'a' must be a list of values"),
        (lambda: Is("a", one_of=b"xyz"), "one_of for 'a' must be a list of values"),
        (lambda: Is("a", one_of={"x": 1}), "one_of for 'a' must be a list of values, not {'x': 1}"),
        (lambda: Is("a", one_of=[]), "one_of for 'a' needs at least one value"),
        (lambda: Condition("b", "a", one_of=()), "one_of for 'a' needs at least one value"),
        (lambda: Is("a", one_of=[[1j]]), r"about 'a' has \[1j\], in which something is no JSON"),
        (lambda: Is("a", equals=[NAN]), r"about 'a' has \[nan\], in which something is no JSON"),
        (lambda: Relation("a", "<", "b"), "must be one of equals, less"),
        (lambda: Condition("a", on="b"), "exactly one of"),
        (lambda: Condition("a", Is("b", less=1), less=2), "has a statement and a comparison beside it"),
        (lambda: Condition("a", 3), "needs a statement such as .*, not 3"),
        (lambda: Forbidden("a"), "Forbidden needs a statement"),
        (lambda: AllOf(), "AllOf needs at least one statement"),
        (lambda: Space({"a": (0, 1.5)}), r"for a range write Float\(0, 1.5\), for a choice Categorical"),
        (lambda: Space({"a": [1, 8]}), r"for a range write Integer\(1, 8\), for a choice Categorical"),
        (lambda: Space({"a": [True, False]}), r"for a choice write Categorical\(\[True, False\]\)"),
        (lambda: Space({"a": ("x", "y", "z")}), r"for a choice write Categorical\(\['x', 'y', 'z'\]\)"),
        (lambda: Space({"a": 0.1}), r"for one value write Constant\(0.1\)"),
        (lambda: Space({"a": {"b": Float(0, 1)}}), "names are flat; .* are a branch of a Choice"),
        (lambda: AnyOf(Is("a", less=1), 3), "AnyOf joins statements such as Is"),
    ],
)
def test_mistakes_get_a_sentence(make, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_values_become_plain() -> None:
    assert Float(np.float32(0.5), 1).low == 0.5
    assert type(Integer(np.int64(1), 5.0).high) is int
    assert [type(v) for v in Categorical(np.array([1, 2])).values] == [int, int]
    assert type(Categorical([np.bool_(True)]).values[0]) is bool
    assert Float(0, 1).admit(1) == 1.0
    assert type(Float(0, 1).admit(1)) is float
    assert Integer(0, 5).admit(3.0) == 3


def test_true_and_one_are_different() -> None:
    domain = Categorical([True, 1, 1.0])
    assert [type(v) for v in domain.values] == [bool, int, float]
    assert type(domain.admit(1)) is int
    assert type(domain.admit(True)) is bool
    with pytest.raises(MisfitError):
        Categorical([1, 2]).admit(True)
    with pytest.raises(MisfitError):
        Integer(0, 2).admit(True)
    with pytest.raises(MisfitError):
        Float(0, 2).admit(True)
    assert Categorical([True, 2]) != Categorical([1, 2])
    assert Categorical([True, 1], default=True) != Categorical([True, 1], default=1)
    assert Constant(1) != Constant(1.0)
    assert Is("a", equals=1) != Is("a", equals=True)


def test_frozen_values() -> None:
    space = Space(
        {"a": Float(0, 1), "b": Choice({"x": {"c": Ordinal([1, 2])}, "y": {}})},
        [Condition("a", on="b", equals="x")],
        [Forbidden(Is("a", less=0.5) & Is("c", equals=1) | Relation("a", "less", "c"))],
    )
    assert pickle.loads(pickle.dumps(space)) == space
    assert copy.deepcopy(space) == space
    assert hash(space) == hash(pickle.loads(pickle.dumps(space)))
    with pytest.raises(AttributeError):
        space.parameters[0][1].low = 3  # type: ignore[misc]


def test_steps_are_the_decimals_one_writes() -> None:
    assert [Steps.between(0.0, 1.0, 0.1).value(i) for i in range(11)] == [
        float(f"0.{i}") for i in range(10)
    ] + [1.0]
    assert [Steps.between(-0.3, 0.3, 0.2).value(i) for i in range(4)] == [-0.3, -0.1, 0.1, 0.3]
    third = Float(0, 1, step=1 / 3)
    assert third.steps().count == 4
    assert third.steps().value(3) == 1.0
    assert third.admit(0.6666666666666667) == third.steps().value(2)


@given(st.integers(-1000, 1000), st.integers(1, 500), st.integers(1, 60), st.integers(0, 8))
def test_steps_agree_with_decimals(first: int, step: int, count: int, digits: int) -> None:
    low, by = first / 10**digits, step / 10**digits
    high = (first + count * step) / 10**digits
    steps = Steps.between(low, high, by)
    assert steps.count == count + 1
    for i in range(count + 1):
        assert steps.value(i) == (first + i * step) / 10**digits
        assert steps.nearest(steps.value(i)) == i


def test_a_set_of_values_is_the_same_statement_in_every_process() -> None:
    code = "import rung.space.rules as r; print(r.Is('a', one_of={'x', 'y', 'z', 10, 9, None, True, 0.5}))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": n},
        ).stdout
        for n in ("1", "2", "3")
    }
    assert len(seen) == 1
    assert Is("a", one_of={"x", "y"}) == Is("a", one_of=frozenset(["y", "x"])) == Is("a", one_of=["x", "y"])


def test_joining() -> None:
    a, b, c = Is("a", equals=1), Is("b", less=2), Is("c", one_of=[1])
    assert (a & b & c).terms == (a, b, c)
    assert (a | b | c).terms == (a, b, c)
    assert (a & b | c).terms == (a & b, c)


def test_the_package_says_what_it_has() -> None:
    import rung.space

    assert {"Space", "compile_space", "to_json", "from_json", "load_space", "Is"} <= set(dir(rung.space))
    assert rung.space.Float is Float
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rung.space.nothing  # noqa: B018
