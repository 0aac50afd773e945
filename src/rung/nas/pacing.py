"""What fits into the time: steps that are timed, epochs that a budget pays, threads worth having."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch

from rung.errors import UserError
from rung.nas.devices import average
from rung.nas.loop import Plan, State, start, unfinished
from rung.nas.moment import Moment
from rung.nas.planning import Prepared
from rung.nas.strategies.base import SCORED, Finishing, Lengthening, Turn
from rung.nas.training import weight_step

SEARCHING: Final = 0.75  # of a budget; the rest is for deriving and for the short training
_TRYING: Final = SEARCHING / 2  # of a budget at most: strategies that try what they derive
_OF_THE_REST: Final = _TRYING / (_TRYING + 1 - SEARCHING)  # of what is left then, where a training follows
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
    trying = trying_seconds(plan, each, budget)
    left = SEARCHING * budget - trying - spent
    if left < each:
        before = f", with {spent:.0f} s that have gone before," if spent >= 0.5 else ""
        both = (each + spent + _trying(plan, each)) / SEARCHING, (each + spent) / (SEARCHING - _TRYING)
        raise UserError(
            f"a budget of {budget:g} s is under one epoch, which takes about {each:.1f} s here{before} and "
            f"may have {SEARCHING - trying / budget:.0%} of it: give --budget {min(both) + 1:.0f}s, or fewer "
            "samples (--limit)"
        )
    if isinstance(plan.strategy, Lengthening):
        each *= plan.strategy.mean_cost
    possible = int(left / each)
    if possible >= plan.recipe.epochs:
        return prepared
    note = f"{possible} of {plan.recipe.epochs} epochs are planned, {each:.1f} s each, to fit {budget:g} s"
    if trying:
        note += f", {trying:.0f} s of which are for what it tries before it derives"
    return prepared._replace(plan=with_epochs(plan, possible), notes=(*prepared.notes, note))


def trying_seconds(plan: Plan, each: float, budget: float) -> float:
    """What of a budget is kept for a strategy that tries, after the last epoch, what it derives.

    Args:
        each: seconds of an epoch.
    """
    return min(_trying(plan, each), _TRYING * budget)


def _trying(plan: Plan, each: float) -> float:
    strategy = plan.strategy
    return strategy.ahead(plan.space, plan.task.steps) * each if isinstance(strategy, Finishing) else 0.0


def time_for_another(plan: Plan, state: State, left: float, budget: float) -> bool:
    """Whether another epoch fits, beside what is kept for trying; yes where none follows."""
    each = state.ledger.seconds / state.epoch
    return not unfinished(plan, state) or left >= each + trying_seconds(plan, each, budget)


class Patience:
    """Says whether there is time to try another, by the longest that any took.

    Args:
        left: seconds that are left of the budget, None for any number.
        training: whether a short training follows: it has what it needs kept back of what is left now.
    """

    def __init__(self, left: Callable[[], float | None], *, training: bool) -> None:
        self._left = left
        self._kept = (1 - _OF_THE_REST) * (left() or 0.0) if training else 0.0
        self._began: float | None = None  # the one before
        self._longest = 0.0

    def __call__(self) -> bool:
        """Whether another may begin."""
        now, left = time.monotonic(), self._left()
        if self._began is not None:
            self._longest = max(self._longest, now - self._began)
        self._began = now
        return left is None or left - self._kept > self._longest


def with_epochs(plan: Plan, epochs: int) -> Plan:
    """The same with another number of epochs: schedules are scaled to it, but for one that was set."""
    from rung.nas.strategies.table import rescaled

    strategy = rescaled(plan.strategy, plan.recipe.epochs, epochs)
    return plan._replace(recipe=replace(plan.recipe, epochs=epochs), strategy=strategy)


def epoch_seconds(plan: Plan) -> float:
    """What an epoch takes here, by timing a few steps of a search that is thrown away; for all processes."""
    return plan.task.steps * average(step_seconds(plan, _PROBES)) / (1 - SCORED)


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
