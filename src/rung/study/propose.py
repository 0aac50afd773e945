"""The configuration of a trial that starts: the scheduler's own, the sampler's, or a parent's, explored.

Parameters that the user fixed are set. A configuration that was tried before is passed over, unless the study
is noisy: the sampler is asked again with other random numbers, then random configurations are tried, and of a
space that can be listed the first that is left is taken. When none is left, that is the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from rung.samplers.base import Request, Sampler, Suggestion
from rung.schedulers.base import Start
from rung.space.changes import switched_off, with_fixed
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng, key
from rung.space.values import Values
from rung.study.explore import explored
from rung.study.suggested import checked
from rung.trials.events import Origin
from rung.trials.history import CONFIRM, History

ASKED_AGAIN: Final = 3  # times that a sampler is asked for another configuration
DRAWN: Final = 64  # random configurations tried after that
LISTED: Final = 100_000  # the largest space that is gone through for what is left
_EXPLORED: Final = Origin("explore")
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
            return _given(history, decision.values, decision.origin or Origin("scheduler"))
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
        found = self._usable(history, suggestion)
        if found is not None:
            return found
        if self._size is not None and len(self._seen) >= self._size and not history.fixed:
            return None
        for other in self._others(history, request, rng):
            found = self._usable(history, other)
            if found is not None:
                return found
        again = with_fixed(history.space, suggestion.values, history.fixed)
        return None if self._size is not None else Suggestion(again, suggestion.origin)

    def _others(self, history: History, request: Request, rng: Rng) -> Iterator[Suggestion]:
        """More proposals: of the sampler, random ones, and all of a space that can be listed."""
        space = history.space
        for attempt in range(ASKED_AGAIN):
            other = Rng(key(rng.seed, _STREAM, attempt) >> 1, rng.number)
            suggestion = self._sampler.suggest(space, history, request, other)
            if suggestion is not None:
                yield suggestion
        random = Origin("random")
        for values in space.samples(key(rng.seed, _STREAM, rng.number, 0) >> 1, 0, DRAWN):
            yield Suggestion(values, random)
        if self._size is not None:
            for values in space.grid(_resolutions(space, history.fixed)):
                yield Suggestion(values, random)

    def _usable(self, history: History, suggestion: Suggestion) -> Suggestion | None:
        """The proposal with what is fixed, if it is legal and new (or may be repeated)."""
        values = with_fixed(history.space, suggestion.values, history.fixed)
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


def _given(history: History, values: Values, origin: Origin) -> Suggestion:
    """The scheduler's own configuration; one that its model chose has what is fixed, if that is legal."""
    fixed = with_fixed(history.space, values, history.fixed) if origin.model else values
    return Suggestion(fixed if history.space.legal([fixed])[0] else values, origin)


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
    size = space.grid_size(resolutions)
    return size if size <= LISTED else None


def _resolutions(space: CompiledSpace, fixed: Mapping[str, Any]) -> dict[str, int]:
    """How many values of each parameter a list of all configurations goes through: one of what is fixed, or
    active nowhere beside it.
    """
    off = switched_off(space, fixed) if fixed else set()
    return {
        key_: 1 if key_ in fixed or name in fixed or slot in off else LISTED
        for slot, (key_, name) in enumerate(zip(space.keys, space.names, strict=True))
    }
