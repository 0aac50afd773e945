"""The language of search spaces: frozen, plain values.

    Space({"lr": Float(1e-5, 1e-1, log=True),
           "optimizer": Choice({"sgd": {"momentum": Float(0, 0.99)}, "adam": {}})})

Everything is checked at construction; a mistake is a `SpaceError` of one sentence. Nothing here imports
numpy, so that these names cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from rung.errors import SpaceError
from rung.space.checks import NO_DEFAULT as NO_DEFAULT
from rung.space.checks import Beta as Beta
from rung.space.checks import (
    Missing,
    check_names,
    default_of,
    flat,
    lists_of,
    meant,
    member,
    plain,
    values_of,
    weights_of,
)
from rung.space.checks import Normal as Normal
from rung.space.layout import MisfitError, lay_out
from rung.space.rules import Condition, Forbidden, kinds
from rung.space.steps import Steps, number
from rung.space.values import Value

LARGEST = 2**53  # whole numbers from here on are not exact as floats
FARTHEST = 10_000  # deviations from a normal prior's mean to the range


def _check_bounds(domain: Float | Integer) -> None:
    said = f"{type(domain).__name__}({domain.low!r}, {domain.high!r})"
    if domain.low >= domain.high:
        raise SpaceError(f"{said}: low must be below high; for a single value use Constant")
    if domain.log and domain.low <= 0:
        raise SpaceError(f"{said}: with log=True low must be above 0")
    if not isinstance(domain.prior, Normal | Beta | None):
        raise SpaceError(f"{said}: the prior must be Normal(...) or Beta(...), not {domain.prior!r}")
    if isinstance(domain.prior, Normal):
        _check_normal(domain, domain.prior, said)


def _check_normal(domain: Float | Integer, prior: Normal, said: str) -> None:
    """A normal prior that numbers can hold: not too far from the range."""
    if domain.log and prior.mean <= 0:
        raise SpaceError(f"{said}: with log=True the prior's mean must be above 0")
    bounds: tuple[float, ...] = (domain.low, domain.high, prior.mean)
    low, high, mean = map(math.log, bounds) if domain.log else bounds
    if max(low - mean, mean - high) > FARTHEST * prior.deviation:
        raise SpaceError(f"{said}: the prior's mean is over {FARTHEST:,} deviations away from the range")


def _check_step(domain: Float | Integer, said: str) -> None:
    if domain.log:
        raise SpaceError(f"{said}: step can't go with log=True; list the values in an Ordinal")
    domain.steps()


def _check_default(domain: Any, said: str) -> None:
    if domain.default is not None:
        try:
            object.__setattr__(domain, "default", domain.admit(domain.default))
        except MisfitError as problem:
            raise SpaceError(f"{said}: the default {problem}") from None


@dataclass(frozen=True, slots=True)
class Float:
    """A real number between `low` and `high`, both included.

    Args:
        log: even on a logarithmic scale; `low` must be positive.
        step: only low, low + step, ... up to high; it must divide the range.
        prior: what random sampling prefers.
        default: the value to take where none is asked for; else the prior's mode or the range's centre.
    """

    low: float
    high: float
    _: KW_ONLY
    log: bool = False
    step: float | None = None
    prior: Normal | Beta | None = None
    default: float | None = None

    branches: ClassVar[tuple[()]] = ()
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", number(self.low, "Float's low"))
        object.__setattr__(self, "high", number(self.high, "Float's high"))
        object.__setattr__(self, "log", bool(self.log))
        _check_bounds(self)
        said = f"Float({self.low!r}, {self.high!r})"
        if not math.isfinite(self.high - self.low):
            raise SpaceError(f"{said}: the range is too large for a float")
        if self.step is not None:
            object.__setattr__(self, "step", number(self.step, "Float's step"))
            _check_step(self, said)
        _check_default(self, said)

    def steps(self) -> Steps:
        """The values that `step` leaves."""
        assert self.step is not None
        return Steps.between(self.low, self.high, self.step)

    def admit(self, value: object) -> float:
        """`value` as a float of this domain; `MisfitError` if it is none."""
        given = plain(value)
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise MisfitError(f"is {value!r}, which is not a number")
        given = float(given)
        if not self.low <= given <= self.high:
            raise MisfitError(f"is {value!r}, which is not between {self.low!r} and {self.high!r}")
        if self.step is not None:
            steps = self.steps()
            nearest = steps.value(steps.nearest(given))
            if abs(nearest - given) > 1e-9 * self.step:
                raise MisfitError(f"is {value!r}, which is not {self.low!r} plus a multiple of {self.step!r}")
            return nearest
        return given


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number between `low` and `high`, both included; the rest as in `Float`.

    A `step` of 1 is none.
    """

    low: int
    high: int
    _: KW_ONLY
    log: bool = False
    step: int | None = None
    prior: Normal | Beta | None = None
    default: int | None = None

    branches: ClassVar[tuple[()]] = ()
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("low", "high") if self.step is None else ("low", "high", "step"):
            bound = number(getattr(self, name), f"Integer's {name}")
            if not bound.is_integer() or abs(bound) >= LARGEST:
                raise SpaceError(f"Integer's {name} must be a whole number below 2**53, not {bound!r}")
            object.__setattr__(self, name, int(bound))
        if self.step == 1:
            object.__setattr__(self, "step", None)
        object.__setattr__(self, "log", bool(self.log))
        _check_bounds(self)
        said = f"Integer({self.low!r}, {self.high!r})"
        if self.high - self.low >= LARGEST:
            raise SpaceError(f"{said}: the range must be below 2**53")
        if self.step is not None:
            _check_step(self, said)
        _check_default(self, said)

    def steps(self) -> Steps:
        """The values that `step` leaves."""
        assert self.step is not None
        return Steps.between(self.low, self.high, self.step, "Integer")

    def admit(self, value: object) -> int:
        """`value` as an int of this domain; `MisfitError` if it is none."""
        given = plain(value)
        if isinstance(given, bool) or not isinstance(given, int | float) or not float(given).is_integer():
            raise MisfitError(f"is {value!r}, which is not a whole number")
        if not self.low <= given <= self.high:
            raise MisfitError(f"is {value!r}, which is not between {self.low!r} and {self.high!r}")
        if self.step is not None and (int(given) - self.low) % self.step:
            raise MisfitError(f"is {value!r}, which is not {self.low!r} plus a multiple of {self.step!r}")
        return int(given)


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of several values without an order.

    Args:
        values: str, int, float, bool or None; True and 1 are different values. Also lists (tuples become
            lists) and mappings of these, from text: in `values` they are their JSON, with keys sorted, in a
            configuration themselves.
        prior: a list of weights, one for each value, in their order; they need not sum to 1.
        default: else the value of the largest weight, the first of them.
    """

    values: tuple[Value, ...]
    _: KW_ONLY
    prior: tuple[float, ...] | None = None
    default: Value | Missing = NO_DEFAULT
    kinds: tuple[type, ...] = field(init=False, repr=False)
    lists: tuple[str, ...] = field(init=False, repr=False)

    branches: ClassVar[tuple[()]] = ()
    ordered: ClassVar[bool] = False

    def __init__(
        self,
        values: Iterable[Value],
        *,
        prior: Iterable[float] | None = None,
        default: Value | Missing = NO_DEFAULT,
    ) -> None:
        given = _listed(values)
        object.__setattr__(self, "values", values_of(given, "Categorical"))
        object.__setattr__(self, "lists", lists_of(given))
        object.__setattr__(self, "prior", weights_of(prior, len(self.values), "Categorical"))
        object.__setattr__(self, "default", default_of(self.values, default, "Categorical"))
        object.__setattr__(self, "kinds", kinds((*self.values, self.default)))

    def admit(self, value: object) -> Value:
        """`value` if it is one of these; `MisfitError` if not."""
        return member(self.values, value)


@dataclass(frozen=True, slots=True)
class Ordinal:
    """One of several values in an order, which conditions and models see; `default`: else the middle one."""

    values: tuple[Value, ...]
    _: KW_ONLY
    default: Value | Missing = NO_DEFAULT
    kinds: tuple[type, ...] = field(init=False, repr=False)
    lists: tuple[str, ...] = field(init=False, repr=False)

    branches: ClassVar[tuple[()]] = ()
    ordered: ClassVar[bool] = True

    def __init__(self, values: Iterable[Value], *, default: Value | Missing = NO_DEFAULT) -> None:
        given = _listed(values)
        object.__setattr__(self, "values", values_of(given, "Ordinal"))
        object.__setattr__(self, "lists", lists_of(given))
        object.__setattr__(self, "default", default_of(self.values, default, "Ordinal"))
        object.__setattr__(self, "kinds", kinds((*self.values, self.default)))

    def admit(self, value: object) -> Value:
        """`value` if it is one of these; `MisfitError` if not."""
        return member(self.values, value)


@dataclass(frozen=True, slots=True)
class Constant:
    """A single value, which configurations carry."""

    value: Value
    kinds: tuple[type, ...] = field(init=False, repr=False)
    lists: tuple[str, ...] = field(init=False, repr=False)

    branches: ClassVar[tuple[()]] = ()
    ordered: ClassVar[bool] = False

    def __post_init__(self) -> None:
        try:
            given = self.value
            object.__setattr__(self, "value", flat(given))
        except MisfitError as problem:
            raise SpaceError(f"Constant's value {problem}") from None
        object.__setattr__(self, "lists", lists_of((given,)))
        object.__setattr__(self, "kinds", kinds((self.value,)))

    @property
    def values(self) -> tuple[Value, ...]:
        """The one value, as a list of values."""
        return (self.value,)

    def admit(self, value: object) -> Value:
        """`value` if it is this one; `MisfitError` if not."""
        return member((self.value,), value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several branches, each a space of its own.

    A configuration has the branch's name under the choice's own, and the branch's parameters under theirs.

    Args:
        branches: from the branch's name (text) to its `Space`, or a plain mapping, empty if it has none.
        prior: a list of weights, one for each branch, in their order.
        default: a branch; else that of the largest weight, the first of them.
    """

    branches: tuple[tuple[str, Space], ...]
    _: KW_ONLY
    prior: tuple[float, ...] | None = None
    default: str | None = None

    ordered: ClassVar[bool] = False

    def __init__(
        self,
        branches: Mapping[str, Space | Mapping[str, Any]] | Iterable[tuple[str, Space | Mapping[str, Any]]],
        *,
        prior: Iterable[float] | None = None,
        default: str | None = None,
    ) -> None:
        object.__setattr__(self, "branches", tuple((name, as_space(sub)) for name, sub in _items(branches)))
        check_names([name for name, _ in self.branches], "Choice", "branch")
        object.__setattr__(self, "prior", weights_of(prior, len(self.branches), "Choice"))
        object.__setattr__(self, "default", default)
        if default is not None and default not in self.values:
            raise SpaceError(f"Choice: the default {default!r} is not one of its branches")

    @property
    def values(self) -> tuple[str, ...]:
        """The branches' names."""
        return tuple(name for name, _ in self.branches)

    def admit(self, value: object) -> Value:
        """`value` if it is a branch's name; `MisfitError` if not."""
        return member(self.values, value)


