"""What a running job says, brought to the service in order: values, checkpoints, its end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from rung.errors import (
    ConflictError,
    LeaseError,
    MissingError,
    StorageError,
    StudyError,
    UserError,
)
from rung.executors.attributes import TOPIC as ATTRIBUTES
from rung.executors.files import log_path
from rung.executors.remote import is_url
from rung.service import job_logs
from rung.service.http import Api, AwayError, Call, of_job
from rung.service.tars import upload
from rung.service.wire import Job, Word, sent
from rung.trials.events import (
    CheckpointDamaged,
    CheckpointSaved,
    Event,
    Failure,
    JobFailed,
    JobFinished,
    JobStopped,
    Recorded,
    Reported,
)

ENDS: Final = (JobFinished, JobFailed, JobStopped)
_GONE: Final = (LeaseError, ConflictError, MissingError)  # the service wants to hear no more of the job
_LONGEST: Final = 2000  # characters of a message
_OFTEN: Final = 30.0  # seconds between two looks at what a running job printed


class Delivery:
    """Brings one job's events to the service.

    Args:
        folder: below which the job's checkpoints and its log lie, as `Setup.folder`.
        say: takes a sentence about what went wrong and ends nothing.

    Attributes:
        over: why the service wants to hear no more of the job; None as long as it does.
    """

    def __init__(self, api: Api, job: Job, folder: Path, say: Callable[[str], object]) -> None:
        self._api = api
        self._job = job
        self._folder = folder
        self._say = say
        self._last: tuple[int, Mapping[str, Any]] | None = None
        self._refused = ""
        self._damaged = ""  # how the checkpoint is that the job was to start from
        self._log = log_path(str(folder), job.trial)
        self._log_start = job_logs.size_of(self._log)  # earlier jobs of the trial wrote there
        self._log_sent = self._log_start  # its size when it was sent
        self._looked = time.monotonic()
        self.over: str | None = None

    def deliver(self, event: Event, *, leaving: bool = False) -> Word:
        """Tell the service; what it says to that.

        Args:
            leaving: the job was told to stop: that it was killed then is no fault of a worker.

        Raises:
            AwayError: the service does not answer.
        """
        ended = isinstance(event, ENDS)
        try:
            if ended or time.monotonic() - self._looked > _OFTEN:
                self._send_log()
            if self._refused:
                return self._refuse(self._refused, ended=ended)
            return self._delivered(event, leaving)
        except _GONE as error:
            self.over = self.over or str(error)
            return Word(go_on=False, why="lost")
        except StudyError as error:  # what the objective told is not usable
            return self._refuse(str(error), ended=ended)

    def _send_log(self) -> None:
        """What the job printed so far, if that is news; without it a study is as good."""
        self._looked = time.monotonic()
        size = job_logs.size_of(self._log)
        text = job_logs.bounded(self._log, self._log_start) if size != self._log_sent else b""
        if not text:
            return
        self._log_sent = size
        headers = {"Content-Type": "text/plain; charset=utf-8", **self._job.fence}
        call = Call("PUT", f"{self._job.path}/log", headers=headers, content=lambda: [text])
        try:
            self._api.send(call)
        except AwayError:
            raise
        except (*_GONE, UserError) as error:
            if not isinstance(error, _GONE):
                self._say(f"trial {self._job.trial} of {self._job.study}: its log is not kept: {error}")

    def _refuse(self, message: str, *, ended: bool) -> Word:
        """The job fails of what it told: now, or when it has stopped."""
        self._refused = self._refused or message
        if ended:
            self._tell("error", message=self._refused)
        return Word(go_on=False, why="error")

    def _delivered(self, event: Event, leaving: bool) -> Word:
        match event:
            case Reported():
                self._last = event.resource, event.metrics
                return self._report()
            case CheckpointSaved():
                return self._checkpoint(event)
            case Recorded(topic=topic, data=data) if topic == ATTRIBUTES:
                return self._keep(data)
            case JobFinished(metrics=metrics):
                self._tell("finished", metrics)
            case JobStopped():
                self._tell("stopped")
            case CheckpointDamaged(message=message):
                self._damaged = message
            case JobFailed():
                self._fail(event, leaving)
        return Word()

    def _fail(self, event: JobFailed, leaving: bool) -> None:
        if event.failure is not Failure.INTERRUPTED:
            self._tell(str(event.failure), message=event.message)
        elif self._damaged:
            self._tell("damaged", message=self._damaged)
        else:
            self._tell("stopped" if leaving else "lost", message=event.message)

    def _report(self, saved: CheckpointSaved | None = None, path: str | None = None) -> Word:
        assert self._last is not None
        resource, metrics = self._last
        body: dict[str, Any] = {"resource": resource, "metrics": sent(metrics), "checkpoint": path}
        if saved is not None and is_url(saved.path):  # the service has not seen it
            body |= {"size": saved.size, "digest": saved.digest}
        return msgspec.convert(self._api.json(of_job(self._job, "report", body)), Word)

    def _keep(self, attributes: Mapping[str, Any]) -> Word:
        body = {"attributes": dict(attributes)}
        return msgspec.convert(self._api.json(of_job(self._job, "attributes", body)), Word)

    def _tell(self, outcome: str, metrics: Mapping[str, Any] | None = None, message: str = "") -> None:
        body = {"outcome": outcome, "metrics": sent(metrics), "message": message[:_LONGEST]}
        self._api.json(of_job(self._job, "tell", body))

    def _checkpoint(self, event: CheckpointSaved) -> Word:
        """Send the folder, then say of which value it is; the copy here is needed no more."""
        path = event.path
        if not is_url(path):
            try:
                path = upload(self._api, self._job, event.resource, self._folder / path)
            except (AwayError, *_GONE):
                raise
            except (StorageError, StudyError, OSError) as error:
                self._say(f"trial {event.trial} of {self._job.study}: its checkpoint is not kept: {error}")
                return Word()
            finally:
                self.forget(event)
        if self._last is None or self._last[0] != event.resource:
            return Word()
        return self._report(event, path)

    def forget(self, event: CheckpointSaved) -> None:
        """Remove the copy of a checkpoint that lies here."""
        if not is_url(event.path):
            shutil.rmtree(self._folder / event.path, ignore_errors=True)
