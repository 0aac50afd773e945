"""The configuration of a trial that starts: the scheduler's own, the sampler's, or a parent's, explored.

Parameters that the user fixed are set; one that becomes active so is drawn by its prior. A configuration
that is forbidden beside what is fixed is passed over, and so is one that was tried before, unless the study
is noisy: the sampler is asked again with other random numbers, then random configurations are tried, and of
a space that can be listed the first that is left is taken. When none is left, that is the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final
from weakref import WeakKeyDictionary

from rung.samplers.base import Request, Sampler, Suggestion
from rung.schedulers.base import Start
from rung.space.beside import Draw, drawn_beside
from rung.space.changes import settled, switched_off, with_fixed
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng, key
from rung.space.grid import Grid
from rung.space.values import Values
from rung.study.explore import explored
from rung.study.suggested import checked
from rung.trials.events import Origin
from rung.trials.history import CONFIRM, History

ASKED_AGAIN: Final = 3  # times that a sampler is asked for another configuration
DRAWN: Final = 64  # random configurations tried after that
LISTED: Final = 100_000  # the largest space that is gone through for what is left
_EXPLORED: Final = Origin("explore")
_RANDOM: Final = Origin("random")
_STREAM: Final = 11  # apart from other keys made of a study's seed


class Proposals:
    """Configurations for the trials of one study at a time, and which ones it has tried."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = checked(sampler)
        self._history: History | None = None
        self._version: tuple[int, Mapping[str, Any]] = (0, {})
        self._seen: set[object] = set()
        self._count = 0
        self._size: int | None = None  # of what is free of the space, where that can be listed

    def next(self, history: History, decision: Start, number: int) -> Suggestion | None:
        """The configuration of trial `number`; None if nothing is left to try."""
        rng = Rng(history.identity.seed, number)
        parent = decision.parent
        if decision.values is not None:
            return _given(history, decision.values, decision.origin or Origin("scheduler"), rng)
        if parent is not None and decision.explore is not None:
            before = history.values[parent]
            return Suggestion(
                explored(history.space, before, decision.explore, rng, history.fixed), _EXPLORED
            )
        request = Request(decision.until, decision.bracket, parent)
        return self._new(history, request, rng)

    def _new(self, history: History, request: Request, rng: Rng) -> Suggestion | None:
        """The first of the proposals that is legal and was not tried before, if there is one.

        In a space that cannot be listed a configuration may have to come again, with what is fixed.
        """
        suggestion = self._sampler.suggest(history.space, history, request, rng)
        if suggestion is None:
            return None
        self._look(history)
        every = _every(history, rng)
        found = self._usable(history, suggestion, every)
        if found is not None:
            return found
        if self._size is not None and len(self._seen) >= self._size and not history.fixed:
            return None
        for other in self._others(history, request, rng):
            found = self._usable(history, other, every)
            if found is not None:
                return found
        if self._size is not None:
            return None
        again = with_fixed(history.space, suggestion.values, history.fixed, every)
        if history.space.legal([again])[0]:
            return Suggestion(again, suggestion.origin)
        return _random(history, rng)

    def _others(self, history: History, request: Request, rng: Rng) -> Iterator[Suggestion]:
        """More proposals: of the sampler, random ones, and all of a space that can be listed."""
        space, fixed = history.space, history.fixed
        for attempt in range(ASKED_AGAIN):
            other = Rng(key(rng.seed, _STREAM, attempt) >> 1, rng.number)
            suggestion = self._sampler.suggest(space, history, request, other)
            if suggestion is not None:
                yield suggestion
        if fixed:
            for draw in islice(_drawn(history, rng), DRAWN):
                yield Suggestion(draw.values, _RANDOM)
        else:
            for values in space.samples(_seed(rng), 0, DRAWN):
                yield Suggestion(values, _RANDOM)
        if self._size is not None:
            for values in _listed(space, fixed):
                yield Suggestion(values, _RANDOM)

    def _usable(self, history: History, suggestion: Suggestion, every: Values) -> Suggestion | None:
        """The proposal with what is fixed, if it is legal and new (or may be repeated).

        What becomes active beside what is fixed has its value of `every`.
        """
        values = with_fixed(history.space, suggestion.values, history.fixed, every)
        if values is not suggestion.values and not history.space.legal([values])[0]:
            return None
        tried = not history.identity.noisy and history.space.told_apart([values])[0] in self._seen
        return None if tried else Suggestion(values, suggestion.origin)

    def _look(self, history: History) -> None:
        """Take in the configurations that came since the last call."""
        version = (history.space_version, history.fixed)
        if history is not self._history or version != self._version:
            self._history, self._version = history, version
            self._seen.clear()
            self._count = 0
            self._size = _size(history.space, history.fixed)
        marks = history.space.told_apart(history.values[self._count :])
        for number, mark in enumerate(marks, self._count):
            if history.apart.get(number) != CONFIRM and number not in history.outside:
                self._seen.add(mark)
        self._count = len(history.values)


def _seed(rng: Rng) -> int:
    return key(rng.seed, _STREAM, rng.number, 0) >> 1


def _drawn(history: History, rng: Rng) -> Iterator[Draw]:
    """Random configurations for one trial, with what is fixed."""
    return drawn_beside(history.space, history.fixed, _seed(rng))


def _random(history: History, rng: Rng) -> Suggestion | None:
    return next((Suggestion(draw.values, _RANDOM) for draw in _drawn(history, rng)), None)


def _every(history: History, rng: Rng) -> Values:
    """By slot, a random value for what becomes active beside what is fixed; the defaults if nothing is."""
    draw = next(_drawn(history, rng), None) if history.fixed else None
    return history.space.defaults if draw is None else draw.every


def _given(history: History, values: Values, origin: Origin, rng: Rng) -> Suggestion | None:
    """The scheduler's own configuration; one that its model chose has what is fixed.

    Where that is forbidden a random one comes instead.
    """
    if not origin.model:
        return Suggestion(values, origin)
    found = with_fixed(history.space, values, history.fixed, _every(history, rng))
    if history.space.legal([found])[0]:
        return Suggestion(found, origin)
    return _random(history, rng)


def configurations(space: CompiledSpace) -> int | None:
    """How many configurations there are, if they can be listed; else None."""
    if space not in _sizes:
        _sizes[space] = _size(space, {})
    return _sizes[space]


_sizes: WeakKeyDictionary[CompiledSpace, int | None] = WeakKeyDictionary()


def _size(space: CompiledSpace, fixed: Mapping[str, Any]) -> int | None:
    """The same beside what is fixed."""
    resolutions = _resolutions(space, fixed)
    for axis, key_ in zip(space.columns.axes, space.keys, strict=True):
        if resolutions[key_] > 1 and (axis.count is None or axis.count > LISTED):
            return None
    size = _listed(space, fixed).size
    return size if size <= LISTED else None


def _listed(space: CompiledSpace, fixed: Mapping[str, Any]) -> Grid:
    """All configurations that have what is fixed, where they can be listed."""
    return Grid(space.columns, _resolutions(space, fixed), settled(space, fixed))


def _resolutions(space: CompiledSpace, fixed: Mapping[str, Any]) -> dict[str, int]:
    """How many values of each parameter a list of all configurations goes through: one of what is fixed, or
    active nowhere beside it.
    """
    off = switched_off(space, fixed) if fixed else set()
    return {
        key_: 1 if key_ in fixed or name in fixed or slot in off else LISTED
        for slot, (key_, name) in enumerate(zip(space.keys, space.names, strict=True))
    }
