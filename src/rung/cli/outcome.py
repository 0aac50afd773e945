"""What is said after a search has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rung.cli import output
from rung.cli.exits import INTERRUPTED, NO_RESULT
from rung.cli.store import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rung.study import Result, Study
    from rung.study.records import TrialRecord
    from rung.trials.history import History


def outcome(study: Study, result: Result, storage: str) -> None:
    """Print what was found and the next command to type; exit with 1 if nothing, 130 if interrupted."""
    from rung.study.found import nothing_found

    why = found(study.history, result.trials, result.best, result.reason)
    if result.best is not None and why:
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


def found(
    history: History, records: Sequence[TrialRecord], best: TrialRecord | None, reason: str | None
) -> str:
    """Say how many trials there were and why they ended, and print the best ones.

    Returns:
        How many failed and why, as a part of a sentence; "" if none did.
    """
    from rung.study.found import failures
    from rung.trials.history import CONFIRM, TOLD

    begun, kinds = history.begun, list(history.apart.values())
    ends = ENDS.get(reason or "", "all that was asked for")
    repeats = f", {count} that confirm" if (count := kinds.count(CONFIRM)) else ""
    repeats += f", {count} that were told" if (count := kinds.count(TOLD)) else ""
    output.say(f"{begun} trial{'' if begun == 1 else 's'}{repeats}, {ends}")
    if best is not None:
        _best(history, best)
        if len(history.identity.goals) > 1:
            _front(history, records)
    return failures(records, history.identity.metric)


def _best(history: History, best: TrialRecord) -> None:
    console, amount = output.out(), history.identity.resource
    value = f"best {history.identity.metric} {output.number(best.value)}"
    stands = history.incumbent  # where it was as good: it may have gone on, and diverged
    at = f" at {amount.name} {stands.resource}" if amount and stands else ""
    console.print(f"{value} by trial {best.number}{at}", soft_wrap=True)
    if best.confirmed:
        repeats = ", ".join(output.number(one) for one in best.confirmed)
        console.print(f"  the mean of {len(best.confirmed)} repeats: {repeats}", soft_wrap=True)
    for name, value in best.config.items():
        console.print(f"  {name} = {output.setting(value)}", soft_wrap=True)
    if best.checkpoint:
        console.print(f"checkpoint {best.checkpoint}", soft_wrap=True)


def _front(history: History, records: Sequence[TrialRecord]) -> None:
    """The Pareto front as a table: the first of its trials by the first objective."""
    from rung.study.front import front, hypervolume
    from rung.study.ranking import objectives

    goals = history.identity.goals
    names = [goal.metric for goal in goals]
    table = output.grid("trial", *names, "configuration", right=("trial", *names))
    members = sorted(
        ((objectives(history, records[trial]), trial) for trial in front(history)),
        key=lambda member: (member[0][0] * (-1) ** (goals[0].mode == "max"), member[1]),
    )
    for told, trial in members[:_SHOWN]:
        table.add_row(str(trial), *map(output.number, told), output.settings(records[trial].config))
    more = f", the first {_SHOWN}" if len(members) > _SHOWN else ""
    volume = output.number(hypervolume(history))
    count = f"{len(members)} trial{'' if len(members) == 1 else 's'}{more}"
    table.title = f"Pareto front: {count}; hypervolume {volume}"
    table.title_justify = "left"
    output.out().print(table)


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
