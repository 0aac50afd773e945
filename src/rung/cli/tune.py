"""`rung tune` and `rung resume`: the search over a user's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import (
    DEFAULT_STORAGE,
    Name,
    Retries,
    Storage,
    StudyName,
    Target,
    TotalResource,
    TrialMemory,
    Trials,
    TrialTime,
    Workers,
)
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.cli.objective import Objective
    from rung.study import Study

LOCAL = "local"
ENDLESS = "say when it ends: --trials 50, --budget 10m, --total-resource 2000 or --target 0.1"
RECORD = "command"  # the topic under which the log keeps what ran

ObjectiveFile = Annotated[
    str,
    typer.Argument(metavar="FILE.py:FUNCTION", help="The objective; the function's default name is train."),
]
SpaceFile = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="SPACE",
        help="FILE.py (its variable space), FILE.py:NAME, FILE.json, FILE.yaml; else the objective's file.",
    ),
]
Executor = Annotated[
    str | None,
    typer.Option("--executor", metavar="NAME", help="local, inline or simulated.", show_default=LOCAL),
]
Metric = Annotated[str | None, typer.Option(help="What the objective reports.", show_default="loss")]
Mode = Annotated[str | None, typer.Option(metavar="min|max", help="Which is better.", show_default="min")]
Resource = Annotated[
    str | None, typer.Option(metavar="NAME:MIN:MAX", help="What a larger evaluation spends, as epoch:1:81.")
]
Budget = Annotated[str | None, typer.Option(metavar="TIME", help="Wall time: 90, 90s, 5m, 1h30m.")]
Method = Annotated[str | None, typer.Option(help="A sampler and a scheduler together, such as bohb.")]
Sampler = Annotated[str | None, typer.Option(help="See `rung methods`.", show_default="kde")]
Scheduler = Annotated[
    str | None, typer.Option(help="See `rung methods`.", show_default="asha, or plain without a resource")
]
Eta = Annotated[int, typer.Option(help="One in this many trials is promoted.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]


def tune(  # noqa: PLR0913  # a door
    objective: ObjectiveFile,
    space: SpaceFile = None,
    metric: Metric = None,
    mode: Mode = None,
    resource: Resource = None,
    eta: Eta = 3,
    method: Method = None,
    sampler: Sampler = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    executor: Executor = None,
    trials: Trials = None,
    budget: Budget = None,
    total_resource: TotalResource = None,
    target: Target = None,
    trial_time: TrialTime = None,
    trial_memory: TrialMemory = None,
    retries: Retries = 3,
    seed: Seed = 0,
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
) -> None:
    """Tune your own code: FUNCTION(trial), FUNCTION(config) or FUNCTION(config, budget) in FILE.py."""
    from rung.cli.objective import load_objective, load_space, setting
    from rung.cli.sizes import size
    from rung.study import Study
    from rung.study.limits import make_limits
    from rung.study.run import check_engine

    if all(limit is None for limit in (trials, budget, total_resource, target)):
        raise UserError(ENDLESS)
    loaded = load_objective(objective)
    memory = size(trial_memory) if trial_memory else None
    _check_executor(executor)
    check_engine(executor or LOCAL, workers or 1, make_limits(trial_memory=memory))
    sampler, scheduler = _policies(method, sampler, scheduler)
    opened = Study(
        load_space(space, loaded),
        metric=setting(loaded, "metric", metric, "loss"),
        mode=setting(loaded, "mode", mode, "min"),
        resource=setting(loaded, "resource", resource, None),
        eta=eta,
        sampler=sampler,
        scheduler=scheduler,
        seed=seed,
        storage=storage,
        study=study,
        trials=trials,
        budget=budget,
        total_resource=total_resource,
        target=target,
        retries=retries,
        trial_time=trial_time,
        trial_memory=memory,
    )
    _run(opened, loaded, workers, executor, storage)


def resume(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    workers: Workers = None,
    executor: Executor = None,
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective", metavar="FILE.py:FUNCTION", help="Where the objective lies now, if it was moved."
        ),
    ] = None,
) -> None:
    """Go on with a study that was interrupted, paused or extended."""
    from rung.cli.objective import load_objective
    from rung.cli.store import door_of, reading
    from rung.study import Study

    with reading(storage) as store:
        door = door_of(store, name)
    if door == "fit":
        from rung.cli.fit import resume_fit

        resume_fit(name, storage, workers)
        return
    _check_executor(executor)
    opened = Study.open(storage, name)
    try:
        command = _command(opened, objective)
        loaded = load_objective(command["objective"])
    except BaseException:
        opened.close()
        raise
    if executor is None:
        executor = command.get("executor")
        workers = workers or command.get("workers")
    _run(opened, loaded, workers, executor, storage)


def _check_executor(name: str | None) -> None:
    """Refuse an unknown executor before anything is written."""
    from rung.executors.table import load

    load(name or LOCAL)


def _policies(
    method: str | None, sampler: str | None, scheduler: str | None
) -> tuple[str | None, str | None]:
    """Sampler and scheduler, from their own names or from a combination's."""
    from rung.study.methods import combination

    if method is None:
        return sampler, scheduler
    if sampler is not None or scheduler is not None:
        raise UserError("give either --method or --sampler and --scheduler, not both")
    named = combination(method)
    return named.sampler, named.scheduler


def _command(study: Study, objective: str | None) -> dict[str, Any]:
    """What the study's last command ran: objective, executor, workers."""
    recorded = study.history.records.get(RECORD, [])
    command = dict(recorded[-1].data) if recorded else {}
    if objective is not None:
        command["objective"] = objective
    if "objective" not in command:
        raise UserError(
            f"study {study.name!r} was begun from Python: go on there, with rung.tune and the same settings, "
            "or say where its objective lies: --objective FILE.py:FUNCTION"
        )
    return command


def _run(study: Study, loaded: Objective, workers: int | None, executor: str | None, storage: str) -> None:
    """Run the study in the open, print what was found, and exit with what that means."""
    from rung.cli.outcome import announce, interrupted, outcome
    from rung.cli.progress import watching

    workers, executor = workers or 1, executor or LOCAL
    with study:
        command = {"objective": f"{loaded.path}:{loaded.name}", "executor": executor, "workers": workers}
        recorded = study.history.records.get(RECORD, [])
        if not recorded or recorded[-1].data != command:
            study.record(RECORD, command)
        announce(study, workers)
        try:
            with watching(study) as progress:
                result = study.run(loaded.function, workers=workers, executor=executor, watch=progress)
        except KeyboardInterrupt:
            interrupted(study.name, storage)
            raise
    outcome(study, result, storage)
