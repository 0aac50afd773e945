"""What `rung tune` does with its options: opens the study, runs it in the open, or shows its plan only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.cli import output
from rung.cli.engine import as_record, engine_of, jobs_at_once
from rung.cli.place import is_service
from rung.cli.store import RECORD
from rung.cli.tune_options import ENDLESS, Options, allotment, assignments, limit_of, numbers
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.cli.objective import Objective
    from rung.executors.setup import Engine
    from rung.study import Study

NOTHING = (
    "say what to tune: FILE.py, or any program, as in "
    "--command 'python train.py --lr {lr}' --space space.json"
)

_SHARES: Mapping[str, Any] = {
    "detach": False,
    "weight": 1.0,
    "priority": 0,
    "min_slots": 0,
    "max_slots": None,
}


def tuned(options: Options) -> None:
    """Open the study and run it; with `plan` only say what would run."""
    from rung.cli.announce import announce
    from rung.cli.sizes import size
    from rung.study.limits import make_limits
    from rung.study.run import check_engine

    if is_service(options.storage):
        from rung.cli.submit import submit

        submit(options)
        return
    if given := [name for name, plain in _SHARES.items() if getattr(options, name) != plain]:
        raise UserError(f"--{given[0].replace('_', '-')} is for studies of a service: name it by --service")
    asked = named(options.objective, options.command, options.shell)
    if not asked:
        raise UserError(NOTHING)
    if all(x is None for x in (options.trials, options.budget, options.total_resource, options.target)):
        raise UserError(ENDLESS)
    loaded = _loaded(options, asked)
    memory = size(options.trial_memory) if options.trial_memory else None
    most = limit_of(options.checkpoint_limit)
    engine = engine_of(options.executor, options.address, options.needs)
    limits = make_limits(trial_time=options.trial_time, trial_memory=memory)
    check_engine(engine.name, options.workers or 1, limits, loaded.function)
    if options.plan:
        with _opened(options._replace(storage="memory"), loaded, memory) as study:
            announce(study, jobs_at_once(engine, options.workers))
        return
    study = _opened(options, loaded, memory)
    with _nothing_left_if_refused(study, options.storage):
        study.keep_checkpoints(options.checkpoints, most)
        run_in_the_open(study, loaded, options.workers, engine, options.storage)


@contextmanager
def _nothing_left_if_refused(study: Study, storage: str) -> Iterator[None]:
    """A study that never ran, because what was asked for cannot be done, is not kept."""
    from rung.storage import open_storage

    try:
        yield
    except BaseException as error:
        history, name = study.history, study.name
        study.close()
        ran = history.values or history.enqueued or history.clock.began is not None or history.clock.seconds
        if isinstance(error, UserError) and not ran and storage != "memory":
            store = open_storage(storage)
            try:
                store.delete(name)
            finally:
                store.close()
        raise


def _loaded(options: Options, asked: Mapping[str, Any]) -> Objective:
    """The objective that the command line names; a command must fit the space, before anything is written."""
    from rung.cli.objective import load_command, load_objective, load_space
    from rung.space import compile_space

    if options.command is None:
        return load_objective(asked["objective"])
    space = load_space(options.space, load_command(options.command, options.shell))
    return recorded(asked, compile_space(space).names)


def _opened(options: Options, loaded: Objective, memory: int | None) -> Study:
    from rung.cli.objective import load_space, setting
    from rung.study import Study

    sampler, scheduler = _policies(options)
    devices = allotment(options)  # bad input leaves no study behind
    study = Study(
        load_space(options.space, loaded),
        metric=setting(loaded, "metric", options.metric, "loss"),
        mode=setting(loaded, "mode", options.mode, "min"),
        reference=numbers(options.reference),
        constraints=options.constraint or setting(loaded, "constraints", None, ()),
        resource=setting(loaded, "resource", options.resource, None),
        eta=options.eta,
        sampler=sampler,
        scheduler=scheduler,
        seed=options.seed,
        noisy=options.noisy,
        confirm=options.confirm,
        deterministic=options.deterministic,
        transfer=options.transfer or (),
        evaluation_cost=options.evaluation_cost,
        storage=options.storage,
        study=options.study,
        trials=options.trials,
        budget=options.budget,
        total_resource=options.total_resource,
        target=options.target,
        retries=options.retries,
        trial_time=options.trial_time,
        trial_memory=memory,
    )
    with _nothing_left_if_refused(study, options.storage):
        if devices is not None:
            study.allot(*devices)
        if options.fix:
            study.fix(assignments(options.fix))
    return study


def _policies(options: Options) -> tuple[str | None, str | None]:
    """Sampler and scheduler, from their own names or from a combination's."""
    from rung.study.methods import combination

    if options.method is None:
        return options.sampler, options.scheduler
    if options.sampler is not None or options.scheduler is not None:
        raise UserError("give either --method or --sampler and --scheduler, not both")
    named = combination(options.method)
    return named.sampler, named.scheduler


