"""ConfigSpace is the oracle: hundreds of random spaces carried in, compared, and carried back."""

from __future__ import annotations

import builtins
import random
import sys

import numpy as np
import pytest

import ConfigSpace as cs
from rung.errors import SpaceError
from rung.space import compile_space, from_configspace, to_configspace
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer, Normal, Ordinal, Space
from rung.space.rules import Condition, Forbidden, Is, Relation

SPACES = 200


def random_parameter(rng: random.Random, name: str):
    low, high = round(rng.uniform(0.5, 5), 3), round(rng.uniform(6, 50), 3)
    whole = rng.randint(1, 5), rng.randint(6, 40)
    log = rng.random() < 0.4
    makers = [
        lambda: cs.UniformFloatHyperparameter(name, low, high, log=log),
        lambda: cs.UniformFloatHyperparameter(name, low, high, default_value=low, log=log),
        lambda: cs.UniformIntegerHyperparameter(name, *whole, log=log),
        lambda: cs.NormalFloatHyperparameter(name, 3.5, 2.25, low, high, log=log),
        lambda: cs.NormalIntegerHyperparameter(name, 4, 2.5, *whole, log=log),
        lambda: cs.BetaFloatHyperparameter(name, 2.5, 4.0, low, high, log=log),
        lambda: cs.BetaIntegerHyperparameter(name, 1.5, 3.0, *whole, log=log),
        lambda: cs.CategoricalHyperparameter(name, ["a", "b", "c"], weights=[1, 2, 3] if log else None),
        lambda: cs.CategoricalHyperparameter(name, [True, False], default_value=False),
        lambda: cs.CategoricalHyperparameter(name, [1, 2.5, "x"]),
        lambda: cs.OrdinalHyperparameter(name, ["small", "medium", "large"]),
        lambda: cs.OrdinalHyperparameter(name, [1, 10, 2, 20], default_value=2),
        lambda: cs.Constant(name, rng.choice([3, "fixed", 0.5])),
    ]
    return rng.choice(makers)()


def random_value(rng: random.Random, parameter):
    value = parameter.sample_value(seed=np.random.RandomState(rng.randrange(2**31)))
    return value.item() if hasattr(value, "item") else value


def random_condition(rng: random.Random, child, parents, deep: bool = True):
    if deep and len(parents) > 1 and rng.random() < 0.35:
        some = rng.sample(parents, rng.randint(2, min(3, len(parents))))
        join = rng.choice([cs.AndConjunction, cs.OrConjunction])
        return join(*[random_condition(rng, child, [parent], False) for parent in some])
    parent = rng.choice(parents)
    value = random_value(rng, parent)
    kinds = [cs.EqualsCondition, cs.NotEqualsCondition, cs.InCondition]
    if parent.ORDERABLE:
        kinds += [cs.LessThanCondition, cs.GreaterThanCondition] * 2
    kind = rng.choice(kinds)
    if kind is cs.InCondition:
        return kind(child, parent, list(dict.fromkeys([value, random_value(rng, parent)])))
    return kind(child, parent, value)


def random_clause(rng: random.Random, parameters, deep: bool = True):
    if deep and rng.random() < 0.5:
        join = rng.choice([cs.ForbiddenAndConjunction, cs.ForbiddenAndConjunction, cs.ForbiddenOrConjunction])
        return join(*[random_clause(rng, parameters, False) for _ in range(2)])
    parameter = rng.choice(parameters)
    value = random_value(rng, parameter)
    kinds = [cs.ForbiddenEqualsClause, cs.ForbiddenInClause]
    if parameter.ORDERABLE:  # not "at most": the library's own check of batches is wrong there
        kinds += [cs.ForbiddenLessThanClause, cs.ForbiddenGreaterThanClause, cs.ForbiddenGreaterThanEqualsClause]
    numeric = [p for p in parameters if hasattr(p, "lower")]
    if len(numeric) > 1 and rng.random() < 0.3:
        kind = rng.choice(
            [
                cs.ForbiddenLessThanRelation,
                cs.ForbiddenGreaterThanRelation,
                cs.ForbiddenEqualsRelation,
                cs.forbidden.ForbiddenLessThanEqualsRelation,
                cs.forbidden.ForbiddenGreaterThanEqualsRelation,
            ]
        )
        return kind(*rng.sample(numeric, 2))
    kind = rng.choice(kinds)
    return kind(parameter, [value] if kind is cs.ForbiddenInClause else value)


