"""The events of a study, as frozen values: the one type that travels from worker to log to history.

A study's log is a sequence of these, first `StudyCreated`. Times are seconds since the epoch by the
executor's clock (virtual in a simulation); no decision reads them. Resources are whole numbers of the
study's unit (epochs, rows, ...); a study without a resource uses the single rung 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from rung.space.values import Values

FORMAT: Final = 1  # of the log; a log of any earlier format stays readable


class Record(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A frozen value of the log."""


class Spec(Record, frozen=True):
    """A sampler or a scheduler as the log names it: its name and its settings."""

    name: str
    settings: Mapping[str, Any] = {}

    @property
    def title(self) -> str:
        """Its name for people: of a class that is named by its path, its strategy or the class's own name."""
        _, colon, own = self.name.partition(":")
        return str(self.settings.get("strategy", own)) if colon else self.name


class Resource(Record, frozen=True):
    """What a larger evaluation spends more of: name, smallest (r) and largest (R) amount."""

    name: str
    minimum: int
    maximum: int

    @property
    def unit(self) -> str:
        """Its name for amounts: "epochs", "rows"."""
        return self.name if self.name.endswith("s") else f"{self.name}s"


class Goal(Record, frozen=True):
    """One of several objectives: a metric, and whether less ("min") or more ("max") of it is better.

    `reference` is the value from which improvement counts in the hypervolume; None: the worst that is seen.
    """

    metric: str
    mode: str = "min"
    reference: float | None = None


class Constraint(Record, frozen=True):
    """A bound that a result must keep: `metric` at most `bound`, or, with `sense` ">=", at least."""

    metric: str
    bound: float
    sense: str = "<="

    def __str__(self) -> str:
        return f"{self.metric} {self.sense} {self.bound:g}"


class Identity(Record, frozen=True):
    """What makes a study this study: calling again with the same resumes it, with another is an error.

    `metric` and `mode` are those of the first of `goals`, where there are several objectives. `confirm` is
    how often the incumbent is evaluated again before it is declared; `noisy` allows repeated configurations;
    `deterministic` is the number of simulated workers in whose order results are taken, 0 for as they come.
    """

    space: Mapping[str, Any]  # the JSON form, see rung.space.to_json
    metric: str
    mode: str  # "min" or "max"
    resource: Resource | None
    eta: int
    sampler: Spec
    scheduler: Spec
    seed: int
    door: str = "tune"  # or "fit", "search"
    task: Mapping[str, Any] = {}  # what a door adds: the table's fingerprint, the target, ...
    goals: tuple[Goal, ...] = ()  # all objectives, if they are several
    constraints: tuple[Constraint, ...] = ()
    noisy: bool = False
    confirm: int = 0
    deterministic: int = 0


class Limits(Record, frozen=True):
    """When a study ends, and what a job may take. They may change between sessions.

    `seconds` is wall time spent running, `total_resource` in the study's unit, `target` in the metric's
    own sense (not minimised), `trial_seconds` and `trial_memory` (bytes) hold for one job.
    """

    trials: int | None = None
    seconds: float | None = None
    total_resource: int | None = None
    target: float | None = None
    retries: int = 3
    trial_seconds: float | None = None
    trial_memory: int | None = None

    @property
    def ends(self) -> bool:
        """Whether anything here ends a study."""
        return any(x is not None for x in (self.trials, self.seconds, self.total_resource, self.target))


class Origin(Record, frozen=True):
    """Where a configuration came from: `model` tells whether a model made it, from results at `fidelity`."""

    sampler: str
    model: bool = False
    fidelity: int | None = None
    parent: int | None = None


class Failure(StrEnum):
    """Why a job gave no result."""

    ERROR = "error"  # the objective raised; not tried again
    INFEASIBLE = "infeasible"  # the objective said that this configuration has no value
    TIMEOUT = "timeout"  # longer than the limit on one job
    MEMORY = "memory"  # more memory than the limit on one job
    LOST = "lost"  # the worker died or never answered; tried again up to `Limits.retries` times
    INTERRUPTED = "interrupted"  # the study itself was stopped or died; tried again, not counted


class Event(Record, frozen=True, tag_field="kind", tag=True):
    """One thing that happened."""


class StudyCreated(Event, frozen=True):
    identity: Identity
    version: str  # of rung
    time: float = 0.0
    format: int = FORMAT


class LimitsChanged(Event, frozen=True):
    limits: Limits
    time: float = 0.0


SERVICE: Final = "service"  # the executor of a session whose jobs wait for slots that others lend


class SessionStarted(Event, frozen=True):
    """A process took the study up."""

    host: str
    pid: int
    executor: str
    workers: int
    objective: str | None = None  # a fingerprint of the objective's code
    time: float = 0.0


