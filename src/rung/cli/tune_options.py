"""The options of `rung tune`, and how numbers and values are typed in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from rung.errors import UserError

ENDLESS = "say when it ends: --trials 50, --budget 10m, --total-resource 2000 or --target 0.1"


class Options(NamedTuple):
    """The options of `rung tune`, as they were typed; see there."""

    objective: str | None
    command: str | None
    shell: bool
    space: str | None
    metric: str | None
    mode: str | None
    reference: str | None
    constraint: list[str] | None
    resource: str | None
    eta: int
    method: str | None
    sampler: str | None
    scheduler: str | None
    workers: int | None
    executor: str | None
    address: str | None
    needs: str | None
    devices: str | None
    efficiency: float | None
    scaling: str | None
    trials: int | None
    budget: str | None
    total_resource: int | None
    target: float | None
    trial_time: str | None
    trial_memory: str | None
    retries: int | None
    seed: int
    noisy: bool
    confirm: int
    deterministic: int
    evaluation_cost: str | None
    fix: list[str] | None
    transfer: list[str] | None
    checkpoints: str | None
    checkpoint_limit: str | None
    plan: bool
    storage: str
    study: str | None
    detach: bool
    weight: float
    priority: int
    min_slots: int
    max_slots: int | None


def numbers(text: str | None) -> Sequence[float] | None:
    """Numbers with commas between them, one for each metric."""
    try:
        return None if text is None else [float(word) for word in text.split(",")]
    except ValueError:
        raise UserError(f"--reference {text!r}: write a number for each metric, as in 1.0,200") from None


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Values by name, from texts such as "lr=0.1" and "optimizer=sgd".

    Raises:
        UserError: one without "=".
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UserError(f"{text!r} is not understood: write NAME=VALUE, as in lr=0.1")
        found[name.strip()] = _value(value.strip())
    return found


def allotment(options: Options) -> tuple[int | str, float, str | None] | None:
    """What `--devices` and its like say, looked at before a study is opened; None if they say nothing."""
    from rung.study.devices import make_allotment

    devices = options.devices or "1"
    if options.efficiency is not None and devices != "auto":
        raise UserError("--efficiency says how many devices are worth it: give it with --devices auto")
    if options.devices is None and options.scaling is None:
        return None
    wanted = int(devices) if devices.isdecimal() else devices
    efficiency = 0.75 if options.efficiency is None else options.efficiency
    make_allotment(wanted, efficiency, options.scaling)
    return wanted, efficiency, options.scaling


def limit_of(text: str | None) -> int | None:
    """Bytes that `--checkpoint-limit` names, 0 for "none"; None if it is not given."""
    from rung.cli.sizes import size

    return None if text is None else 0 if text.strip().lower() in ("none", "0") else size(text)


def _value(text: str) -> Any:
    """A value as people type it: JSON, a number such as .5, or else the text itself."""
    for read in (json.loads, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
