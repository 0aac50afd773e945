"""What part of its peak a device achieves on a network, from a few timed steps on that one device.

Paleo's platform percentage of peak (section 3.3), by kind of operator instead of one for all:

- memory: from all operators that only move numbers, the time of a call by least squares beside that of a
  byte, both at least 0, and the time of a byte from what is left of their sum;
- products and convolutions: from what is left of their time when their bytes and calls are taken off;
- what a whole step takes beyond the sum of its operators (differentiation, Python) is overhead of each call.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from rung.cluster.scaling.compute import peak
from rung.cluster.scaling.hardware import Device
from rung.cluster.scaling.layers import Kind, Work
from rung.cluster.scaling.nested import resized
from rung.cluster.scaling.tracing import call, describe, total, watched
from rung.errors import UserError

if TYPE_CHECKING:
    from torch.nn import Module

_LEAST = 0.05  # of a kind's time that is computing, however much its bytes would explain
_WARM = 2  # steps before any is timed


class Timed(NamedTuple):
    """One operator as it ran: seconds, and what it did."""

    kind: Kind
    work: Work
    seconds: float


class Measured(NamedTuple):
    """Steps on one device: the operators of one, and the seconds of a whole one without its update.

    Both are the best of several: what else a machine does only makes them longer.
    """

    operators: tuple[Timed, ...]
    step: float


def time_steps(module: Module, example: Any, batch: int, steps: int = 5) -> Measured:
    """Time training steps of the module where it is; its parameters and buffers are as before in the end.

    A step is forward, the sum of the output, and backward.

    Raises:
        UserError: its parameters have no values: they are on the device "meta".
    """
    import torch

    device = next(module.parameters()).device
    if device.type == "meta":
        raise UserError("--calibrate runs steps of the module: build it on a real device, not on 'meta'")
    given = resized(example, batch)
    buffers = {name: tensor.clone() for name, tensor in module.named_buffers()}

    def step() -> None:
        module.zero_grad()
        torch.autograd.backward(total(call(module, given)))
        _wait(device)

    for _ in range(_WARM):
        step()
    seconds = [_timed(step) for _ in range(steps)]
    runs: list[list[Timed]] = []
    for _ in range(steps):
        module.zero_grad()
        runs.append(_operators(module, given, device))
    module.zero_grad()
    with torch.no_grad():
        for name, tensor in module.named_buffers():
            tensor.copy_(buffers[name])
    return Measured(tuple(_best(runs)), min(seconds))


def _timed(step: Any) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _wait(device: Any) -> None:
    """Until a device that works on its own has done what it was given."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def _operators(module: Module, given: Any, device: Any) -> list[Timed]:
    import torch

    found: list[Timed] = []

    def note(operator: Any, args: Any, kwargs: Any, out: Any, seconds: float) -> None:
        began = time.perf_counter()
        _wait(device)
        kind, work = describe(operator, args, kwargs, out)
        if work.moved or work.flops:
            waited = time.perf_counter() - began if device.type == "cuda" else 0.0
            found.append(Timed(kind, work, seconds + waited))

    with watched(note):
        torch.autograd.backward(total(call(module, given)))
    return found


def _best(runs: Sequence[Sequence[Timed]]) -> list[Timed]:
    """Each operator with the shortest of its times."""
    return [
        column[0]._replace(seconds=min(one.seconds for one in column)) for column in zip(*runs, strict=True)
    ]


def fitted(device: Device, measured: Sequence[Measured], precision: str = "float32") -> Device:
    """The device with the parts of its peak, and the overhead, that explain these steps best.

    Args:
        measured: of one network, at one or more batch sizes.
    """
    whole = sum(each.step for each in measured)
    seen = sum(one.seconds for each in measured for one in each.operators)
    slower = min(1.0, whole / seen)  # being watched may take longer than the whole step
    operators = [one._replace(seconds=one.seconds * slower) for each in measured for one in each.operators]
    byte, call_seconds = _moving([one for one in operators if one.kind is Kind.MEMORY])
    achieved = dict(device.achieved)
    if byte > 0.0:
        achieved["memory"] = 1.0 / (byte * device.memory_bandwidth)
    else:
        byte = 1.0 / (device.memory_bandwidth * device.part("memory"))
    for kind in (Kind.CONVOLUTION, Kind.PRODUCT):
        own = [one for one in operators if one.kind is kind]
        if not own:
            continue
        spent = sum(one.seconds for one in own)
        computing = spent - sum(one.work.moved * byte + call_seconds for one in own)
        flops = sum(one.work.flops for one in own)
        achieved[kind] = flops / (peak(device, precision) * max(computing, _LEAST * spent))
    overhead = call_seconds + max(0.0, whole - seen) / len(operators)
    return msgspec.structs.replace(device, achieved=achieved, overhead=overhead)


def _moving(operators: Sequence[Timed]) -> tuple[float, float]:
    """Seconds of a byte and of a call, by least squares among what is not negative."""
    if len(operators) < 2:
        return 0.0, 0.0
    import numpy as np
    from scipy.optimize import nnls

    scale = max(one.work.moved for one in operators)
    rows = np.array([[one.work.moved / scale, 1.0] for one in operators])  # (n, 2)
    found, _ = nnls(rows, np.array([one.seconds for one in operators]))
    call_seconds = min(float(found[1]), min(one.seconds for one in operators))
    rest = sum(one.seconds - call_seconds for one in operators)
    return rest / sum(one.work.moved for one in operators), call_seconds  # all together take what they took
