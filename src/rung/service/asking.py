"""What a request for a study means: its settings, its limits, its space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rung.errors import StudyError
from rung.service.shared import Hosted, check_address
from rung.study.limits import make_limits
from rung.study.methods import combination
from rung.study.settings import Settings
from rung.trials.events import Limits, LimitsChanged
from rung.trials.history import History

if TYPE_CHECKING:
    from rung.service.models import NewStudy, StudyChange

_SETTINGS: Final = (
    "metric",
    "mode",
    "reference",
    "constraints",
    "resource",
    "eta",
    "seed",
    "noisy",
    "confirm",
)
_ENDS: Final = (
    "trials",
    "budget",
    "total_resource",
    "target",
    "retries",
    "trial_time",
    "trial_memory",
)


def asked_for(new: NewStudy) -> tuple[Settings, Limits, Any]:
    """The settings, limits and space of a study that is to begin.

    Raises:
        UserError: what was given makes no study.
    """
    from rung.space import from_json

    if new.name is not None:
        check_address(new.name)
    sampler, scheduler = new.sampler, new.scheduler
    if new.method is not None:
        if sampler is not None or scheduler is not None:
            raise StudyError("give either method, or sampler and scheduler, not both")
        named = combination(new.method)
        sampler, scheduler = named.sampler, named.scheduler
    limits = make_limits(*(getattr(new, name) for name in _ENDS))
    given = {name: getattr(new, name) for name in _SETTINGS}
    return Settings(**given, sampler=sampler, scheduler=scheduler), limits, from_json(new.space)


def hosted_as(new: NewStudy, owner: str, request: str) -> Hosted:
    """What the service keeps of a new study beside its log."""
    return Hosted(
        owner,
        new.objective,
        new.weight,
        new.priority,
        new.min_slots,
        new.max_slots,
        new.devices,
        request=request,
    )


def limits_of(change: StudyChange) -> dict[str, Any]:
    """The limits that a change names."""
    wanted = make_limits(change.trials, change.budget, change.total_resource, change.target)
    names = ("trials", "seconds", "total_resource", "target")
    return {name: value for name in names if (value := getattr(wanted, name)) is not None}


def changed_limits(history: History, limits: Mapping[str, Any], now: float) -> LimitsChanged:
    """The event that changes these limits of a study, and keeps the others."""
    return LimitsChanged(msgspec.structs.replace(history.limits, **limits), now)
