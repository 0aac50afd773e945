"""Ask and tell: jobs and checkpoints of a service's studies, as a Python program works with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from rung.executors.attributes import attribute
from rung.executors.command import Command
from rung.service import tars
from rung.service.http import Api, Call, of_job, part
from rung.service.outside import Outside
from rung.service.wire import Asked, Job, Word, sent
from rung.trials.events import Limits


class Jobs:
    """The jobs and checkpoints of a service's studies: a part of `rung.Client`.

    Raises, all of it, what the service refuses as a child of `rung.errors.UserError`.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def ask(self, name: str, worker: str = "") -> Asked:
        """A job to run; see `Asked` for when there is none."""
        return msgspec.convert(self._api.json(Call("POST", f"{of(name)}/ask", {"worker": worker})), Asked)

    def report(
        self, job: Job, resource: int, metrics: Mapping[str, Any], checkpoint: str | None = None
    ) -> Word:
        """Tell a value on the way; whether the job is to go on.

        Args:
            checkpoint: what `upload` returned, or any text by which the job's owner finds it again.

        Raises:
            LeaseError: the job was given to somebody else by now; what was told is recorded, not counted.
        """
        body = {"resource": resource, "metrics": sent(metrics), "checkpoint": checkpoint}
        return msgspec.convert(self._api.json(of_job(job, "report", body)), Word)

    def set_attribute(self, job: Job, name: str, value: Any) -> Word:
        """Keep something of the job's trial beside its metrics, as plain data; whether the job is to go on.

        Raises:
            LeaseError: the job was given to somebody else by now.
            StudyError: the value is not plain data, or too long.
        """
        body = {"attributes": attribute(job.trial, name, value, 0.0).data}
        return msgspec.convert(self._api.json(of_job(job, "attributes", body)), Word)

    def renew(self, job: Job) -> Word:
        """A sign of life; due at least every `Asked.lease_seconds`, where nothing is reported."""
        return msgspec.convert(self._api.json(of_job(job, "renew", {})), Word)

    def tell(
        self,
        job: Job,
        metrics: Mapping[str, Any] | None = None,
        *,
        outcome: str = "finished",
        message: str = "",
        checkpoint: str | None = None,
    ) -> bool:
        """Tell how a job ended; whether that was known already.

        Args:
            metrics: at the job's `until`; not needed if they were reported.
            outcome: finished, error, infeasible, timeout, memory, lost (it will run again) or stopped.

        Raises:
            LeaseError: the job was given to somebody else by now; what was told is recorded, not counted.
        """
        body = {
            "outcome": outcome,
            "metrics": sent(metrics),
            "message": message,
            "checkpoint": checkpoint,
        }
        return bool(self._api.json(of_job(job, "tell", body))["already"])

    def run(self, name: str, function: Callable[..., Any], slots: int = 1, *, worker: str = "") -> int:
        """Run the study's jobs with a function of this process until there are no more; how many it ran.

        The function is called as by `rung.tune` (`rung.executors.calling`), in threads of this process; of a
        study that limits a job's time or memory in processes of its own, so that one over its limit is
        killed. Its jobs' leases are kept alive, it is stopped at its next report when the service says so,
        and the checkpoints that it saves are sent. Ctrl-C stops running jobs at their next report. In
        processes of their own they are killed if that takes more than 30 seconds, to run again where the
        study goes on.

        Args:
            slots: jobs at once.
            worker: by which name the log knows this one; the machine's and the process's unless given.

        Raises:
            StudyError: the function cannot be called, is a `rung.Command` that names what is no parameter,
                or cannot be pickled though the study has such a limit.
            AwayError: the service did not answer for `patience` seconds.
        """
        shown = self._api.json(Call("GET", of(name)))
        if isinstance(function, Command):
            function.check(_parameters(shown["space"]))
        limits = msgspec.convert(shown["limits"], Limits)
        limited = limits.trial_seconds is not None or limits.trial_memory is not None
        return Outside(self._api, name, function, worker, str(shown["metric"]), limited=limited).run(slots)

    def checkpoints(self, name: str) -> list[str]:
        """The checkpoints that the service has of a study, as paths: `trial-000012/resource-9`."""
        return [str(path) for path in self._api.json(Call("GET", f"{of(name)}/checkpoints"))["items"]]

    def logs(self, name: str, trial: int) -> str:
        """What a trial's jobs printed, as far as the service has it; "" if nothing."""
        response = self._api.send(Call("GET", f"{of(name)}/logs/{trial}"))
        return response.content.decode(errors="replace")

    def printed(self, name: str) -> list[int]:
        """The numbers of the trials of whose jobs the service has what they printed."""
        query: dict[str, Any] = {"limit": 1000}
        found: dict[int, None] = {}
        while True:
            page = self._api.json(Call("GET", f"{of(name)}/logs", query=query))
            found.update((int(one["trial"]), None) for one in page["items"])
            if page["next"] is None:
                return list(found)
            query["cursor"] = page["next"]

    def download(self, name: str, path: str, folder: str | os.PathLike[str]) -> None:
        """Fetch one of them into a folder, which must be new; its hashes are checked."""
        tars.download(self._api, name, path, Path(folder))

    def upload(self, job: Job, resource: int, folder: str | os.PathLike[str]) -> str:
        """Send a folder as the job's checkpoint at `resource`; returns what to give to `report`."""
        return tars.upload(self._api, job, resource, Path(folder))


def of(name: str) -> str:
    """The address of a study below the API's prefix."""
    return f"/studies/{part(name)}"


def _parameters(space: Mapping[str, Any]) -> Collection[str]:
    """The names of all parameters of a space in JSON's form, those of its branches too."""
    from rung.space import compile_space, from_json

    return compile_space(from_json(space)).names
