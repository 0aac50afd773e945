"""ConfigSpace is the oracle: hundreds of random spaces carried in, compared, and carried back."""

from __future__ import annotations

import builtins
import random
import sys
from functools import cache

import numpy as np
import pytest

from rung.errors import SpaceError
from rung.space import compile_space, from_configspace, to_configspace
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer, Normal, Ordinal, Space
from rung.space.rules import Condition, Forbidden, Is, Relation

cs = pytest.importorskip("ConfigSpace")

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
        kinds += [
            cs.ForbiddenLessThanClause,
            cs.ForbiddenGreaterThanClause,
            cs.ForbiddenGreaterThanEqualsClause,
        ]
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


@cache
def random_space(seed: int):
    """A random ConfigurationSpace; those that the library itself can't make are left out."""
    for attempt in range(100):
        try:
            return try_random_space(seed + 1000 * attempt)
        except cs.exceptions.ActiveHyperparameterNotSetError:
            continue
    raise AssertionError


def try_random_space(seed: int):
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
    """What ConfigSpace says about a configuration: its check of values, not all of its samples pass it."""
    try:
        cs.Configuration(space, values=mapping)
    except cs.exceptions.ForbiddenValueError:
        return "forbidden"
    except (cs.exceptions.InactiveHyperparameterSetError, cs.exceptions.ActiveHyperparameterNotSetError):
        return "activity"
    return "legal"


@pytest.mark.parametrize("seed", range(SPACES))
def test_same_configurations(seed: int) -> None:
    theirs = random_space(seed)
    compiled = compile_space(from_configspace(theirs))
    rng = np.random.default_rng(seed)
    rows = compiled.decode(rng.random((15, compiled.size)))
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
        if judge(theirs, mapping) == "legal":  # every active parameter, and none else
            assert compiled.to_mapping(compiled.from_mapping(mapping)) == pytest.approx(mapping)
        else:
            with pytest.raises(SpaceError):
                compiled.from_mapping(mapping)


@pytest.mark.parametrize("seed", range(0, SPACES, 2))
def test_same_activity(seed: int) -> None:
    """Parameters dropped, or with a value though they are not active: refused by both."""
    theirs = random_space(seed)
    compiled = compile_space(from_configspace(theirs))
    full = {name: parameter.default_value for name, parameter in theirs.items()}
    rng = random.Random(seed)
    for row in compiled.samples(seed, 0, 10):
        mapping = compiled.to_mapping(row)
        assert judge(theirs, mapping) == "legal"
        inactive = [name for name in full if name not in mapping]
        if inactive:
            name = rng.choice(inactive)
            more = {**mapping, name: full[name]}
            assert judge(theirs, more) == "activity"
            with pytest.raises(SpaceError, match="not active"):
                compiled.from_mapping(more)


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


EXAMPLE = Space(
    {
        "lr": Float(0.001, 0.5, log=True, prior=Normal(0.01, 1.5)),
        "beta": Float(0, 1, prior=Beta(2, 3), default=0.25),
        "drop": Float(0, 0.5, step=0.1, default=0.2),
        "layers": Integer(1, 8, prior=Normal(2, 3)),
        "width": Integer(32, 160, step=32, default=64),
        "kind": Categorical(["x", "y", "z"], prior=[1, 1, 2]),
        "size": Ordinal([8, 16, 32]),
        "fixed": Constant(True),
        "optimizer": Choice(
            {
                "sgd": {"momentum": Float(0, 0.5), "lag": Integer(1, 3)},
                "adam": {"lag": Integer(2, 5)},
                "none": {},
            },
            prior=[1, 2, 1],
        ),
    },
    [
        Condition("drop", Is("layers", at_least=3) & Is("kind", not_equals="z")),
        Condition("optimizer.sgd.momentum", on="layers", less=6),
        Condition("beta", Is("optimizer.sgd.lag", not_equals=2) | Is("size", one_of=[8, 16])),
    ],
    [
        Forbidden(Is("kind", not_equals="x") & Is("layers", at_most=1)),
        Forbidden(Is("layers", not_equals=4) & Is("optimizer", equals="none")),
        Forbidden(Relation("layers", "at_least", "size")),
        Forbidden(Is("size", at_least=32) & Is("drop", at_most=0.1)),
    ],
)


def renamed(compiled, row):
    """A configuration under the names that it has in ConfigSpace."""
    shared = [name for name in compiled.names if compiled.names.count(name) > 1]
    return {
        key if name in shared else name: value
        for key, name, value in zip(compiled.keys, compiled.names, row, strict=True)
        if value != ()
    }