def random_space(seed: int):
    """A random ConfigurationSpace whose defaults are legal."""
    rng = random.Random(seed)
    space = cs.ConfigurationSpace(seed=seed)
    parameters = [random_parameter(rng, f"p{i:02}") for i in range(rng.randint(3, 10))]
    space.add(parameters)
    for i, child in enumerate(parameters[1:], 1):
        if rng.random() < 0.5:
            space.add(random_condition(rng, child, parameters[:i]))
    for _ in range(rng.randint(0, 3)):
        clause = random_clause(rng, parameters)
        before = [*space.forbidden_clauses]
        try:
            space.add(clause)
        except cs.exceptions.ForbiddenValueError:  # it forbids the default: make the space again without it
            fresh = cs.ConfigurationSpace(seed=seed)
            fresh.add(list(space.values()))
            fresh.add(list(space.conditions))
            fresh.add(before)
            space = fresh
    return space


def judge(space, mapping) -> str:
    """What ConfigSpace says about a configuration."""
    try:
        cs.Configuration(space, values=mapping)
    except cs.exceptions.ForbiddenValueError:
        return "forbidden"
    return "legal"


@pytest.mark.parametrize("seed", range(SPACES))
def test_same_configurations(seed: int) -> None:
    theirs = random_space(seed)
    compiled = compile_space(from_configspace(theirs))
    rng = np.random.default_rng(seed)
    rows = compiled.decode(rng.random((25, compiled.size)))
    legal = compiled.legal(rows).tolist()
    for row, ours in zip(rows, legal, strict=True):  # activity: they accept exactly what is active
        assert judge(theirs, compiled.to_mapping(row)) == ("legal" if ours else "forbidden")
    for row in rows:
        active = [name for name, on in zip(compiled.names, compiled.activity([row])[0], strict=True) if on]
        assert set(compiled.to_mapping(row)) == set(active)


@pytest.mark.parametrize("seed", range(SPACES))
def test_their_samples_are_ours(seed: int) -> None:
    theirs = random_space(seed)
    compiled = compile_space(from_configspace(theirs))
    try:
        samples = theirs.sample_configuration(10)
    except cs.exceptions.ForbiddenValueError:
        pytest.skip("ConfigSpace finds no legal configuration")
    for sample in samples:
        mapping = dict(sample)
        row = compiled.from_mapping(mapping)  # every active parameter, and none else, and legal
        assert compiled.to_mapping(row) == pytest.approx(mapping)


@pytest.mark.parametrize("seed", range(SPACES))
def test_round_trip(seed: int) -> None:
    theirs = random_space(seed)
    ours = from_configspace(theirs)
    again = to_configspace(ours)
    assert dict(again) == dict(theirs)
    assert sorted(map(str, again.forbidden_clauses)) == sorted(map(str, theirs.forbidden_clauses))
    if not any(
        isinstance(part, cs.NotEqualsCondition) and theirs.parent_conditions_of[part.parent.name]
        for condition in theirs.conditions
        for part in getattr(condition, "dlcs", (condition,))
    ):  # that one goes out as a longer condition with the same meaning
        assert sorted(map(str, again.conditions)) == sorted(map(str, theirs.conditions))
    compiled = compile_space(ours)
    rows = compiled.decode(np.random.default_rng(seed).random((10, compiled.size)))
    for row, ours_legal in zip(rows, compiled.legal(rows).tolist(), strict=True):
        assert judge(again, compiled.to_mapping(row)) == ("legal" if ours_legal else "forbidden")
