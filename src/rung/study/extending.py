"""More of what ends a study: added to what it has spent or may spend, whichever is more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from rung.errors import StudyError
from rung.trials.events import Limits

_ADDED: Final = ("trials", "seconds", "total_resource")
NAMES: Final = {**{name: name for name in (*_ADDED, "target")}, "seconds": "budget"}


class Spent(NamedTuple):
    """What a study has spent: trials that a scheduler started, seconds of wall time, resource in its unit."""

    trials: int
    seconds: float
    total_resource: int


def extended(limits: Limits, spent: Spent, more: Limits, called: Mapping[str, str] = NAMES) -> Limits:
    """These limits with what `more` names added to them; a target takes the place of the earlier one.

    Args:
        called: the limits as the caller names them.

    Raises:
        StudyError: one that the study does not have, though it has others.
    """
    changes: dict[str, float] = {} if more.target is None else {"target": more.target}
    for name in _ADDED:
        amount, before = getattr(more, name), getattr(limits, name)
        if amount is None:
            continue
        if before is None and limits.ends:
            raise StudyError(_missing(called[name], limits, called))
        changes[name] = max(before or 0, getattr(spent, name)) + amount
    return msgspec.structs.replace(limits, **changes)


def _missing(name: str, limits: Limits, called: Mapping[str, str]) -> str:
    has = " and ".join(text for key, text in called.items() if getattr(limits, key) is not None)
    return f"{name} does not limit this study, so there is nothing to add to: {has} does"
