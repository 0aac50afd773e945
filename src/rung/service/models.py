"""What requests bring, checked where it enters: unknown fields and values out of range are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rung.service.field_words import OBJECTIVE

Name = Annotated[str, Field(min_length=1, max_length=200)]
Slots = Annotated[int, Field(ge=0, le=1_000_000)]
Weight = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Metrics = dict[str, float | int | None]  # null: no number, such as NaN
Why = Annotated[str, Field(max_length=2000)]
Trial = Annotated[int, Field(ge=0, lt=2**53)]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid")


class Shares(Body):
    """How a study shares the workers with others."""

    weight: Weight = 1.0
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    min_slots: Slots = 0
    max_slots: Slots | None = None


class Ends(Body):
    """When a study ends, and what a job may take; as in `rung.tune`."""

    trials: int | None = None
    budget: str | float | None = None
    total_resource: int | None = None
    target: float | None = None
    retries: int = 3
    trial_time: str | float | None = None
    trial_memory: int | None = None


class NewStudy(Shares, Ends):
    """A study to create; as in `rung.tune`, but for the objective, which is named and not sent.

    `objective` is "module:function" that workers have, or null: then outside workers ask and tell. `devices`
    is the number of slots of each job, or "auto", with `efficiency` and `scaling` (speed-up by number of
    devices). `fixed` are values that all configurations get, by name. `checkpoints` is the URL below which
    workers write them, "study" for the service's own keeping, or null for what the service does unless told;
    `checkpoint_limit` is their bytes together.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    space: dict[str, Any]
    metric: str | list[str] = "loss"
    mode: str | list[str] = "min"
    reference: list[float] | None = None
    constraints: list[str] = []
    resource: str | list[Any] | None = None
    eta: int = 3
    method: str | None = None
    sampler: str | None = None
    scheduler: str | None = None
    seed: int = 0
    noisy: bool = False
    confirm: int = 0
    objective: Annotated[str, Field(pattern=OBJECTIVE, max_length=300)] | None = None
    devices: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = 1
    efficiency: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    scaling: Annotated[dict[str, float], Field(max_length=1024)] | None = None
    checkpoints: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    checkpoint_limit: Annotated[int, Field(ge=1, lt=2**60)] | None = None
    fixed: dict[str, Any] | None = None


class StudyChange(Body):
    """What may change of a study; what is left out stays."""

    name: Name | None = None
    trials: int | None = None
    budget: str | float | None = None
    total_resource: int | None = None
    target: float | None = None
    weight: Weight | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] | None = None
    min_slots: Slots | None = None
    max_slots: Slots | None = None


class Wish(Body):
    """What somebody asks of a study, as other processes do of one that runs on their machine."""

    request: Literal["pause", "stop", "enqueue", "note", "fix", "change_space"]
    data: dict[str, Any] = {}


class Known(Body):
    """A result that is known from elsewhere."""

    config: dict[str, Any]
    metrics: Metrics | float
    resource: int | None = None


class Ask(Body):
    """A request for a job."""

    worker: Annotated[str, Field(max_length=200)] = ""


class Report(Body):
    """A value on the way."""

    resource: Annotated[int, Field(ge=1, lt=2**53)]
    metrics: Metrics
    checkpoint: Annotated[str, Field(max_length=2000)] | None = None
    size: Annotated[int, Field(ge=0, lt=2**60)] = 0  # of a checkpoint that the service has not seen itself
    digest: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""


class Attributes(Body):
    """What is kept of a trial beside its metrics."""

    attributes: Annotated[dict[str, Any], Field(min_length=1, max_length=100)]


class Renew(Body):
    """A sign of life."""

    worker: Annotated[str, Field(max_length=200)] = ""


class Tell(Body):
    """How a job ended."""

    outcome: Literal["finished", "error", "infeasible", "timeout", "memory", "lost", "damaged", "stopped"]
    metrics: Metrics | None = None
    message: Annotated[str, Field(max_length=10_000)] = ""
    checkpoint: Annotated[str, Field(max_length=2000)] | None = None


class NewWorker(Body):
    """A machine that lends slots.

    `run` names its process, the same each time that it registers: jobs of the earlier ones of this name are
    given up at once. Without one they are lost when their leases end.
    """

    name: Name
    run: Annotated[str, Field(max_length=64)] = ""
    slots: Annotated[int, Field(ge=1, le=100_000)]
    labels: dict[str, str] = {}


class RunningJob(Body):
    """A job that a worker runs; `key` is its study's, as the job had it."""

    study: Name
    trial: Trial
    attempt: Trial
    key: Annotated[str, Field(max_length=100)] = ""


class Poll(Body):
    """A worker's sign of life and its question for more; which studies it does not run, and why.

    `free` are slots that want a job now; `lends` those that it could fill, busy ones too, null for all.
    """

    running: list[RunningJob] = []
    free: Slots = 0
    lends: Slots | None = None
    wait: Annotated[float, Field(ge=0, le=20)] = 0.0
    refuse: dict[Name, Why] | list[Name] = {}


def numbers(metrics: Metrics | None) -> Mapping[str, float] | None:
    """Metrics as they were before JSON took NaN away."""
    if metrics is None:
        return None
    return {name: math.nan if value is None else value for name, value in metrics.items()}
