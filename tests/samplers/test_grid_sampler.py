"""The grid against the plain product of its values."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

from rung.errors import StudyError
from rung.samplers.base import Request
from rung.samplers.grid import GridSampler, Walk, places
from rung.space import to_json
from rung.space.axes import make_axis
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.space.draws import Rng
from rung.space.rules import Condition, Forbidden, Is
from rung.trials.events import Origin, Requested, SpaceChanged, Told


def walk(space, sampler, record, limit=5000):
    """All that the grid suggests when each suggestion is run; `record` may be what makes one."""
    record = record if hasattr(record, "history") else record()
    found = []
    for number in range(limit):
        suggestion = sampler.suggest(space, record.history, Request(1), Rng(0, number))
        if suggestion is None:
            return found
        assert suggestion.origin == Origin("grid")
        found.append(suggestion.values)
        record.start(*suggestion[:1], origin=suggestion.origin)
    raise AssertionError("the grid doesn't end")


def mappings(space, rows):
    return [tuple(sorted(space.to_mapping(row).items())) for row in rows]


def values_of(domain, count):
    axis = make_axis(domain)
    return axis.python(axis.raw(places(domain, count)))


def test_a_flat_grid_is_the_product_of_its_values(recorder):
    space = compile_space({"a": Float(0.0, 1.0), "b": Integer(1, 3), "c": Categorical(["x", "y"])})
    found = walk(space, GridSampler(resolution=5), recorder)
    assert found == list(itertools.product([0.0, 0.25, 0.5, 0.75, 1.0], [1, 2, 3], ["x", "y"]))


@pytest.mark.parametrize(
    ("domain", "count", "expected"),
    [
        (Float(0.0, 1.0), 1, [0.5]),
        (Float(1.0, 100.0, log=True), 3, [1.0, pytest.approx(10.0), 100.0]),
        (Float(0.0, 1.0, step=0.5), 5, [0.0, 0.5, 1.0]),
        (Float(0.0, 1.0, step=0.01), 3, [0.0, 0.5, 1.0]),
        (Integer(1, 9), 3, [1, 5, 9]),
        (Integer(1, 4), 10, [1, 2, 3, 4]),
        (Integer(1, 8, log=True), 8, [1, 2, 3, 4, 5, 6, 7, 8]),
        (Integer(1, 1000, log=True), 2, [1, 1000]),
        (Ordinal(["s", "m", "l"]), 2, ["s", "m", "l"]),
        (Categorical([True, 1, 1.0, None]), 2, [True, 1, 1.0, None]),
        (Constant(3), 4, [3]),
    ],
)
def test_a_parameters_values(domain, count, expected):
    found = values_of(domain, count)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in values_of(domain, count)]


def test_values_of_an_integer_are_never_doubled():
    for high in range(2, 40):
        for count in range(1, 15):
            for log in (False, True):
                found = values_of(Integer(1, high, log=log), count)
                assert len(set(found)) == len(found) <= max(count, 1)
                assert count == 1 or {1, high} <= set(found)


CONDITIONAL = Space(
    {
        "late": Integer(1, 2),
        "layers": Integer(1, 3),
        "optimizer": Choice(
            {
                "sgd": {
                    "momentum": Float(0, 1),
                    "nesterov": Choice({"on": {"damp": Float(0, 1)}, "off": {}}),
                },
                "adam": {"beta": Float(0, 1)},
                "plain": {},
            }
        ),
        "width": Categorical(["s", "l"]),
    },
    conditions=[
        Condition("late", "width", equals="l"),  # declared before what it depends on
        Condition("width", "layers", greater=1),
    ],
    forbidden=[Forbidden(Is("optimizer", equals="plain") & Is("layers", equals=3))],
)


def by_brute_force(space, count):
    """The different legal configurations at all combinations of all places, active or not."""
    lines = [places(domain, count) for domain in space.domains]
    rows = space.decode(np.array(list(itertools.product(*lines))))
    legal = space.legal(rows)
    return {row for row, fine in zip(rows, legal, strict=True) if fine}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_conditional_grid_is_complete_and_without_repeats(recorder, count):
    space = compile_space(CONDITIONAL)
    found = walk(space, GridSampler(resolution=count), recorder)
    assert len(set(found)) == len(found)
    assert set(found) == by_brute_force(space, count)


def test_a_resolution_by_parameter(recorder):
    space = compile_space({"a": Float(0, 1), "c": Choice({"u": {"b": Float(0, 1)}, "v": {"b": Float(0, 1)}})})
    rows = walk(space, GridSampler(resolution={"a": 2, "c.v.b": 3}), recorder)
    assert len(rows) == 2 * (10 + 3)
    rows = walk(space, GridSampler(resolution={"a": 2, "b": 4}), recorder)
    assert len(rows) == 2 * (4 + 4)


@pytest.mark.parametrize("name", ["z", "c"])
def test_a_resolution_for_what_is_no_numeric_parameter_is_refused(recorder, name):
    space = compile_space({"a": Float(0, 1), "c": Categorical(["x", "y"])})
    sampler = GridSampler(resolution={name: 2})
    with pytest.raises(StudyError, match=rf"names '{name}', .*those are a$"):
        sampler.suggest(space, recorder().history, Request(1), Rng(0, 0))


@pytest.mark.parametrize("resolution", [0, {"a": -1}])
def test_a_resolution_below_one_is_refused(resolution):
    with pytest.raises(ValueError, match="at least 1"):
        GridSampler(resolution=resolution)


def test_configurations_of_the_user_do_not_move_the_grid(recorder):
    space = compile_space({"a": Integer(1, 4)})
    record, sampler = recorder(), GridSampler()
    record.start((1,), origin=Origin("grid"))
    for _ in range(3):
        record.start((4,), origin=Origin("enqueued"))
    suggestion = sampler.suggest(space, record.history, Request(1), Rng(0, 4))
    assert suggestion.values == (2,)


def test_what_was_enqueued_or_told_is_not_suggested_again(recorder):
    space = compile_space({"a": Integer(1, 3), "b": Categorical([True, 1])})
    record = recorder(None, space)
    record.start((1, True), origin=Origin("enqueued"))
    record.history.fold(Told(1, (2, 1), {"loss": 0.5}, 1))
    found = walk(space, GridSampler(), record)
    assert [(a, type(b)) for a, b in found] == [(1, int), (2, bool), (3, bool), (3, int)]


def test_a_changed_space_has_a_grid_of_its_own(recorder):
    before = compile_space({"a": Integer(1, 2), "b": Integer(1, 2)})
    record, sampler = recorder(None, before), GridSampler()
    for number in range(3):
        suggestion = sampler.suggest(before, record.history, Request(1), Rng(0, number))
        record.trial(suggestion.values, 0.5, origin=suggestion.origin)
    record.history.fold(SpaceChanged(to_json(Space({"a": Integer(2, 3), "b": Integer(1, 2)}))))
    found = walk(record.history.space, sampler, record)
    assert found == [(2, 2), (3, 1), (3, 2)]  # (2, 1) is a trial already; those with a = 1 are outside


def test_a_fixed_parameter_has_its_value_alone(recorder):
    space = compile_space(
        {"x": Float(0, 1), "c": Choice({"u": {"b": Float(0, 1)}, "v": {"b": Categorical(["p", "q"])}})}
    )
    record, sampler = recorder(None, space), GridSampler(resolution=2)
    assert len(walk(space, sampler, recorder(None, space))) == 2 * (2 + 2)
    record.history.fold(Requested("fix", {"x": 1 / 3, "b": 0.1}))
    assert walk(space, sampler, record) == [(1 / 3, "u", 0.1, ()), (1 / 3, "v", (), "p")]


def test_a_cold_start_gives_the_same_and_the_work_of_a_step_does_not_grow(recorder, monkeypatch):
    space = compile_space(CONDITIONAL)
    record, sampler, steps = recorder(None, space), GridSampler(resolution=4), []
    read = Walk._read
    monkeypatch.setattr(Walk, "_read", lambda walk: steps.append(0) or read(walk))
    for number in range(60):
        before = len(steps)
        warm = sampler.suggest(space, record.history, Request(1), Rng(0, number))
        assert len(steps) - before <= 2
        assert sampler.suggest(space, copy.deepcopy(record.history), Request(1), Rng(0, number)) == warm
        record.start(warm.values, origin=warm.origin)


def test_forbidden_parts_of_a_grid_are_stepped_over_whole(recorder):
    inner = {f"x{i}": Integer(0, 9) for i in range(8)}  # 100 million combinations
    space = compile_space(
        Space({"a": Categorical(["no", "yes"]), **inner}, forbidden=[Forbidden(Is("a", equals="no"))])
    )
    suggestion = GridSampler().suggest(space, recorder().history, Request(1), Rng(0, 0))
    assert suggestion.values == ("yes", *[0] * 8)


def test_a_grid_of_which_all_is_forbidden_has_nothing(recorder):
    space = compile_space(
        Space(
            {"a": Float(0, 1), "b": Categorical(["x", "y"])},
            forbidden=[Forbidden(Is("a", at_most=0.0)), Forbidden(Is("a", at_least=1.0))],
        )
    )
    assert walk(space, GridSampler(resolution=2), recorder) == []
