"""When a study ends, from what people write."""

from __future__ import annotations

import math

import msgspec

from rung.errors import StudyError
from rung.study.durations import seconds
from rung.study.identity import count
from rung.trials.events import Limits


def make_limits(
    trials: int | None = None,
    budget: str | float | None = None,
    total_resource: int | None = None,
    target: float | None = None,
    retries: int = 3,
    trial_time: str | float | None = None,
    trial_memory: int | None = None,
) -> Limits:
    """The limits that these settings name; all None is without end.

    Args:
        budget, trial_time: seconds, or text such as "5m".
        trial_memory: bytes.

    Raises:
        UserError: one that makes no sense, by name.
    """
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise StudyError(f"retries must be a whole number of at least 0, not {retries!r}")
    if target is not None and not (isinstance(target, int | float) and math.isfinite(target)):
        raise StudyError(f"target must be a finite number, not {target!r}")
    return Limits(
        trials=count("trials", trials),
        seconds=None if budget is None else seconds(budget),
        total_resource=count("total_resource", total_resource),
        target=None if target is None else float(target),
        retries=retries,
        trial_seconds=None if trial_time is None else seconds(trial_time),
        trial_memory=count("trial_memory", trial_memory),
    )


def other_end(
    limits: Limits,
    trials: int | None,
    budget: str | float | None,
    total_resource: int | None,
    target: float | None,
) -> Limits:
    """The same limits on a job, and this end of the study where one is named.

    Raises:
        UserError: one that makes no sense, by name.
    """
    end = make_limits(trials, budget, total_resource, target)
    if not end.ends:
        return limits
    return msgspec.structs.replace(
        limits,
        trials=end.trials,
        seconds=end.seconds,
        total_resource=end.total_resource,
        target=end.target,
    )
