"""A flat list of parameters as a ConfigSpace, and its configurations back."""

from typing import Any

import ConfigSpace


def space_of(
    parameters: list[dict[str, Any]], seed: int, whole: bool = False
) -> ConfigSpace.ConfigurationSpace:
    """Lists become lists of their indices; a branch's parameters are conditions on its choice.

    `whole` makes ordered lists whole numbers, for a peer that knows no ordered lists.
    """
    space = ConfigSpace.ConfigurationSpace(seed=seed)
    made = {one["name"]: _parameter(one, whole) for one in parameters}
    _add(space, list(made.values()))
    conditions = [
        ConfigSpace.EqualsCondition(made[one["name"]], made[one["when"][0]], one["when"][1])
        for one in parameters
        if one["when"]
    ]
    _add(space, conditions)
    return space


def _add(space: ConfigSpace.ConfigurationSpace, things: list[Any]) -> None:
    """ConfigSpace 1 and its predecessors."""
    if hasattr(space, "add"):
        space.add(things)
    else:
        for one in things:
            add = (
                space.add_condition
                if isinstance(one, ConfigSpace.EqualsCondition)
                else space.add_hyperparameter
            )
            add(one)


def _parameter(one: dict[str, Any], whole: bool) -> Any:
    name = one["name"]
    if one["kind"] == "float":
        return ConfigSpace.UniformFloatHyperparameter(name, one["low"], one["high"], log=one["log"])
    if one["kind"] == "integer":
        return ConfigSpace.UniformIntegerHyperparameter(name, one["low"], one["high"], log=one["log"])
    values = list(range(one["values"]))
    if one["kind"] == "ordinal" and whole:
        return ConfigSpace.UniformIntegerHyperparameter(name, 0, one["values"] - 1)
    if one["kind"] == "ordinal":
        return ConfigSpace.OrdinalHyperparameter(name, values)
    return ConfigSpace.CategoricalHyperparameter(name, values)


def plain(config: Any) -> dict[str, Any]:
    """A configuration as a mapping of plain numbers."""
    items = dict(config).items()
    return {name: value.item() if hasattr(value, "item") else value for name, value in items}
