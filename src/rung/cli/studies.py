"""The commands that look after stored studies."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli.options import DEFAULT_STORAGE, Json, Name, Storage, Target, TotalResource, Trials
from rung.cli.place import client_of, is_service
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.storage import Storage as Stored


def list_studies(
    storage: Storage = DEFAULT_STORAGE,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the newest so many.")] = None,
    json: Json = False,
) -> None:
    """List all studies, newest first."""
    from rung.cli.store import looking, state_of
    from rung.storage import shown
    from rung.study.durations import spoken

    with looking(storage) as store:
        rows = store.list(limit)
    if json:
        fields = (
            "door",
            "trials",
            "finished",
            "metric",
            "best",
            "spent",
            "seconds",
            "created",
            "updated",
        )
        output.print_json(
            [
                {
                    "name": row.name,
                    "writer": row.writer,
                    "state": state_of(row),
                    **{name: getattr(row.summary, name) for name in fields},
                }
                for row in rows
            ]
        )
        return
    if not rows:
        makes = "`rung tune` makes" if is_service(storage) else "`rung fit` and `rung tune` make"
        output.say(f"no studies in {shown(storage)} yet: {makes} them")
        return
    columns = ("study", "door", "state", "trials", "metric", "best", "time")
    table = []
    for row in rows:
        one = row.summary
        best, seconds = output.number(one.best), spoken(one.seconds)
        table.append((row.name, one.door, state_of(row), str(one.trials), one.metric, best, seconds))
    output.print_rows(columns, table, right=("trials", "best", "time"))


def export(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    format: Annotated[str, typer.Option("--format", metavar="json|csv", help="The form.")] = "json",
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="A file instead of stdout.")
    ] = None,
) -> None:
    """Write every trial of a study: configuration, state, observations."""
    import io
    import json
    from pathlib import Path

    from rung.cli.begin import check_place
    from rung.cli.export import as_json, write_csv
    from rung.cli.store import looking, read_trials
    from rung.errors import UserError
    from rung.storage.whole import write_whole
    from rung.study.confirm import leading

    if format not in ("json", "csv"):
        raise UserError(f"--format {format!r} is unknown: say json or csv")
    if out is not None:
        check_place(Path(out), "--out", storage)
    with looking(storage) as store:
        study, records = read_trials(store, name)
    best = leading(study.history)
    incumbent = best.trial if best else None
    text = io.StringIO()
    if format == "json":
        json.dump(as_json(records, incumbent), text, indent=1, ensure_ascii=False, allow_nan=False)
        text.write("\n")
    else:
        write_csv(text, records, incumbent, study.history.identity.metric)
    if out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_whole(out, text.getvalue(), "--out")


def rename(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Give a study another name."""
    from rung.cli.store import reading

    with reading(storage) as store:
        store.rename(name, new)
    output.say(f"{name} is now {new}")


def delete(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete a study, its log, its checkpoints and its workers' logs."""
    from rung.cli.store import reading
    from rung.errors import StorageError, UserError
    from rung.study.checkpoint_places import clear, places_of

    with reading(storage) as store:
        away = client_of(store) is not None  # a service clears up after its own
        study = None if yes and away else store.find(name)
        if study is not None and not yes:
            if not sys.stdin.isatty():
                raise UserError(f"deleting {name!r} cannot be undone: say --yes where nobody can be asked")
            typer.confirm(
                f"Delete {name} with its {study.summary.trials} trials and all checkpoints?", abort=True
            )
        ours = study is not None and not away
        places: tuple[str, ...] = ()
        try:
            places = places_of(store.read(name)) if ours else ()
        except StorageError as error:  # a damaged log must not stay for ever
            output.say(f"checkpoints that lie elsewhere, if there are any, are not deleted: {error}")
        store.delete(name)
    output.say(f"{name} is deleted")
    for place in places:
        clear(place)


def extend(  # noqa: PLR0913  # a door
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    trials: Trials = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="This much more wall time.")
    ] = None,
    total_resource: TotalResource = None,
    target: Target = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space", metavar="FILE", help="Another search space: FILE.json, FILE.yaml, FILE.py:NAME."
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="NAME=VALUE",
            help="What a new parameter was in earlier trials, else its default.",
        ),
    ] = None,
) -> None:
    """Add budget to a study, a finished one too: this many more trials, this much more time or resource.

    A target takes the place of the earlier one, and a space too: what was observed is read as of the new one.
    """
    from rung.cli.extend import change_space, extend_there, extended, left_outside
    from rung.cli.store import command, read_study, reading, resuming
    from rung.study import Study

    budgets = (trials, budget, total_resource, target)
    keeps = space is not None and all(more is None for more in budgets)
    if given and space is None:
        raise UserError("--given says what new parameters were so far: give the new space too, by --space")
    with reading(storage) as store:
        client = client_of(store)
        if client is not None:
            extend_there(client, store, name, None if keeps else budgets, (space, given or []))
            next_one = command("resume", name, storage)
        else:
            with Study.open(store, name) as study:
                limits = study.history.limits if keeps else extended(study.history, *budgets)
                if space is not None:
                    change_space(study, space, given or [])
                study.set_limits(limits)
                next_one = resuming(study.history, name, storage)
        outside = "" if space is None else left_outside(read_study(store, name).history)
    has = "more budget" if space is None else f"the new space{outside}"
    output.say(f"{name} has {has}; go on with: {next_one}")


