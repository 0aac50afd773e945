"""What a study is going to run, known before it starts: rungs, brackets, trials at each, the cost.

Two figures stand at each rung. `trials` is what the scheduler's rule comes to if results come in no
particular order: n / eta, n / eta^2, ... `most` is a bound that no order of results can exceed: `sha` and
`hyperband` run what they plan and never more, but asynchronous promotion decides on what it has seen so far,
so that with n results it may come to promote n - eta + 1 of them (each newcomer the best yet).

A cost is in the study's unit. With checkpoints a promoted trial goes on from where it stood; afresh, it
begins again. A job that runs again because its worker was lost is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from rung.schedulers.async_hyperband import shares
from rung.schedulers.hyperband import table as hyperband_table
from rung.schedulers.ladder import ladder_of, shrink
from rung.schedulers.promotion import furthest_behind
from rung.schedulers.sha import table as sha_table
from rung.schedulers.synchronous import BracketPlan
from rung.trials.events import Identity, Limits


class PlannedRung(msgspec.Struct, frozen=True):
    """So many trials reach `resource`, as a rule; and never more than `most`."""

    resource: int
    trials: int
    most: int


class PlannedBracket(msgspec.Struct, frozen=True):
    """A bracket that runs `times` times; the figures are those of one time."""

    rungs: tuple[PlannedRung, ...]
    times: int = 1


class Cost(msgspec.Struct, frozen=True):
    """Total resource, if promoted trials go on from their checkpoints, and if they begin afresh."""

    resumed: int
    afresh: int


class Plan(msgspec.Struct, frozen=True):
    """What will run.

    Attributes:
        scheduler: its name.
        resource: the unit's name; None in a study without a resource.
        rungs: all rungs, from r to R.
        brackets: what runs on them.
        trials: configurations started, all brackets together.
        repeats: no limit on trials is set: what is shown is one round, repeated until another limit ends it.
        usual, most: what it costs as a rule, and at the very most; not above a limit on the total resource.
    """

    scheduler: str
    resource: str | None
    eta: int
    rungs: tuple[int, ...]
    brackets: tuple[PlannedBracket, ...]
    trials: int
    repeats: bool
    usual: Cost
    most: Cost


def plan(identity: Identity, limits: Limits) -> Plan | None:
    """What a study with these settings and limits will run; None if its scheduler is another's plug-in."""
    planner = _PLANNERS.get(identity.scheduler.name)
    if planner is None:
        return None
    brackets = tuple(planner(identity, limits.trials))
    paused = identity.scheduler.name not in ("plain", "asha-stopping")
    usual = _cost(brackets, [[rung.trials for rung in bracket.rungs] for bracket in brackets], paused)
    most = _cost(brackets, [[rung.most for rung in bracket.rungs] for bracket in brackets], paused)
    return Plan(
        scheduler=identity.scheduler.name,
        resource=identity.resource.name if identity.resource else None,
        eta=identity.eta,
        rungs=ladder_of(identity),
        brackets=brackets,
        trials=sum(bracket.times * bracket.rungs[0].trials for bracket in brackets),
        repeats=limits.trials is None,
        usual=_within(usual, limits.total_resource),
        most=_within(most, limits.total_resource),
    )


def _cost(brackets: Sequence[PlannedBracket], counts: Sequence[Sequence[int]], paused: bool) -> Cost:
    """The cost of so many trials at each rung; a trial that is never `paused` doesn't begin again."""
    resumed = afresh = 0
    for bracket, numbers in zip(brackets, counts, strict=True):
        reached = 0
        for rung, number in zip(bracket.rungs, numbers, strict=True):
            resumed += bracket.times * number * (rung.resource - reached)
            afresh += bracket.times * number * rung.resource
            reached = rung.resource
    return Cost(resumed, afresh if paused else resumed)


def _within(cost: Cost, limit: int | None) -> Cost:
    return cost if limit is None else Cost(min(cost.resumed, limit), min(cost.afresh, limit))


def _plain(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    number = 1 if trials is None else trials
    return [PlannedBracket((PlannedRung(ladder_of(identity)[-1], number, number),))]


def _sha(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    return _synchronous(sha_table(ladder_of(identity), identity.eta), identity.eta, trials)


def _hyperband(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    return _synchronous(hyperband_table(ladder_of(identity), identity.eta), identity.eta, trials)


def _synchronous(table: Sequence[BracketPlan], eta: int, trials: int | None) -> list[PlannedBracket]:
    """Whole rounds, then what the remaining trials fill; the last bracket may be cut short."""
    if trials is None:
        return [_fixed(bracket, 1) for bracket in table]
    rounds, left = divmod(trials, sum(bracket.trials[0] for bracket in table))
    times: Counter[BracketPlan] = Counter(dict.fromkeys(table, rounds))
    short: list[PlannedBracket] = []
    for bracket in table:
        if 0 < left < bracket.trials[0]:
            cut = BracketPlan(bracket.rungs, shrink(left, len(bracket.rungs), eta))
            short.append(_fixed(cut, 1))
        elif left:
            times[bracket] += 1
        left = max(0, left - bracket.trials[0])
    return [_fixed(bracket, times[bracket]) for bracket in table if times[bracket]] + short


def _fixed(bracket: BracketPlan, times: int) -> PlannedBracket:
    rungs = zip(bracket.rungs, bracket.trials, strict=True)
    return PlannedBracket(tuple(PlannedRung(resource, n, n) for resource, n in rungs), times)


def _asha(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    rungs = ladder_of(identity)
    number = identity.eta ** (len(rungs) - 1) if trials is None else trials
    return [_promoting(rungs, number, identity.eta)]


def _async_hyperband(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    rungs, eta = ladder_of(identity), identity.eta
    share = shares(len(rungs), eta, identity.scheduler.settings.get("brackets"))
    rounds, left = divmod(sum(share) if trials is None else trials, sum(share))
    extra = [0] * len(share)
    for _ in range(left):
        extra[furthest_behind(extra, share)] += 1
    return [
        _promoting(rungs[b:], rounds * part + more, eta)
        for b, (part, more) in enumerate(zip(share, extra, strict=True))
    ]


def _promoting(rungs: Sequence[int], number: int, eta: int) -> PlannedBracket:
    planned = []
    most = number
    for resource, usual in zip(rungs, shrink(number, len(rungs), eta), strict=True):
        planned.append(PlannedRung(resource, usual, most))
        most = max(0, most - eta + 1)
    return PlannedBracket(tuple(planned))


def _asha_stopping(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    rungs, eta = ladder_of(identity), identity.eta
    number = eta ** (len(rungs) - 1) if trials is None else trials
    usual = shrink(number, len(rungs), eta)
    least = min(1, number)  # the first at a rung always goes on
    return [
        PlannedBracket(
            tuple(PlannedRung(r, max(least, n), number) for r, n in zip(rungs, usual, strict=True))
        )
    ]


_PLANNERS: dict[str, Callable[[Identity, int | None], list[PlannedBracket]]] = {
    "plain": _plain,
    "sha": _sha,
    "hyperband": _hyperband,
    "asha": _asha,
    "asha-stopping": _asha_stopping,
    "async-hyperband": _async_hyperband,
}
