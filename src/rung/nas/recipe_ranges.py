"""Which values the settings of a search may have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from rung.errors import UserError
from rung.nas.recipe import Recipe

NOT_SET: Final = (
    "text",
    "retrain_as_published",
    "strategy",
    "alpha_rates",
    "alpha_decays",
    "own",
    "even",
    "whole",
)  # of a preset, not for people to set

_OF_PICTURES: Final = (
    *("pictures", "channels", "layers", "retrain_channels", "retrain_layers", "retrain_drop_path"),
)
_SHARES: Final = ("momentum", "dropout", "retrain_drop_path", "retrain_dropout")
_POSITIVE: Final = ("rate", "alpha_rate")
_TWO: Final = ("batch", "retrain_batch")


def settable(recipe: Recipe) -> list[str]:
    """The settings of a recipe, by name."""
    return [field.name for field in fields(recipe) if field.name not in NOT_SET]


def checked_recipe(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of a recipe's settings, each of the kind that it has there, and in its range.

    Raises:
        UserError: one is not, the message says what it must be; or a recipe for text has no use for it.
    """
    if hasattr(recipe, "bptt"):
        for name in (name for name in _OF_PICTURES if name in given):
            raise UserError(f"{name} is of networks for pictures, and cell rnn is for text: leave it out")
    return {name: _checked(name, getattr(recipe, name), value) for name, value in given.items()}


def _checked(name: str, have: Any, value: Any) -> Any:
    if isinstance(have, tuple):
        right = isinstance(value, list | tuple) and len(value) == len(have) and all(map(_share, value))
        must = f"{len(have)} numbers of at least 0 and below 1, such as {list(have)}"
        value = tuple(map(float, value)) if right else value
    elif isinstance(have, float):
        right, must = _real(name, value)
    else:
        least = 2 if name in _TWO else 1
        right = isinstance(value, int) and not isinstance(value, bool) and value >= least
        must = f"a whole number of at least {least}" + ("" if have is None else f", such as {have}")
    if not right:
        raise UserError(f"{name} must be {must}, not {value!r}")
    return float(value) if isinstance(have, float) else value


def _real(name: str, value: Any) -> tuple[bool, str]:
    if name.startswith(_SHARES):
        return _share(value), "a number of at least 0 and below 1"
    number = _number(value) and math.isfinite(value)
    if name in _POSITIVE:
        return number and value > 0, "a number above 0"
    return number and value >= 0, "a number of at least 0"


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value < 1


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
