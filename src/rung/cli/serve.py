"""`rung serve`: a model behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from rung.cli import output
from rung.cli.one_target import OneTarget, one_target
from rung.cli.options import Trust


def serve(  # noqa: PLR0913  # a door
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, as rung fit writes it.")],
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine only with --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="RUNG_TOKEN", show_envvar=True, help="What requests must bring as Bearer token."),
    ] = None,
    max_rows: Annotated[int, typer.Option(min=1, help="The most rows of one request.")] = 10_000,
    max_mb: Annotated[int, typer.Option(min=1, help="The largest request, in MB.")] = 16,
    target: OneTarget = None,
    trust: Trust = None,
) -> None:
    """Serve a model's predictions over HTTP: POST /predict, GET /schema, GET /health."""
    from rung.deploy.extras import need, one_model
    from rung.deploy.listening import listen
    from rung.deploy.server import Limits, check_host, create_app, run

    need("serve", "rung serve")
    check_host(host, token)
    loaded = one_model(one_target(model, target), trust or ())
    app = create_app(loaded, token, Limits(max_rows, max_mb * 2**20))
    place = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    output.say(
        f"{model} predicts {loaded.target} on http://{shown}:{place.getsockname()[1]}; Ctrl-C stops it"
    )
    run(app, place, verbose=output.verbose())
