"""Random configurations beside values that are set: legal, by the priors, all of them where few are left."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

import rung
from rung.space import Beta, compile_space
from rung.space.beside import MOST, drawn_beside
from rung.space.domains import Categorical, Constant, Float, Integer, Ordinal, Space
from rung.space.rules import Forbidden, Is
from rung.space.values import INACTIVE

SPACE = compile_space(
    Space(
        {
            "x": Float(0, 1, prior=Beta(8, 2)),
            "n": Integer(1, 9),
            "o": Ordinal([1, 2, 4]),
            "one": Constant("c"),
            "kind": rung.Choice(
                {"a": {"m": Float(0, 1)}, "b": {"m": Float(5, 6), "k": Categorical(["u", "v"])}}
            ),
        },
        forbidden=[Forbidden(Is("kind", equals="b") & Is("n", greater=6))],
    )
)


@pytest.mark.parametrize(
    "fixed", [{}, {"n": 8}, {"kind": "b"}, {"kind.b.m": 5.5, "o": 4}, {"m": 0.5, "one": "c"}, {"x": 0.25}]
)
def test_they_are_legal_have_what_is_set_and_are_drawn_by_the_priors(fixed):
    draws = list(islice(drawn_beside(SPACE, fixed, 3), 2000))
    assert draws[:20] == list(islice(drawn_beside(SPACE, fixed, 3), 20))
    rows = [draw.values for draw in draws]
    assert SPACE.legal(rows).all()
    for row, every in draws:
        assert all(v is INACTIVE or (type(v) is type(e) and v == e) for v, e in zip(row, every, strict=True))
        assert INACTIVE not in every
        assert SPACE.from_mapping(SPACE.to_mapping(row)) == row
    for slot, key in enumerate(SPACE.keys):
        found = {row[slot] for row in rows} - {INACTIVE}
        if key in fixed:
            assert found <= {fixed[key]}
    if "x" not in fixed:
        assert abs(np.mean([row[0] for row in rows]) - 0.8) < 0.02


def test_nothing_set_and_nothing_forbidden_is_what_random_search_draws():
    space = compile_space({"x": Float(0, 1), "kind": rung.Choice({"a": {"m": Float(0, 1)}, "b": {}})})
    found = [draw.values for draw in islice(drawn_beside(space, {}, 7), 100)]
    assert found == space.samples(7, 0, 100)


def test_there_is_an_end_where_nothing_is_legal():
    space = compile_space(
        Space({"x": Float(0, 1), "k": Categorical(["a", "b"])}, forbidden=[Forbidden(Is("k", equals="a"))])
    )
    assert list(drawn_beside(space, {"k": "a"}, 0)) == []
    assert sum(1 for _ in drawn_beside(space, {"k": "b"}, 0)) == MOST