class SessionEnded(Event, frozen=True):
    reason: str
    time: float = 0.0


class JobStarted(Event, frozen=True):
    """Run `trial` from `start` up to `until`; the first job of a trial brings its configuration.

    `gates` are resources on the way at which the report waits for the scheduler's word. `devices` is how
    many it gets, where a study gives more of them to trials that climb.
    """

    trial: int
    until: int
    start: int = 0
    attempt: int = 0
    values: Values | None = None
    origin: Origin | None = None
    bracket: int = 0
    gates: tuple[int, ...] = ()
    checkpoint: str | None = None
    time: float = 0.0
    devices: int = 1


class Reported(Event, frozen=True):
    """The objective told its metrics at a resource."""

    trial: int
    resource: int
    metrics: Mapping[str, Any]
    attempt: int = 0
    time: float = 0.0


class CheckpointSaved(Event, frozen=True):
    """The trial can go on from `resource`; `path` is a folder below the study's own, or the caller's text.

    `size` is the bytes of its files; `digest` the SHA-256 of its manifest, in hex, which holds the hashes of
    all its files. Both are empty where nobody measured them.
    """

    trial: int
    resource: int
    path: str
    attempt: int = 0
    time: float = 0.0
    size: int = 0
    digest: str = ""


class CheckpointDeleted(Event, frozen=True):
    """A checkpoint is given up. Logged before its folder goes.

    It is the one at `path`, or all of the trial's if that is empty. `why` is empty where nothing can need it
    any more, "limit" where it went to keep the study's limit.
    """

    trial: int
    time: float = 0.0
    path: str = ""
    why: str = ""


class CheckpointFailed(Event, frozen=True):
    """A checkpoint at `resource` could not be saved (a full disk, a store that does not answer).

    The job goes on; a next one starts from an earlier checkpoint, or from 0.
    """

    trial: int
    resource: int
    message: str
    attempt: int = 0
    time: float = 0.0


class CheckpointDamaged(Event, frozen=True):
    """The checkpoint from which the trial's running job was to start is not what was saved, or is gone.

    It is given up: the job runs again from the trial's checkpoint before it, or from 0.
    """

    trial: int
    message: str
    attempt: int = 0
    time: float = 0.0


class JobFinished(Event, frozen=True):
    """The objective returned; `metrics`, if it returned any, belong to the job's `until`."""

    trial: int
    attempt: int = 0
    metrics: Mapping[str, Any] | None = None
    time: float = 0.0


class JobFailed(Event, frozen=True):
    trial: int
    failure: Failure
    message: str = ""
    attempt: int = 0
    time: float = 0.0


class JobStopped(Event, frozen=True):
    """The objective obeyed a stop."""

    trial: int
    attempt: int = 0
    time: float = 0.0


class TrialStopped(Event, frozen=True):
    """The scheduler stops a running trial for good."""

    trial: int
    time: float = 0.0


class StopDecided(Event, frozen=True):
    """The study starts no more jobs in this session, and why: a budget, a target, a request, an interrupt."""

    reason: str
    time: float = 0.0


class Told(Event, frozen=True):
    """A result that the user knew: a trial of its own, which no job ran and no scheduler counts."""

    trial: int
    values: Values
    metrics: Mapping[str, Any]
    resource: int
    time: float = 0.0


class SpaceChanged(Event, frozen=True):
    """From here on configurations come from another space; earlier ones are read as configurations of it.

    A parameter that is new has, in earlier trials, its value in `given`, else its default.
    """

    space: Mapping[str, Any]  # the JSON form
    given: Mapping[str, Any] = {}
    time: float = 0.0


class Requested(Event, frozen=True):
    """The writer took up another process's request (pause, stop, enqueue, note).

    `id` is the request's number in the storage; None if the writer asked for it itself.
    """

    request: str
    data: Mapping[str, Any] = {}
    time: float = 0.0
    id: int | None = None


class Recorded(Event, frozen=True):
    """What a door adds to its study: out-of-fold predictions, alphas, prunings, a method's own choices."""

    topic: str
    data: Mapping[str, Any]
    trial: int | None = None
    time: float = 0.0


AnyEvent = (
    StudyCreated
    | LimitsChanged
    | SessionStarted
    | SessionEnded
    | JobStarted
    | Reported
    | CheckpointSaved
    | CheckpointDeleted
    | CheckpointFailed
    | CheckpointDamaged
    | JobFinished
    | JobFailed
    | JobStopped
    | TrialStopped
    | StopDecided
    | Told
    | SpaceChanged
    | Requested
    | Recorded
)
