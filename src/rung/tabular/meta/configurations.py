"""A stored configuration, brought into the form that a table's own defaults have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.space.layout import MisfitError
from rung.tabular.learners.base import Learner
from rung.tabular.learners.table import Traits, defaults, search_space


def for_table(
    config: Mapping[str, Any],
    learner: Learner,
    traits: Traits | None = None,
    *,
    categories: bool = False,
    missing: bool = False,
) -> dict[str, Any] | None:
    """The configuration with exactly the parameters that the learner has on such a table.

    What the table leaves no room for is dropped (an encoding where there are no categories); what it asks
    for, and the configuration does not give, is as in the learner's default that it is, else in its first.

    Args:
        traits: of the table.
        categories, missing: whether the table has categories, and missing numbers; where no traits are given.

    Returns:
        None where a value is none that the learner's space still has, or the learner has no default.
    """
    choice = search_space([learner], traits, categories=categories, missing=missing)["learner"]
    plain = defaults(learner, traits, categories=categories, missing=missing)
    complete = {**_nearest(config, plain), **config}
    found: dict[str, Any] = {"learner": learner.name}
    for name, domain in dict(choice.branches)[learner.name].parameters:
        if name not in complete:
            return None
        try:
            found[name] = domain.admit(complete[name])
        except MisfitError:
            return None
    return found


def _nearest(config: Mapping[str, Any], plain: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The default that has all that the configuration gives; the first where there is none."""
    same = (one for one in plain if all(config[name] == one[name] for name in config.keys() & one.keys()))
    return next(same, plain[0] if plain else {})
