"""`rung import`: studies of Optuna as studies of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rung.cli import output
from rung.cli.exits import NO_RESULT
from rung.cli.options import DEFAULT_STORAGE, Json, Storage
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.study.optuna_studies import Imported


def import_studies(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL", help="Where Optuna keeps them: a SQLite file, a journal, or a database's URL."
        ),
    ],
    storage: Storage = DEFAULT_STORAGE,
    study: Annotated[
        list[str] | None, typer.Option("--study", metavar="NAME", help="Only this one. Repeatable.")
    ] = None,
    new: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="What it is called here, if not as there.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="What it optimises; once for each objective."),
    ] = None,
    resource: Annotated[
        str | None,
        typer.Option(
            "--resource",
            metavar="NAME:MIN:MAX",
            help="What its steps count, as epoch:1:50: pruned trials come too, with their last value.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Take over studies of Optuna: search space, results, directions, attributes. It needs Optuna.

    `rung show` and `rung report` show them, `rung tune --transfer NAME` learns from them.
    """
    from rung.study.optuna_studies import from_optuna, optuna_studies

    done: list[tuple[str, Imported]] = []
    left_out: dict[str, str] = {}
    with optuna_studies(source) as there:
        chosen = _chosen(there, study, source)
        if len(chosen) != 1 and (new is not None or metric):
            raise UserError(f"--as and --metric are for one study, not {len(chosen)}: choose it with --study")
        for each in chosen:
            try:
                found = from_optuna(
                    each, metric=metric or None, resource=resource, storage=storage, study=new
                )
            except UserError as error:
                left_out[each.study_name] = str(error)
                continue
            found.study.close()
            done.append((found.study.name, found))
    _told(done, left_out, storage, json)
    if left_out:
        raise typer.Exit(NO_RESULT)


def _chosen(there: list[Any], names: list[str] | None, source: str) -> list[Any]:
    """The studies that were named, or all.

    Raises:
        UserError: there is none, or none of a name.
    """
    known = {each.study_name: each for each in there}
    if not known:
        raise UserError("Optuna keeps no study there")
    for name in names or ():
        if name not in known:
            listed = ", ".join(list(known)[:10])
            raise UserError(f"Optuna keeps no study {name!r} there; it has {listed}")
    return [known[name] for name in dict.fromkeys(names)] if names else there


def _told(done: list[tuple[str, Imported]], left_out: dict[str, str], storage: str, json: bool) -> None:
    from rung.cli.store import command

    if json:
        rows = [
            {
                "study": name,
                "trials": one.trials,
                "failed": one.failed,
                "pruned": one.pruned,
                "left_out": one.left_out,
                "unruled": one.unruled,
            }
            for name, one in done
        ]
        output.print_json({"imported": rows, "left_out": left_out})
        return
    for name, why in left_out.items():
        output.fail(f"{name} is not imported: {why}")
    for name, one in done:
        others = ", ".join(f"{count} {_SAID.get(state, state)}" for state, count in one.left_out.items())
        output.say(
            f"{name}: {one.trials} results"
            + (f", {one.pruned} of them of pruned trials" if one.pruned else "")
            + (f", {one.failed} failed trials" if one.failed else "")
            + (f"; left out: {others}" if others else "")
        )
        if one.left_out.get("pruned"):
            output.say("  pruned ones come with --resource NAME:MIN:MAX, which says what their steps count")
        if one.left_out.get("fail"):
            output.say("  failed ones are left out that stopped before they had all of their parameters")
        if one.unruled:
            output.say(
                f"  trials without {', '.join(one.unruled)} have the default, "
                "where no other parameter says that it is not active"
            )
    if done:
        output.say(f"look at it with: {command('show', done[0][0], storage)}")


_SAID: Final = {"fail": "failed"}  # Optuna's states, where their names are no such words
