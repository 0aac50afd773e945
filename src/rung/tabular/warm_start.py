"""What a search begins with: each learner's best default, then what was good on earlier tables.

Two sources: the memory that comes with rung (`rung.tabular.meta`), and the user's own studies in the same
storage. The first defaults of all learners keep their place in front, so that a start from a misleading
memory loses little; what follows enters the ensemble by its own score, like everything else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from rung.study.transfer import folded
from rung.tabular.learners.base import Learner
from rung.tabular.learners.table import Traits, learners
from rung.tabular.meta.configurations import for_table
from rung.tabular.plan import Default
from rung.trials.history import BEHIND

if TYPE_CHECKING:
    from rung.storage.base import Storage
    from rung.tabular.dataset import Dataset
    from rung.trials.history import History

SUGGESTED = 12  # of the memory's configurations
STUDIES = 3  # of the user's own, the most like this one
BEST = 3  # configurations of each
LEAST_BUDGET = 8.0  # seconds: with less there is time for defaults only
_NEAR = 3.0  # how far apart tables may be, in the sum of the ratios' logarithms, to be learned from
_LOOKED_AT = 50  # studies of the storage, the latest


def with_earlier(
    ordered: Sequence[Default],
    suggested: Sequence[Mapping[str, Any]],
    own: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, tuple[float, float]],
) -> list[Default]:
    """The order in which configurations are tried.

    Args:
        ordered: the defaults, the first of each learner in front.
        suggested: by the memory, the most promising first.
        own: the best of the user's own earlier studies.
        seconds: by learner, predicted ones with all rows, and at the rung where it starts.
    """
    first = [one for one in ordered if one.rank == 0][:1]
    given = {tuple(sorted(one.config.items())): one for one in ordered}
    mine = [given.get(tuple(sorted(one.items()))) or _default(one, seconds) for one in own]
    mine = [one for one in mine if one not in first]
    others = [one for one in ordered if one not in first and one not in mine]
    known = [one.config for one in [*ordered, *mine]]
    theirs = [_default(config, seconds) for config in suggested if config not in known]
    alternating = chain.from_iterable(zip_longest(theirs, [one for one in others if one.rank > 0]))
    front = [*first, *mine, *(one for one in others if one.rank == 0)]
    return [*front, *(one for one in alternating if one is not None)]


def _default(config: Mapping[str, Any], seconds: Mapping[str, tuple[float, float]]) -> Default:
    return Default(1, config, *seconds[config["learner"]])


def from_memory(
    dataset: Dataset, kind: str, chosen: Sequence[Learner], traits: Traits, *, unhurried: bool = False
) -> list[dict[str, Any]]:
    """What the memory suggests for this table, complete and in the space of this search.

    Args:
        unhurried: the table is measured to the end, so that it is always the same.
    """
    from rung.tabular.meta import meta_features, suggest
    from rung.tabular.meta.features import SECONDS

    if kind == "quantile":
        return []
    seconds = math.inf if unhurried else SECONDS
    features = meta_features(
        dataset.table, dataset.y, dataset.classes, dataset.sizes, seconds=seconds, seed=dataset.seed
    )
    names = {learner.name for learner in chosen}
    found = suggest(features, kind, names, by="surrogate")
    return list(islice(_complete(found, traits), SUGGESTED))


def _complete(found: Sequence[Mapping[str, Any]], traits: Traits) -> Any:
    table = learners()
    for config in found:
        fitted = for_table(config, table[config["learner"]], traits=traits)
        if fitted is not None:
            yield fitted


class Earlier(NamedTuple):
    """What the user's own earlier fits say.

    Attributes:
        configs: complete, in the space of this search, the nearest table's first.
        studies: the names of those that they come from, the nearest first.
    """

    configs: list[dict[str, Any]]
    studies: list[str]


def from_studies(
    storage: Storage, facts: Mapping[str, Any], chosen: Sequence[Learner], traits: Traits
) -> Earlier:
    """The best configurations of the user's own fits of tables like this one."""
    names = {learner.name for learner in chosen}
    near: list[tuple[float, int, str, History]] = []
    for row in storage.list(_LOOKED_AT):
        history = _fit_of(storage, row.name)
        if history is not None:
            apart = distance(history.identity.task, facts)
            if apart <= _NEAR:
                near.append((apart, len(near), row.name, history))
    near.sort(key=lambda one: one[:2])
    configs: list[dict[str, Any]] = []
    studies = []
    for _, _, name, history in near[:STUDIES]:
        best = [one for one in _best(history) if one.get("learner") in names]
        found = [one for one in _complete(best, traits) if one not in configs]
        configs += found
        studies += [name] if found else []
    return Earlier(configs, studies)


def _fit_of(storage: Storage, name: str) -> History | None:
    """The study's history if it is a fit with results."""
    history = folded(storage, name)
    sound = history.identity.door == "fit" and history.incumbent is not None
    return history if sound else None


def distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How far apart two tables are: 0 for the same one, infinite for another kind of task."""
    if one.get("kind") != other.get("kind"):
        return math.inf
    if one.get("table") == other.get("table"):
        return 0.0
    near = 0.5 if one.get("target") == other.get("target") else 1.0
    sizes = [abs(math.log(max(one[key], 1) / max(other[key], 1))) for key in ("rows", "columns")]
    return near * (0.5 + sum(sizes))


def _best(history: History) -> list[dict[str, Any]]:
    """Configurations of the best values at the largest resource that has any.

    Of trials that the session's end stopped too: what they told by then is whole.
    """
    told = [
        (-reached, value, trial)
        for trial, (reached, value) in enumerate(zip(history.reached, history.latest, strict=True))
        if reached and value < BEHIND
    ]
    most = min(told)[0] if told else 0
    ordered = sorted((value, trial) for reached, value, trial in told if reached == most)
    return [dict(history.config(trial)) for _, trial in ordered[:BEST]]
