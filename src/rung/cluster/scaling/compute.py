"""The time of a training step on one device: reading, computing and writing, operator by operator.

After Paleo, section 3. An operator f on a device d takes T(f) = R(f) + C(f, d) + W(f, d): the bytes that it
reads over the bandwidth of the memory, its floating point operations over the peak, the bytes that it writes
over the bandwidth; each peak times the part of it that programs achieve ("platform percentage of peak"), by
kind of operator; and a fixed overhead. The operators of a step run one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rung.cluster.scaling.hardware import Device
from rung.cluster.scaling.layers import Kind, Network, Operator
from rung.errors import UserError

WIDTHS: Final = {"float64": 8, "float32": 4, "tfloat32": 4, "float16": 2, "bfloat16": 2}  # bytes of a number
# How often an update moves all parameters: w = w - lr g reads w and g and writes w; momentum is read and
# written too; Adam has two such states.
OPTIMIZERS: Final = {"sgd": 3, "momentum": 5, "adam": 7}


def peak(device: Device, precision: str) -> float:
    """Floating point operations a second of the device at this precision.

    Raises:
        UserError: the device's table does not have it.
    """
    if precision not in device.peak or precision not in WIDTHS:
        raise UserError(
            f"{device.name} has no peak for {precision!r}: its table has {', '.join(device.peak)}"
        )
    return device.peak[precision]


def operator_seconds(operator: Operator, batch: float, device: Device, precision: str = "float32") -> float:
    """Seconds that one operator takes on so many samples."""
    work = operator.at(batch)
    seconds = device.overhead + moving_seconds(work.moved, device, precision)
    if operator.kind is not Kind.MEMORY:
        seconds += work.flops / (peak(device, precision) * device.part(operator.kind))
    return seconds


def moving_seconds(moved: float, device: Device, precision: str = "float32") -> float:
    """Seconds that so many bytes (of float32) take to and from memory, at this precision."""
    width = WIDTHS[precision] / WIDTHS["float32"]
    return moved * width / (device.memory_bandwidth * device.part("memory"))


def update_seconds(
    network: Network, device: Device, optimizer: str = "sgd", precision: str = "float32"
) -> float:
    """Seconds that the optimizer's update of all parameters takes.

    Raises:
        UserError: an unknown optimizer.
    """
    if optimizer not in OPTIMIZERS:
        raise UserError(f"unknown optimizer {optimizer!r}: known are {', '.join(OPTIMIZERS)}")
    moved = OPTIMIZERS[optimizer] * network.gradient_bytes
    return moving_seconds(moved, device, precision) + device.overhead * len(network.gradients)


def pass_seconds(
    network: Network, batch: float, device: Device, precision: str = "float32"
) -> tuple[float, float]:
    """Seconds of the forward and of the backward pass on so many samples."""
    sums = [0.0, 0.0]
    for operator in network.operators:
        sums[operator.backward] += operator_seconds(operator, batch, device, precision)
    return sums[0], sums[1]


def ready_after(
    network: Network, batch: float, device: Device, precision: str = "float32"
) -> Sequence[tuple[float, int]]:
    """When gradients are ready: (seconds since the backward pass began, bytes), by layer, in that order.

    A layer's gradients are ready when the last of its operators in the backward pass has run; those of a
    layer that has none there (its work is done in its parent) at the pass's end.
    """
    sizes: dict[str, int] = {}
    for gradient in network.gradients:
        sizes[gradient.layer] = sizes.get(gradient.layer, 0) + gradient.bytes
    clock, last = 0.0, {}
    for operator in network.operators:
        if operator.backward:
            clock += operator_seconds(operator, batch, device, precision)
            last[operator.layer] = clock
    width = WIDTHS[precision] / WIDTHS["float32"]
    return sorted((last.get(layer, clock), round(size * width)) for layer, size in sizes.items())
