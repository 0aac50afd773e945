"""Spaces from ConfigSpace (1.2) and to it: needs the extra `rung[configspace]`.

What has no counterpart is refused by name. `meta` and a space's name, which ConfigSpace itself doesn't use,
are not carried. ConfigSpace has no `Float` with a step: it goes out as an ordinal that remembers it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from rung.errors import SpaceError
from rung.space.compiled import CompiledSpace, compile_space
from rung.space.domains import (
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
)
from rung.space.layout import Compare, Every, Literal, Rule, Some, family
from rung.space.rules import AllOf, AnyOf, Condition, Forbidden, Is, Relation, Term

_RELATIONS: Final = {
    "ForbiddenLessThanRelation": "less",
    "ForbiddenEqualsRelation": "equals",
    "ForbiddenGreaterThanRelation": "greater",
    "ForbiddenLessThanEqualsRelation": "at_most",
    "ForbiddenGreaterThanEqualsRelation": "at_least",
}
_CLAUSES: Final = {
    "ForbiddenEqualsClause": "equals",
    "ForbiddenInClause": "one_of",
    "ForbiddenLessThanClause": "less",
    "ForbiddenGreaterThanClause": "greater",
    "ForbiddenLessThanEqualsClause": "at_most",
    "ForbiddenGreaterThanEqualsClause": "at_least",
}
_CONDITIONS: Final = {
    "EqualsCondition": "equals",
    "NotEqualsCondition": "not_equals",
    "InCondition": "one_of",
    "LessThanCondition": "less",
    "GreaterThanCondition": "greater",
}
_DECIMALS: Final = 13  # ConfigSpace rounds floats to so many
_MOST_STEPS: Final = 10_000


def _library() -> Any:
    try:
        import ConfigSpace  # 1.4 s to import
    except ImportError:
        raise SpaceError(
            "ConfigSpace is not installed; install it with: pip install 'rung[configspace]'"
        ) from None
    return ConfigSpace


# -- in -----------------------------------------------------------------------------------------------------


def from_configspace(space: Any) -> Space:
    """The space that a `ConfigSpace.ConfigurationSpace` describes, defaults and priors included.

    Raises:
        SpaceError: something in it has no counterpart, or ConfigSpace is not installed.
    """
    library = _library()
    if not isinstance(space, library.ConfigurationSpace):
        raise SpaceError(f"a ConfigSpace.ConfigurationSpace was expected, not {space!r}")
    domains = {hp.name: _domain(hp) for hp in space.values()}
    gates: dict[str, Term] = {}  # parents come first: by depth, as ConfigSpace sorts its parameters
    for condition in sorted(space.conditions, key=lambda one: space.index_of[one.child.name]):
        gates[condition.child.name] = _condition(condition, domains, gates)
    conditions = [Condition(child, gate) for child, gate in gates.items()]
    forbidden = [Forbidden(_clause(clause, domains)) for clause in space.forbidden_clauses]
    return Space(domains, conditions, forbidden)


def _domain(hp: Any) -> Domain:
    kind = type(hp).__name__.removesuffix("Hyperparameter")
    try:
        if kind in _NUMERIC:
            return _numeric(hp, kind)
        match kind:
            case "Categorical":
                return Categorical(hp.choices, prior=hp.weights, default=_equal(hp.choices, hp.default_value))
            case "Ordinal":
                return _ordinal(hp)
            case "Constant":
                return Constant(hp.value)
    except SpaceError as error:
        raise SpaceError(f"hyperparameter {hp.name!r} has no counterpart: {error}") from None
    raise SpaceError(f"hyperparameter {hp.name!r} has no counterpart: {type(hp).__name__}")


_NUMERIC: Final[dict[str, type[Float | Integer]]] = {
    "UniformFloat": Float,
    "UniformInteger": Integer,
    "NormalFloat": Float,
    "NormalInteger": Integer,
    "BetaFloat": Float,
    "BetaInteger": Integer,
}


def _numeric(hp: Any, kind: str) -> Domain:
    prior: Normal | Beta | None = None
    if kind.startswith("Normal"):  # with log, ConfigSpace's width of 1 deviation is log(lower + sigma)
        deviation = abs(math.log(hp.lower + hp.sigma)) if hp.log else hp.sigma
        prior = Normal(hp.mu, deviation)
    elif kind.startswith("Beta"):
        prior = Beta(hp.alpha, hp.beta)
    make: type[Float | Integer] = _NUMERIC[kind]
    return make(hp.lower, hp.upper, log=hp.log, prior=prior, default=hp.default_value)


def _ordinal(hp: Any) -> Domain:
    step = (hp.meta or {}).get("rung")
    if isinstance(step, Mapping):
        make: type[Float | Integer] = Integer if isinstance(step["step"], int) else Float
        return make(step["low"], step["high"], step=step["step"], default=hp.default_value)
    return Ordinal(hp.sequence, default=_equal(hp.sequence, hp.default_value))


def _equal(values: Any, value: Any) -> Any:
    """The one of `values` that equals `value`: ConfigSpace takes 1, 1.0 and True for the same."""
    return next((one for one in values if one == value), value)


def _is(name: str, test: str, value: Any, domains: Mapping[str, Domain]) -> Is:
    """A statement with values of exactly the types that the domain has."""
    domain = domains[name]

    def exact(one: Any) -> Any:
        if isinstance(domain, Integer):
            return round(float(one))
        return _equal(domain.values, one) if not isinstance(domain, Float) else one

    made: Any = [exact(one) for one in value] if test == "one_of" else exact(value)
    return Is(name, **{test: made})


def _condition(condition: Any, domains: Mapping[str, Domain], gates: Mapping[str, Term]) -> Term:
    kind = type(condition).__name__
    if kind in ("AndConjunction", "OrConjunction"):
        terms = [_condition(part, domains, gates) for part in condition.components]
        return AllOf(*terms) if kind == "AndConjunction" else AnyOf(*terms)
    if kind not in _CONDITIONS:
        raise SpaceError(f"the condition {condition!r} has no counterpart: {kind}")
    value = condition.values if kind == "InCondition" else condition.value
    term = _is(condition.parent.name, _CONDITIONS[kind], value, domains)
    if kind == "NotEqualsCondition" and condition.parent.name in gates:
        # ConfigSpace holds it for met when the parent is not active; a statement of ours is then false
        return AnyOf(term, _negated(gates[condition.parent.name], domains, gates))
    return term


_OPPOSITES: Final = {
    "equals": "not_equals",
    "not_equals": "equals",
    "less": "at_least",
    "greater": "at_most",
    "at_most": "greater",
    "at_least": "less",
}


def _negated(term: Term, domains: Mapping[str, Domain], gates: Mapping[str, Term]) -> Term:
    """The statement that is true where `term` is not."""
    match term:
        case AllOf(terms):
            return AnyOf(*[_negated(part, domains, gates) for part in terms])
        case AnyOf(terms):
            return AllOf(*[_negated(part, domains, gates) for part in terms])
        case Is(parameter=name, test="one_of"):
            opposite: Term = AllOf(*[Is(name, not_equals=value) for value in term.value])
        case Is(parameter=name):
            made: Any = {_OPPOSITES[term.test]: term.value}
            opposite = Is(name, **made)
        case _:
            raise SpaceError(f"the condition {term!r} can't be turned round")
    return AnyOf(opposite, _negated(gates[name], domains, gates)) if name in gates else opposite


def _clause(clause: Any, domains: Mapping[str, Domain]) -> Term:
    kind = type(clause).__name__
    if kind in ("ForbiddenAndConjunction", "ForbiddenOrConjunction"):
        terms = [_clause(part, domains) for part in clause.components]
        return AllOf(*terms) if kind == "ForbiddenAndConjunction" else AnyOf(*terms)
    if kind in _RELATIONS:
        names = (clause.left.name, clause.right.name)
        families = {family(v) for name in names for v in getattr(domains[name], "values", (0.0,))}
        if len(families & {bool, float}) == 2:
            raise SpaceError(f"the relation {clause!r} has no counterpart: it compares booleans with numbers")
        return Relation(names[0], _RELATIONS[kind], names[1])
    if kind not in _CLAUSES:
        raise SpaceError(f"the forbidden clause {clause!r} has no counterpart: {kind}")
    value = clause.values if kind == "ForbiddenInClause" else clause.value
    return _is(clause.hyperparameter.name, _CLAUSES[kind], value, domains)


# -- out ----------------------------------------------------------------------------------------------------


def to_configspace(space: Space | Mapping[str, Any]) -> Any:
    """The `ConfigSpace.ConfigurationSpace` with the same configurations.

    A `Choice` becomes a categorical on whose values its branches' parameters depend. Parameters keep their
    names; those that share one get their full names ("optimizer.sgd.momentum").

    Raises:
        SpaceError: something has no counterpart there, or ConfigSpace is not installed.
    """
    library = _library()
    compiled = compile_space(space)
    names = [
        name if compiled.names.count(name) == 1 else key
        for name, key in zip(compiled.names, compiled.keys, strict=True)
    ]
    try:
        return _Writer(library, compiled, names).write()
    except (ValueError, TypeError, library.exceptions.ForbiddenValueError) as error:
        raise SpaceError(f"ConfigSpace refuses this space: {error}") from None


class _Writer:
    """Builds one `ConfigurationSpace`."""

    def __init__(self, library: Any, compiled: CompiledSpace, names: list[str]) -> None:
        self.library = library
        self.layout = compiled.layout
        defaults = compiled.defaults
        self.parameters = [
            self._parameter(name, slot.domain, default)
            for name, slot, default in zip(names, self.layout.slots, defaults, strict=True)
        ]

    def write(self) -> Any:
        out = self.library.ConfigurationSpace()
        out.add(self.parameters)
        gates = zip(self.parameters, self.layout.gates, strict=True)
        out.add([self._condition(child, gate) for child, gate in gates if gate is not None])
        out.add([self._forbidden(rule) for rule in self.layout.forbidden])
        return out

    def _parameter(self, name: str, domain: Domain, default: Any) -> Any:
        library = self.library
        if getattr(domain, "lists", ()):
            raise SpaceError(f"parameter {name!r} has no counterpart in ConfigSpace: lists as values")
        match domain:
            case Float(step=None) | Integer(step=None):
                return self._numeric(name, domain, default)
            case Float() | Integer():
                return self._stepped(name, domain, default)
            case Categorical() | Choice():
                return library.CategoricalHyperparameter(name, domain.values, default, weights=domain.prior)
            case Ordinal():
                return library.OrdinalHyperparameter(name, domain.values, default)
            case Constant():
                return library.Constant(name, domain.value)

    def _numeric(self, name: str, domain: Float | Integer, default: Any) -> Any:
        kind = "Float" if isinstance(domain, Float) else "Integer"
        numbers = [domain.low, domain.high]
        settings: dict[str, Any] = {}
        match domain.prior:
            case Normal(mean, deviation):
                numbers.append(mean)
                settings = {"mu": mean, "sigma": _sigma(name, domain, deviation)}
            case Beta(alpha, beta):
                settings = {"alpha": alpha, "beta": beta}
        if any(round(x, _DECIMALS) != x for x in numbers):
            raise SpaceError(f"parameter {name!r} has no counterpart: ConfigSpace keeps {_DECIMALS} decimals")
        make: Callable[..., Any] = getattr(
            self.library, f"{type(domain.prior).__name__ if domain.prior else 'Uniform'}{kind}Hyperparameter"
        )
        bounds = {"lower": domain.low, "upper": domain.high, "log": domain.log}
        return make(name, **settings, **bounds, default_value=default)

    def _stepped(self, name: str, domain: Float | Integer, default: Any) -> Any:
        steps = domain.steps()
        if domain.prior is not None or steps.count > _MOST_STEPS:
            why = "a prior" if domain.prior is not None else f"more than {_MOST_STEPS:,} values"
            raise SpaceError(f"parameter {name!r} has no counterpart in ConfigSpace: a step and {why}")
        meta = {"rung": {"low": domain.low, "high": domain.high, "step": domain.step}}
        values = [steps.value(i) for i in range(steps.count)]
        return self.library.OrdinalHyperparameter(name, values, default, meta=meta)

    def _condition(self, child: Any, rule: Rule) -> Any:
        library = self.library
        match rule:
            case Every(rules) | Some(rules):
                parts = [self._condition(child, part) for part in rules]
                join = library.AndConjunction if isinstance(rule, Every) else library.OrConjunction
                return join(*parts) if len(parts) > 1 else parts[0]
            case Literal(slot, "at_most" | "at_least" as test, value):
                strict = "less" if test == "at_most" else "greater"
                return self._condition(
                    child, Some((Literal(slot, strict, value), Literal(slot, "equals", value)))
                )
            case Literal(slot, "not_equals", value) if self.layout.gates[slot] is not None:
                return self._condition(child, self._others(slot, value))  # see `_condition` above
            case Literal(slot, test, value):
                make = getattr(library, next(kind for kind, name in _CONDITIONS.items() if name == test))
                return make(child, self.parameters[slot], list(value) if test == "one_of" else value)
        raise SpaceError(
            f"the condition of {child.name!r} has no counterpart in ConfigSpace: it compares two parameters"
        )

    def _forbidden(self, rule: Rule) -> Any:
        library, parameters = self.library, self.parameters
        match rule:
            case Every(rules) | Some(rules):
                parts = [self._forbidden(part) for part in rules]
                every = isinstance(rule, Every)
                join = library.ForbiddenAndConjunction if every else library.ForbiddenOrConjunction
                return join(*parts)
            case Compare(left, relation, right):
                make = getattr(library, next(kind for kind, name in _RELATIONS.items() if name == relation))
                return make(parameters[left], parameters[right])
            case Literal(slot, "not_equals", value):
                return self._forbidden(self._others(slot, value))
            case Literal(slot, "at_most", value):  # the library's own clause for whole batches is wrong (1.2)
                return self._forbidden(Some((Literal(slot, "less", value), Literal(slot, "equals", value))))
            case Literal(slot, test, value):
                make = getattr(library, next(kind for kind, name in _CLAUSES.items() if name == test))
                return make(parameters[slot], list(value) if test == "one_of" else value)

    def _others(self, slot: int, value: Any) -> Rule:
        """Any value but this one."""
        domain = self.layout.slots[slot].domain
        if isinstance(domain, Float | Integer):
            return Some((Literal(slot, "less", value), Literal(slot, "greater", value)))
        return Literal(slot, "one_of", tuple(v for v in domain.values if v != value))


def _sigma(name: str, domain: Float | Integer, deviation: float) -> float:
    """ConfigSpace's sigma: with log its deviation is |log(lower + sigma)|."""
    if not domain.log:
        return deviation
    for sigma in (math.exp(deviation) - domain.low, math.exp(-deviation) - domain.low):
        if sigma > 0:
            return round(sigma, _DECIMALS)
    raise SpaceError(f"the prior of parameter {name!r} has no counterpart in ConfigSpace: it is too narrow")
