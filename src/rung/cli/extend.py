"""More budget for a study: its limits, and what is added to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rung.errors import UserError
from rung.study import extending
from rung.study.extending import Spent
from rung.study.limits import make_limits
from rung.trials.events import Limits
from rung.trials.history import History

if TYPE_CHECKING:
    from rung.service.client import Client
    from rung.storage import Storage
    from rung.study import Study


def extended(
    history: History,
    trials: int | None = None,
    budget: str | None = None,
    total_resource: int | None = None,
    target: float | None = None,
) -> Limits:
    """The study's limits with this much added to what it has spent or may spend, whichever is more.

    Raises:
        UserError: nothing was given, or a limit that the study does not have.
    """
    more = make_limits(trials, budget, total_resource, target)
    if not more.ends:
        raise UserError("say how much more: --trials 50, --budget 5m, --total-resource 1000 or --target 0.1")
    spent = Spent(history.begun, history.clock.known(), history.spent)
    return extending.extended(history.limits, spent, more, _OPTIONS)


def change_space(study: Study, text: str, given: Sequence[str]) -> None:
    """Change the study's space to the one that a file holds.

    Raises:
        UserError: there is no such file or variable, or the space is not valid.
    """
    from rung.cli.objective import read_space
    from rung.cli.tune_options import assignments

    study.change_space(read_space(text), assignments(given))


def extend_there(
    client: Client,
    storage: Storage,
    name: str,
    budgets: tuple[int | None, str | None, int | None, float | None] | None,
    space: tuple[str | None, Sequence[str]],
) -> None:
    """The same for a study of a service.

    Args:
        budgets: what is added, see `extended`; None: nothing.
        space: the file of its new space, or None, and what new parameters were so far.

    Raises:
        UserError: as `extended` and `change_space`, or the service refuses.
    """
    from rung.cli.objective import read_space
    from rung.cli.store import read_study
    from rung.cli.tune_options import assignments

    before = read_study(storage, name).history
    if budgets is not None:
        limits = extended(before, *budgets)
        client.change(
            name,
            trials=limits.trials,
            budget=limits.seconds,
            total_resource=limits.total_resource,
            target=limits.target,
        )
    file, given = space
    if file is not None:
        client.change_space(name, read_space(file), assignments(given))


def left_outside(history: History) -> str:
    """How many of the trials are not in the space any more, to be said after it was changed."""
    count = len(history.outside)
    return f" (of its {len(history)} trials {count} not in it: no more is learnt from them)" if count else ""


def its_turn(history: History, name: str, storage: str) -> str:
    """When a configuration runs that was just enqueued, as a sentence.

    Args:
        history: what the study was before.
    """
    from rung.cli.store import command, resuming

    limit, waiting = history.limits.trials, len(history.enqueued) + 1
    lacking = 0 if limit is None else min(waiting, history.begun + waiting - limit)
    if lacking <= 0:
        return f"{name} runs it next"
    are = "are used" if history.begun >= (limit or 0) else "are used before its turn"
    more = command("extend", name, storage, "--trials", str(lacking))
    return (
        f"{name} keeps it, but all its {limit} trials {are}: {more}, then {resuming(history, name, storage)}"
    )


_OPTIONS = {
    "trials": "--trials",
    "seconds": "--budget",
    "total_resource": "--total-resource",
    "target": "--target",
}
