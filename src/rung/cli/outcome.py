"""What is said before a search starts and after it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from rung.cli import output
from rung.cli.app import INTERRUPTED, NO_RESULT
from rung.cli.store import command

if TYPE_CHECKING:
    from rung.schedulers.plan import Plan
    from rung.study import Result, Study


def announce(study: Study, workers: int) -> None:
    """Say what will run: the method, the rungs and brackets, the most that it can cost."""
    identity = study.identity
    began = f"goes on after {len(study.history)} trials" if len(study.history) else "begins"
    jobs = f"{workers} job{'s' if workers > 1 else ''} at a time"
    output.say(
        f"study {study.name} {began}: sampler {identity.sampler.name}, scheduler {identity.scheduler.name}, "
        f"{study.space.size} parameters, {jobs}"
    )
    if not output.quiet():
        shown = _plan(study)
        if shown is not None:
            output.err().print(shown)


def _plan(study: Study) -> Any:
    """Rungs, brackets, trials at each, and the most that it can cost; None if nobody can tell beforehand."""
    from rung.schedulers.plan import plan

    planned = plan(study.identity, study.history.limits)
    if planned is None or planned.resource is None:
        return None
    unit = planned.resource
    table = output.grid(
        "bracket", f"up to {unit}", "trials", "at most", right=(f"up to {unit}", "trials", "at most")
    )
    for number, bracket in enumerate(planned.brackets):
        name = f"{number + 1}" + (f", {bracket.times} times" if bracket.times > 1 else "")
        for rung in bracket.rungs:
            table.add_row(name, str(rung.resource), str(rung.trials), str(rung.most))
            name = ""
    table.caption = _cost(planned)
    table.caption_justify = "left"
    return table


def _cost(planned: Plan) -> str:
    """The most that a search can cost, in one or two lines."""
    usual, most = planned.usual, planned.most
    unit = f"{planned.resource}s" + (
        " a round, over and over until the budget ends it" if planned.repeats else ""
    )
    text = f"cost: about {usual.resumed} {unit}, at most {most.resumed}"
    if most.afresh > most.resumed:
        text += f"; about {usual.afresh}, at most {most.afresh}, without checkpoints"
    return text


def outcome(study: Study, result: Result, storage: str) -> None:
    """Print what was found and the next command to type; exit with 1 if nothing, 130 if interrupted."""
    best = result.best
    trials = len(study.history)
    output.say(f"{trials} trials, {_ends(result.reason)}")
    if best is None:
        if result.reason == "interrupted":
            interrupted(study.name, storage)
            raise typer.Exit(INTERRUPTED)
        output.fail(f"no trial has a usable value{_why(result)}")
        raise typer.Exit(NO_RESULT)
    console = output.out()
    amount = study.identity.resource
    at = f" at {amount.name} {best.resource}" if amount else ""
    console.print(
        f"best {study.identity.metric} {output.number(best.value)} by trial {best.number}{at}", markup=False
    )
    for name, value in best.config.items():
        console.print(f"  {name} = {output.number(value)}", markup=False)
    if best.checkpoint:
        console.print(f"checkpoint {best.checkpoint}", markup=False)
    if result.reason == "interrupted":
        interrupted(study.name, storage)
        raise typer.Exit(INTERRUPTED)
    output.say(f"all trials: {command('show', study.name, storage)}")
    output.say(f"more budget: {command('extend', study.name, storage, '--trials', str(max(10, trials)))}")


_ENDS = {
    "interrupted": "interrupted",
    "budget": "the time budget is spent",
    "target": "the target is reached",
    "paused": "paused by request",
    "stopped": "stopped by request",
    "exhausted": "nothing is left to try",
}


def _ends(reason: str | None) -> str:
    return _ENDS.get(reason or "", "all that was asked for")


def _why(result: Result) -> str:
    """The commonest reason why trials failed."""
    from collections import Counter

    messages = Counter(record.timing.message for record in result.trials if record.timing.message)
    if not messages:
        return ": none reported the metric"
    message, count = messages.most_common(1)[0]
    return f"; {count} of {len(result.trials)} failed with: {message}"


def interrupted(name: str, storage: str) -> None:
    """Say how to go on."""
    output.err().print(
        f"interrupted; everything is saved. Go on with: {command('resume', name, storage)}", markup=False
    )
