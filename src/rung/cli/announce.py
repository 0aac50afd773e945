"""What is said before a search starts: the method and why, its rungs, what runs on them, what it can cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rung.cli import output

if TYPE_CHECKING:
    from rung.schedulers.plan import Cost, Plan
    from rung.study import Study
    from rung.trials.events import Identity, Resource


def announce(study: Study, workers: int | None) -> None:
    """Say what will run, and why: the method, the rungs and brackets, the most that it can cost."""
    identity = study.identity
    began = f"goes on after {len(study.history)} trials" if len(study.history) else "begins"
    jobs = "as many jobs at a time as the cluster holds"
    if workers is not None:
        jobs = f"{workers} job{'s' if workers > 1 else ''} at a time"
    output.say(
        f"study {study.name} {began}: sampler {identity.sampler.name}, scheduler {identity.scheduler.name}, "
        f"{study.space.size} parameter{'s' if study.space.size > 1 else ''}, {jobs}"
    )
    if len(identity.goals) > 1:
        output.say("objectives: " + ", ".join(f"{goal.metric} ({goal.mode})" for goal in identity.goals))
    if identity.constraints:
        output.say("constraints: " + ", ".join(map(str, identity.constraints)))
    if study.history.fixed:
        fixed = (f"{name} = {output.setting(value)}" for name, value in study.history.fixed.items())
        output.say("fixed: " + ", ".join(fixed))
    if not output.quiet():
        _method(identity, study.history.limits.trials)
        _planned(study)


def _method(identity: Identity, trials: int | None) -> None:
    """Scheduler and sampler in a line each, and how they came to be chosen."""
    from rung.samplers import FAMILY
    from rung.schedulers import known_schedulers, make_scheduler, spec_of
    from rung.study.defaults import scheduler_for
    from rung.trials.methods import known

    chosen, resource = identity.scheduler.name, identity.resource
    why = "asked for"
    if identity.scheduler == spec_of(make_scheduler(scheduler_for(resource, identity.goals, trials))):
        why = f"the default {_case(resource, trials)}"
    for name, family, reason in (
        (chosen, known_schedulers(), why),
        (
            identity.sampler.name,
            known(FAMILY),
            "the default" if identity.sampler.name == "auto" else "asked for",
        ),
    ):
        if name in family:  # a class of the user's own has no line
            output.say(f"{name}, {reason}: {family[name].line.removesuffix(' (the default)')}")


def _case(resource: Resource | None, trials: int | None) -> str:
    if resource is None:
        return "without a resource"
    if resource.minimum == resource.maximum:
        return "where r = R"
    return "with a resource and " + ("a budget" if trials is None else "a number of trials")


def _planned(study: Study) -> None:
    """Rungs, brackets, trials at each, and the most that it can cost; nothing if nobody can tell."""
    from rung.schedulers.plan import plan

    planned = plan(study.identity, study.history.limits)
    amount = study.identity.resource
    if planned is None or amount is None:
        return
    output.say(_ladder(planned, amount))
    output.err().print(_brackets(planned, amount))
    output.say(_cost(planned, amount))


def _ladder(planned: Plan, amount: Resource) -> str:
    """The rungs, and what made them."""
    rungs, eta = planned.rungs, planned.eta
    ends = f"r = {amount.minimum}, R = {amount.maximum} {amount.unit}"
    if {rung.resource for bracket in planned.brackets for rung in bracket.rungs} != set(rungs):
        return f"resource: {ends}"  # it stops elsewhere, or nowhere
    text = f"rungs: {ends}, eta = {eta}: {', '.join(map(str, rungs))}"
    if len(rungs) < 2:
        return text
    steps = f"times {eta} each"
    if rungs[-1] != rungs[-2] * eta:
        steps += ", the last step wider, so that it ends at R"
    if planned.scheduler in _HALVING:
        steps += f"; 1 in {eta} goes on"
    return f"{text} ({steps})"


_HALVING = (
    "sha", "hyperband", "asha", "asha-stopping", "async-hyperband", "pasha", "hyper-tune", "mo-asha",
)  # fmt: skip


def _brackets(planned: Plan, amount: Resource) -> Any:
    reach = f"up to {amount.name}"
    table = output.grid("bracket", reach, "trials", "at most", right=(reach, "trials", "at most"))
    for number, bracket in enumerate(planned.brackets):
        name = f"{number + 1}" + (f", {bracket.times} times" if bracket.times > 1 else "")
        for rung in bracket.rungs:
            table.add_row(name, str(rung.resource), str(rung.trials), str(rung.most))
            name = ""
    return table


def _cost(planned: Plan, amount: Resource) -> str:
    """The most that a search can cost, in the resource's unit and in units of R."""
    usual, most, unit = planned.usual, planned.most, amount.unit
    rounds = " a round, over and over until the budget ends it" if planned.repeats else ""
    text = f"cost: about {_both(usual.resumed, amount, unit)}, at most {_both(most.resumed, amount)}{rounds}"
    if most.afresh > most.resumed:
        text += f"; {_afresh(usual, most, amount)} without checkpoints"
    full = planned.trials * amount.maximum
    if usual.resumed < full:
        text += f"; every configuration up to R would cost {_both(full, amount)}"
    return text


def _afresh(usual: Cost, most: Cost, amount: Resource) -> str:
    return f"about {_both(usual.afresh, amount)}, at most {_both(most.afresh, amount)}"


def _both(cost: int, amount: Resource, unit: str = "") -> str:
    """An amount, and how many times R it is."""
    times = cost / amount.maximum
    shown = f"{times:,.0f}" if times >= 10 else f"{times:.2g}"
    return f"{cost:,}{' ' + unit if unit else ''} ({shown} R)"
