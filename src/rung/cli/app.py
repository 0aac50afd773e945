"""The commands of `rung`, and what holds for all of them.

Loads Typer and Rich only: the bodies of commands load what they need when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from rung import __version__
from rung.cli import output, place, usage
from rung.cli.exits import BAD_INPUT, INTERRUPTED
from rung.errors import UserError

_VOLUMES: Final = ("-q", "--quiet", "-v", "--verbose")


class Commands(TyperGroup):
    """All commands: turns what was wrong into a sentence and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`-q` and `-v` may stand before or after the command's name."""
        end = args.index("--") if "--" in args else len(args)
        loud = [arg for arg in args[:end] if arg in _VOLUMES]
        rest = [arg for arg in args[:end] if arg not in _VOLUMES]
        try:
            return super().parse_args(ctx, loud + rest + args[end:])
        except usage.USAGE as error:
            raise _refused(error) from error

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except usage.USAGE as error:
            raise _refused(error) from error
        except UserError as error:
            if output.verbose():
                output.err().print_exception()
            output.fail(str(error))
            raise typer.Exit(BAD_INPUT) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(INTERRUPTED) from error


def _refused(error: Exception) -> Exception:
    """Says what is wrong with a command line; what ends the command."""
    text = usage.sentence(error)
    if text is None:
        return error
    output.fail(text)
    return typer.Exit(BAD_INPUT)


app = typer.Typer(
    name="rung",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rung {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more, on stderr.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")] = False,
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            metavar="URL",
            envvar="RUNG_SERVICE",
            help="Work on the studies of a service, as http://127.0.0.1:8080, in place of --storage; of "
            "several over one storage, with commas, the first that answers.",
        ),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            envvar="RUNG_TOKEN_FILE",
            help="The token to show it; else RUNG_TOKEN.",
        ),
    ] = None,
) -> None:
    """Give rung a budget. It climbs from many cheap tries to the one best model.

    Exit codes: 0 good, 1 no usable result, 2 bad input, 130 interrupted.
    """
    output.volume.set(int(verbose) - int(quiet))
    place.choose(context, service, token_file)


def _hang_in() -> None:
    """All commands, in the order in which the help shows them."""
    from rung.cli import studies
    from rung.cli.check import check
    from rung.cli.doctor import doctor
    from rung.cli.evaluate import evaluate
    from rung.cli.explain import explain
    from rung.cli.export_model import export_model
    from rung.cli.fit import fit
    from rung.cli.leaderboard import leaderboard
    from rung.cli.look import importance, plot, report
    from rung.cli.methods import methods
    from rung.cli.monitor import monitor
    from rung.cli.plan import plan
    from rung.cli.predict import predict
    from rung.cli.serve import serve
    from rung.cli.show import show
    from rung.cli.tune import resume, tune
    from rung.cli.worker import worker

    search, models, keep, about = "Search", "Models", "Studies", "About"
    rows: list[tuple[str, Callable[..., None], str]] = [
        ("check", check, search),
        ("fit", fit, search),
        ("tune", tune, search),
        ("resume", resume, search),
        ("extend", studies.extend, search),
        ("plan", plan, search),
        ("predict", predict, models),
        ("evaluate", evaluate, models),
        ("explain", explain, models),
        ("leaderboard", leaderboard, models),
        ("monitor", monitor, models),
        ("export-model", export_model, models),
        ("serve", serve, models),
        ("worker", worker, keep),
        ("list", studies.list_studies, keep),
        ("show", show, keep),
        ("report", report, keep),
        ("plot", plot, keep),
        ("importance", importance, keep),
        ("export", studies.export, keep),
        ("logs", studies.logs, keep),
        ("audit", studies.audit, keep),
        ("note", studies.note, keep),
        ("enqueue", studies.enqueue, keep),
        ("tell", studies.tell, keep),
        ("fix", studies.fix, keep),
        ("pause", studies.pause, keep),
        ("stop", studies.stop, keep),
        ("rename", studies.rename, keep),
        ("delete", studies.delete, keep),
        ("methods", methods, about),
        ("doctor", doctor, about),
    ]
    for name, body, panel in rows:
        app.command(name, rich_help_panel=panel)(body)


def _hang_in_groups() -> None:
    """Commands that have commands of their own."""
    from rung.cli.search import group as search
    from rung.cli.service import group as service
    from rung.cli.storage import group as storage

    app.add_typer(search, name="search", rich_help_panel="Search")
    app.add_typer(storage, name="storage", rich_help_panel="Studies")
    app.add_typer(service, name="service", rich_help_panel="Studies")


_hang_in()
_hang_in_groups()
