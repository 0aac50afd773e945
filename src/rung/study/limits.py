"""When a study ends, from what people write."""

from __future__ import annotations

import math

from rung.errors import StudyError
from rung.study.durations import seconds
from rung.study.identity import count
from rung.trials.events import Limits


def make_limits(
    trials: int | None = None,
    budget: str | float | None = None,
    total_resource: int | None = None,
    target: float | None = None,
    retries: int | None = None,
    trial_time: str | float | None = None,
    trial_memory: int | None = None,
) -> Limits:
    """The limits that these settings name; all None is without end.

    Args:
        budget, trial_time: seconds, or text such as "5m".
        retries: 3 unless told.
        trial_memory: bytes.

    Raises:
        UserError: one that makes no sense, by name.
    """
    retries = Limits().retries if retries is None else retries
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
    return told_anew(limits, make_limits(trials, budget, total_resource, target), None)


def told_anew(before: Limits, named: Limits, retries: int | None) -> Limits:
    """The limits of a study that had others: what is not named stays.

    An end that is named takes the place of all ends before it, as one more would end the study earlier.

    Args:
        retries: as it was given, None where it was not named.
    """
    end = named if named.ends else before
    return Limits(
        trials=end.trials,
        seconds=end.seconds,
        total_resource=end.total_resource,
        target=end.target,
        retries=before.retries if retries is None else named.retries,
        trial_seconds=before.trial_seconds if named.trial_seconds is None else named.trial_seconds,
        trial_memory=before.trial_memory if named.trial_memory is None else named.trial_memory,
    )
