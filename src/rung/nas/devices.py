"""Several devices, one process each: what they share, and what each takes of a batch.

Processes are started by `torchrun`, which sets WORLD_SIZE, RANK and LOCAL_RANK. All draw the same order of
samples and, searching, begin with the same alphas; each computes its part of a batch, and gradients of
weights and of alphas are averaged, so that all take the same steps and find the same network. Everything here
does nothing where there is one process.

Two things are not as in one process with the whole batch: normalisations see the part of a process alone, and
in the second order of DARTS each process takes a virtual step of its own before gradients are averaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rung.errors import UserError

T = TypeVar("T")


def world() -> int:
    """How many processes share the work."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0; the first is the one that prints and writes."""
    return dist.get_rank() if world() > 1 else 0


@contextmanager
def together(device: str) -> Iterator[None]:
    """Join the other processes, if `torchrun` started several, and part from them afterwards.

    Args:
        device: of this process, as `device_of` gives it.

    Raises:
        UserError: they cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the other processes cannot be reached ({error}): "
            "start with torchrun --nproc_per_node N -m rung ..., or unset WORLD_SIZE"
        ) from error
    try:
        yield
    finally:
        dist.destroy_process_group()


def device_of(name: str) -> str:
    """The device that a name stands for: "auto" is a GPU where there is one; each process has its own.

    Raises:
        UserError: it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"the device {name!r} cannot be used here: give --device cpu, or auto") from error
    return name


def gpus(device: str) -> list[int]:
    """The number of this device if it is a GPU: whose random numbers there are beside the CPU's."""
    return [torch.device(device).index or 0] if device.startswith("cuda") else []


def part(x: Tensor) -> Tensor:
    """Of a batch, the samples of this process: every `world()`-th, beginning with the `rank()`-th.

    As many for each process, so that the mean of their means is the batch's; a remainder is left out.
    """
    count = world()
    return x if count == 1 else x[: len(x) // count * count][rank() :: count]


def check_batch(batch: int) -> None:
    """Refuse a batch that the processes cannot share evenly, with two samples each at least.

    Raises:
        UserError: they cannot.
    """
    count = world()
    if batch % count or batch < 2 * count:
        fit = max(batch // count, 2) * count
        raise UserError(f"{count} processes cannot share a batch of {batch} evenly: give --batch {fit}")


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its mean over all processes.

    Args:
        parameters: the same in each process, in the same order; of those without a gradient nothing is sent,
            and they must be without one everywhere.
    """
    if world() > 1:
        _average([p.grad for p in parameters if p.grad is not None])


def average_statistics(net: nn.Module) -> None:
    """Replace the running statistics of all normalisations by their mean over all processes."""
    if world() > 1:
        _average([buffer for buffer in net.buffers() if buffer.is_floating_point()])


def average(value: float, device: str | torch.device = "cpu") -> float:
    """The mean of a number over all processes: the same for each of them."""
    if world() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    _average([shared])
    return float(shared)


def from_first(call: Callable[[], T]) -> T:
    """What the first process reads, for all of them: files lie where it is.

    Raises:
        UserError: the first process', in all.
    """
    if world() == 1:
        return call()
    told: list[Any] = [None, None]
    if not rank():
        try:
            told[0] = call()
        except UserError as error:
            told[1] = error
    dist.broadcast_object_list(told)
    if told[1] is not None:
        raise told[1]
    return cast(T, told[0])


def wait() -> None:
    """Until all processes are here."""
    if world() > 1:
        dist.barrier()


def _average(tensors: list[Tensor]) -> None:
    """In place; sent together, one message for each type of number."""
    for kind in {tensor.dtype: None for tensor in tensors}:  # a dictionary: in the same order everywhere
        group = [tensor for tensor in tensors if tensor.dtype == kind]
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in group])
        dist.all_reduce(flat)
        means = torch.split(flat / world(), [tensor.numel() for tensor in group])
        with torch.no_grad():
            for tensor, mean in zip(group, means, strict=True):
                tensor.copy_(mean.view_as(tensor))
