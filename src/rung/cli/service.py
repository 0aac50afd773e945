"""`rung service`: with options alone it runs the service; its commands manage users and tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli.options import DEFAULT_STORAGE, Storage
from rung.cli.service_accounts import audit, bootstrapped, tokens, users
from rung.cli.sizes import size
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.service.accounts import Accounts
    from rung.service.context import Caps
    from rung.service.guards import Limits
    from rung.service.serving import Settings

group = typer.Typer(invoke_without_command=True, rich_markup_mode="rich")
group.add_typer(users, name="user")
group.add_typer(tokens, name="token")
group.command("audit")(audit)


Say = Callable[[str], object]
Checkpoints = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where workers write checkpoints themselves, as s3://bucket/prefix; else they send them.",
        show_default=False,
    ),
]
MaxLogs = Annotated[
    str, typer.Option(metavar="SIZE", help="The most that is kept of what one study's jobs print.")
]


@group.callback()
def service(  # noqa: PLR0913  # a door
    context: typer.Context,
    storage: Storage = DEFAULT_STORAGE,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine only once there are users.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8080,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate, in PEM form.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, in PEM form.")] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Answer requests addressed to this name too. Repeatable."),
    ] = None,
    bootstrap_token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Without users: make an admin, and write the token to this file."),
    ] = None,
    log_format: Annotated[str, typer.Option(metavar="text|json", help="How the log is written.")] = "text",
    rate: Annotated[float, typer.Option(min=0.1, help="The most requests a second of one token.")] = 1000.0,
    max_body: Annotated[
        str, typer.Option(metavar="SIZE", help="The largest request, but for checkpoints.")
    ] = "16MiB",
    max_upload: Annotated[str, typer.Option(metavar="SIZE", help="The largest checkpoint.")] = "4GiB",
    checkpoints: Checkpoints = None,
    max_logs: MaxLogs = "64MiB",
    max_studies: Annotated[int, typer.Option(min=1, help="The most studies of one user.")] = 1000,
    lease: Annotated[
        float,
        typer.Option(min=0.5, metavar="SECONDS", help="How long a job may be silent before it is lost."),
    ] = 60.0,
) -> None:
    """Run studies for many users, who share workers: an HTTP API under /api/v1.

    On loopback, `rung` of the same user on this machine needs no token of its own.
    """
    if context.invoked_subcommand is not None:
        return
    from rung.deploy.extras import need

    need("service", "rung service")
    from rung.deploy.listening import is_loopback
    from rung.service.checkpoint_urls import check_default
    from rung.service.context import Caps
    from rung.service.guards import Limits
    from rung.service.serving import Settings, own_names

    if log_format not in ("text", "json"):
        raise UserError(f"--log-format {log_format!r} is unknown: say text or json")
    limits = Limits(
        body=size(max_body),
        upload=size(max_upload),
        rate=rate,
        hosts=own_names(host, tuple(allow_host or ())),
        open_metrics=is_loopback(host) and not allow_host,  # a proxy in front is not this machine only
        secure=tls_cert is not None,
    )
    place = None if checkpoints is None else check_default(checkpoints)
    caps = Caps(max_studies, checkpoint=limits.upload, logs=size(max_logs), checkpoints=place)
    settings = Settings(host, port, tls_cert, tls_key)
    _run(storage, settings, limits, (caps, lease), bootstrap_token_file, log_format)


def _run(
    storage: str,
    settings: Settings,
    limits: Limits,
    most: tuple[Caps, float],
    bootstrap: Path | None,
    log_format: Any,
) -> None:
    from rung.service import logs, serving
    from rung.service.accounts import Accounts
    from rung.service.app import create_app
    from rung.service.hub import Hub
    from rung.storage import open_storage, shown

    opened = open_storage(storage)
    accounts = Accounts(storage)
    try:
        if bootstrap is not None:
            bootstrapped(accounts, bootstrap)
        if settings.cert is not None and settings.key is not None:
            serving.tls(settings.cert, settings.key)
        warning = serving.check_place(settings, accounts.has_users())
        place = serving.listen(settings)
        logs.configure(log_format, verbose=output.verbose())
        caps, lease = most
        app = create_app(Hub(opened, accounts, lease), accounts, limits, caps)
        url = _url(settings, place.getsockname()[1])
        # whoever reads the log as JSON lines gets nothing else
        say: Say = output.say if log_format == "text" else logging.getLogger("rung.service").info
        say(f"rung serves {shown(storage)} on {url}; Ctrl-C stops it")
        _say_tokens(accounts, settings, (place.getsockname()[1], url), say)
        if warning is not None:
            say(f"warning: {warning}")
        serving.serve(app, settings, place)
    finally:
        accounts.close()
        opened.close()


def _url(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{settings.scheme}://{host}:{port}"


def _say_tokens(accounts: Accounts, settings: Settings, where: tuple[int, str], say: Say) -> None:
    """How one gets in: on loopback with the token that is kept for this machine's user."""
    from rung.deploy.listening import is_loopback
    from rung.service import local_token

    port, url = where
    if not is_loopback(settings.host):
        say("make tokens with `rung service token create --user NAME`")
        return
    accounts.allow_local(local_token.keep(port))
    say(f"on this machine `rung --service {url} list` takes its token from {local_token.path_of(port)}")
    if not accounts.has_users():
        say("for others: `rung service token create --user NAME --role admin` makes the first user")
