"""What an outside worker tells must hold the study's metric: without it the trial would fail later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.errors import StudyError
from rung.trials.history import History


def check_report(history: History, trial: int, resource: int, metrics: Mapping[str, Any]) -> None:
    """A value on the way is the study's metric; others alone may follow where that is known.

    Without a resource a trial's value is the last one told, so that each must be one.

    Raises:
        StudyError: it is missing.
    """
    missing = _missing(history, metrics)
    if missing and (history.identity.resource is None or resource > history.reached[trial]):
        what = f"only {', '.join(map(repr, metrics))}" if metrics else "nothing"
        raise StudyError(
            f"trial {trial} told {what} at {resource}, and not {missing}, the study's metric: report it "
            "there (null if it is no number), other metrics along with it"
        )


def check_end(history: History, trial: int, metrics: Mapping[str, Any] | None, *, reported: bool) -> None:
    """A job that has finished told the study's metric at its end, unless its checkpoint was there already.

    Args:
        reported: whether the job told a value on the way.

    Raises:
        StudyError: it did not.
    """
    running, plain = history.running[trial], history.identity.resource is None
    start, until = running.job.start, running.job.until
    missing = _missing(history, metrics or {})
    known = reported if plain else running.final is not None or until <= start
    if not missing or known:
        return
    where = "in its job" if plain else f"at {until}, where its job ends"
    raise StudyError(
        f"trial {trial} told no {missing} {where}: send it along with the end (null if it is no number), or "
        "tell another outcome, such as error"
    )


def _missing(history: History, metrics: Mapping[str, Any]) -> str:
    """The study's metrics that are not among these, for a sentence; "" if all are."""
    identity = history.identity
    names = [goal.metric for goal in identity.goals] or [identity.metric]
    return ", ".join(repr(name) for name in names if name not in metrics)
