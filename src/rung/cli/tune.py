"""`rung tune` and `rung resume`: the search over a user's own code."""

from __future__ import annotations

from typing import Annotated

import typer

from rung.cli.options import (
    DEFAULT_STORAGE,
    PLACE,
    Address,
    Executor,
    Name,
    Needs,
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
from rung.cli.place import is_service
from rung.errors import UserError

WAY, SERVED = "How it searches", "A service's study"  # panels of the help

ObjectiveFile = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE.py:FUNCTION",
        help="The objective; the function's default name is train.",
        show_default=False,
    ),
]
Command = Annotated[
    str | None,
    typer.Option(
        "--command",
        metavar="'PROGRAM --lr {lr}'",
        help="In place of FILE.py: run this program, with values in place of parameters' names.",
    ),
]
Shell = Annotated[bool, typer.Option("--shell", help="Let /bin/sh run the command; values are quoted.")]
SpaceFile = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="SPACE",
        help="FILE.py (its variable space), FILE.py:NAME, FILE.json, FILE.yaml; else the objective's file.",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(help="What the objective reports; several as loss,latency.", show_default="loss"),
]
Mode = Annotated[
    str | None,
    typer.Option(metavar="min|max", help="Which is better; one for all or one each.", show_default="min"),
]
Reference = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="By metric, the value from which improvement counts (hypervolume)."),
]
Constraint = Annotated[
    list[str] | None,
    typer.Option("--constraint", metavar="'A <= B'", help="What a result must keep; may be given often."),
]
Resource = Annotated[
    str | None, typer.Option(metavar="NAME:MIN:MAX", help="What a larger evaluation spends, as epoch:1:81.")
]
Devices = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Workers that one job takes; auto: more as a trial climbs.",
        rich_help_panel=PLACE,
    ),
]
Efficiency = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=1.0,
        help="With --devices auto, the least that each must be worth (0.75).",
        rich_help_panel=PLACE,
    ),
]
Scaling = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="With --devices auto, how training scales: of `rung plan --json`.",
        rich_help_panel=PLACE,
    ),
]
Budget = Annotated[str | None, typer.Option(metavar="TIME", help="Wall time: 90, 90s, 5m, 1h30m.")]
Method = Annotated[
    str | None, typer.Option(help="A sampler and a scheduler together, such as bohb.", rich_help_panel=WAY)
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="See `rung methods`; settings as in 'tpe(multivariate=False)'.",
        show_default="auto",
        rich_help_panel=WAY,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="See `rung methods`.",
        show_default="asha with --trials, hyper-tune with a budget, plain without a resource",
        rich_help_panel=WAY,
    ),
]
Eta = Annotated[int, typer.Option(help="One in this many trials is promoted.", rich_help_panel=WAY)]
Seed = Annotated[int, typer.Option(help="Of everything random.", rich_help_panel=WAY)]
Noisy = Annotated[
    bool, typer.Option("--noisy", help="A configuration that was tried may come again.", rich_help_panel=WAY)
]
Confirm = Annotated[
    int,
    typer.Option(
        min=0,
        help="Evaluate the best configurations so often again before one is declared.",
        rich_help_panel=WAY,
    ),
]
Deterministic = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Take results in the order of N simulated workers: the same on any number.",
        rich_help_panel=WAY,
    ),
]
EvaluationCost = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="What one evaluation takes, if known beforehand.", rich_help_panel=WAY),
]
Fix = Annotated[
    list[str] | None,
    typer.Option(
        "--fix", metavar="NAME=VALUE", help="A value that all configurations get.", rich_help_panel=WAY
    ),
]
Transfer = Annotated[
    list[str] | None,
    typer.Option("--transfer", metavar="STUDY", help="An earlier study to learn from.", rich_help_panel=WAY),
]
Checkpoints = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="FOLDER|URL",
        help="Where checkpoints lie: a folder, or a URL such as s3://bucket/prefix.",
        show_default="the study's own folder",
        rich_help_panel=PLACE,
    ),
]
CheckpointLimit = Annotated[
    str | None,
    typer.Option(
        "--checkpoint-limit",
        metavar="SIZE",
        help="The most that they may be together, such as 20GB, or none.",
        rich_help_panel=PLACE,
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Don't follow it, leave it there.", rich_help_panel=SERVED)
]
Weight = Annotated[
    float, typer.Option("--weight", help="Its share of the workers, against others'.", rich_help_panel=SERVED)
]
Priority = Annotated[
    int, typer.Option("--priority", help="A higher one is served first.", rich_help_panel=SERVED)
]
MinSlots = Annotated[
    int, typer.Option("--min-slots", min=0, help="Slots that it always gets.", rich_help_panel=SERVED)
]
MaxSlots = Annotated[
    int | None,
    typer.Option("--max-slots", min=0, help="The most slots that it gets.", rich_help_panel=SERVED),
]
Plan = Annotated[bool, typer.Option("--plan", help="Only say what would run, and what it can cost.")]


def tune(  # noqa: PLR0913  # a door
    objective: ObjectiveFile = None,
    command: Command = None,
    shell: Shell = False,
    space: SpaceFile = None,
    metric: Metric = None,
    mode: Mode = None,
    reference: Reference = None,
    constraint: Constraint = None,
    resource: Resource = None,
    eta: Eta = 3,
    method: Method = None,
    sampler: Sampler = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    needs: Needs = None,
    devices: Devices = None,
    efficiency: Efficiency = None,
    scaling: Scaling = None,
    trials: Trials = None,
    budget: Budget = None,
    total_resource: TotalResource = None,
    target: Target = None,
    trial_time: TrialTime = None,
    trial_memory: TrialMemory = None,
    retries: Retries = None,
    seed: Seed = 0,
    noisy: Noisy = False,
    confirm: Confirm = 0,
    deterministic: Deterministic = 0,
    evaluation_cost: EvaluationCost = None,
    fix: Fix = None,
    transfer: Transfer = None,
    checkpoints: Checkpoints = None,
    checkpoint_limit: CheckpointLimit = None,
    plan: Plan = False,
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    detach: Detach = False,
    weight: Weight = 1.0,
    priority: Priority = 0,
    min_slots: MinSlots = 0,
    max_slots: MaxSlots = None,
) -> None:
    """Tune your own code: FUNCTION(trial), (config) or (config, budget) in FILE.py, or any program."""
    given = locals()  # first of all, so that it has the options and nothing else
    from rung.cli.tune_options import Options
    from rung.cli.tuning import tuned

    tuned(Options(**given))


def resume(  # noqa: PLR0913  # a door
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    needs: Needs = None,
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective", metavar="FILE.py:FUNCTION", help="Where the objective lies now, if it was moved."
        ),
    ] = None,
    command: Command = None,
    shell: Shell = False,
    checkpoints: Checkpoints = None,
    checkpoint_limit: CheckpointLimit = None,
    detach: Detach = False,
) -> None:
    """Go on with a study that was interrupted, paused or extended."""
    from rung.cli.engine import engine_of, from_record
    from rung.cli.store import door_of, reading
    from rung.cli.tune_options import limit_of
    from rung.cli.tuning import last_command, named, recorded, run_in_the_open
    from rung.study import Study

    if is_service(storage):
        from rung.cli.submit import resume as resume_there

        if named(objective, command, shell) or workers or executor or checkpoints or checkpoint_limit:
            raise UserError("a service's study goes on as it was begun: leave these options out")
        resume_there(name, storage, detach=detach)
        return
    with reading(storage) as store:
        door = door_of(store, name)
    if door == "search":
        from rung.cli.search_run import resume_search

        resume_search(name, storage)
        return
    if door == "fit":
        from rung.cli.fit import resume_fit

        resume_fit(name, storage, workers)
        return
    told = (executor, address, needs)
    engine = engine_of(*told)
    now = named(objective, command, shell)
    opened = Study.open(storage, name)
    try:
        last = {**last_command(opened, now), **now}
        loaded = recorded(last, opened.space.names)
        opened.keep_checkpoints(checkpoints, limit_of(checkpoint_limit))
    except BaseException:
        opened.close()
        raise
    if told == (None, None, None):
        engine = from_record(last)
        workers = workers or last.get("workers")
    run_in_the_open(opened, loaded, workers, engine, storage)
