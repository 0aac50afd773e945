"""`tune`: one call from an objective and a space to the best configuration."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rung.errors import StudyError
from rung.executors.base import Executor
from rung.executors.calling import style_of
from rung.executors.needs import Needs
from rung.executors.setup import Engine
from rung.storage.base import Storage
from rung.study.asked import check_watch
from rung.study.checkpoint_words import trouble
from rung.study.choose import spoken
from rung.study.devices import Scaling
from rung.study.enqueued import unknown_yet
from rung.study.failing import first_failure
from rung.study.found import nothing_found
from rung.study.hints import hints
from rung.study.identity import yes
from rung.study.methods import combination
from rung.study.result import Result
from rung.study.study import Study
from rung.trials.events import Event

Watch = Callable[[Study, Sequence[Event]], None]


def tune(  # noqa: PLR0913  # a door
    objective: Callable[..., Any],
    space: Any,
    *,
    metric: str | Sequence[str] = "loss",
    mode: str | Sequence[str] = "min",
    reference: float | Sequence[float] | None = None,
    constraints: Sequence[str] = (),
    resource: Any = None,
    eta: int = 3,
    method: str | None = None,
    sampler: Any = None,
    scheduler: Any = None,
    workers: int | None = None,
    executor: str | Executor | None = None,
    address: str | None = None,
    needs: str | Needs | None = None,
    devices: int | str | None = None,
    efficiency: float = 0.75,
    scaling: Scaling | None = None,
    trials: int | None = None,
    budget: str | float | None = None,
    total_resource: int | None = None,
    target: float | None = None,
    trial_time: str | float | None = None,
    trial_memory: int | None = None,
    retries: int | None = None,
    seed: int = 0,
    noisy: bool = False,
    confirm: int = 0,
    deterministic: bool | int = False,
    evaluation_cost: str | float | None = None,
    fixed: Mapping[str, Any] | None = None,
    enqueue: Sequence[Mapping[str, Any]] = (),
    transfer: Sequence[Any] = (),
    storage: str | os.PathLike[str] | Storage = "memory",
    study: str | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    checkpoint_limit: int | None = None,
    watch: Callable[[Study, Sequence[Event]], None] | None = None,
    quiet: bool = False,
    task: Mapping[str, Any] | None = None,
) -> Result:
    """Search `space` for the configuration with the best metric.

    Calling again with the same `storage` and `study` goes on where the search stopped.

    Args:
        objective: `train(trial)`, `train(config)` or `train(config, budget)`; returns a number, a mapping
            of metrics, or nothing if it reported; what it returns stands in the place of what it reported
            at its end. With one parameter named `trial` it gets the handle (`rung.executors.handle.Trial`).
        space: a mapping from name to domain, a `rung.Space` or a ConfigSpace object.
        metric, mode: what is optimised, "min" or "max"; lists for several objectives.
        reference: by objective, the value from which improvement counts in the hypervolume.
        constraints: such as "memory <= 2e9", of metrics that the objective reports beside.
        resource: (name, smallest, largest) of what a larger evaluation spends more of.
        eta: one in `eta` trials is promoted.
        method: a named combination of sampler and scheduler, such as "bohb".
        sampler, scheduler: names, with settings if need be, as in "tpe(multivariate=False)", or objects.
            Unless told, both are chosen by what is known of the study, the sampler anew as it goes; a line on
            stderr says what was chosen and why. With a resource, `trials` makes the scheduler asha, and a
            budget without it hyper-tune.
        workers: how many jobs run at once: one unless told, on a cluster as many as it holds.
        executor: "inline", "local", "ray", "simulated", or an object; in line for one worker, local for more
            and where trials have limits.
        address: of a Ray cluster, as "10.0.0.1:6379" or "auto"; without one Ray is started on this machine.
        needs: what a trial takes of a cluster, as "cpus=2,gpus=0.5,memory=4GB,custom.tpu=1,nodes=2".
        devices: how many a job gets, and as many of the workers' slots; "auto": one at the lowest rung, and
            more as a trial climbs, while slots are free (`rung.study.devices`). None: as the study was told
            before, at first one. `trial.devices` tells the objective.
        efficiency: with "auto", the least predicted speed-up for each device, above 0 and at most 1.
        scaling: with "auto", the predicted speed-up by number of devices, as in {1: 1.0, 2: 1.9, 4: 3.5},
            or a file that `rung plan --json` wrote.
        trials: start exactly this many configurations, then finish the promotions that they allow.
        budget: wall time, in seconds or as "5m", over all sessions.
        total_resource: the sum of all jobs' resource; a job from a to b costs b - a if a checkpoint
            carried the trial to a, else b. If the space is used up before it (or `budget`) is, and `trials`
            is not given, trials that the rule left behind go on, the best first. With `confirm` it covers the
            repeats, too.
        target: stop when the incumbent is this good; with `confirm`, after its repeats. If running jobs
            still tell of a worse one at a larger resource, which is the incumbent then, the study goes on.
        trial_time, trial_memory: limits on one job (seconds or text; bytes): over one it is ended. In line
            there is none on memory, and time is looked at when an objective that takes (trial) reports.
        retries: how often a job is tried again whose worker was lost; 3 unless told. Called again for a
            study, limits that are not named stay as they are; an end that is named takes the others' place.
        seed: of everything random. What is chosen where no sampler is named goes by measured times; declare
            `evaluation_cost`, or name one, for the same study each time.
        noisy: a configuration that was tried may come again.
        confirm: how often the best configurations are evaluated again before one is declared.
        deterministic: take results in the order of so many simulated workers (True: 8), so that the study is
            the same on any number of real ones.
        evaluation_cost: seconds (or text, as "10m") that one evaluation takes, if known beforehand.
        fixed: values that all configurations get, by name.
        enqueue: configurations to run first; parameters that one leaves out get random values. Calling again
            passes over those that the study has tried or is to run already.
        transfer: earlier studies to learn from: names in the same storage, `Study`s or `Result`s.
        storage: "memory", a path, or a URL such as "sqlite:///study.db".
        study: its name.
        checkpoints: where they lie: a folder, a URL that fsspec knows (`s3://bucket/prefix`), or "study" for
            the study's own folder; None: as the study was told before, at first its own folder.
        checkpoint_limit: bytes that they may be, 0 for no limit; over it those are given up that cost least
            to make again, never the incumbent's or one that a job starts from. None: as the study was told.
        watch: called with the study and each batch of logged events; `study.stop()` ends the search.
        quiet: say nothing on stderr.

    Returns:
        The result; `best` is None if no trial has a value, and a warning says why.

    Raises:
        UserError: what was given cannot be used; the message says what to do.
    """
    given = {name: value for name, value in locals().items() if name not in _NOT_OF_THE_STUDY}
    _check(objective, watch, quiet)  # before anything is written
    engine = executor if address is None and needs is None else _cluster(executor, address, needs)
    opened = Study(**given | _policies(method, sampler, scheduler))
    with _kept_unless_refused(opened):
        opened.keep_checkpoints(checkpoints, checkpoint_limit)
        _ask_for(opened, fixed, enqueue)
        if devices is not None or scaling is not None:
            opened.allot(1 if devices is None else devices, efficiency, scaling)
        tell = watch if quiet else _telling(watch)
        for line in () if quiet else hints(opened.history, objective):
            print(f"rung: {line}", file=sys.stderr)
        result = opened.run(objective, workers=workers, executor=engine, watch=tell)
    _warn_if_nothing(result, opened)
    return result


@contextmanager
def _kept_unless_refused(study: Study) -> Iterator[None]:
    """Close the study; one that was begun here and never ran, because of what was asked for, is deleted.

    Else the same call, put right, would be refused: the study of that name has other settings.
    """
    try:
        with study:
            yield
    except Exception:
        clock = study.history.clock
        if study.writer.new and not study.history.values and clock.began is None and not clock.seconds:
            study.storage.delete(study.name)
        raise


def _check(objective: Any, watch: Any, quiet: Any) -> None:
    style_of(objective)
    check_watch(watch)
    yes("quiet", quiet)


def _warn_if_nothing(result: Result, study: Study) -> None:
    if result.best is None and result.trials:
        why = nothing_found(result.trials, study.identity)
        warnings.warn(f"study {result.study!r}: {why}", stacklevel=3)


def _policies(method: str | None, sampler: Any, scheduler: Any) -> dict[str, Any]:
    """Sampler and scheduler, from their own names or from a combination's."""
    if method is None:
        return {"sampler": sampler, "scheduler": scheduler}
    if sampler is not None or scheduler is not None:
        raise StudyError("give either method= or sampler= and scheduler=, not both")
    named = combination(method)
    return {"sampler": named.sampler, "scheduler": named.scheduler}


