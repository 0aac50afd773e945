"""What a request for a study means: its settings, its limits, its space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rung.errors import StudyError
from rung.samplers import FAMILY as SAMPLERS
from rung.schedulers import FAMILY as SCHEDULERS
from rung.service.register import Hosted
from rung.service.shared import check_address, digest_of
from rung.study.changing import fixed_events
from rung.study.checkpoint_places import TOPIC, place_of
from rung.study.devices import AUTO, Allotment, allotment_events, make_allotment
from rung.study.limits import make_limits
from rung.study.methods import combination
from rung.study.settings import Settings, make_identity
from rung.study.writer import Writer
from rung.trials.events import Event, Limits, LimitsChanged, Recorded, StudyCreated
from rung.trials.history import History
from rung.trials.methods import check_installed

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
    "trials",
)
_LIMITS: Final = ("trials", "budget", "total_resource", "target")
_ENDS: Final = (*_LIMITS, "retries", "trial_time", "trial_memory")


def asked_for(new: NewStudy) -> tuple[Settings, Limits, Any]:
    """The settings, limits and space of a study that is to begin.

    Raises:
        UserError: what was given makes no study.
    """
    from rung.space import from_json

    if new.name is not None:
        check_address(new.name)
    check_installed(SAMPLERS, new.sampler)
    check_installed(SCHEDULERS, new.scheduler)
    sampler, scheduler = new.sampler, new.scheduler
    if new.method is not None:
        if sampler is not None or scheduler is not None:
            raise StudyError("give either method, or sampler and scheduler, not both")
        named = combination(new.method)
        sampler, scheduler = named.sampler, named.scheduler
    limits = make_limits(*(getattr(new, name) for name in _ENDS))
    if new.objective is not None and all(getattr(new, name) is None for name in _LIMITS):
        raise StudyError("say when a study that workers run ends: trials, budget, total_resource or target")
    given = {name: getattr(new, name) for name in _SETTINGS}
    settings, space = Settings(**given, sampler=sampler, scheduler=scheduler), from_json(new.space)
    begun = History().fold_all([StudyCreated(make_identity(space, settings), "", 0.0)])
    _first_events(begun, new, 0.0)  # refused before there is a study
    return settings, limits, space


def _first_events(history: History, new: NewStudy, now: float) -> list[Event]:
    """The slots of jobs that get more as they climb, and the values that all configurations get.

    Raises:
        UserError: the study cannot have them.
    """
    events: list[Event] = []
    if (wanted := _allotment(new)) is not None:
        events += allotment_events(history, wanted, now)
    if new.fixed:
        events += fixed_events(history, new.fixed, now)
    return events


def _allotment(new: NewStudy) -> Allotment | None:
    """How many devices jobs get as they climb; None where it is the same number for each."""
    if new.devices == AUTO:
        curve: dict[Any, float] | None = new.scaling  # JSON's keys are text
        return make_allotment(AUTO, 0.75 if new.efficiency is None else new.efficiency, curve)
    if new.efficiency is not None or new.scaling is not None:
        raise StudyError("efficiency and scaling say how many devices are worth it: give devices 'auto' too")
    return None


def begin(writer: Writer, new: NewStudy, limits: Limits, now: float) -> None:
    """Write into a new study's log what was asked for beside its settings."""
    writer.set_limits(limits, now)
    events = _first_events(writer.history, new, now)
    if new.checkpoints is not None or new.checkpoint_limit is not None:
        place = None if new.checkpoints is None else place_of(new.checkpoints, writer.log.key)
        events.append(Recorded(TOPIC, {"place": place, "limit": new.checkpoint_limit}, None, now))
    writer.commit(events)


def hosted_as(new: NewStudy, owner: str, request: str) -> Hosted:
    """What the service keeps of a new study beside its log."""
    return Hosted(
        owner,
        new.objective,
        new.weight,
        new.priority,
        new.min_slots,
        new.max_slots,
        1 if new.devices == AUTO else new.devices,
        request=request,
        auto=new.devices == AUTO,
        digest=digest_of(new.model_dump_json(exclude_defaults=True)) if request else "",
    )


def limits_of(change: StudyChange) -> dict[str, Any]:
    """The limits that a change names."""
    wanted = make_limits(change.trials, change.budget, change.total_resource, change.target)
    names = ("trials", "seconds", "total_resource", "target")
    return {name: value for name in names if (value := getattr(wanted, name)) is not None}


def changed_limits(history: History, limits: Mapping[str, Any], now: float) -> LimitsChanged:
    """The event that changes these limits of a study, and keeps the others."""
    return LimitsChanged(msgspec.structs.replace(history.limits, **limits), now)
