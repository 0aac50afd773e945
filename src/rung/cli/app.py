"""The commands of `rung`, and what holds for all of them.

Loads Typer only: a command's module is loaded when that command is called, or its help is asked for, and its
body loads what it needs.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

from rung import __version__
from rung.cli import output, place, usage
from rung.cli.exits import BAD_INPUT, INTERRUPTED, NO_RESULT
from rung.cli.values import spare_reading
from rung.errors import UserError

_VOLUMES: Final = ("-q", "--quiet", "-v", "--verbose")


class _Command(NamedTuple):
    """Where a command is: a function, or a group of commands of its own; and where the help shows it."""

    module: str
    name: str
    panel: str

    def load(self, typed: str) -> Any:
        """What Typer makes of it, under the name by which it is typed."""
        found = getattr(import_module(f"rung.cli.{self.module}"), self.name)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(rich_markup_mode="rich", add_completion=False)
            single.command(typed, rich_help_panel=self.panel)(found)
            return typer.main.get_command(single)
        whole = typer.Typer(rich_markup_mode="rich", add_completion=False)
        whole.add_typer(found, name=typed, rich_help_panel=self.panel)
        return typer.main.get_command(whole).commands[typed]  # type: ignore[attr-defined]  # a group


_SEARCH, _MODELS, _STUDIES, _ABOUT = "Search", "Models", "Studies", "About"
COMMANDS: Final = {
    "check": _Command("check", "check", _SEARCH),
    "fit": _Command("fit", "fit", _SEARCH),
    "tune": _Command("tune", "tune", _SEARCH),
    "resume": _Command("tune", "resume", _SEARCH),
    "extend": _Command("studies", "extend", _SEARCH),
    "plan": _Command("plan", "plan", _SEARCH),
    "predict": _Command("predict", "predict", _MODELS),
    "evaluate": _Command("evaluate", "evaluate", _MODELS),
    "explain": _Command("explain", "explain", _MODELS),
    "leaderboard": _Command("leaderboard", "leaderboard", _MODELS),
    "monitor": _Command("monitor", "monitor", _MODELS),
    "export-model": _Command("export_model", "export_model", _MODELS),
    "serve": _Command("serve", "serve", _MODELS),
    "worker": _Command("worker", "worker", _STUDIES),
    "list": _Command("studies", "list_studies", _STUDIES),
    "show": _Command("show", "show", _STUDIES),
    "report": _Command("look", "report", _STUDIES),
    "dashboard": _Command("dashboard", "dashboard", _STUDIES),
    "plot": _Command("look", "plot", _STUDIES),
    "importance": _Command("look", "importance", _STUDIES),
    "export": _Command("studies", "export", _STUDIES),
    "logs": _Command("studies", "logs", _STUDIES),
    "audit": _Command("studies", "audit", _STUDIES),
    "note": _Command("studies", "note", _STUDIES),
    "enqueue": _Command("studies", "enqueue", _STUDIES),
    "tell": _Command("studies", "tell", _STUDIES),
    "fix": _Command("studies", "fix", _STUDIES),
    "pause": _Command("studies", "pause", _STUDIES),
    "stop": _Command("studies", "stop", _STUDIES),
    "rename": _Command("studies", "rename", _STUDIES),
    "delete": _Command("studies", "delete", _STUDIES),
    "methods": _Command("methods", "methods", _ABOUT),
    "doctor": _Command("doctor", "doctor", _ABOUT),
    "search": _Command("search", "group", _SEARCH),
    "import": _Command("import_studies", "import_studies", _STUDIES),
    "storage": _Command("storage", "group", _STUDIES),
    "service": _Command("service", "group", _STUDIES),
}
"""All commands by name, in the order in which the help shows them."""


class Commands(TyperGroup):
    """All commands, each loaded when it is wanted; turns what was wrong into a sentence and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; None if there is none."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            self.commands[cmd_name] = loaded = COMMANDS[cmd_name].load(cmd_name)
            spare_reading(loaded.get_params(ctx))
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in COMMANDS:  # a slip: Typer names the closest of those that are loaded
            for name in COMMANDS:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`-q` and `-v` may stand before or after the command's name."""
        end = args.index("--") if "--" in args else len(args)
        loud = [arg for arg in args[:end] if arg in _VOLUMES]
        rest = [arg for arg in args[:end] if arg not in _VOLUMES]
        spare_reading(self.get_params(ctx))
        try:
            return super().parse_args(ctx, loud + rest + args[end:])
        except usage.USAGE as error:
            raise _refused(error) from error

    def invoke(self, ctx: Any) -> Any:
        try:
            told = super().invoke(ctx)
            sys.stdout.flush()  # a full disk is noticed now
            return told
        except usage.USAGE as error:
            raise _refused(error) from error
        except OSError as error:
            said = output.unwritable(error)
            if said is None:
                raise
            output.fail(said)
            raise typer.Exit(NO_RESULT) from error
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
