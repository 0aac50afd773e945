"""The JSON form: exact, canonical, and what the published JSON Schema says."""

from __future__ import annotations

import copy
import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from rung.errors import SpaceError
from rung.space import from_json, load_space, to_json
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer, Normal, Ordinal, Space
from rung.space.files import _parse_yaml
from rung.space.rules import Condition, Forbidden, Is, Relation

EXAMPLE = Path(__file__).parents[2] / "examples" / "space.yaml"
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads(resources.files("rung.space").joinpath("space.schema.json").read_text("utf-8"))
)

SPACES = [
    Space({"a": Float(0.1, 1e-1 + 0.2)}),
    Space({"a": Float(1e-300, 1e300, log=True, default=3e-17)}),
    Space({"a": Integer(-5, 5, default=0), "b": Integer(1, 2**53 - 1, log=True, prior=Beta(1, 2))}),
    Space(
        {
            "a": Categorical([True, 1, 1.0, "1", None], default=None),
            "b": Categorical([0, False], default=False),
        }
    ),
    Space(
        {
            "a": Ordinal(["s", "m", "l"], default="l"),
            "b": Constant(None),
            "c": Constant(1.0),
            "d": Constant(True),
        }
    ),
    Space(
        {"a": Choice({"x": {}, "y": {"b": Float(0, 1, step=0.25, default=0.0)}}, prior=[1, 2], default="y")}
    ),
    Space(
        {
            "a": Integer(0, 9),
            "b": Choice(
                {"x": Space({"p": Float(0, 1), "q": Float(0, 1)}, [Condition("q", on="p", less=0.5)])}
            ),
        },
        [Condition("b", Is("a", greater=1) & (Is("a", not_equals=3) | Is("a", one_of=[5, 6])))],
        [Forbidden(Relation("a", "at_least", "p")), Forbidden(Is("a", at_most=2) & Is("q", at_least=0.25))],
    ),
    Space({"a": Float(1, 10, log=True, prior=Normal(2, 0.5)), "b": Float(0, 1, prior=Normal(-3, 2))}),
    Space({"a": Integer(0, 9, step=3, default=6)}),
    Space(
        {
            "a": Categorical([[64, 64], [128], [], {"b": [1, None]}, "x"], default=[128]),
            "b": Ordinal([[1], [1, 2]], default=[1, 2]),
            "c": Constant([1.0, True]),
            "d": Float(0, 1),
        },
        [Condition("d", Is("a", one_of=[[64, 64], "x"]))],
        [Forbidden(Is("b", equals=[1]) & Is("a", equals="x"))],
    ),
]


@pytest.mark.parametrize("space", SPACES, ids=range(len(SPACES)))
def test_round_trip_is_exact(space: Space) -> None:
    text = json.dumps(to_json(space), allow_nan=False)
    again = from_json(json.loads(text))
    assert again == space
    assert json.dumps(to_json(again)) == text
    VALIDATOR.validate(to_json(space))


def test_different_spaces_have_different_forms() -> None:
    texts = {json.dumps(to_json(space)) for space in SPACES}
    assert len(texts) == len(SPACES)
    assert to_json({"a": Float(0, 1), "b": Float(0, 1)}) != to_json({"b": Float(0, 1), "a": Float(0, 1)})
    assert json.dumps(to_json({"a": Constant(True)})) != json.dumps(to_json({"a": Constant(1)}))
    assert Space({"a": Constant(True)}) != Space({"a": Constant(1)})


def test_equal_spaces_have_equal_forms() -> None:
    one = Space({"a": Float(0, 1), "b": Choice({"x": {}})}, [Condition("a", on="b", equals="x")])
    two = Space(
        [("a", Float(0.0, 1.0, log=False)), ("b", Choice([("x", Space({}))]))],
        [Condition("a", Is("b", equals="x"))],
    )
    assert one == two
    assert json.dumps(to_json(one)) == json.dumps(to_json(two))


def test_example_of_everything() -> None:
    form = _parse_yaml(EXAMPLE.read_text(), "space.yaml")
    VALIDATOR.validate(form)
    space = load_space(EXAMPLE)
    assert from_json(form) == space
    VALIDATOR.validate(to_json(space))
    kinds = {type(domain) for _, domain in space.parameters}
    assert kinds == {Float, Integer, Categorical, Ordinal, Constant, Choice}
    assert set(form) == {"version", "parameters", "conditions", "forbidden"}


