"""25 workers on two spaces of convolutional nets, 500 on a language model (ASHA, 4.2 and 4.3).

Time is told in full trainings, time(R): the mean of what all of a table's configurations took. The language
model is an LSTM on other text than Penn Treebank; in place of Vizier stands a Gaussian process that trains
every configuration to the end. For population based training see `asha_sequential`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments.judging import (
    Said,
    ahead,
    at_moment,
    faster,
    group,
    near_linear,
    not_behind,
    of,
)
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_SIMPLE, _HARD, _LANGUAGE = "timed convnet", "timed small-cnn", "timed lstm"
_LIMIT: Final = 3.0  # full trainings
_UNLIMITED: Final = 100_000  # evaluations: time ends the searches
_ONE: Final = Setting(workers=1, evaluations=_UNLIMITED, seconds=25 * _LIMIT)
_25: Final = Setting(workers=25, evaluations=_UNLIMITED, seconds=_LIMIT)
_25_BRIEF: Final = Setting(workers=25, evaluations=_UNLIMITED, seconds=1.0)
_500: Final = Setting(workers=500, evaluations=_UNLIMITED, seconds=_LIMIT)
_MANY: Final = 5  # times as many configurations as workers
_SYSTEMS: Final = (
    "rung asha",
    "rung sha",
    "rung async-hyperband",
    "rung bohb",
    "rung pbt 25",
    "rung random",
    "rung",
)
_SYSTEMS_500: Final = ("rung asha", "rung async-hyperband", "rung bohb", "rung pbt 500")


def many(rows: Sequence[Row]) -> Claim:
    """How many configurations ASHA looks at while one is trained.

    Of so many results at least a share of 1 - 1 / eta were of new configurations, as no more than one in eta
    is promoted.
    """
    brief = [row for row in rows if row.system == "rung asha" and row.seconds == _25_BRIEF.seconds]
    counts = [row.evaluations * (1 - 1 / Setting().eta) for row in brief if row.workers == 25]
    said = Said(
        f"in the time of one training ASHA tries many configurations: {_MANY} times as many as workers",
        "ASHA, 4.2",
    )
    if not counts:
        return said.found("unclear", "no searches", "the least of all seeds")
    least = min(counts)
    verdict = "holds" if least >= 25 * _MANY else "fails"
    measured = f"at least {least:.0f} with 25 workers (the paper: 1000, with more rungs)"
    return said.found(verdict, measured, f"the least of {len(counts)} searches")


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Of 25 workers, then of 500."""
    whole = [row for row in rows if row.seconds != _25_BRIEF.seconds]
    asha = of(whole, system="rung asha")
    hard, simple = of(asha, _HARD), of(asha, _SIMPLE)
    both = of(whole, _SIMPLE, workers=25) + of(whole, _HARD, workers=25)
    source = "ASHA, 4.2"
    said = Said("25 workers find in 1.5 time(R) what random search does not in twice that", source)
    soon = ahead(said, both, group("rung asha", at=at_moment(1.5)), group("rung random"))
    said = Said("25 workers: ASHA is ahead of {}", source)
    leads = [
        ahead(said._replace(claim=said.claim.format(name)), both, group("rung asha"), group(system))
        for name, system in (
            ("SHA", "rung sha"),
            ("BOHB", "rung bohb"),
            ("population based training", "rung pbt 25"),
        )
    ]
    return [
        many(rows),
        soon,
        *leads,
        near_linear(Said("25 workers: linear speed-up on the hard task", source), hard, 25),
        faster(Said("and less on the simple one", source), hard, simple),
        *_of_500(of(whole, _LANGUAGE, workers=500)),
    ]


def _of_500(rows: Sequence[Row]) -> list[Claim]:
    source = "ASHA, 4.3"
    asha, gp = group("rung asha"), group("rung gp")
    said = Said("500 workers: ASHA is ahead of a Gaussian process", source)
    half = Said("and has in half of the time what that has in the end", source)
    soon = group("rung asha", at=at_moment(_LIMIT / 2))
    level = Said("500 workers: asynchronous Hyperband is not behind ASHA", source)
    return [
        ahead(said, rows, asha, gp),
        not_behind(half, rows, soon, gp),
        not_behind(level, rows, group("rung async-hyperband"), asha),
    ]


ENTRIES: Final = {
    "asha-workers": Experiment(
        "25 workers on two spaces of convolutional nets, 500 on a language model (ASHA, 4.2, 4.3)",
        full=(
            Plan((_SIMPLE, _HARD), _SYSTEMS, (_25,), 10),
            Plan((_SIMPLE, _HARD), ("rung asha",), (_ONE, _25_BRIEF), 10),
            Plan((_LANGUAGE,), _SYSTEMS_500, (_500,), 8),
            Plan((_LANGUAGE,), ("rung gp",), (_500,), 6),
        ),
        quick=(
            Plan((_SIMPLE,), _SYSTEMS, (_25_BRIEF,), 1),
            Plan((_LANGUAGE,), ("rung asha", "rung gp"), (_500._replace(workers=50, seconds=1.0),), 1),
        ),
        minutes=30,
        claims=claims,
    ),
}
