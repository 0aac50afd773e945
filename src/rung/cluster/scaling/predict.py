"""The trade-off curve: step time, throughput, speed-up and efficiency over numbers of devices.

Data parallel training: each device has the whole network and its share of the batch, and in each step all
agree on the gradients. Strong scaling splits a fixed batch; weak scaling gives each device that batch (Paleo,
section 3, "scaling").
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rung.cluster.scaling.communication import all_reduce_seconds, machines
from rung.cluster.scaling.compute import WIDTHS, pass_seconds, peak, ready_after, update_seconds
from rung.cluster.scaling.hardware import Hardware
from rung.cluster.scaling.layers import Network
from rung.errors import UserError

BUCKET = 25 * 2**20  # bytes of gradients that are sent together where sending overlaps with computing


class Training(msgspec.Struct, frozen=True):
    """How a network is trained.

    Attributes:
        batch: samples in a step: of all devices together, or (weak) of each.
        weak: the batch grows with the devices.
        scheme: of communication, see `communication`.
        overlap: gradients are sent while the backward pass goes on, as `DistributedDataParallel` does.
        optimizer: "sgd", "momentum" or "adam".
        precision: of numbers in memory, in products and on the way; see `Device.peak`.
    """

    batch: int
    weak: bool = False
    scheme: str = "ring"
    overlap: bool = False
    optimizer: str = "sgd"
    precision: str = "float32"


class Point(msgspec.Struct, frozen=True):
    """The prediction for one number of devices; times in seconds a step.

    Attributes:
        batch: samples on the device that has most.
        compute: forward, backward and update.
        communication: what agreeing on the gradients adds to that.
        throughput: samples a second of all devices together.
        speedup, efficiency: throughput relative to one device, and the same for each device.
    """

    devices: int
    machines: int
    batch: int
    forward: float
    backward: float
    update: float
    communication: float
    throughput: float
    speedup: float
    efficiency: float

    @property
    def compute(self) -> float:
        return self.forward + self.backward + self.update

    @property
    def step(self) -> float:
        return self.compute + self.communication


def predict(
    network: Network, training: Training, hardware: Hardware, devices: Sequence[int]
) -> tuple[Point, ...]:
    """The trade-off curve, in order of `devices`; speed-ups are relative to one device, listed or not.

    Raises:
        UserError: a number of devices that is below 1 or above what the batch can be split into, or a
            setting that is not known.
    """
    if training.batch < 1:
        raise UserError(f"the batch must be at least 1, not {training.batch}")
    peak(hardware.device, training.precision)  # before anything is worked out at a precision it lacks
    wanted = sorted(set(devices))
    if not wanted or wanted[0] < 1:
        raise UserError(f"numbers of devices must be at least 1, not {list(devices)}")
    if not training.weak and wanted[-1] > training.batch:
        raise UserError(
            f"a batch of {training.batch} cannot be split over {wanted[-1]} devices: give a larger batch, or "
            "let it grow with the devices (--weak)"
        )
    alone = _point(network, training, hardware, 1, None)
    return tuple(_point(network, training, hardware, count, alone.throughput) for count in wanted)


def _point(
    network: Network, training: Training, hardware: Hardware, devices: int, alone: float | None
) -> Point:
    batch = training.batch if training.weak else -(-training.batch // devices)
    whole = training.batch * devices if training.weak else training.batch
    device, precision = hardware.device, training.precision
    forward, backward = pass_seconds(network, batch, device, precision)
    update = update_seconds(network, device, training.optimizer, precision)
    waits = _communication(network, training, hardware, devices, batch)
    throughput = whole / (forward + backward + update + waits)
    speedup = 1.0 if alone is None else throughput / alone
    return Point(
        devices,
        machines(devices, hardware),
        batch,
        forward,
        backward,
        update,
        waits,
        throughput,
        speedup,
        speedup / devices,
    )


def _communication(
    network: Network, training: Training, hardware: Hardware, devices: int, batch: int
) -> float:
    """Seconds that agreeing on the gradients adds to a step.

    With overlap a bucket is sent when its last gradient is ready and the bucket before has gone.
    """
    width = WIDTHS[training.precision] / WIDTHS["float32"]
    if not training.overlap or devices == 1:
        return all_reduce_seconds(network.gradient_bytes * width, devices, hardware, training.scheme)
    ready = ready_after(network, batch, hardware.device, training.precision)
    sent, held = 0.0, 0
    for place, (moment, size) in enumerate(ready):
        held += size
        if held >= BUCKET or place == len(ready) - 1:
            seconds = all_reduce_seconds(held, devices, hardware, training.scheme)
            sent, held = max(sent, moment) + seconds, 0
    _, backward = pass_seconds(network, batch, hardware.device, training.precision)
    return max(0.0, sent - backward)


def most_devices(points: Sequence[Point], efficiency: float) -> int:
    """The largest number of devices that are still used with this efficiency; 1 if none is."""
    return max((point.devices for point in points if point.efficiency >= efficiency), default=1)


def speedups(points: Sequence[Point]) -> dict[int, float]:
    """The curve as `rung.tune(scaling=...)` takes it: speed-up by number of devices, 1 among them."""
    return {1: 1.0} | {point.devices: point.speedup for point in points}
