"""What fits into the time: steps that are timed, epochs that a budget pays, threads worth having."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch

from rung.errors import UserError
from rung.nas.devices import average
from rung.nas.loop import Plan, start
from rung.nas.moment import Moment
from rung.nas.planning import Prepared
from rung.nas.strategies.base import Lengthening, Turn
from rung.nas.training import weight_step

SEARCHING: Final = 0.75  # of a budget; the rest is for deriving and for the short training
_PROBES: Final = 3  # steps that are timed, after one that is not
_WORTH: Final = 1.15  # times as long as with all threads is what a step may take with one
_HOPELESS: Final = 3.0  # times as long as with one thread: threads wait for each other, and probing ends


def fit_budget(prepared: Prepared, budget: float, began: float | None = None) -> Prepared:
    """The plan with as many of its epochs as the budget has time for, after timing a few steps.

    Args:
        began: the monotonic time from which the budget counts; now, unless told.

    Raises:
        UserError: not even one fits.
    """
    plan = prepared.plan
    each = epoch_seconds(plan)
    spent = 0.0 if began is None else average(time.monotonic() - began)
    left = SEARCHING * budget - spent
    if left < each:
        before = f", with {spent:.0f} s that have gone before," if spent >= 0.5 else ""
        enough = (each + spent) / SEARCHING + 1
        raise UserError(
            f"a budget of {budget:g} s is under one epoch, which takes about {each:.1f} s here{before} and "
            f"may have {SEARCHING:.0%} of it: give --budget {enough:.0f}s, or fewer samples (--limit)"
        )
    if isinstance(plan.strategy, Lengthening):
        each *= plan.strategy.mean_cost
    possible = int(left / each)
    if possible >= plan.recipe.epochs:
        return prepared
    note = f"{possible} of {plan.recipe.epochs} epochs are planned, {each:.1f} s each, to fit {budget:g} s"
    return prepared._replace(plan=with_epochs(plan, possible), notes=(*prepared.notes, note))


def with_epochs(plan: Plan, epochs: int) -> Plan:
    """The same with another number of epochs: schedules are scaled to it, but for one that was set."""
    from rung.nas.strategies.table import rescaled

    strategy = rescaled(plan.strategy, plan.recipe.epochs, epochs)
    return plan._replace(recipe=replace(plan.recipe, epochs=epochs), strategy=strategy)


def epoch_seconds(plan: Plan) -> float:
    """What an epoch takes here, by timing a few steps of a search that is thrown away; for all processes."""
    return 1.25 * plan.task.steps * average(step_seconds(plan, _PROBES))  # and a look at the held-out samples


def step_seconds(plan: Plan, probes: int) -> float:
    """What a step of alphas and weights takes, the least of a few after one that is not counted."""
    state, task = start(plan), plan.task
    state.net.train()
    spent = []
    for step, (first, second) in zip(range(probes + 1), task.pairs(0), strict=False):
        began = time.perf_counter()
        moment = Moment(plan.seed, plan.recipe.epochs - 1, plan.recipe.epochs, step, task.steps)
        rate, clip = plan.recipe.rate, plan.recipe.clip
        turn = Turn(
            task, plan.space, state.net, state.alphas, first, second, state.weights, rate, moment, clip
        )
        if plan.strategy.step(turn).loss is None:
            with torch.no_grad():
                mixed = plan.strategy.mixed(plan.space, state.alphas, state.net.alive, moment)
            weight_step(task, state.net, mixed, first, state.weights, clip)
        spent.append(time.perf_counter() - began)
    return min(spent[1:] or spent)


def best_threads(plan: Plan) -> int:
    """How many threads of torch's are worth having on this machine, as busy as it is: one, or all of them.

    Networks of few channels gain little from a second thread, and where other programs are busy threads that
    wait for each other can take ten times as long as one. Results may differ in the last bits with the
    number, so that a search keeps the one that it began with.
    """
    if next(iter(start(plan).net.parameters())).device.type != "cpu":
        return torch.get_num_threads()
    return threads_worth(lambda probes: step_seconds(plan, probes))


def threads_worth(seconds: Callable[[int], float]) -> int:
    """One thread, or all of them, by what steps take on a CPU with either.

    Args:
        seconds: of a step, the least of so many after one that is not counted; of that one if none is.
    """
    most = torch.get_num_threads()
    if most == 1:
        return most
    try:
        torch.set_num_threads(1)
        alone = seconds(2)
        torch.set_num_threads(most)
        if seconds(0) > _HOPELESS * alone:
            return 1
        return 1 if alone <= _WORTH * seconds(2) else most
    finally:
        torch.set_num_threads(most)