def _ask_for(study: Study, fixed: Mapping[str, Any] | None, enqueue: Sequence[Mapping[str, Any]]) -> None:
    """Values that all configurations get, and those to run first that the study does not know yet."""
    if fixed is not None:
        study.fix(fixed)
    for config in unknown_yet(study.history, enqueue):
        study.enqueue(config)


def _cluster(executor: str | Executor | None, address: str | None, needs: str | Needs | None) -> Engine:
    if executor is not None and not isinstance(executor, str):
        raise StudyError("address and needs are for executor='ray', not for one of your own")
    return Engine.of(executor or "ray", address, needs)


def _telling(watch: Watch | None) -> Watch:
    """Says on stderr what was chosen and how the first job failed, and hands on to `watch`."""
    failed: list[str] = []

    def tell(study: Study, events: Sequence[Event]) -> None:
        for event in events:
            line = spoken(event, study.identity)
            line = line or trouble(event)
            if line is None and not failed:
                line = first_failure(study.folder, event)
                failed.extend([] if line is None else [line])
            if line is not None:
                print(f"rung: {line}", file=sys.stderr)
        if watch is not None:
            watch(study, events)

    return tell


# what `tune` takes beside the settings of its study
_NOT_OF_THE_STUDY = {
    *("objective", "method", "workers", "executor", "address", "needs"),
    *("devices", "efficiency", "scaling"),
    *("fixed", "enqueue", "watch", "quiet", "checkpoints", "checkpoint_limit"),
}
