"""What rules may name, and which spaces contradict themselves."""

from __future__ import annotations

import pytest

from rung.errors import SpaceError
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.space.layout import Every, Literal, lay_out
from rung.space.rules import Condition, Forbidden, Is, Relation

UNIT = Float(0, 1)
NESTED = {
    "n": Integer(1, 9),
    "opt": Choice(
        {"sgd": {"m": UNIT, "lag": UNIT}, "adam": {"m": UNIT, "inner": Choice({"x": {"deep": UNIT}})}}
    ),
}


def test_slots_and_gates() -> None:
    space = Space(
        NESTED, [Condition("opt.sgd.m", on="n", less=5), Condition("opt.sgd.m", on="lag", less=0.5)]
    )
    layout = lay_out(space)
    assert [slot.key for slot in layout.slots] == [
        "n", "opt", "opt.sgd.m", "opt.sgd.lag", "opt.adam.m", "opt.adam.inner", "opt.adam.inner.x.deep",
    ]  # fmt: skip
    assert layout.gates[0] is None
    assert layout.gates[2] == Every(
        (Literal(1, "equals", "sgd"), Literal(0, "less", 5), Literal(3, "less", 0.5))
    )
    assert layout.gates[6] == Literal(5, "equals", "x")
    assert layout.order == (0, 1, 3, 2, 4, 5, 6)


def test_names_below_and_dotted() -> None:
    rules = [
        Forbidden(Is("deep", less=0.1)),
        Forbidden(Is("opt.adam.m", less=0.1)),
        Forbidden(Is("lag", less=1)),
    ]
    assert [rule.slot for rule in lay_out(Space(NESTED, (), rules)).forbidden] == [6, 4, 3]


def test_a_branch_has_rules_of_its_own() -> None:
    branch = Space({"m": UNIT, "on": Categorical([True, False])}, [Condition("m", on="on", equals=True)])
    layout = lay_out(Space({"opt": Choice({"adam": branch})}))
    assert layout.gates[1] == Every((Literal(0, "equals", "adam"), Literal(2, "equals", True)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Space({"m": UNIT, "opt": Choice({"sgd": {"m": UNIT}})}),
            "'m' and 'opt.sgd.m' can be active together",
        ),
        (
            lambda: Space({"a": Choice({"x": {"m": UNIT}}), "b": Choice({"x": {"m": UNIT}})}),
            "'a.x.m' and 'b.x.m' can be active together",
        ),
        (lambda: Space({"opt": Choice({"opt": {"opt": UNIT}})}), "'opt' and 'opt.opt.opt' can be active"),
        (lambda: Space({"a.x.m": UNIT, "a": Choice({"x": {"m": UNIT}})}), "the full name 'a.x.m'"),
        (
            lambda: Space({"a": UNIT}, [Condition("a", on="b", equals=1)]),
            "condition of 'a' names the parameter 'b'",
        ),
        (lambda: Space({"a": UNIT}, [Condition("b", on="a", less=1)]), "a condition names the parameter 'b'"),
        (
            lambda: Space({"a": UNIT}, (), [Forbidden(Is("b", less=1))]),
            "forbidden statement names the parameter 'b'",
        ),
        (
            lambda: Space(NESTED, (), [Forbidden(Is("m", less=1))]),
            "'m', which several branches have; say 'opt.sgd.m' or",
        ),
        (
            lambda: Space({"a": UNIT}, [Condition("a", on="a", less=1)]),
            "conditions of parameter 'a' lead back",
        ),
        (
            lambda: Space(
                {"a": UNIT, "b": UNIT}, [Condition("a", on="b", less=1), Condition("b", on="a", less=1)]
            ),
            "lead back to itself",
        ),
        (
            lambda: Space({"opt": Choice({"x": {"m": UNIT}})}, [Condition("opt", on="m", less=1)]),
            "lead back to itself",
        ),
        (
            lambda: Space({"a": UNIT, "b": UNIT}, [Condition("a", on="b", equals=3)]),
            "a value of 'b' is 3, which is not",
        ),
        (
            lambda: Space({"a": UNIT, "c": Categorical(["x"])}, [Condition("a", on="c", less="x")]),
            "a Categorical has no order",
        ),
        (
            lambda: Space({"a": UNIT, "c": Categorical([1, 2])}, [Condition("a", on="c", equals=True)]),
            "is True, which is not",
        ),
        (
            lambda: Space({"a": UNIT, "c": Constant(1)}, [Condition("a", on="c", greater=1)]),
            "a Constant has no order",
        ),
        (
            lambda: Space({"a": UNIT, "c": Ordinal(["x", "y"])}, (), [Forbidden(Relation("a", "less", "c"))]),
            "the values of 'a' and 'c' can't be compared",
        ),
        (
            lambda: Space(
                {"a": Categorical([None, 1]), "c": Ordinal([None])},
                (),
                [Forbidden(Relation("c", "less", "c"))],
            ),
            "have no order",
        ),
    ],
)
def test_contradictions(make, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()
