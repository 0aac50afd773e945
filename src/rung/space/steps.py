"""Numbers as they are written: the checks on bounds, and the values that a step leaves between two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from rung.errors import SpaceError


def number(value: object, what: str) -> float:
    """`value` as a finite float.

    Raises:
        SpaceError: it is not a number (a bool is none), NaN or infinite; the message begins with `what`.
    """
    if isinstance(value, bool | str | None) or not hasattr(value, "__float__"):
        raise SpaceError(f"{what} must be a number, not {value!r}")
    try:
        found = float(value)
    except (OverflowError, TypeError, ValueError):
        raise SpaceError(f"{what} must be a number, not {value!r}") from None
    if not math.isfinite(found):
        raise SpaceError(f"{what} must be a finite number, not {found!r}")
    return found


@dataclass(frozen=True, slots=True)
class Steps:
    """The values first / scale, (first + step) / scale, ...: exactly the decimals that one would write.

    All three are whole numbers, so that 0.1 + 2 * 0.1 is 0.3, and a quotient is rounded once.
    """

    first: int
    step: int
    scale: int
    count: int
    high: float

    @classmethod
    def between(cls, low: float, high: float, step: float, kind: str = "Float") -> Steps:
        """From `low` to `high`; whole numbers stay so; `kind` is the domain that messages name.

        Raises:
            SpaceError: the step is not positive, or doesn't divide the range.
        """
        said = f"{kind}({low!r}, {high!r}, step={step!r})"
        if step <= 0:
            raise SpaceError(f"{said}: the step must be positive")
        first, by = Decimal(repr(low)), Decimal(repr(step))
        ratio = (Decimal(repr(high)) - first) / by
        whole = round(ratio)
        if whole < 1 or abs(ratio - whole) > Decimal("1e-9") * max(1, whole):
            fits = first + by * max(1, int(ratio))
            raise SpaceError(
                f"{said}: the step must divide the range from low to high, as it does with high={fits}"
            )
        if whole >= 2**53:
            raise SpaceError(f"{said}: the step is too small for the range")
        digits = max(0, -int(first.as_tuple().exponent), -int(by.as_tuple().exponent))
        scale = 10**digits
        return cls(int(first * scale), int(by * scale), scale, whole + 1, high)

    def value(self, index: int) -> float:
        """The value number `index`."""
        last = index == self.count - 1
        if last or (self.scale == 1 and isinstance(self.high, int)):
            return self.high if last else self.first + index * self.step
        return (self.first + index * self.step) / self.scale

    def nearest(self, value: float) -> int:
        """The number of the value nearest to `value`."""
        return min(max(round((value * self.scale - self.first) / self.step), 0), self.count - 1)