Domain = Float | Integer | Categorical | Ordinal | Constant | Choice


@dataclass(frozen=True, slots=True)
class Space:
    """Parameters, the conditions under which they are active, and forbidden combinations.

    Args:
        parameters: from name to domain, in the order in which configurations show them.
        conditions: `Condition`s; a name in them is one of this space or of a branch below it.
        forbidden: `Forbidden` statements.

    Raises:
        SpaceError: two parameters of one name that can be active together, a condition or a forbidden
            statement about something that is not there or that can't be so compared, a cycle of conditions.
    """

    parameters: tuple[tuple[str, Domain], ...]
    conditions: tuple[Condition, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()

    def __init__(
        self,
        parameters: Mapping[str, Domain] | Iterable[tuple[str, Domain]],
        conditions: Iterable[Condition] = (),
        forbidden: Iterable[Forbidden] = (),
    ) -> None:
        object.__setattr__(self, "parameters", tuple(_items(parameters)))
        object.__setattr__(self, "conditions", _rules(conditions, Condition))
        object.__setattr__(self, "forbidden", _rules(forbidden, Forbidden))
        if self.parameters:
            check_names([name for name, _ in self.parameters], "Space", "parameter")
        for name, domain in self.parameters:
            if not isinstance(domain, Domain):
                raise SpaceError(
                    f"parameter {name!r} must be a Float, Integer, Categorical, Ordinal, Constant or Choice, "
                    f"not {domain!r}{meant(domain)}"
                )
        lay_out(self)


def as_space(space: Space | Mapping[str, Any]) -> Space:
    """`space` itself, or the space that a plain mapping of parameters means.

    Raises:
        SpaceError: it is neither.
    """
    if isinstance(space, Space):
        return space
    if isinstance(space, Mapping):
        return Space(space)
    raise SpaceError(f"a space is a Space or a mapping from names to domains, not {space!r}")


def _listed(values: Any) -> Any:
    """Values that can be read twice; what is no list of values is left as it is."""
    return list(values) if isinstance(values, Iterable) and not isinstance(values, str | Set) else values


def _items(pairs: Any) -> list[tuple[str, Any]]:
    try:
        return [(name, value) for name, value in (pairs.items() if isinstance(pairs, Mapping) else pairs)]
    except (TypeError, ValueError):
        raise SpaceError(f"a mapping from names was expected, not {pairs!r}") from None


def _rules(rules: Any, kind: type) -> tuple[Any, ...]:
    if not isinstance(rules, Iterable):
        raise SpaceError(f"a list of {kind.__name__}(...) was expected, not {rules!r}")
    found = tuple(rules)
    for rule in found:
        if not isinstance(rule, kind):
            raise SpaceError(f"{kind.__name__}(...) was expected, not {rule!r}")
    return found
