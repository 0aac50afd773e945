"""Statements about parameters: what conditions and forbidden combinations are made of.

    Condition("momentum", on="optimizer", equals="sgd")
    Condition("warmup", Is("optimizer", equals="sgd") & Is("layers", greater=2))
    Forbidden(Is("optimizer", equals="adam") & Is("layers", one_of=[7, 8]))
    Forbidden(Relation("smallest", "greater", "largest"))

A statement about a parameter that is not active is false, whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import InitVar, dataclass, field
from enum import Enum
from typing import Any, Final

from rung.errors import SpaceError
from rung.space.values import Value, text_of

TESTS: Final = ("equals", "not_equals", "one_of", "less", "greater", "at_most", "at_least")
RELATIONS: Final = ("equals", "less", "greater", "at_most", "at_least")


class Unset(Enum):
    """Stands for an argument that was not given, where None is a value."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


def kinds(values: Iterable[object]) -> tuple[type, ...]:
    """The types of values: kept beside them, so that True, 1 and 1.0 make different settings."""
    return tuple(type(value) for value in values)


class Term:
    """A statement about parameters; statements are joined with `&` and `|`."""

    __slots__ = ()

    def __and__(self, other: Term) -> AllOf:
        return AllOf(self, other)

    def __or__(self, other: Term) -> AnyOf:
        return AnyOf(self, other)


@dataclass(frozen=True, slots=True, repr=False)
class Is(Term):
    """One parameter compared with a value (or, `one_of`, with several); give exactly one comparison.

    `less`, `greater`, `at_most` and `at_least` need a numeric parameter or an `Ordinal`, which compares by
    the order of its values. The name may be dotted, "optimizer.sgd.momentum", to say which branch is meant.

    Raises:
        SpaceError: no comparison, or more than one; `one_of` is no list of values, or an empty one.
    """

    parameter: str
    equals: Value | Unset = field(default=UNSET, kw_only=True)
    not_equals: Value | Unset = field(default=UNSET, kw_only=True)
    one_of: Iterable[Value] | Unset = field(default=UNSET, kw_only=True)
    less: Value | Unset = field(default=UNSET, kw_only=True)
    greater: Value | Unset = field(default=UNSET, kw_only=True)
    at_most: Value | Unset = field(default=UNSET, kw_only=True)
    at_least: Value | Unset = field(default=UNSET, kw_only=True)
    kinds: tuple[type, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given = [name for name in TESTS if getattr(self, name) is not UNSET]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise SpaceError(
                f"a statement about {self.parameter!r} needs exactly one of {', '.join(TESTS)}, not {said}"
            )
        if self.one_of is not UNSET:
            object.__setattr__(self, "one_of", _several(self.one_of, self.parameter))
        else:
            object.__setattr__(self, given[0], _jsoned(getattr(self, given[0]), self.parameter))
        value = getattr(self, given[0])
        object.__setattr__(self, "kinds", kinds(value if given[0] == "one_of" else (value,)))

    @property
    def test(self) -> str:
        """The comparison's name, one of `TESTS`."""
        return next(name for name in TESTS if getattr(self, name) is not UNSET)

    @property
    def value(self) -> Any:
        """What the parameter is compared with: a value, or a tuple of them for `one_of`."""
        return getattr(self, self.test)

    def __repr__(self) -> str:
        return f"Is({self.parameter!r}, {self.test}={self.value!r})"


def _several(values: Any, parameter: str) -> tuple[Any, ...]:
    """The values of a `one_of`; those of a set in an order that is the same in every process."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise SpaceError(f"one_of for {parameter!r} must be a list of values, not {values!r}")
    found = tuple(_jsoned(value, parameter) for value in values)
    if not found:
        raise SpaceError(f"one_of for {parameter!r} needs at least one value")
    if isinstance(values, Set):
        return tuple(sorted(found, key=lambda value: (type(value).__name__, repr(value))))
    return found


def _jsoned(value: Any, parameter: str) -> Any:
    """The value; for a list or a mapping its JSON."""
    try:
        return text_of(value)
    except (TypeError, ValueError) as problem:
        raise SpaceError(
            f"a statement about {parameter!r} has {value!r}, in which something is no JSON ({problem})"
        ) from None


@dataclass(frozen=True, slots=True)
class Relation(Term):
    """Two parameters' values compared: "equals", "less", "greater", "at_most" or "at_least".

    Values themselves are compared, those of an `Ordinal` too: numbers with numbers, text with text.

    Raises:
        SpaceError: no such relation.
    """

    left: str
    relation: str
    right: str

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS:
            raise SpaceError(
                f"the relation between {self.left!r} and {self.right!r} must be one of "
                f"{', '.join(RELATIONS)}, not {self.relation!r}"
            )


@dataclass(frozen=True, slots=True, init=False)
class AllOf(Term):
    """Every one of these statements holds; written `a & b`."""

    terms: tuple[Term, ...]

    def __init__(self, *terms: Term) -> None:
        object.__setattr__(self, "terms", _flat(AllOf, terms))


@dataclass(frozen=True, slots=True, init=False)
class AnyOf(Term):
    """At least one of these statements holds; written `a | b`."""

    terms: tuple[Term, ...]

    def __init__(self, *terms: Term) -> None:
        object.__setattr__(self, "terms", _flat(AnyOf, terms))


def _flat(kind: type[AllOf | AnyOf], terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """The statements to join, those of the same kind taken apart: `a & b & c` is one `AllOf`."""
    if not terms:
        raise SpaceError(f"{kind.__name__} needs at least one statement")
    wrong = next((term for term in terms if not isinstance(term, Term)), None)
    if wrong is not None:
        raise SpaceError(f"{kind.__name__} joins statements such as Is(...), not {wrong!r}")
    return tuple(part for term in terms for part in (term.terms if isinstance(term, kind) else (term,)))


@dataclass(frozen=True, slots=True)
class Condition:
    """A parameter is active only when a statement holds; several conditions for one must all hold.

    Args:
        parameter: the one that is active or not.
        on: a statement, or the name of the parameter that it depends on, with one comparison after it.

    Raises:
        SpaceError: a comparison is missing, or given beside a statement.
    """

    parameter: str
    on: InitVar[str | Term]
    equals: InitVar[Value | Unset] = field(default=UNSET, kw_only=True)
    not_equals: InitVar[Value | Unset] = field(default=UNSET, kw_only=True)
    one_of: InitVar[Iterable[Value] | Unset] = field(default=UNSET, kw_only=True)
    less: InitVar[Value | Unset] = field(default=UNSET, kw_only=True)
    greater: InitVar[Value | Unset] = field(default=UNSET, kw_only=True)
    when: Term = field(init=False)

    def __post_init__(self, on: Any, *comparisons: Any) -> None:
        if isinstance(on, str):
            names = ("equals", "not_equals", "one_of", "less", "greater")
            on = Is(on, **dict(zip(names, comparisons, strict=True)))
        elif any(given is not UNSET for given in comparisons):
            raise SpaceError(
                f"the condition of {self.parameter!r} has a statement and a comparison beside it"
            )
        if not isinstance(on, Term):
            raise SpaceError(
                f"the condition of {self.parameter!r} needs a statement such as Is(...), not {on!r}"
            )
        object.__setattr__(self, "when", on)


@dataclass(frozen=True, slots=True)
class Forbidden:
    """No configuration may make this statement true."""

    when: Term

    def __post_init__(self) -> None:
        if not isinstance(self.when, Term):
            raise SpaceError(f"Forbidden needs a statement such as Is(...), not {self.when!r}")