def test_out() -> None:
    compiled = compile_space(EXAMPLE)
    theirs = to_configspace(EXAMPLE)
    rows = compiled.decode(np.random.default_rng(0).random((300, compiled.size)))
    verdicts = [judge(theirs, renamed(compiled, row)) for row in rows]
    assert verdicts == ["legal" if good else "forbidden" for good in compiled.legal(rows).tolist()]
    assert 20 < verdicts.count("legal") < 280


def test_out_and_in_again() -> None:
    flat = Space([(name, domain) for name, domain in EXAMPLE.parameters if name not in ("optimizer", "beta")])
    again = from_configspace(to_configspace(flat))
    compiled, other = compile_space(flat), compile_space(again)
    for name, domain in again.parameters:
        before = dict(flat.parameters)[name]
        assert type(domain) is type(before)
        assert domain.admit(compiled.defaults[compiled.names.index(name)]) is not None
    assert dict(again.parameters)["drop"] == dict(flat.parameters)["drop"]
    assert dict(again.parameters)["lr"].prior.deviation == pytest.approx(1.5)
    for row in compiled.samples(0, 0, 50):
        mapping = compiled.to_mapping(row)
        assert other.to_mapping(other.from_mapping(mapping)) == mapping


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"a": Categorical([[1], [2]])}, "'a' has no counterpart in ConfigSpace: lists as values"),
        ({"a": Float(0, 1e-15)}, "'a' has no counterpart: ConfigSpace keeps 13 decimals"),
        ({"a": Float(0, 1, step=0.1, prior=Normal(0.5, 0.1))}, "'a' has no counterpart.*a step and a prior"),
        ({"a": Float(0, 1, step=1e-5)}, "'a' has no counterpart.*more than 10,000 values"),
        (
            Space(
                {"a": Float(0, 1), "b": Float(0, 1), "c": Constant(1)},
                [Condition("c", Relation("a", "less", "b"))],
            ),
            "the condition of 'c' has no counterpart in ConfigSpace: it compares two parameters",
        ),
        (Space({"a": Categorical(["x", "y"])}, (), [Forbidden(Is("a", equals="x"))]), "ConfigSpace refuses"),
    ],
)
def test_refused_on_the_way_out(space, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        to_configspace(space)


def test_sequences_come_in_as_lists() -> None:
    space = cs.ConfigurationSpace()
    space.add(cs.CategoricalHyperparameter("pairs", [(1, 2), (3, 4)], default_value=(3, 4)))
    assert from_configspace(space) == Space({"pairs": Categorical([[1, 2], [3, 4]], default=[3, 4])})


def test_refused_on_the_way_in() -> None:
    space = cs.ConfigurationSpace()
    space.add(cs.CategoricalHyperparameter("odd", [1j, 2j]))
    with pytest.raises(SpaceError, match="'odd' has no counterpart"):
        from_configspace(space)
    flags = cs.ConfigurationSpace()
    flags.add(cs.CategoricalHyperparameter("flag", [True, False]), cs.CategoricalHyperparameter("n", [1, 2]))
    flags.add(
        cs.ForbiddenAndConjunction(
            cs.ForbiddenEqualsRelation(flags["flag"], flags["n"]),
            cs.ForbiddenEqualsClause(flags["flag"], False),
        )
    )
    with pytest.raises(SpaceError, match="compares booleans with numbers"):
        from_configspace(flags)
    with pytest.raises(SpaceError, match="was expected"):
        from_configspace({"a": 1})


def test_types_are_exact() -> None:
    space = cs.ConfigurationSpace()
    space.add(
        cs.CategoricalHyperparameter("flag", [True, False]),
        cs.CategoricalHyperparameter("mixed", [1, 2.5, "x"]),
        cs.UniformIntegerHyperparameter("n", 1, 5),
    )
    compiled = compile_space(from_configspace(space))
    for row in compiled.samples(0, 0, 50):
        assert type(row[0]) is bool
        assert type(row[2]) is int
    assert {type(row[1]) for row in compiled.samples(0, 0, 50)} == {int, float, str}


def test_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    find = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "ConfigSpace":
            raise ImportError(name)
        return find(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "ConfigSpace")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SpaceError, match=r"pip install 'rung\[configspace\]'"):
        to_configspace({"a": Float(0, 1)})
