"""What a study is going to run, known before it starts: rungs, brackets, trials at each, the cost.

Two figures stand at each rung. `trials` is what the scheduler's rule comes to if results come in no
particular order: n / eta, n / eta^2, ... `most` is a bound that no order of results can exceed: `sha` and
`hyperband` run what they plan and never more, but asynchronous promotion decides on what it has seen so far,
so that with n results it may come to promote n - eta + 1 of them (each newcomer the best yet); with several
objectives, where a newcomer changes the order of all, k of them at each result, k = floor(n / eta).

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
from rung.schedulers.pbt import members
from rung.schedulers.promotion import furthest_behind
from rung.schedulers.race import Racing
from rung.schedulers.sha import table as sha_table
from rung.schedulers.standing import gates_of
from rung.schedulers.synchronous import BracketPlan
from rung.trials.events import Identity, Limits
from rung.trials.history import MOST_CONFIRMED


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
    paused = identity.scheduler.name not in _UNPAUSED
    usual = _cost(brackets, [[rung.trials for rung in bracket.rungs] for bracket in brackets], paused)
    most = _cost(brackets, [[rung.most for rung in bracket.rungs] for bracket in brackets], paused)
    trials = sum(bracket.times * bracket.rungs[0].trials for bracket in brackets)
    return Plan(
        scheduler=identity.scheduler.name,
        resource=identity.resource.name if identity.resource else None,
        eta=identity.eta,
        rungs=ladder_of(identity),
        brackets=brackets,
        trials=trials,
        repeats=limits.trials is None,
        usual=_within(_with_repeats(usual, identity, 1), limits.total_resource),
        most=_within(
            _with_repeats(_if_all_climb(most, brackets, trials), identity, MOST_CONFIRMED),
            limits.total_resource,
        ),
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


def _if_all_climb(cost: Cost, brackets: Sequence[PlannedBracket], trials: int) -> Cost:
    """The cost, but not above that of every trial passing every rung: the brackets of a scheduler that shares
    its trials out as it goes may each get all of them, but not all at once.
    """
    rungs = {rung.resource for bracket in brackets for rung in bracket.rungs}
    return Cost(min(cost.resumed, trials * max(rungs)), min(cost.afresh, trials * sum(rungs)))


def _with_repeats(cost: Cost, identity: Identity, configurations: int) -> Cost:
    """The cost, and that of the repeats of so many configurations, where the study confirms the best."""
    repeats = configurations * identity.confirm * ladder_of(identity)[-1]
    return Cost(cost.resumed + repeats, cost.afresh + repeats)


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


def _standing(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    """Of those who are judged at a gate the percentile's share goes on, and `min_trials` are not judged."""
    settings = identity.scheduler.settings
    rungs, gates = ladder_of(identity), gates_of(identity, settings.get("interval"))
    shown = gates if len(gates) <= _SHOWN else rungs
    number = identity.eta ** (len(rungs) - 1) if trials is None else trials
    unjudged = min(number, settings.get("min_trials", 1))
    share = settings.get("percentile", 50.0) / 100.0
    planned = [
        PlannedRung(gate, unjudged + int((number - unjudged) * share**k), number)
        for k, gate in enumerate(shown)
    ]
    return [PlannedBracket(tuple(planned))]


def _hyper_tune(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    """Async Hyperband's shares, which are kept until it has learnt others: any bracket may get all."""
    planned = _async_hyperband(identity, trials)
    number = sum(bracket.rungs[0].trials for bracket in planned)
    return [_delayed(bracket, number, identity.eta) for bracket in planned]


def _delayed(bracket: PlannedBracket, number: int, eta: int) -> PlannedBracket:
    most = shrink(number, len(bracket.rungs), eta)
    rungs = zip(bracket.rungs, most, strict=True)
    return PlannedBracket(tuple(PlannedRung(rung.resource, rung.trials, n) for rung, n in rungs))


def _race(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    """Race after race; nobody drops out where nobody is worse."""
    size = identity.scheduler.settings.get("candidates", Racing.candidates)
    least, largest = ladder_of(identity)[0], ladder_of(identity)[-1]
    if identity.resource is not None:
        least = identity.resource.minimum
    rounds, left = divmod(size if trials is None else trials, size)
    return [
        PlannedBracket(tuple(PlannedRung(k, number, number) for k in range(least, largest + 1)), times)
        for number, times in ((size, rounds), (left, 1))
        if number and times
    ]


def _mo_asha(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    (bracket,) = _asha(identity, trials)
    if len(identity.goals) < 2:
        return [bracket]
    most, planned = bracket.rungs[0].most, []
    for rung in bracket.rungs:
        planned.append(PlannedRung(rung.resource, rung.trials, most))
        most = min(most, sum(n // identity.eta for n in range(most + 1))) if most >= identity.eta else 0
    return [PlannedBracket(tuple(planned))]


_SHOWN = 12  # gates, at most, before the rungs alone are shown


def _fabolas(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    """The first design, then one in `check` at R; the others as the model has it, here evenly below R."""
    rungs, settings = ladder_of(identity), identity.scheduler.settings
    number = identity.eta ** (len(rungs) - 1) if trials is None else trials
    small = rungs[:-1] or rungs
    design = small[:3]
    first = min(number, settings.get("first", 5) * len(design))
    at = Counter(design[i % len(design)] for i in range(first))
    checked = (number - first) // settings.get("check", 5)
    at[rungs[-1]] += checked
    at.update(small[i % len(small)] for i in range(number - first - checked))
    reach = [sum(count for size, count in at.items() if size >= rung) for rung in rungs]
    return [PlannedBracket(tuple(PlannedRung(r, n, number) for r, n in zip(rungs, reach, strict=True)))]


def _freeze_thaw(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    """As with asha, as a rule; but all may come to the end."""
    (bracket,) = _asha(identity, trials)
    most = bracket.rungs[0].most
    return [PlannedBracket(tuple(PlannedRung(rung.resource, rung.trials, most) for rung in bracket.rungs))]


_UNPAUSED = ("plain", "asha-stopping", "median", "percentile", "curve", "fabolas")  # each trial has one job


def _pbt(identity: Identity, trials: int | None) -> list[PlannedBracket]:
    """A population climbs to the largest resource; each trial that takes a member's place goes one step."""
    settings, resource = identity.scheduler.settings, identity.resource
    size = members(settings.get("population"), trials)
    number = size if trials is None else trials
    largest, least = (resource.maximum, resource.minimum) if resource else (1, 1)
    step = min(largest, settings.get("interval") or max(least, largest // 10))
    usual = [number, *[min(number, size)] * (-(-largest // step) - 1)]
    steps = [min(largest, step * (i + 1)) for i in range(len(usual))]
    return [PlannedBracket(tuple(PlannedRung(s, n, number) for s, n in zip(steps, usual, strict=True)))]


_PLANNERS: dict[str, Callable[[Identity, int | None], list[PlannedBracket]]] = {
    "plain": _plain,
    "sha": _sha,
    "hyperband": _hyperband,
    "asha": _asha,
    "pbt": _pbt,
    "asha-stopping": _asha_stopping,
    "async-hyperband": _async_hyperband,
    "pasha": _asha,  # its ladder may stay shorter
    "fabolas": _fabolas,
    "freeze-thaw": _freeze_thaw,
    "curve": _plain,  # what it saves follows from the curves
    "median": _standing,
    "percentile": _standing,
    "hyper-tune": _hyper_tune,
    "race": _race,
    "mo-asha": _mo_asha,
}
