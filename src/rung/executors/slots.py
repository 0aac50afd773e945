"""Slots of an executor of local workers: which are free, and which a job with several devices holds.

Such a job runs in one worker's process and takes the slots of others, which do nothing meanwhile. Its process
has the threads and the GPUs of all of them: they are in its environment when it starts, so it is started anew
where it was started for other slots.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from rung.executors.base import Job
from rung.executors.processes import THREADS
from rung.executors.supervise import Worker

_GPUS = "CUDA_VISIBLE_DEVICES"


class Slots:
    """The free ones of `crew`, of which the last is taken next."""

    def __init__(self, crew: Sequence[Worker]) -> None:
        self._size = len(crew)
        self._free = list(crew[::-1])
        self._held: dict[int, list[Worker]] = {}  # by the worker that runs the job

    def __len__(self) -> int:
        return len(self._free)

    def wanted(self, job: Job) -> int:
        """The slots that the job takes: one for each device, at most all there are."""
        return min(job.devices, self._size)

    def take(self, job: Job) -> Worker:
        """The worker that runs the job, with as many slots as it wants."""
        count = self.wanted(job)
        alike = (place for place, worker in enumerate(self._free) if len(worker.slots) == count)
        worker = self._free.pop(max(alike, default=-1))  # one whose process fits, if there is one
        others = self._others(worker, count - 1)
        self._held[worker.index] = others
        slots = (worker.index, *sorted(other.index for other in others))
        if slots != worker.slots:
            worker.move(slots, merged([each.own for each in (worker, *others)], os.environ))
        for other in others:
            if _GPUS in other.own:  # an idle process would keep its GPU's memory
                other.rest()
        return worker

    def _others(self, worker: Worker, count: int) -> list[Worker]:
        """Free slots to go with the worker's own: first those that its process was started for."""
        chosen = sorted(self._free, key=lambda other: other.index in worker.slots)[len(self._free) - count :]
        self._free = [other for other in self._free if other not in chosen]
        return chosen

    def give(self, worker: Worker, *, last: bool = False) -> None:
        """The worker's slots are free again; one that has died is taken again last."""
        self._free.extend(self._held.pop(worker.index, ()))
        if last:
            self._free.insert(0, worker)
        else:
            self._free.append(worker)

    def clear(self) -> None:
        """None is free any more."""
        self._free.clear()


def merged(environments: Sequence[Mapping[str, str]], ours: Mapping[str, str]) -> dict[str, str]:
    """One worker's environment with the threads and the GPUs of all of these.

    Numbers of threads are summed, unless the user's environment asks for fewer.
    """
    mine = dict(environments[0])
    for name in THREADS:
        total, asked = sum(int(each[name]) for each in environments), ours.get(name, "")
        mine[name] = str(min(total, int(asked)) if asked.isdigit() and int(asked) > 0 else total)
    if _GPUS in mine:
        names = (name for each in environments for name in each.get(_GPUS, "").split(",") if name)
        mine[_GPUS] = ",".join(dict.fromkeys(names))
    return mine
