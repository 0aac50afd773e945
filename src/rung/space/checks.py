"""What domains are made of: plain values, weights, priors, defaults, each checked with a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from rung.errors import SpaceError
from rung.space.layout import MisfitError
from rung.space.steps import number
from rung.space.values import Value, text_of


@dataclass(frozen=True, slots=True)
class Normal:
    """A prior: normal around `mean` (a value of the parameter), cut off at the bounds.

    `deviation` is in the parameter's scale: the value's units or, with `log`, those of its natural logarithm.

    Raises:
        SpaceError: the deviation is not positive, or either is not finite.
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", number(self.mean, "Normal's mean"))
        object.__setattr__(self, "deviation", number(self.deviation, "Normal's deviation"))
        if self.deviation <= 0:
            raise SpaceError(f"Normal's deviation must be positive, not {self.deviation!r}")


@dataclass(frozen=True, slots=True)
class Beta:
    """A prior: the beta distribution over the parameter's (log) range, both parameters at least 1.

    Raises:
        SpaceError: one of them is below 1 (the density would be infinite) or not finite.
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", number(self.alpha, "Beta's alpha"))
        object.__setattr__(self, "beta", number(self.beta, "Beta's beta"))
        if min(self.alpha, self.beta) < 1:
            raise SpaceError(f"Beta's parameters must be at least 1, not {self.alpha!r} and {self.beta!r}")


def plain(value: object) -> Value:
    """`value` as an exact str, int, float, bool or None (NumPy's scalars are unwrapped).

    Raises:
        MisfitError: it is none of these, or a NaN or infinite float.
    """
    if not isinstance(value, str | int | float | bool | None) and hasattr(value, "item"):
        try:
            value = value.item()
        except ValueError:
            raise MisfitError(f"is {value!r}, which is not a single value") from None
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            if isinstance(value, float) and not math.isfinite(value):
                raise MisfitError(f"is {value!r}, which is not a finite number")
            if isinstance(value, str) and not storable(value):
                raise MisfitError(f"is {value!r}, which has half of a surrogate pair and is no text")
            return value if type(value) is kind else kind(value)
    if value is not None:
        raise MisfitError(f"is {value!r}, which is not a str, int, float, bool, None, list or mapping")
    return None


def storable(text: str) -> bool:
    """Whether UTF-8 can write it, as the log must."""
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


def flat(value: object) -> Value:
    """`value` as `plain` gives it, a list or a mapping as its JSON.

    Raises:
        MisfitError: it is neither.
    """
    try:
        text = text_of(value)
    except (TypeError, ValueError) as problem:
        raise MisfitError(f"is {value!r}, in which something is no JSON ({problem})") from None
    return plain(text)


def lists_of(values: Iterable[object]) -> tuple[str, ...]:
    """The JSON of those values that are lists or mappings; values that `values_of` took."""
    return tuple(str(flat(value)) for value in values if isinstance(value, list | tuple | Mapping))


def values_of(values: Iterable[object], said: str) -> tuple[Value, ...]:
    """A non-empty list of different plain values (True, 1 and 1.0 differ); lists in it as their JSON."""
    if isinstance(values, str | Set) or not isinstance(values, Iterable):  # no set: it has no order
        raise SpaceError(f"{said} needs a list of values, not {values!r}")
    try:
        found = tuple(flat(value) for value in values)
    except MisfitError as problem:
        raise SpaceError(f"{said}: a value {problem}") from None
    if not found:
        raise SpaceError(f"{said} needs at least one value")
    seen = set()
    for value in found:
        if (type(value), value) in seen:
            raise SpaceError(f"{said} has the value {value!r} twice")
        seen.add((type(value), value))
    return found


def check_names(names: Sequence[object], said: str, what: str) -> None:
    """Non-empty texts, each once, of parameters or branches."""
    if not names:
        raise SpaceError(f"{said} needs at least one {what}")
    for name in names:
        if not isinstance(name, str) or not name:
            raise SpaceError(f"{said}: the name of a {what} must be text, not {name!r}")
        if not storable(name):
            raise SpaceError(f"{said}: the {what} {name!r} has half of a surrogate pair, which is no text")
        if names.count(name) > 1:
            raise SpaceError(f"{said} has the {what} {name!r} twice")


def weights_of(prior: Iterable[float] | None, count: int, said: str) -> tuple[float, ...] | None:
    if prior is None:
        return None
    if isinstance(prior, str | Set | Mapping) or not isinstance(prior, Iterable):
        raise SpaceError(
            f"{said}: the prior must be a list of weights, not {prior!r}: one for each value, in their order"
        )
    weights = tuple(number(weight, f"a weight of {said}") for weight in prior)
    if len(weights) != count:
        raise SpaceError(f"{said} has {count} values and {len(weights)} weights; give one weight each")
    if min(weights) < 0 or sum(weights) <= 0 or not math.isfinite(sum(weights)):
        raise SpaceError(f"{said}: weights must not be negative, and one of them must be positive")
    return weights


def member(values: tuple[Value, ...], value: object) -> Value:
    """`value` if it is one of `values` and of the same type; `MisfitError` if not."""
    given = flat(value)
    if not any(type(given) is type(one) and given == one for one in values):
        raise MisfitError(f"is {value!r}, which is not one of {', '.join(map(repr, values))}")
    return given


def meant(given: object) -> str:
    """What somebody may have meant who gave this in place of a domain: the end of a sentence, or nothing."""
    match given:
        case bool() | int() | float() | str() | None:
            return f": for one value write Constant({given!r})"
        case (bool(), _) | (_, bool()):
            return f": for a choice write Categorical({list(given)!r})"
        case (int() as low, int() as high):
            return f": for a range write Integer({low}, {high}), for a choice Categorical([{low}, {high}])"
        case (int() | float() as low, int() | float() as high):
            return f": for a range write Float({low}, {high}), for a choice Categorical([{low}, {high}])"
        case list() | tuple():
            return f": for a choice write Categorical({list(given)!r})"
        case Mapping():
            return ": names are flat; parameters that belong together are a branch of a Choice"
    return ""


class Missing:
    """The type of `NO_DEFAULT`, where None is a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_DEFAULT"

    def __reduce__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT = Missing()


def default_of(values: tuple[Value, ...], default: Value | Missing, said: str) -> Value | Missing:
    if isinstance(default, Missing):
        return NO_DEFAULT
    try:
        return member(values, default)
    except MisfitError as problem:
        raise SpaceError(f"{said}: the default {problem}") from None
