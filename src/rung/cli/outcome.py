"""What is said after a search has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rung.cli import output
from rung.cli.exits import INTERRUPTED, NO_RESULT
from rung.cli.store import command

if TYPE_CHECKING:
    from rung.study import Result, Study
    from rung.study.records import TrialRecord
    from rung.trials.history import History


def outcome(study: Study, result: Result, storage: str) -> None:
    """Print what was found and the next command to type; exit with 1 if nothing, 130 if interrupted."""
    from rung.study.result import failures, nothing_found
    from rung.trials.history import CONFIRM, TOLD

    begun = study.history.begun
    ends = ENDS.get(result.reason or "", "all that was asked for")
    kinds = list(study.history.apart.values())
    repeats = f", {count} that confirm" if (count := kinds.count(CONFIRM)) else ""
    repeats += f", {count} that were told" if (count := kinds.count(TOLD)) else ""
    output.say(f"{begun} trial{'' if begun == 1 else 's'}{repeats}, {ends}")
    why = failures(result.trials, study.identity.metric)
    if result.best is not None:
        _found(study, result.best)
        if len(study.identity.goals) > 1:
            _front(study, result)
        if why:
            output.say(f"{why} (more: {command('logs', study.name, storage)})")
    if result.reason == "interrupted":
        interrupted(study.name, storage)
        raise typer.Exit(INTERRUPTED)
    if result.best is None:
        more = f" (more: {command('logs', study.name, storage)})" if why else ""
        output.fail(nothing_found(result.trials, study.identity) + more)
        if result.reason == "failing":
            output.say(f"when that is mended: {command('resume', study.name, storage)}")
        raise typer.Exit(NO_RESULT)
    output.say(f"all trials: {command('show', study.name, storage)}")
    if result.reason in ("paused", "stopped"):
        output.say(f"go on with: {command('resume', study.name, storage)}")
    else:
        output.say(f"more budget: {command('extend', study.name, storage, *_again(study.history))}")


_SHOWN = 12  # of the front


def _front(study: Study, result: Result) -> None:
    """The Pareto front as a table: the first of its trials by the first objective."""
    goals = study.identity.goals
    volume = result.hypervolume
    names = [goal.metric for goal in goals]
    table = output.grid("trial", *names, "configuration", right=("trial", *names))
    members = sorted(
        result.front, key=lambda record: (record.value or 0.0) * (-1) ** (goals[0].mode == "max")
    )
    for record in members[:_SHOWN]:
        told = (output.number(record.metrics.get(name)) for name in names)
        table.add_row(str(record.number), *told, output.settings(record.config))
    more = f", the first {_SHOWN}" if len(members) > _SHOWN else ""
    table.title = f"Pareto front: {len(members)} trials{more}; hypervolume {output.number(volume)}"
    table.title_justify = "left"
    output.out().print(table)


def _found(study: Study, best: TrialRecord) -> None:
    console, amount = output.out(), study.identity.resource
    at = f" at {amount.name} {best.resource}" if amount else ""
    value = f"best {study.identity.metric} {output.number(best.value)}"
    console.print(f"{value} by trial {best.number}{at}", soft_wrap=True)
    if best.confirmed:
        repeats = ", ".join(output.number(one) for one in best.confirmed)
        console.print(f"  the mean of {len(best.confirmed)} repeats: {repeats}", soft_wrap=True)
    for name, found in best.config.items():
        console.print(f"  {name} = {output.setting(found)}", soft_wrap=True)
    if best.checkpoint:
        console.print(f"checkpoint {best.checkpoint}", soft_wrap=True)


def _again(history: History) -> tuple[str, str]:
    """The option that gives a study as much budget again as it had."""
    limits = history.limits
    if limits.trials:
        return "--trials", str(max(10, history.begun))
    if limits.seconds:
        return "--budget", f"{limits.seconds:.0f}s"
    return ("--total-resource", str(history.spent)) if limits.total_resource else ("--trials", "50")


ENDS = {
    "interrupted": "interrupted",
    "budget": "the time budget is spent",
    "target": "the target is reached",
    "total_resource": "the next job needs more than what is left of the total resource",
    "paused": "paused by request",
    "stopped": "stopped by request",
    "exhausted": "nothing is left to try",
    "failing": "stopped, since all fail alike",
}


def interrupted(name: str, storage: str) -> None:
    """Say how to go on."""
    text = f"interrupted; everything is saved. Go on with: {command('resume', name, storage)}"
    output.err().print(text, soft_wrap=True)
