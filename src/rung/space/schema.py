"""A space as JSON: plain dicts and lists, exact, and one form only for equal spaces.

    {"version": 1,
     "parameters": [{"name": "lr", "type": "float", "low": 1e-05, "high": 0.1, "log": true}, ...],
     "conditions": [{"parameter": "momentum", "when": {"parameter": "optimizer", "equals": "sgd"}}],
     "forbidden": [{"all": [...]}]}

Written by hand it may be shorter: parameters and branches as mappings from their names, a condition's
statement beside its parameter with `on`. The published JSON Schema is `space.schema.json` beside this file.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from rung.errors import SpaceError
from rung.space.domains import (
    NO_DEFAULT,
    Beta,
    Categorical,
    Choice,
    Constant,
    Domain,
    Float,
    Integer,
    Normal,
    Ordinal,
    Space,
    as_space,
)
from rung.space.rules import TESTS, AllOf, AnyOf, Condition, Forbidden, Is, Relation, Term

VERSION: Final = 1

Path = tuple[str | int, ...]

# What each type of parameter may have beside its name and type; the first ones it must have.
FIELDS: Final[dict[str, tuple[type, tuple[str, ...], tuple[str, ...]]]] = {
    "float": (Float, ("low", "high"), ("log", "step", "prior", "default")),
    "integer": (Integer, ("low", "high"), ("log", "step", "prior", "default")),
    "categorical": (Categorical, ("values",), ("prior", "default")),
    "ordinal": (Ordinal, ("values",), ("default",)),
    "constant": (Constant, ("value",), ()),
    "choice": (Choice, ("branches",), ("prior", "default")),
}
_TYPES: Final = {kind: name for name, (kind, _, _) in FIELDS.items()}


class FormError(SpaceError):
    """A space's JSON form is not valid; `path` leads to the place."""

    def __init__(self, problem: str, path: Path) -> None:
        self.problem, self.path = problem, path
        place = ".".join(map(str, path))
        super().__init__(f"{place}: {problem}" if place else problem)


# -- writing ----------------------------------------------------------------------------------------------


def to_json(space: Space | Mapping[str, Any]) -> dict[str, Any]:
    """The JSON form of a space: equal for equal spaces, and `from_json` gives the same space again."""
    return {"version": VERSION, **_write_space(as_space(space))}


def _write_space(space: Space) -> dict[str, Any]:
    form: dict[str, Any] = {"parameters": [_write_domain(name, domain) for name, domain in space.parameters]}
    if space.conditions:
        form["conditions"] = [
            {"parameter": c.parameter, "when": _write_term(c.when)} for c in space.conditions
        ]
    if space.forbidden:
        form["forbidden"] = [_write_term(rule.when) for rule in space.forbidden]
    return form


def _write_domain(name: str, domain: Domain) -> dict[str, Any]:
    kind = _TYPES[type(domain)]
    form: dict[str, Any] = {"name": name, "type": kind}
    _, required, optional = FIELDS[kind]
    for key in required:
        form[key] = _write_field(getattr(domain, key), getattr(domain, "lists", ()))
    unset = NO_DEFAULT if isinstance(domain, Categorical | Ordinal) else None
    for key in optional:
        value = getattr(domain, key)
        if value is not unset if key == "default" else value:
            form[key] = _write_field(value, getattr(domain, "lists", ()))
    return form


def _write_field(value: Any, lists: tuple[str, ...] = ()) -> Any:
    """A field's JSON form; `lists` are texts that stand for a list or a mapping."""
    match value:
        case str() if value in lists:
            return json.loads(value)
        case Normal(mean, deviation):
            return {"type": "normal", "mean": mean, "deviation": deviation}
        case Beta(alpha, beta):
            return {"type": "beta", "alpha": alpha, "beta": beta}
        case tuple():
            return [
                {"name": one[0], **_write_space(one[1])}
                if isinstance(one, tuple)
                else _write_field(one, lists)
                for one in value
            ]
    return value


