"""Named methods: each is a combination of a sampler and a scheduler."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final, NamedTuple

from rung.errors import StudyError


class Combination(NamedTuple):
    sampler: str
    scheduler: str
    line: str
    paper: str


METHODS: Final[dict[str, Combination]] = {
    "random-search": Combination(
        "random", "plain", "every configuration drawn at random, to the end", "Bergstra & Bengio 2012"
    ),
    "grid-search": Combination("grid", "plain", "every point of a grid, to the end", ""),
    "successive-halving": Combination(
        "random", "sha", "the best of each rung go on, rung by rung", "Jamieson & Talwalkar 2016"
    ),
    "hyperband": Combination(
        "random", "hyperband", "successive halving from several starts", "Li et al. 2018"
    ),
    "bohb": Combination(
        "kde", "hyperband", "Hyperband whose configurations a density model proposes", "Falkner et al. 2018"
    ),
    "asha": Combination("random", "asha", "asynchronous successive halving by promotion", "Li et al. 2020"),
    "asha-stopping": Combination(
        "random", "asha-stopping", "asynchronous successive halving by stopping", "Li et al. 2020"
    ),
    "async-hyperband": Combination("random", "async-hyperband", "ASHA in several brackets", "Li et al. 2020"),
    "async-bohb": Combination(
        "kde",
        "asha",
        "ASHA whose configurations a density model proposes",
        "Falkner et al. 2018; Li et al. 2020",
    ),
}


def combination(name: str) -> Combination:
    """The combination of this name.

    Raises:
        StudyError: there is none; the message names the closest.
    """
    if name in METHODS:
        return METHODS[name]
    close = get_close_matches(name, METHODS, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise StudyError(f"unknown method {name!r}: {hint}known are {', '.join(METHODS)}")
