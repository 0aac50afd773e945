"""What a training from scratch cannot do: too small pictures, too little memory, too little time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from rung.errors import UserError
from rung.nas.data.pictures import Pictures
from rung.nas.genotype import Genotype
from rung.nas.memory import OutOfMemory, out_of_memory
from rung.nas.network import network
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.retraining_schedule import Schedule

_SURPLUS: Final = (
    1.3  # of memory beside what is kept for the backward pass: its gradients, and what is lost in gaps
)
_GIGA: Final = 1e9
Build = Callable[[Schedule], nn.Module]


def fitted(schedule: Schedule, genotype: Genotype, pictures: Pictures) -> tuple[Schedule, tuple[str, ...]]:
    """A schedule for pictures of this size, and what had to be left out, in sentences.

    An auxiliary head fits where its pooling leaves 2 x 2 pixels: with the stem of CIFAR, pictures of 29 to 40
    pixels; with that of ImageNet, of about 193 to 256. A square that would cut out whole pictures is made
    half a side. In a stack of cells with one input no path is dropped, as in NAS-Bench-201 (Dong and Yang
    2020): nothing leads around a cell, so that all of a picture may go with one path.

    Raises:
        UserError: nothing is left of a picture before the network's last reduction, or it is no square.
    """
    notes = []
    side = pictures.side
    sizes = side_by_cell(genotype, schedule, side)
    if sizes[-1] < 1:
        raise UserError(_too_small(schedule, side))
    if sizes[-1] == 1 and side > 1:
        notes.append(f"of {side} x {side} pixels a single one is left before the classifier")
    if schedule.auxiliary and not auxiliary_fits(genotype, schedule, side):
        schedule = replace(schedule, auxiliary=0.0)
        notes.append(
            f"pictures of {side} x {side} are trained without the auxiliary head: it does not fit them"
        )
    if schedule.drop_path and genotype.cells[0][1].inputs == 1:
        schedule = replace(schedule, drop_path=0.0)
        notes.append("cells with one input are trained without dropped paths, as in NAS-Bench-201")
    if schedule.cutout >= side:
        notes.append(
            f"cutout of {schedule.cutout} would blank pictures of {side} x {side}: it is {side // 2}"
        )
        schedule = replace(schedule, cutout=side // 2)
    if schedule.jitter and pictures.shape[2] != 3:
        schedule = replace(schedule, jitter=False)
        notes.append("gray pictures are trained without jitter: it moves colours")
    return schedule, tuple(notes)


def side_by_cell(genotype: Genotype, schedule: Schedule, side: int) -> list[int]:
    """The side of what each cell gives out; 0 from where a single pixel would have to be halved."""
    if genotype.cells[0][1].inputs == 1:
        each = max(schedule.layers // 3, 1)
        at = {each, 2 * each}
        layers = 3 * each
    else:
        at = {schedule.layers // 3, 2 * schedule.layers // 3} if "reduce" in genotype else set()
        layers = schedule.layers
        for _ in range(3 if schedule.stem == "imagenet" else 0):
            side = _halved(side)
    sizes = []
    for index in range(layers):
        side = _halved(side) if index in at else side
        sizes.append(side)
    return sizes


def _halved(side: int) -> int:
    return (side + 1) // 2 if side > 1 else 0


def auxiliary_fits(genotype: Genotype, schedule: Schedule, side: int) -> bool:
    """Whether the auxiliary head can read what the cell after two thirds of the layers gives out."""
    if genotype.cells[0][1].inputs == 1:
        return False
    tapped = side_by_cell(genotype, schedule, side)[2 * schedule.layers // 3]
    stride = 3 if schedule.stem == "cifar" else 2
    return tapped >= 5 and (tapped - 5) // stride + 1 == 2


def _too_small(schedule: Schedule, side: int) -> str:
    what = f"pictures of {side} x {side} pixels are too small for this network"
    if schedule.stem == "imagenet":
        return f"{what}: the stem imagenet divides them by eight and its cells by four; give --stem cifar"
    return f"{what}: its cells divide them by four; take larger pictures"


def built(genotype: Genotype, pictures: Pictures, table: Mapping[str, Operation] = OPERATIONS) -> Build:
    """What makes the network of a schedule for these pictures."""
    return lambda schedule: network(
        genotype,
        schedule.channels,
        schedule.layers,
        len(pictures.classes),
        pictures=pictures.shape[2],
        stem=schedule.stem,
        auxiliary=schedule.auxiliary > 0,
        table=table,
    )


def training_bytes(build: Build, schedule: Schedule, shape: tuple[int, int, int], batch: int) -> float:
    """About how much memory a step takes, reckoned without taking any.

    What autograd keeps of a batch, counted on a network without memory, and 30 % more; and weights, gradients
    and momentum.

    Args:
        shape: height, width and channels of a picture.
    """
    with torch.device("meta"):
        net = build(schedule)
    net.train()
    weights = sum(p.numel() * p.element_size() for p in net.parameters())
    few, more = (_kept_bytes(net, n, shape) for n in (2, 4))
    return 3.0 * weights + _SURPLUS * batch * (more - few) / 2


def _kept_bytes(net: nn.Module, batch: int, shape: tuple[int, int, int]) -> int:
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()  # what several operations keep is counted once
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        scores = net(torch.empty(batch, shape[2], shape[0], shape[1], device="meta"))
    del scores
    return sum(kept.values())


@contextmanager
def named_out_of_memory(
    build: Build, schedule: Schedule, shape: tuple[int, int, int], device: str
) -> Iterator[None]:
    """Turn an error of memory into a sentence with the batch and the channels that would fit.

    Raises:
        OutOfMemory: it did inside.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise OutOfMemory(advice(build, schedule, shape, memory(device))) from error


def memory(device: str) -> float:
    """Bytes that a training may take there."""
    if device.startswith("cuda"):
        return 0.9 * float(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    return float(psutil.virtual_memory().available)


def advice(build: Build, schedule: Schedule, shape: tuple[int, int, int], available: float) -> str:
    """What to do where memory ran out: halve the batch, or the channels, until the estimate fits."""

    def need(channels: int, batch: int) -> float:
        return training_bytes(build, replace(schedule, channels=channels), shape, batch)

    wanted = need(schedule.channels, schedule.batch)
    batch = channels = None
    size = schedule.batch // 2
    while size >= 2 and batch is None:
        batch, size = (size if need(schedule.channels, size) <= available else None), size // 2
    width, least = schedule.channels // 2, 2 if schedule.stem == "imagenet" else 1
    while width >= least and channels is None:
        channels, width = (width if need(width, schedule.batch) <= available else None), width // 2
    said = [f"--batch {batch}"] * (batch is not None) + [f"--channels {channels}"] * (channels is not None)
    return (
        f"out of memory with a batch of {schedule.batch} and {schedule.channels} channels, which take about "
        f"{wanted / _GIGA:.1f} GB: "
        + (
            f"{' or '.join(said)} should fit"
            if said
            else "nothing fits: take fewer layers, or a larger device"
        )
    )


def out_of_budget(budget: float, each: float) -> str:
    """The sentence for a budget under one epoch."""
    return (
        f"a budget of {budget:g} s is under one epoch, which takes about {each:.0f} s here, with "
        f"all that goes before it: give at least --budget {each + 1:.0f}s, or fewer pictures (--limit), "
        "layers or channels"
    )