def _write_term(term: Term) -> dict[str, Any]:
    match term:
        case AllOf(terms):
            return {"all": [_write_term(part) for part in terms]}
        case AnyOf(terms):
            return {"any": [_write_term(part) for part in terms]}
        case Relation(left, relation, right):
            return {"left": left, "relation": relation, "right": right}
        case Is():
            value = term.value
            return {"parameter": term.parameter, term.test: list(value) if term.test == "one_of" else value}
    raise SpaceError(f"{term!r} is no statement")


# -- reading ----------------------------------------------------------------------------------------------


def from_json(form: Any) -> Space:
    """The space that a JSON form means.

    Raises:
        SpaceError: it is not valid; the message begins with the place, such as "parameters.lr.low".
    """
    known = ("parameters", "version", "conditions", "forbidden", "$schema")
    if isinstance(form, Mapping) and form and not any(key in known for key in form):  # parameters themselves
        shown = f'{{"parameters": {{"{next(iter(form))}": ...}}}}'
        raise FormError(f'the parameters must stand below "parameters", as in {shown}', ())
    _mapping(form, (), known[:1], known[1:])
    version = form.get("version", VERSION)
    if version != VERSION or isinstance(version, bool):
        raise FormError(
            f"this version of rung reads version {VERSION} of spaces, not {version!r}", ("version",)
        )
    return _read_space(form, ())


def _mapping(
    form: Any, path: Path, required: tuple[str, ...], optional: tuple[str, ...]
) -> Mapping[str, Any]:
    """`form` if it is a mapping with all of `required` and nothing else but `optional`."""
    if not isinstance(form, Mapping):
        raise FormError(f"a mapping was expected, not {'nothing' if form is None else repr(form)}", path)
    for key in form:
        if key not in (*required, *optional):
            close = difflib.get_close_matches(str(key), (*required, *optional), 1)
            hint = (
                f"; did you mean {close[0]!r}?" if close else f" (only {', '.join((*required, *optional))})"
            )
            raise FormError(f"{key!r} is not known here{hint}", (*path, key))
    for key in required:
        if key not in form:
            raise FormError(f"{key!r} is missing", path)
    return form


def _read_space(form: Mapping[str, Any], path: Path) -> Space:
    parameters = [
        (name, _read_domain(below, place))
        for name, below, place in _named(form["parameters"], (*path, "parameters"))
    ]
    conditions = _each(form.get("conditions", ()), (*path, "conditions"), _read_condition)
    forbidden = _each(
        form.get("forbidden", ()),
        (*path, "forbidden"),
        lambda rule, place: Forbidden(_read_term(rule, place)),
    )
    try:
        return Space(parameters, conditions, forbidden)
    except SpaceError as error:
        raise FormError(str(error), _culprit(parameters, conditions, forbidden, path)) from None


def _culprit(
    parameters: list[tuple[str, Domain]], conditions: list[Condition], forbidden: list[Forbidden], path: Path
) -> Path:
    """The place of the first statement that makes a space invalid, else of the parameters."""
    if _fails(parameters, [], []):
        return (*path, "parameters")
    for i in range(len(conditions)):
        if _fails(parameters, conditions[: i + 1], []):
            return (*path, "conditions", i)
    for i, rule in enumerate(forbidden):
        if _fails(parameters, [], [rule]):
            return (*path, "forbidden", i)
    return path


def _fails(
    parameters: list[tuple[str, Domain]], conditions: list[Condition], forbidden: list[Forbidden]
) -> bool:
    try:
        Space(parameters, conditions, forbidden)
    except SpaceError:
        return True
    return False


def _named(form: Any, path: Path) -> list[tuple[str, Any, Path]]:
    """Name, form and place of the entries of a mapping, or of a list whose entries have names."""
    if isinstance(form, Mapping):
        return [(name, below, (*path, name)) for name, below in form.items()]
    if not isinstance(form, list | tuple):
        raise FormError(f"a mapping from names, or a list, was expected, not {form!r}", path)
    found = []
    for i, entry in enumerate(form):
        if not isinstance(entry, Mapping) or "name" not in entry:
            raise FormError("each entry needs a 'name'", (*path, i))
        found.append((entry["name"], {k: v for k, v in entry.items() if k != "name"}, (*path, i)))
    return found


