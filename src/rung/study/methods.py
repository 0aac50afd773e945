"""Named methods: each is a combination of a sampler and a scheduler."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from rung.errors import StudyError
from rung.samplers import FAMILY
from rung.schedulers import FAMILY as SCHEDULERS
from rung.trials.methods import known


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
    "smac": Combination(
        "forest",
        "hyperband",
        "Hyperband whose configurations a random forest proposes",
        "Lindauer et al. 2022",
    ),
    "dehb": Combination(
        "dehb", "hyperband", "Hyperband whose configurations differential evolution makes", "Awad et al. 2021"
    ),
    "mfes-hb": Combination(
        "mfes", "hyperband", "Hyperband with a model that combines all fidelities", "Li et al. 2021"
    ),
    "hyper-tune": Combination(
        "mfes",
        "hyper-tune",
        "asynchronous Hyperband that learns its brackets, with a model of all fidelities",
        "Li et al. 2022",
    ),
    "priorband": Combination(
        "prior",
        "hyperband",
        "Hyperband that uses the user's beliefs, as far as they hold",
        "Mallik et al. 2023",
    ),
    "cqr-asha": Combination(
        "cqr", "asha", "ASHA with conformal quantile regression", "Salinas et al. 2023; Li et al. 2020"
    ),
    "pbt": Combination("random", "pbt", "population based training", "Jaderberg et al. 2017"),
    "pasha": Combination("random", "pasha", "ASHA with a ladder that grows as it must", "Bohdal et al. 2023"),
    "fabolas": Combination(
        "random", "fabolas", "configuration and data subset chosen together, by cost", "Klein et al. 2017"
    ),
    "freeze-thaw": Combination(
        "random", "freeze-thaw", "pausing and going on by a model of learning curves", "Swersky et al. 2014"
    ),
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
    check_kind("method", name)
    close = get_close_matches(name, METHODS, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise StudyError(f"unknown method {name!r}: {hint}known are {', '.join(METHODS)}")


def check_kind(kind: str, given: Any) -> None:
    """Refuse the name of something else as a sampler, a scheduler or a method.

    Raises:
        StudyError: it is one of the others; the message says which.
    """
    name = given.partition("(")[0].strip() if isinstance(given, str) else ""
    ours: dict[str, Collection[str]] = {
        "sampler": FAMILY.table,
        "scheduler": SCHEDULERS.table,
        "method": METHODS,
    }
    others = [other for other, table in ours.items() if name in table]
    if not others or kind in others or name in _plugged_in(kind):
        return
    other = others[0]
    raise StudyError(f"{name!r} is no {kind} but a {other}: give it as {other}={name!r} (--{other} {name})")


def _plugged_in(kind: str) -> Collection[str]:
    """The names of this kind with those of installed plug-ins, which take some 10 ms to find."""
    return {"sampler": known(FAMILY), "scheduler": known(SCHEDULERS)}.get(kind, {})
