"""The search space that the trials of an Optuna study were drawn from.

Optuna has no space: each trial carries the distributions that its objective asked for. So the space is read
from all of them:

- a name has one parameter, over the union of its ranges or choices; where `log` or `step` differ from trial
  to trial, there is none;
- a parameter that some trials lack is active where another one, which stands before it, has certain values
  (a category) or at least some value (a number), if one rule of that kind agrees with every trial;
- else it is taken to be active always, and those trials have its default.

That a trial lacks a parameter says something if it ran to its end. A failed one may have stopped before it
asked for more: only what it has counts. A pruned one has usually asked for all, so that its lacking counts as
long as some rule agrees with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rung.errors import SpaceError
from rung.space import Categorical, Condition, Constant, Float, Integer, Is, Space
from rung.space.domains import Domain


class Drawn(NamedTuple):
    """What one trial asked for: its parameters in their order, the distribution of each, and how it ended."""

    params: Mapping[str, Any]
    distributions: Mapping[str, Any]
    state: str = "COMPLETE"


class Found(NamedTuple):
    """The space, and the parameters that some trials that did not fail lack without a rule that says when."""

    space: Space
    unruled: tuple[str, ...]


def space_of(trials: Sequence[Drawn]) -> Found:
    """The space of these trials.

    Raises:
        SpaceError: there are no parameters, or one of them has no counterpart; the message names it.
    """
    asked: dict[str, list[Any]] = {}
    for trial in trials:
        for name in trial.params:
            asked.setdefault(name, []).append(trial.distributions[name])
    if not asked:
        raise SpaceError("no trial of it has a parameter, so there is no search space")
    domains = {name: _domain(name, distributions) for name, distributions in asked.items()}
    conditions, unruled = [], []
    for name in domains:
        of_all = _rule(name, domains, trials, ("COMPLETE", "PRUNED"))
        rule = of_all or _rule(name, domains, trials, ("COMPLETE",))
        if rule is not None:
            conditions.append(Condition(name, rule))
        if of_all is None and any(name not in trial.params for trial in trials if trial.state != "FAIL"):
            unruled.append(name)
    return Found(Space(domains, conditions), tuple(unruled))


def _domain(name: str, distributions: Sequence[Any]) -> Domain:
    """The union of what the trials asked for under one name."""
    kinds = {type(each).__name__ for each in distributions}
    try:
        match sorted(kinds):
            case ["CategoricalDistribution"]:
                return _categories(distributions)
            case ["FloatDistribution"] | ["IntDistribution"]:
                return _numbers(distributions, Integer if "IntDistribution" in kinds else Float)
    except SpaceError as error:
        raise SpaceError(f"parameter {name!r} has no counterpart: {error}") from None
    raise SpaceError(
        f"parameter {name!r} has no counterpart: its distribution is {' or '.join(sorted(kinds))}"
    )


def _numbers(distributions: Sequence[Any], kind: type[Float | Integer]) -> Domain:
    low, high = min(each.low for each in distributions), max(each.high for each in distributions)
    if low == high:
        return Constant(low)
    log = all(each.log for each in distributions)
    steps = {each.step for each in distributions}
    step = steps.pop() if len(steps) == 1 and len({each.low for each in distributions}) == 1 else None
    return kind(low, high, log=log, step=None if log else step)


def _categories(distributions: Sequence[Any]) -> Domain:
    values: list[Any] = []
    for choice in (choice for each in distributions for choice in each.choices):
        if not any(_same(choice, value) for value in values):
            values.append(choice)
    return Categorical(values) if len(values) > 1 else Constant(values[0])


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _rule(
    name: str, domains: Mapping[str, Domain], trials: Sequence[Drawn], whole: Sequence[str]
) -> Is | None:
    """When the parameter is active, as a statement about an earlier one; None if none agrees, or if always.

    Args:
        whole: in which states a trial has asked for all parameters that are active in it.
    """
    speaking = [trial for trial in trials if name in trial.params or trial.state in whole]
    if all(name in trial.params for trial in speaking):
        return None
    for parent in domains:
        if parent == name:
            return None
        has = [(trial.params.get(parent, _ABSENT), name in trial.params) for trial in speaking]
        if any(value is _ABSENT for value, present in has if present):
            continue
        known = [(value, present) for value, present in has if value is not _ABSENT]
        domain = domains[parent]
        rule = _among(parent, known) if isinstance(domain, Categorical) else _above(parent, known, domain)
        if rule is not None:
            return rule
    return None


def _among(parent: str, known: Sequence[tuple[Any, bool]]) -> Is | None:
    """It has certain values."""
    inside: list[Any] = []
    outside: list[Any] = []
    for value, present in known:
        group = inside if present else outside
        if not any(_same(value, one) for one in group):
            group.append(value)
    if any(_same(value, one) for value in inside for one in outside):
        return None
    return Is(parent, equals=inside[0]) if len(inside) == 1 else Is(parent, one_of=inside)


def _above(parent: str, known: Sequence[tuple[Any, bool]], domain: Domain) -> Is | None:
    """It is at least the smallest number with which the parameter was there."""
    if not isinstance(domain, Integer):
        return None
    smallest = min(value for value, present in known if present)
    largest = max((value for value, present in known if not present), default=-math.inf)
    return Is(parent, at_least=smallest) if largest < smallest else None


_ABSENT = object()
