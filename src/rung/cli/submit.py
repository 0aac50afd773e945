"""`rung --service URL tune` and `resume`: a study that the service runs, on machines that others lend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rung.cli import output
from rung.cli.place import remote
from rung.cli.store import command
from rung.cli.tune_options import ENDLESS
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.cli.tune_options import Options
    from rung.service.client import Client

_NAMED: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_LOCAL: Final[Mapping[str, Any]] = {  # options of this machine's runs, and what they are unless typed
    "command": None,
    "shell": False,
    "workers": None,
    "executor": None,
    "address": None,
    "needs": None,
    "deterministic": 0,
    "evaluation_cost": None,
    "transfer": None,
    "plan": False,
}


def submit(options: Options) -> None:
    """Have the service begin the study, then follow it unless told to leave it there.

    Raises:
        UserError: an option that a service has no use for, or code where a name is wanted.
    """
    _check(options)
    storage = remote(options.storage)
    try:
        client = storage.client
        made = client.create(_space(options), **_settings(options))
        by = "outside workers ask for its jobs" if made.objective is None else f"workers run {made.objective}"
        output.say(f"study {made.name} is submitted: {by}")
        if made.lacks is not None:
            output.say(f"it waits: {made.lacks}")
        _after(client, made.name, options.storage, detach=options.detach)
    finally:
        storage.close()


def resume(name: str, url: str, *, detach: bool) -> None:
    """Have the service go on with a study, then follow it."""
    storage = remote(url)
    try:
        storage.client.resume(name)
        output.say(f"study {name} goes on")
        _after(storage.client, name, url, detach=detach)
    finally:
        storage.close()


def _after(client: Client, name: str, url: str, *, detach: bool) -> None:
    if detach:
        output.say(f"look at it: {command('show', name, url)}")
        return
    from rung.cli.follow import follow

    follow(client, name, url)


def _check(options: Options) -> None:
    given = [name for name, plain in _LOCAL.items() if getattr(options, name) != plain]
    if given:
        raise UserError(
            f"--{given[0].replace('_', '-')} is for studies of this machine: leave it out with --service"
        )
    if options.objective is not None and all(
        end is None for end in (options.trials, options.budget, options.total_resource, options.target)
    ):
        raise UserError(ENDLESS)
    if options.objective is None:
        if not options.detach:
            raise UserError(
                "name what the service's workers run, as MODULE:FUNCTION; or say --detach, for a study whose "
                "jobs outside workers ask for"
            )
    elif not _NAMED.fullmatch(options.objective) or options.objective.partition(":")[0].endswith(".py"):
        raise UserError(
            f"{options.objective!r} names a file, and code is not sent over the network: name a function "
            "that the service's workers can import, as MODULE:FUNCTION (train.py:train is train:train to a "
            "worker that has train.py in its working folder)"
        )


def _space(options: Options) -> Any:
    from rung.cli.objective import read_space

    if options.space is None:
        raise UserError("no search space: the workers have the code, the space goes along: say --space FILE")
    return read_space(options.space)


def _settings(options: Options) -> dict[str, Any]:
    """The options as `rung.Client.create` takes them."""
    from rung.cli.sizes import size
    from rung.cli.tune_options import allotment, assignments, limit_of, numbers

    devices, efficiency, scaling = allotment(options) or (1, None, None)
    same = (
        "objective resource eta method sampler scheduler trials budget total_resource target trial_time "
        "seed noisy confirm weight priority min_slots max_slots checkpoints"
    )
    return {
        "name": options.study,
        "metric": options.metric or "loss",
        "mode": options.mode or "min",
        "reference": numbers(options.reference),
        "constraints": options.constraint or (),
        "trial_memory": size(options.trial_memory) if options.trial_memory else None,
        "devices": devices,
        "efficiency": efficiency if devices == "auto" else None,
        "scaling": scaling,
        "checkpoint_limit": limit_of(options.checkpoint_limit) or None,
        "fixed": assignments(options.fix) if options.fix else None,
        **({} if options.retries is None else {"retries": options.retries}),
        **{name: getattr(options, name) for name in same.split()},
    }
