"""A stored configuration, brought into the form that a table's own defaults have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.tabular.learners.base import Learner
from rung.tabular.learners.table import defaults, search_space

_CHOICES = ("categories", "scale", "impute")  # of the preparation


def for_table(
    config: Mapping[str, Any], learner: Learner, *, categories: bool, missing: bool
) -> dict[str, Any] | None:
    """The configuration with exactly the parameters that the learner has on such a table.

    Choices of preparation that the table leaves no room for are dropped; those that it asks for, and the
    configuration lacks, are at their first value.

    Args:
        categories, missing: whether the table has categories, and missing numbers.

    Returns:
        None where the learner now has a parameter that the configuration does not give.
    """
    choice = search_space([learner], categories=categories, missing=missing)["learner"]
    names = [name for name, _ in dict(choice.branches)[learner.name].parameters]
    plain = defaults(learner, categories=categories, missing=missing)
    complete = {**{name: plain[0][name] for name in _CHOICES if plain and name in plain[0]}, **config}
    if any(name not in complete for name in names):
        return None
    return {"learner": learner.name, **{name: complete[name] for name in names}}
