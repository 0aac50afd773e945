"""What samplers of other packages suggest: checked, since a wrong value would be run, logged and read."""

from __future__ import annotations

from typing import Any, Final

from rung.errors import SpaceError, StudyError
from rung.samplers import SAMPLERS
from rung.samplers.base import Request, Sampler, Suggestion
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.space.values import INACTIVE, Values
from rung.trials.events import Origin
from rung.trials.history import History


class Checked:
    """Another sampler, whose suggestions are legal configurations of plain values, or an error names it."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def suggest(
        self, space: CompiledSpace, history: History, request: Request, rng: Rng
    ) -> Suggestion | None:
        found: Any = self._sampler.suggest(space, history, request, rng)
        if found is None:
            return None
        name = type(self._sampler).__name__
        if not isinstance(found, Suggestion) or not isinstance(found.origin, Origin):
            raise StudyError(f"the sampler {name} suggested {found!r}: {_WANTED}")
        try:
            return Suggestion(_legal(space, found.values), found.origin)
        except (SpaceError, TypeError) as error:
            raise StudyError(f"the sampler {name} suggested {found.values!r}: {error}") from error


def checked(sampler: Sampler) -> Sampler:
    """The sampler as it is, if it is one of ours, else with checks."""
    ours = type(sampler).__module__.startswith("rung.") and getattr(sampler, "base", "auto") in SAMPLERS
    return sampler if ours else Checked(sampler)


def _legal(space: CompiledSpace, values: Values) -> Values:
    """The same configuration, scalars of NumPy as plain values.

    Raises:
        SpaceError: it is none of the space.
    """
    if len(values) != space.size:
        raise SpaceError(f"it has {len(values)} values, and the space has {', '.join(space.keys)}")
    active = [value is not INACTIVE for value in values]
    found = space.from_mapping(
        {name: value for name, value, on in zip(space.names, values, active, strict=True) if on}
    )
    for slot, value in enumerate(found):  # two branches may have parameters of one name
        if (value is not INACTIVE) != active[slot]:
            raise SpaceError(f"parameter {space.keys[slot]!r} is not active beside the other values")
    return found


_WANTED: Final = "a sampler returns rung.samplers.base.Suggestion(values, Origin(name)), or None at its end"
