"""Predicted scaling beside what is published, and beside steps measured on processes of this machine.

    python -m benchmarks.scaling published     # AlexNet, VGG-16, Inception v3 on Paleo's hardware
    python -m benchmarks.scaling measured      # three small networks on one and two processes with gloo

`measured`: two processes of one thread each. In each round one of them alone is calibrated and times steps of
a whole batch; then both time steps of half of it each, with an all-reduce of the gradients by gloo.
Predictions are made from the calibration and from a measured link, and compared with the median over the
rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as group
from torch import Tensor, nn

from benchmarks import scaling_models as models
from benchmarks.rows import Row, show
from rung.cluster.scaling.calibrating import Measured, fitted, time_steps
from rung.cluster.scaling.hardware import USUAL, Device, Hardware, Link, load_hardware, load_link
from rung.cluster.scaling.layers import Network
from rung.cluster.scaling.measuring import measure, together
from rung.cluster.scaling.nested import resized
from rung.cluster.scaling.predict import Training, predict
from rung.cluster.scaling.tracing import read_network, total

SMALL: dict[str, tuple[Callable[[], tuple[nn.Module, Tensor]], int]] = {
    "convolutional": (models.small_convolutional, 16),
    "perceptron": (models.small_perceptron, 64),
    "transformer": (models.small_transformer, 4),
}
# What the public code of Paleo (github.com/TalwalkarLab/paleo, `simulate --use_only_gemm`) gives:
# a batch of 256 split over K80s on Ethernet of 20 Gbit/s, with 0.62 of the peak and all of the link.
# Milliseconds of computing on one device, and of a tree's all-reduce among 8.
PALEO = {"alexnet": (423.356, 482.918), "vgg16": (7832.789, 1328.232), "inception_v3": (2956.608, 227.849)}
_SIDES = {"alexnet": 224, "vgg16": 224, "inception_v3": 299}


# -- what is published ------------------------------------------------------------------------------------


def network_of(name: str) -> Network:
    """A network of Paleo's experiments, as Paleo's code has it."""
    build = {"alexnet": lambda: models.alexnet(0), "vgg16": models.vgg16, "inception_v3": models.inception_v3}
    side = _SIDES[name]
    return read_network(build[name](), torch.zeros(2, 3, side, side))


def published_rows() -> list[Row]:
    """Parameters, computing and speed-ups, Paleo's own code and published measurements beside them."""
    rows: list[Row] = []
    for name, (compute, reduced) in PALEO.items():
        network = network_of(name)
        hardware = _paleo("k80", "ethernet-20g", 0.62, 1.0)
        training = Training(256, scheme="tree")
        one, eight = predict(network, training, hardware, [1, 8])
        theirs = compute / (compute / 8 + reduced)  # their computing, split; nearly all of it splits
        rows += [
            Row(f"{name}: parameters", network.parameters / 1e6, "million"),
            Row("  forward", network.flops(1, backward=False) / 1e9, "GFLOP"),
            Row("  computing a step, 256 on one K80", one.compute * 1e3, "ms", None, "Paleo", compute),
            Row("  all-reduce among 8", eight.communication * 1e3, "ms", None, "Paleo", reduced),
            Row("  speed-up on 8, batch 256", eight.speedup, "times", None, "Paleo", theirs),
        ]
    return rows + _hundred()


def _hundred() -> list[Row]:
    """Inception v3 on 100 K40, weakly scaled: Murray 2016 ("Announcing TensorFlow 0.8") measured 56."""
    hardware = _paleo("k40", "ethernet-10g", 0.62, 0.72)
    network = network_of("inception_v3")
    found = []
    for scheme, theirs in (("tree", 72.8), ("butterfly", 84.3)):
        (point,) = predict(network, Training(256, weak=True, scheme=scheme), hardware, [100])
        what = f"inception_v3: speed-up on 100 K40, {scheme}"
        found.append(Row(what, point.speedup, "times", None, "Paleo; TensorFlow 0.8 measured 56:", theirs))
    return found


def _paleo(device: str, link: str, computing: float, communication: float) -> Hardware:
    """Hardware as Paleo has it: one device to a machine, no latency, one part of all peaks of the device."""
    base = load_hardware(device).device
    achieved = dict.fromkeys(USUAL, computing) | {"communication": communication}
    fast = Link(load_link(link, link).bandwidth)
    return Hardware(Device(base.name, base.peak, base.memory_bandwidth, 0.0, achieved), 1, fast, fast)


# -- what is measured -------------------------------------------------------------------------------------


