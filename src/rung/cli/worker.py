"""`rung worker`: lends this machine's slots to a service."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli.exits import BAD_INPUT
from rung.cli.place import service as named_service
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.service.worker import Worker

_SHOWN = 10.0  # seconds between two plain lines, if anything changed


Service = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        metavar="URL",
        envvar="RUNG_SERVICE",
        help="Where the service is. Repeatable: of several over one storage the first that answers.",
    ),
]
Slots = Annotated[int, typer.Option("--slots", min=1, help="Jobs at once.")]
Executor = Annotated[str, typer.Option("--executor", metavar="local|ray", help="What runs them.")]
Address = Annotated[str | None, typer.Option("--address", help="Of a Ray cluster, as 10.0.0.1:6379 or auto.")]
Needs = Annotated[
    str | None, typer.Option("--needs", help="What a job takes of a Ray cluster, as cpus=2,gpus=1.")
]
Named = Annotated[
    str | None,
    typer.Option("--name", help="By which others know it; the machine's and process's unless given."),
]
Label = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="Anything worth knowing. Repeatable."),
]
Patterns = Annotated[
    list[str] | None,
    typer.Option(
        "--objectives",
        metavar="PATTERN",
        help="Run only these: modules, as trainers.*, or functions, as mnist:train. Repeatable.",
    ),
]
Program = Annotated[
    list[str] | None,
    typer.Option(
        "--program",
        metavar="NAME='COMMAND'",
        help="Run this for the objective program:NAME, as mnist='python mnist.py --lr {lr}'. Repeatable.",
    ),
]
Folder = Annotated[Path | None, typer.Option("--folder", metavar="FOLDER", help="For what jobs print.")]
Grace = Annotated[
    float, typer.Option("--grace", min=0, metavar="SECONDS", help="That a job gets to stop by itself.")
]
TokenFile = Annotated[
    str | None, typer.Option("--token-file", metavar="FILE", help="The token; else RUNG_TOKEN.")
]


def worker(  # noqa: PLR0913  # a door
    service: Service = None,
    slots: Slots = 1,
    executor: Executor = "local",
    address: Address = None,
    needs: Needs = None,
    name: Named = None,
    label: Label = None,
    objectives: Patterns = None,
    program: Program = None,
    folder: Folder = None,
    grace: Grace = 30.0,
    token_file: TokenFile = None,
) -> None:
    """Lend this machine to a service, until SIGTERM or Ctrl-C: then jobs save, stop, and go on elsewhere.

    Jobs are functions that this machine has: of modules in the working folder, or installed. No code is sent.
    """
    from rung.executors.log_size import log_size
    from rung.executors.ray_errors import ClusterLostError
    from rung.executors.setup import Engine as Asked
    from rung.service.http import Api, find_token
    from rung.service.worker import Lent, Worker
    from rung.service.worker_machine import machine
    from rung.service.worker_objectives import Objectives
    from rung.service.worker_run import Engine

    url, file = _service(service, token_file)
    if executor not in ("local", "ray"):
        raise UserError(f"--executor {executor!r} is unknown to a worker: say local or ray")
    asked = Asked.of(executor, address, needs)
    log_size()  # what is wrong with it is said at once
    called = name or f"{socket.gethostname()}-{os.getpid()}"
    sys.path.insert(0, str(Path.cwd()))  # `rung` is a script of another folder
    api = Api(url, find_token(url, None, file), patience=float("inf"))
    engine = Engine(executor, (folder or _home(called)).absolute(), grace, asked.address, asked.needs)
    lent = Lent(called, slots, _pairs(label or [], "--label"))
    known = Objectives(objectives or [], _programs(program or []))
    output.say(f"{called} lends {slots} slot{'' if slots == 1 else 's'} to {api.names}; Ctrl-C ends it")
    try:
        with machine(engine, slots) as room:
            if (there := room()) < slots:
                output.say(f"the cluster has room for {there} of them now; others are used when nodes join")
            _run(Worker(api, lent, engine, known, output.say, room))
    except ClusterLostError as error:
        output.fail(str(error))
        os._exit(BAD_INPUT)  # threads of Ray would crash in the interpreter's own way out
    finally:
        api.close()


def _service(typed: Sequence[str] | None, token_file: str | None) -> tuple[str, str | None]:
    """Where the service is and which file has the token: typed here, or before the command."""
    before = named_service.get()
    url = ",".join(typed or ()) or (before.url if before else None)
    if url is None:
        raise UserError("say whom to work for: --service URL, or RUNG_SERVICE")
    return url, token_file or (before.token_file if before else None)


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UserError(f"{option} {text!r} is not understood: write NAME=VALUE")
        found[key.strip()] = value.strip()
    return found


def _programs(texts: Sequence[str]) -> dict[str, str]:
    from rung.cli.objective import load_command

    found = _pairs(texts, "--program")
    for text in found.values():
        load_command(text)  # it must be there
    return found


def _home(name: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    safe = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in name).lstrip(".") or "worker"
    return (Path(cache) if cache else Path.home() / ".cache") / "rung" / "workers" / safe


def _run(worker: Worker) -> None:
    """Run it in a thread, so that signals find the main one at rest. A second signal ends all at once."""
    failed: list[BaseException] = []

    def body() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001  # raised again below, in the main thread
            failed.append(error)

    def leave(number: int, _: Any) -> None:
        if worker.draining:
            os._exit(128 + number)  # workers of jobs end with the process that they belong to
        worker.drain()

    thread = threading.Thread(target=body, name="rung-worker")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    thread.start()
    _show(worker.status, thread)
    if failed:
        raise failed[0]


def _show(status: Callable[[], str], thread: threading.Thread) -> None:
    """Until the thread ends: a moving line on a terminal, a plain one now and then elsewhere."""
    console = output.err()
    if output.quiet() or not console.is_terminal:
        _show_plainly(status, thread)
        return
    with console.status(status()) as line:
        while thread.is_alive():
            thread.join(0.25)
            line.update(status())


def _show_plainly(status: Callable[[], str], thread: threading.Thread) -> None:
    before = ""
    while thread.is_alive():
        thread.join(_SHOWN)
        now = status()
        if now != before and thread.is_alive():
            output.say(now)
        before = now