def named(objective: str | None, command: str | None, shell: bool) -> dict[str, Any]:
    """What a command line names to be run, as the log keeps it; empty if nothing.

    Raises:
        UserError: two things, or a shell for none.
    """
    if objective is not None and command is not None:
        raise UserError("name either a file or --command, not both: a program's own file is in its command")
    if shell and command is None:
        raise UserError("--shell says how a --command is run, and there is none")
    if command is not None:
        return {"command": command, "shell": shell}
    return {} if objective is None else {"objective": objective}


def last_command(study: Study, now: Mapping[str, Any]) -> dict[str, Any]:
    """What the study's last command ran: objective or command, executor, workers.

    Args:
        now: what is named to be run in its place.

    Raises:
        UserError: it was begun from Python, or its file is not on this machine, and nothing is named.
    """
    kept = study.history.records.get(RECORD, [])
    found: Mapping[str, Any] = kept[-1].data if kept else {}
    if now:  # one takes the other's place
        return {key: found[key] for key in ("executor", "workers", "address", "needs") if key in found}
    if "objective" not in found and "command" not in found:
        raise UserError(
            f"study {study.name!r} was begun from Python: go on there, with rung.tune and the same settings, "
            "or say where its objective lies: --objective FILE.py:FUNCTION"
        )
    file = Path(str(found.get("objective", "")).rpartition(":")[0])
    if file.name and not file.is_file():
        raise UserError(
            f"there is no file {file}, with which study {study.name!r} was begun: say where it lies now, "
            "--objective FILE.py:FUNCTION"
        )
    return dict(found)


def recorded(record: Mapping[str, Any], parameters: Collection[str]) -> Objective:
    """The objective that a record in the log, or a command line, names.

    Raises:
        UserError: it is not there, or, if it is a command, it names what is no parameter.
    """
    from rung.cli.objective import check_command, load_command, load_objective

    if "command" not in record:
        return load_objective(record["objective"])
    loaded = load_command(record["command"], record.get("shell", False))
    if missing := check_command(loaded, parameters):
        output.say(
            f"note: the command does not mention {', '.join(missing)}: the program finds it in the file "
            "that RUNG_CONFIG names"
        )
    return loaded


def run_in_the_open(
    study: Study, loaded: Objective, workers: int | None, engine: Engine, storage: str
) -> None:
    """Run the study in the open, print what was found, and exit with what that means."""
    from rung.cli.announce import announce
    from rung.cli.outcome import interrupted, outcome
    from rung.cli.progress import watching
    from rung.study.hints import hints

    workers = jobs_at_once(engine, workers)
    with study:
        command = {**loaded.record, **as_record(engine, workers)}
        recorded = study.history.records.get(RECORD, [])
        if not recorded or recorded[-1].data != command:
            study.record(RECORD, command)
        announce(study, workers)
        for line in hints(study.history, loaded.function):
            output.say(f"note: {line}")
        try:
            with watching(study) as progress:
                result = study.run(loaded.of(study.name), workers=workers, executor=engine, watch=progress)
        except KeyboardInterrupt:
            interrupted(study.name, storage)
            raise
    outcome(study, result, storage)
