"""What this machine can do, measured: matrix product, memory copy, an operator's overhead, gloo's all-reduce.

A "device" is a process of this machine with a stated number of threads. Times are the best of several
repetitions, because what else the machine does only ever makes them worse; that of an all-reduce is, in each
repetition, the one of the process that took longest.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from rung.cluster.scaling.hardware import Device, Hardware, Link
from rung.errors import UserError

_SIDE = 1024  # of the matrices
_COPIED = 2**26  # bytes
_LARGE = 2**24  # bytes that are reduced to see the bandwidth
_REPEATS = 7
_PATIENCE = 300.0  # seconds


def measure(devices: int = 2, threads: int = 1) -> Hardware:
    """The hardware that so many processes of this machine are, each with so many threads.

    Raises:
        UserError: fewer than one of either, or the processes cannot talk to each other.
    """
    if devices < 1 or threads < 1:
        raise UserError(f"devices and threads must be at least 1, not {devices} and {threads}")
    rates = together(1, _rates, (threads,))[0]
    link = Link(bandwidth=rates[1], latency=0.0)
    if devices > 1:
        small, large = fastest(together(devices, _reductions, (threads,)))
        # all-reduce by ring, solved for the link: 2 (n - 1) (D / (n B) + a), with D almost nothing first
        hops = 2 * (devices - 1)
        latency = small / hops
        link = Link(_LARGE / devices / max(large / hops - latency, 1e-9), latency)
    device = Device(
        name=f"{threads} thread{'s' if threads > 1 else ''} of this machine",
        peak={"float32": rates[0]},
        memory_bandwidth=rates[1],
        overhead=rates[2],
        achieved={"memory": 1.0, "communication": 1.0},
    )
    return Hardware(device, devices, link, link)


def together(processes: int, function: Callable[..., Any], args: Sequence[Any]) -> list[Any]:
    """What `function(rank, *args)` returns in each of so many processes, which form a group of gloo.

    Args:
        function: of a module, so that a new process finds it; it may use `torch.distributed`.

    Raises:
        UserError: one of them fails or does not answer.
    """
    import multiprocessing as mp

    context = mp.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, context.Manager() as manager:
        answers = manager.Queue()
        crew = [
            context.Process(
                target=_member, args=(rank, processes, folder, function, tuple(args), answers), daemon=True
            )
            for rank in range(processes)
        ]
        for process in crew:
            process.start()
        try:
            found = _answers(answers, crew)
        finally:
            for process in crew:
                process.join(timeout=5.0)
                if process.is_alive():
                    process.kill()
                    process.join()
    failed = [answer for _, answer in found if isinstance(answer, BaseException)]
    if failed:
        raise UserError(f"a process that measured failed: {failed[0]}") from failed[0]
    return [answer for _, answer in sorted(found, key=lambda pair: pair[0])]


def _answers(answers: Any, crew: Sequence[Any]) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    until = time.monotonic() + _PATIENCE
    while len(found) < len(crew):
        dead = [one for one in crew if one.exitcode not in (None, 0)]
        if not answers.empty():
            found.append(answers.get())
            if isinstance(found[-1][1], BaseException):
                return found
        elif dead or time.monotonic() > until:
            why = f"ended with code {dead[0].exitcode}" if dead else "did not answer"
            raise UserError(f"a process that measured {why}")
        else:
            time.sleep(0.01)
    return found


def _member(
    rank: int, processes: int, folder: str, function: Callable[..., Any], args: tuple[Any, ...], answers: Any
) -> None:
    """One process of the group; it talks over the loopback interface only."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if os.uname().sysname == "Darwin" else "lo")
    import torch.distributed as group

    try:
        group.init_process_group(
            "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=processes
        )
        try:
            answer = function(rank, *args)
            group.barrier()  # nobody leaves while another still needs it
        finally:
            group.destroy_process_group()
    except Exception as error:  # noqa: BLE001  # told to the caller, whatever it was
        answer = RuntimeError(f"{type(error).__name__}: {error}")
    answers.put((rank, answer))


def _rates(rank: int, threads: int) -> tuple[float, float, float]:
    """Operations a second of a matrix product, bytes a second of a copy, seconds of a tiny operator."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(_SIDE, _SIDE), torch.randn(_SIDE, _SIDE)
    product = min(timed(lambda: a @ b) for _ in range(_REPEATS))
    source, target = torch.zeros(_COPIED // 4), torch.zeros(_COPIED // 4)
    copy = min(timed(lambda: target.copy_(source)) for _ in range(_REPEATS))
    tiny = torch.zeros(1)
    add = min(timed(lambda: [tiny.add_(1.0) for _ in range(1000)]) for _ in range(_REPEATS)) / 1000
    return 2 * _SIDE**3 / product, 2 * _COPIED / copy, add


def fastest(told: Sequence[Sequence[Sequence[float]]]) -> list[float]:
    """For each thing that was timed, the best of its repetitions, each as long as the slowest process took.

    Args:
        told: by process, then by thing, the seconds of each repetition.
    """
    return [min(map(max, zip(*thing, strict=True))) for thing in zip(*told, strict=True)]


def _reductions(rank: int, threads: int) -> list[list[float]]:
    """Seconds of repeated all-reduces of next to nothing, and of `_LARGE` bytes."""
    import torch
    import torch.distributed as group

    torch.set_num_threads(threads)
    found = []
    for size in (4, _LARGE):
        tensor = torch.zeros(size // 4)
        seconds = []
        for _ in range(3 * _REPEATS):
            group.barrier()
            seconds.append(timed(lambda tensor=tensor: group.all_reduce(tensor)))  # type: ignore[misc]
        found.append(seconds)
    return found


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
