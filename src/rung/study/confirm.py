"""Evaluating the best configurations again before one is declared: on noisy problems the best was also lucky.

Best first: the incumbent's configuration is evaluated `confirm` times more, each time as a trial of its own
with a seed of its own, at the incumbent's resource. The mean of these new values is unbiased; the value for
which the trial was chosen is not, and does not enter. As long as another configuration's first value is
better than the best such mean, it may be the better one, and is evaluated again, too; at most
`MOST_CONFIRMED` are. The best mean wins. Repeats at another resource than the incumbent's, in a study that
went on to a larger one, do not count, and neither do those of a configuration that the space has no more.
Where the incumbent's job was ended between two rungs, it is compared with those that ended at the same place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from rung.schedulers.base import DONE, WAIT, Decision
from rung.trials.history import BEHIND, CONFIRM, MOST_CONFIRMED, History, Incumbent
from rung.trials.states import TrialState


class Repeat(Decision, frozen=True):
    """Evaluate the configuration of `trial` once more, from the start up to `until`."""

    trial: int
    until: int


class Declared(NamedTuple):
    """The trial whose configuration has the best mean of repeats; values in the metric's own sense."""

    trial: int
    value: float
    repeats: tuple[float, ...]


def confirmation(history: History) -> Decision:
    """The next repeat, or Wait for those that run, or Done."""
    best, wanted = history.incumbent, history.identity.confirm
    if best is None:
        return WAIT if history.running else DONE
    lowest = math.inf
    for trial, value in _ranked(history)[:MOST_CONFIRMED]:
        if value >= lowest:
            break
        values = history.confirmed.get((trial, best.resource), ())
        under_way = _under_way(history, trial, best.resource)
        if len(values) + under_way < wanted:
            return Repeat(trial, best.resource)
        if under_way:
            return WAIT
        lowest = min(lowest, sum(values) / len(values))
    return WAIT if history.running else DONE


def declared(history: History) -> Declared | None:
    """The configuration that its repeats show to be the best; None before any has all of its repeats.

    A trial that raised or came to no value is not declared, whatever it told on the way.
    """
    wanted, best = max(1, history.identity.confirm), history.incumbent
    if best is None:
        return None
    done = {
        trial: values
        for (trial, resource), values in history.confirmed.items()
        if resource == best.resource and len(values) >= wanted and _may_be_best(history, trial)
    }
    sound = {trial: sum(values) / len(values) for trial, values in done.items() if max(values) < BEHIND}
    if not sound:
        return None
    trial = min(sound, key=lambda one: (sound[one], one))
    sign = -1.0 if history.identity.mode == "max" else 1.0
    return Declared(trial, sign * sound[trial], tuple(sign * value for value in done[trial]))


def leading(history: History) -> Incumbent | None:
    """The best so far, as it is shown: what its repeats declared, by their mean, else the incumbent."""
    confirmed, best = declared(history), history.incumbent
    if confirmed is None or best is None:
        return best
    return Incumbent(confirmed.trial, best.resource, confirmed.value)


def time_to_confirm(history: History) -> float:
    """Seconds that one more trial and then the repeats take, if each takes as long as the incumbent's."""
    best = history.incumbent
    return 0.0 if best is None else 1.1 * (1 + history.identity.confirm) * history.seconds[best.trial]


def resource_to_confirm(history: History, until: int) -> int:
    """What the repeats of one configuration take, once a job up to `until` is started beside those that run.

    Nothing as long as no trial has a value and none runs: a search that could afford no more than its
    repeats would find nothing to repeat.
    """
    best, confirm = history.incumbent, history.identity.confirm
    known = [running.job.until for running in (*history.running.values(), *history.retry)]
    known += [] if best is None else [best.resource]
    return confirm * max(until, *known) if confirm and known else 0


def _under_way(history: History, trial: int, resource: int) -> int:
    """Repeats of the trial's configuration that run at this resource, or wait to run again."""
    return sum(
        1
        for running in (*history.running.values(), *history.retry)
        if history.apart.get(running.job.trial) == CONFIRM
        and history.origins[running.job.trial].parent == trial
        and running.job.until == resource
    )


def _may_be_best(history: History, trial: int) -> bool:
    """Not if the space has its configuration no more, nor if it could not be trained to its end."""
    return trial not in history.outside and trial not in history.raised


def _ranked(history: History) -> list[tuple[int, float]]:
    """Trials with a value at the incumbent's resource, best first; of one configuration the best only.

    None as long as the incumbent's job runs, and has come to no rung there.
    """
    best = history.incumbent
    assert best is not None
    kept = _kept.get(history)
    results = sum(len(column) for column in history.results.values())
    under_way = len(history.running), len(history.retry)
    key = (best, len(history.values), results, history.space_version, len(history.raised), under_way)
    if kept is None or kept[0] != key:
        seen: dict[object, tuple[int, float]] = {}
        for value, trial in sorted(_values_at(history, best)):
            if value < BEHIND and _may_be_best(history, trial):
                seen.setdefault(repr(history.values[trial]), (trial, value))
        kept = _kept[history] = (key, list(seen.values()))
    return kept[1]


def _values_at(history: History, best: Incumbent) -> Iterator[tuple[float, int]]:
    """Values, minimised, and trials at the incumbent's resource, where this is a rung.

    Once the incumbent's job has ended also of those whose job ended just there between two rungs, as over a
    limit on its time.
    """
    column = history.results.get(best.resource)
    if column is not None:
        yield from zip(column.values, column.trials, strict=True)
    if history.states[best.trial] in _GOES_ON:
        return
    yield (-best.value if history.identity.mode == "max" else best.value), best.trial
    for trial, (reached, value) in enumerate(zip(history.reached, history.latest, strict=True)):
        apart = history.apart.get(trial) == CONFIRM
        if reached == best.resource and not apart and history.states[trial] not in _GOES_ON:
            yield value, trial


_GOES_ON = (TrialState.RUNNING, TrialState.INTERRUPTED)
_kept: WeakKeyDictionary[History, tuple[object, list[tuple[int, float]]]] = WeakKeyDictionary()