class Told(NamedTuple):
    """What one of two processes measured; times in seconds, one for each step of all rounds.

    Attributes:
        calibrated: steps of the whole batch and of half of it, by the first process alone, of each round.
        alone: steps of the whole batch, by the first process alone.
        both, reducing: steps of half of the batch by both at once, and the all-reduce in them.
    """

    calibrated: list[Measured]
    alone: list[float]
    both: list[float]
    reducing: list[float]


def rounds(rank: int, name: str, count: int, steps: int) -> Told:
    """What one of two processes measures."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    build, batch = SMALL[name]
    net, example = build()
    found = Told([], [], [], [])
    for _ in range(count):
        group.barrier()
        if rank == 0:
            found.calibrated.extend(time_steps(net, example, size, steps) for size in (batch, batch // 2))
            found.alone.extend(_steps(net, example, batch, steps, together=False)[0])
        group.barrier()
        both, reducing = _steps(net, example, batch // 2, steps, together=True)
        found.both.extend(both)
        found.reducing.extend(reducing)
    return found


def _steps(
    net: nn.Module, example: Tensor, batch: int, steps: int, *, together: bool
) -> tuple[list[float], list[float]]:
    """Seconds of steps, and of the all-reduce in each."""
    given = resized(example, batch)
    parameters = list(net.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.0)
    whole, reducing = [], []
    for _ in range(steps + 2):
        if together:
            group.barrier()
        began = time.perf_counter()
        optimizer.zero_grad()
        torch.autograd.backward(total(net(given)))
        mid = time.perf_counter()
        if together:
            _agree(parameters)
        reducing.append(time.perf_counter() - mid)
        optimizer.step()
        whole.append(time.perf_counter() - began)
    return whole[2:], reducing[2:]


def _agree(parameters: Sequence[nn.Parameter]) -> None:
    """Replace the gradients by their sums over all processes, sent as one."""
    flat = torch.cat([p.grad.view(-1) for p in parameters if p.grad is not None])
    group.all_reduce(flat)
    for p, summed in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
        p.grad = summed.view_as(p)


def measured_rows(names: Sequence[str], count: int, steps: int) -> list[Row]:
    """Predicted and measured step times on one and two processes, and by how much they differ."""
    hardware = measure(2)
    rows = [
        Row("measured: product", hardware.device.peak["float32"] / 1e9, "GFLOP/s"),
        Row("  memory", hardware.device.memory_bandwidth / 1e9, "GB/s"),
        Row("  link", hardware.inside.bandwidth / 1e9, "GB/s"),
        Row("  its latency", hardware.inside.latency * 1e6, "us"),
    ]
    for name in names:
        rows += _compared(name, together(2, rounds, (name, count, steps)), hardware)
    return rows


def _best(measured: Sequence[Measured]) -> Measured:
    """The best of each operator, and of the whole step, over all rounds."""
    columns = zip(*(one.operators for one in measured), strict=True)
    operators = tuple(min(column, key=lambda timed: timed.seconds) for column in columns)
    return Measured(operators, min(one.step for one in measured))


def _compared(name: str, told: list[Told], hardware: Hardware) -> list[Row]:
    build, batch = SMALL[name]
    steps = [_best(told[0].calibrated[size::2]) for size in (0, 1)]  # of the whole batch, and of half of it
    fit = Hardware(fitted(hardware.device, steps), 2, hardware.inside, hardware.between)
    points = predict(read_network(*build()), Training(batch), fit, [1, 2])
    both = list(map(max, zip(*(one.both for one in told), strict=True)))  # a step ends when both have it
    reducing = list(map(min, zip(*(one.reducing for one in told), strict=True)))  # without waiting
    rows = []
    for point, seconds in zip(points, (told[0].alone, both), strict=True):
        best, middle = min(seconds), statistics.median(seconds)
        on = f"{name}, batch {batch}, {point.devices} process{'es' if point.devices > 1 else ''}"
        rows += [
            Row(f"{on}: step, predicted", point.step * 1e3, "ms", None, "best measured", best * 1e3),
            Row("  error", 100 * (point.step / best - 1), "%"),
            Row("  median over best: the machine's noise", middle / best, "times"),
        ]
    sent = min(reducing) * 1e3
    gain = min(told[0].alone) / min(both)
    return [
        *rows,
        Row("  all-reduce, predicted", points[1].communication * 1e3, "ms", None, "best measured", sent),
        Row("  speed-up, predicted", points[1].speedup, "times", None, "best measured", gain),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("published", "measured"))
    parser.add_argument("--only", choices=tuple(SMALL), action="append", help="of the measured networks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    given: Any = parser.parse_args()
    rows = (
        published_rows()
        if given.what == "published"
        else measured_rows(given.only or tuple(SMALL), given.rounds, given.steps)
    )
    print(show(rows, as_json=given.json))


if __name__ == "__main__":
    main()