def _each(form: Any, path: Path, read: Callable[[Any, Path], Any]) -> list[Any]:
    if not isinstance(form, list | tuple):
        raise FormError(f"a list was expected, not {form!r}", path)
    return [read(entry, (*path, i)) for i, entry in enumerate(form)]


def _read_domain(form: Any, path: Path) -> Domain:
    if not isinstance(form, Mapping) or "type" not in form:
        raise FormError(f"a parameter needs a 'type': {', '.join(FIELDS)}", path)
    if not isinstance(form["type"], str) or form["type"] not in FIELDS:
        close = difflib.get_close_matches(str(form["type"]), FIELDS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(FIELDS)}"
        raise FormError(f"no type of parameter is called {form['type']!r}{hint}", (*path, "type"))
    kind, required, optional = FIELDS[form["type"]]
    _mapping(form, path, ("type", *required), optional)
    given = [_read_field(key, form[key], (*path, key)) for key in required]
    settings = {key: _read_field(key, form[key], (*path, key)) for key in optional if key in form}
    try:
        domain: Domain = kind(*given, **settings)
    except FormError:
        raise
    except SpaceError as error:
        raise FormError(str(error), path) from None
    return domain


def _read_field(key: str, value: Any, path: Path) -> Any:
    if key == "branches":
        return [(name, _read_branch(below, place)) for name, below, place in _named(value, path)]
    if key == "prior" and isinstance(value, Mapping):
        return _read_prior(value, path)
    if key == "log" and not isinstance(value, bool):
        raise FormError(f"log must be true or false, not {value!r}", path)
    if key in ("values", "prior") and not isinstance(value, list | tuple):
        raise FormError(f"a list was expected, not {value!r}", path)
    return value


def _read_branch(form: Any, path: Path) -> Space:
    if not form and form is not False:  # nothing at all: a branch without parameters
        return Space({})
    _mapping(form, path, ("parameters",), ("conditions", "forbidden"))
    return _read_space(form, path)


def _read_prior(form: Mapping[str, Any], path: Path) -> Normal | Beta:
    if form.get("type") not in ("normal", "beta"):
        raise FormError(
            "a prior's 'type' is normal or beta; of categories or branches it is a list of weights", path
        )
    normal = form["type"] == "normal"
    keys = ("mean", "deviation") if normal else ("alpha", "beta")
    _mapping(form, path, ("type", *keys), ())
    try:
        return (Normal if normal else Beta)(form[keys[0]], form[keys[1]])
    except SpaceError as error:
        raise FormError(str(error), path) from None


def _read_condition(form: Any, path: Path) -> Condition:
    if isinstance(form, Mapping) and "on" in form:
        _mapping(form, path, ("parameter", "on"), TESTS)
        statement = {"parameter": form["on"], **{test: form[test] for test in TESTS if test in form}}
        return Condition(form["parameter"], _read_term(statement, path))
    _mapping(form, path, ("parameter", "when"), ())
    return Condition(form["parameter"], _read_term(form["when"], (*path, "when")))


def _read_term(form: Any, path: Path) -> Term:
    if not isinstance(form, Mapping):
        raise FormError(f"a statement is a mapping, not {form!r}", path)
    try:
        if "all" in form or "any" in form:
            key = "all" if "all" in form else "any"
            _mapping(form, path, (key,), ())
            terms = _each(form[key], (*path, key), _read_term)
            return AllOf(*terms) if key == "all" else AnyOf(*terms)
        if "relation" in form:
            _mapping(form, path, ("left", "relation", "right"), ())
            return Relation(form["left"], form["relation"], form["right"])
        _mapping(form, path, ("parameter",), TESTS)
        return Is(form["parameter"], **{test: form[test] for test in TESTS if test in form})
    except FormError:
        raise
    except SpaceError as error:
        raise FormError(str(error), path) from None
