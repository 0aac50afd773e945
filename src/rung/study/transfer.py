"""What earlier studies found, taken into the log of a new one: the sampler `transfer` learns from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from rung.errors import StudyError
from rung.samplers import make_sampler
from rung.samplers.transfer import TOPIC
from rung.storage.base import Storage
from rung.trials.events import Event, Recorded, StudyCreated
from rung.trials.history import BEHIND, History

COST: Final = "evaluation cost"  # the topic under which the log keeps what one evaluation takes, in seconds
MOST: Final = 500  # results taken from one study


def declared_cost(history: History) -> float | None:
    """Seconds that one evaluation takes, as the user said; None if nothing was said."""
    declared = history.records.get(COST)
    return float(declared[-1].data["seconds"]) if declared else None


def earlier_events(studies: Sequence[Any], storage: Storage, now: float) -> list[Event]:
    """An event for each earlier study: its space and its results at the largest resource.

    Args:
        studies: names in `storage`, or objects that have `history` and `name` (a study) or its result.

    Raises:
        StudyError: one that does not exist or has no results.
    """
    found: list[Event] = []
    several = isinstance(studies, Sequence) and not isinstance(studies, str)
    for study in studies if several else [studies]:
        name, history = _read(study, storage)
        rows = _rows(history)
        if not rows:
            raise StudyError(f"study {name!r} has no results to transfer")
        found.append(
            Recorded(TOPIC, {"study": name, "space": history.identity.space, "rows": rows}, None, now)
        )
    return found


def _read(study: Any, storage: Storage) -> tuple[str, History]:
    if isinstance(study, str):
        return study, folded(storage, study)
    history = getattr(study, "history", None)
    name = getattr(study, "name", None) or getattr(study, "study", None)
    if not isinstance(history, History) or not isinstance(name, str):
        raise StudyError(f"transfer takes names of studies, Study or Result objects, not {study!r}")
    return name, history


def folded(storage: Storage, name: str) -> History:
    """The history of a study in the storage."""
    stream = iter(storage.read(name))
    first = next(stream)
    assert isinstance(first, StudyCreated)
    return History(sampler=make_sampler("random")).fold_all([first, *stream])


def _rows(history: History) -> list[list[Any]]:
    """[configuration, value] of the results at the largest resource that has a few, minimised.

    Of more than `MOST`, half are the best, and half evenly spread over the ranks of the others.
    """
    for resource in sorted(history.results, reverse=True):
        column = history.results[resource]
        sound = sorted(
            (value, trial)
            for value, trial in zip(column.values, column.trials, strict=True)
            if value < BEHIND and trial not in history.outside
        )
        if len(sound) >= 5 or resource == min(history.results):
            break
    else:
        return []
    if len(sound) > MOST:
        spread = np.linspace(MOST // 2, len(sound) - 1, MOST - MOST // 2).astype(int)
        sound = sound[: MOST // 2] + [sound[i] for i in spread]
    return [[history.config(trial), value] for value, trial in sound]