BROKEN = [
    (lambda f: f["parameters"][0].pop("low"), "parameters.0: 'low' is missing"),
    (lambda f: f["parameters"][0].update(hihg=3), "'hihg' is not known here; did you mean 'high'"),
    (lambda f: f["parameters"][0].update(type="flaot"), "called 'flaot'; did you mean 'float'"),
    (lambda f: f["parameters"][0].update(type=["float"]), "called ..float"),
    (lambda f: f["parameters"][0].update(low="a"), "must be a number"),
    (lambda f: f["parameters"][0].update(log=1), "log must be true or false"),
    (lambda f: f["parameters"][0].update(prior={"type": "gamma"}), "'type' is normal or beta"),
    (
        lambda f: f["parameters"][0].update(prior={"type": "normal", "mean": 0, "deviation": 0}),
        "must be positive",
    ),
    (lambda f: f["parameters"][0].update(prior={"type": "beta", "alpha": 2}), "'beta' is missing"),
    (lambda f: f["parameters"][1].update(prior=3), "a list was expected, not 3"),
    (lambda f: f["parameters"][1].update(prior={"x": 0.9, "y": 0.1}), "or branches it is a list of weights"),
    (lambda f: f["parameters"][1].pop("type"), "needs a 'type'"),
    (lambda f: f.update(conditions=3), "a list was expected, not 3"),
    (lambda f: f.update(version=2), "reads version 1 of spaces, not 2"),
    (lambda f: f.update(parameters=3), "a mapping from names"),
    (lambda f: f["parameters"].append({"type": "float"}), "needs a 'name'"),
    (lambda f: f["conditions"].append({"parameter": "a"}), "'when' is missing"),
    (lambda f: f["conditions"].append({"parameter": "a", "on": "b"}), "exactly one of"),
    (lambda f: f["forbidden"].append({"left": "a", "right": "b"}), "'left' is not known here"),
    (lambda f: f["forbidden"].append({"any": []}), "at least one statement"),
    (lambda f: f["forbidden"].append({"parameter": "b", "one_of": []}), "needs at least one value"),
    (lambda f: f["conditions"][0].update(when={"parameter": "b", "one_of": "x"}), "must be a list of values"),
    (lambda f: f["forbidden"].append(7), "a statement is a mapping"),
    (lambda f: f.update(extra=1), "'extra' is not known here"),
    (lambda f: f["parameters"][1].update(branches={"x": 3}), "a mapping was expected, not 3"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_broken_forms(spoil, message: str) -> None:
    space = Space(
        {"a": Float(0, 1), "b": Choice({"x": {}, "y": {}})},
        [Condition("a", on="b", equals="x")],
        [Forbidden(Is("a", less=0.1) & Is("b", equals="y"))],
    )
    form = copy.deepcopy(to_json(space))
    spoil(form)
    assert not VALIDATOR.is_valid(form)
    with pytest.raises(SpaceError, match=message):
        from_json(form)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {
                "conditions": [
                    {"parameter": "a", "on": "b", "less": 1},
                    {"parameter": "b", "on": "c", "less": 1},
                ]
            },
            "conditions.1: ",
        ),
        (
            {
                "conditions": [
                    {"parameter": "a", "on": "b", "less": 1},
                    {"parameter": "b", "on": "a", "less": 1},
                ]
            },
            "conditions.1: ",
        ),
        ({"forbidden": [{"parameter": "a", "equals": 1}, {"parameter": "z", "equals": 1}]}, "forbidden.1: "),
    ],
)
def test_the_place_of_a_bad_rule_is_said(rules, message: str) -> None:
    parameters = {name: {"type": "float", "low": 0, "high": 1} for name in "ab"}
    with pytest.raises(SpaceError, match=f"^{message}"):
        from_json({"parameters": parameters, **rules})


def test_parameters_that_stand_bare_are_shown_their_place():
    with pytest.raises(SpaceError, match=r'must stand below "parameters", as in {"parameters": {"lr": ...}}'):
        from_json({"lr": {"type": "float", "low": 0.0, "high": 1.0}})
    with pytest.raises(SpaceError, match=r'as in {"parameters": {"lr": ...}}'):
        from_json({"lr": [0.0, 1.0]})