def logs(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    trial: Annotated[int | None, typer.Option("--trial", min=0, help="Only this trial's lines.")] = None,
    number: Annotated[
        int | None, typer.Argument(metavar="TRIAL", min=0, help="The same.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Show what the objective printed: all trials' lines, or one's."""
    from rung.cli.logs import lines, nothing
    from rung.cli.store import looking, read_study

    if None not in (trial, number) and trial != number:
        raise UserError(f"name one trial, not {number} and {trial}")
    wanted = number if trial is None else trial
    with looking(storage) as store:
        trials = len(read_study(store, name).history)
        found = lines(store, name, trials, wanted)
        if json:
            output.print_json([{"trial": of, "line": line.rstrip("\n")} for of, line in found])
            return
        silent = True
        for _, line in found:
            sys.stdout.write(line)
            silent = False
    if silent:
        output.say(nothing(name, wanted))


def audit(name: Name, storage: Storage = DEFAULT_STORAGE, json: Json = False) -> None:
    """Derive every decision of a study again from its log, and say where one differs."""
    from rung.cli.store import looking
    from rung.study.audit import audit as derive

    with looking(storage) as store:
        found = derive(store.read(name))
    if json:
        differences = [difference._asdict() for difference in found.differences]
        output.print_json({"events": found.events, "decisions": found.decisions, "differences": differences})
    elif not found.differences:
        output.out().print(
            f"{found.decisions} decisions derived again from {found.events} events: all the same"
        )
    for difference in () if json else found.differences:
        text = f"event {difference.position}\n  logged  {difference.logged}\n  derived {difference.derived}"
        output.out().print(text)
    if found.differences:
        raise typer.Exit(1)


def note(
    name: Name,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to note.")],
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write a note into a study's log, running or not."""
    from rung.cli.store import reading
    from rung.study import Study

    text = text.encode("utf-8", "backslashreplace").decode()  # a terminal may send what is no text
    with reading(storage) as store:
        if _written_elsewhere(store, name):
            store.request(name, "note", {"text": text})
        else:
            with Study.open(store, name) as study:
                study.record("note", {"text": text})
    output.say(f"noted in {name}")


def enqueue(
    name: Name,
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="As JSON, such as '{\"lr\": 0.01}'.")],
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Have a configuration run before any that the sampler proposes, in a study that runs or is resumed.

    Parameters that it leaves out get random values. It is a trial: where all are used it waits for more.
    """
    from rung.cli.extend import its_turn
    from rung.cli.store import read_study, reading
    from rung.study import Study
    from rung.study.enqueued import asked_configuration

    asked = _configuration(config)
    with reading(storage) as store:
        history = read_study(store, name).history
        asked = asked_configuration(history, asked)
        if _written_elsewhere(store, name):
            store.request(name, "enqueue", asked)
        else:
            with Study.open(store, name) as study:
                study.enqueue(asked)
    output.say(its_turn(history, name, storage))


def _written_elsewhere(store: Stored, name: str) -> bool:
    """Whether what is wanted of a study is to be asked of whoever writes it."""
    row = store.find(name)
    return client_of(store) is not None or (row is not None and row.writer is not None)


def _configuration(text: str) -> dict[str, Any]:
    import json

    try:
        asked = json.loads(text)
    except ValueError as error:
        raise UserError(f"the configuration is not JSON ({error}): write '{{\"lr\": 0.01}}'") from error
    if not isinstance(asked, dict):
        raise UserError(f"the configuration must be a JSON object of names and values, not {text}")
    return asked


def tell(
    name: Name,
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="As JSON, such as '{\"lr\": 0.01}'.")],
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="The metric's value, or all metrics as a JSON object.")
    ],
    resource: Annotated[
        int | None, typer.Option(min=1, help="Where it was measured; the study's largest unless given.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Tell a result that is known from elsewhere: the sampler learns from it, and it may be the best."""
    from rung.cli.store import reading
    from rung.study import Study

    try:
        told = _configuration(value) if value.lstrip().startswith("{") else float(value)
    except ValueError:
        raise UserError(f"the value {value!r} is no number") from None
    with reading(storage) as store:
        client = client_of(store)
        if client is not None:
            client.known(name, _configuration(config), told, resource)
        else:
            with Study.open(store, name) as study:
                study.tell(_configuration(config), told, resource=resource)
    output.say(f"{name} knows it")


def fix(
    name: Name,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE...", help="Nothing, to fix nothing any more.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Give all configurations to come these values; without any, fix nothing any more."""
    from rung.cli.store import reading
    from rung.cli.tune_options import assignments
    from rung.study import Study

    fixed = assignments(values or [])
    with reading(storage) as store:
        client = client_of(store)
        if client is not None:
            client.fix(name, fixed)
        else:
            with Study.open(store, name) as study:
                study.fix(fixed)
    shown = ", ".join(f"{key} = {output.setting(value)}" for key, value in fixed.items())
    output.say(f"{name}: fixed {shown}" if fixed else f"{name}: nothing is fixed any more")


def pause(name: Name, storage: Storage = DEFAULT_STORAGE) -> None:
    """Ask a running study to pause: jobs save at their next report, and `rung resume` goes on."""
    _ask(name, storage, "pause")
    output.say(f"{name} is asked to pause")


def stop(name: Name, storage: Storage = DEFAULT_STORAGE) -> None:
    """Ask a running study to stop: running jobs are told to stop, everything is saved."""
    _ask(name, storage, "stop")
    output.say(f"{name} is asked to stop")


def _ask(name: str, storage: str, request: str) -> None:
    """Ask the process that runs the study.

    Raises:
        StudyError: there is none.
    """
    from rung.cli.store import reading
    from rung.errors import StudyError

    with reading(storage) as store:
        row = store.find(name)
        if row is not None and row.writer is None:
            raise StudyError(f"study {name!r} does not run now: there is nothing to {request}")
        store.request(name, request, {})
