"""Training a derived network from scratch, as in DARTS' evaluation (sections 3.2 and A.1.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from rung.nas import retraining_files as files
from rung.nas import retraining_limits as limits
from rung.nas.counting import count
from rung.nas.data.pictures import Pictures
from rung.nas.data.strata import halves
from rung.nas.devices import average, check_batch, device_of, from_first, gpus, rank, together
from rung.nas.genotype import Genotype
from rung.nas.loop import Diverged
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.retraining_budget import Budget, Probe, epochs_within, least, measured
from rung.nas.retraining_epochs import Job, Row, State, Watch, begin, one_epoch, score, train_step
from rung.nas.retraining_schedule import Schedule
from rung.nas.task import Scores
from rung.study.durations import spoken

_OVERRUN: Final = 1.1  # of a budget, at which a training ends before its last epoch


@dataclass(frozen=True)
class Retrained:
    """A network trained from scratch.

    Attributes:
        loss, accuracy: on the test part after the last epoch; loss in nats.
        epochs: that were done.
        parameters, multiply_adds: without the auxiliary head; see `rung.nas.counting.CONVENTION`.
        seconds: of training and testing.
        schedule: as it was used.
        rows: one an epoch.
        notes: what a reader should know, in sentences.
        diverged: why the training stopped, if its loss was no longer finite.
        network: the trained network, on its device.
    """

    loss: float
    accuracy: float
    epochs: int
    parameters: int
    multiply_adds: int
    seconds: float
    schedule: Schedule
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    diverged: str | None
    network: nn.Module = field(repr=False, compare=False)

    @classmethod
    def of(cls, form: Mapping[str, Any], table: Mapping[str, Operation] = OPERATIONS) -> Retrained:
        """From the content of the file that the network was written to."""
        names = ("loss", "accuracy", "epochs", "parameters", "multiply_adds", "seconds", "diverged")
        return cls(
            **{name: form[name] for name in names},
            schedule=Schedule(**form["schedule"]),
            rows=tuple(Row(**row) for row in form["rows"]),
            notes=tuple(form["notes"]),
            network=files.trained_network(form, table).network,
        )

    def to_dict(self) -> dict[str, Any]:
        """For files: all but the network."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "epochs": self.epochs,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "seconds": self.seconds,
            "schedule": asdict(self.schedule),
            "rows": [row._asdict() for row in self.rows],
            "notes": list(self.notes),
            "diverged": self.diverged,
        }


def retrain(  # noqa: PLR0913  # a door
    genotype: Genotype,
    pictures: Pictures,
    schedule: Schedule | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    budget: float | None = None,
    began: float | None = None,
    watch: Watch | None = None,
    tell: Callable[[str], object] | None = None,
    table: Mapping[str, Operation] = OPERATIONS,
) -> Retrained:
    """Train a genotype's network from scratch on all training pictures, and score it on the test part.

    Args:
        pictures: without a test part, a fifth of each class is split off for it.
        schedule: the paper's unless told.
        seed: of the weights, the order of pictures, and all else that is random.
        device: "cpu", "cuda", or "auto".
        out: where the network is written; beside it, after each epoch, a checkpoint, removed at the end.
        resume: go on from that checkpoint.
        budget: seconds; fewer epochs are planned where all do not fit.
        began: the monotonic time from which the budget counts; now, unless told.
        watch: called after each step.
        tell: called with each of the notes, as soon as it is known.
        table: operations by name.

    Raises:
        SpaceError: the genotype cannot be built, or the checkpoint is of another training.
        UserError: pictures too small for the network, too little memory, a budget under one epoch, a
            checkpoint in the way.
        Diverged: the loss is not finite in the first epoch.
    """
    pictures = pictures.with_test(seed)
    wanted = schedule or Schedule()
    wanted, notes = limits.fitted(wanted, genotype, pictures)
    log = Notes(tell, [*pictures.notes, *notes])
    allowed = None if budget is None else Budget(budget, time.monotonic() if began is None else began)
    device = device_of(device)
    with together(device), torch.random.fork_rng(devices=gpus(device)):
        job = Job(genotype, pictures, wanted, seed, device, table)
        check_batch(job.batch)
        keeper = Keeper(job, None if out is None else Path(out), resume)
        with _short_of_memory(job):
            job = _planned(job, keeper, allowed, log)
            result = _trained(job, keeper, allowed, watch, log)
        keeper.finish(result)
    return result


def _short_of_memory(job: Job) -> AbstractContextManager[None]:
    """Say what would fit where memory runs out inside."""
    build = limits.built(job.genotype, job.pictures, job.table)
    return limits.named_out_of_memory(build, job.schedule, job.pictures.shape, job.device)


class Notes:
    """What a reader should know, in sentences, told as soon as it is known."""

    def __init__(self, tell: Callable[[str], object] | None, notes: Sequence[str]) -> None:
        self._tell = tell
        self.notes: list[str] = []
        for note in notes:
            self.add(note)

    def add(self, note: str) -> None:
        """One more."""
        self.notes.append(note)
        if self._tell is not None:
            self._tell(note)


class Keeper:
    """The files of a training: its checkpoint, and the network at the end; nothing without `out`."""

    def __init__(self, job: Job, out: Path | None, resume: bool) -> None:
        self._job, self._out = job, out
        self.kept: dict[str, Any] | None = None
        if out is None:
            return
        path = files.checkpoint_of(out)
        self.kept = from_first(lambda: files.kept(path, resume=resume))

    def planned(self) -> int | None:
        """The number of epochs that the checkpoint's training was planned for."""
        return None if self.kept is None else int(self.kept["identity"]["epochs"])

    def load(self, job: Job, state: State) -> None:
        """Take over what was kept, if one goes on.

        Raises:
            SpaceError: it is of another training.
        """
        self._job = job
        if self.kept is None or self._out is None:
            return
        mine = files.identity(job.genotype, job.pictures, job.schedule, job.seed)
        files.check_same(files.checkpoint_of(self._out), mine, self.kept["identity"])
        state.net.load_state_dict(self.kept["net"])
        state.optimizer.load_state_dict(self.kept["optimizer"])
        state.epoch, state.seconds = self.kept["epoch"], self.kept["seconds"]
        state.rows = [Row(*row) for row in self.kept["rows"]]
        self.kept = None

    def save(self, state: State) -> None:
        """After an epoch."""
        if self._out is None or rank():
            return
        job = self._job
        form = {
            "identity": files.identity(job.genotype, job.pictures, job.schedule, job.seed),
            "net": state.net.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "epoch": state.epoch,
            "seconds": state.seconds,
            "rows": [list(row) for row in state.rows],
        }
        files.write(form, files.checkpoint_of(self._out))

    def finish(self, result: Retrained) -> None:
        """Write the network, and remove the checkpoint, if the training came to its end."""
        if self._out is None or rank():
            return
        job = self._job
        same = files.identity(job.genotype, job.pictures, job.schedule, job.seed)
        about = {**result.to_dict(), "seed": job.seed, "identity": same}
        files.save_network(self._out, result.network, job.genotype, result.schedule, job.pictures, about)
        if result.diverged is None:
            files.checkpoint_of(self._out).unlink(missing_ok=True)


def _planned(job: Job, keeper: Keeper, budget: Budget | None, log: Notes) -> Job:
    """The job with as many epochs as its budget has time for."""
    if budget is None:
        return job
    known = keeper.planned()
    if known is None:
        epochs = epochs_within(_probe(job), job.schedule.epochs, budget)
    else:
        epochs = min(known, job.schedule.epochs)
    if epochs == job.schedule.epochs:
        return job
    warm_up = min(job.schedule.warm_up, epochs - 1)
    log.add(
        f"{epochs} of {job.schedule.epochs} epochs are planned, to fit a budget of {spoken(budget.seconds)}"
    )
    return job._replace(schedule=replace(job.schedule, epochs=epochs, warm_up=warm_up))


def _probe(job: Job) -> Probe:
    """Steps of a training that is thrown away, for timing."""
    state = begin(job)
    stream = job.batches(0)
    state.net.train()

    def step() -> bool:
        batch = next(stream, None)
        if batch is None:
            return False
        train_step(job, state, *batch)
        return True

    assert job.pictures.x_test is not None
    tested = len(job.pictures.x_test)
    return Probe(
        step, lambda: score(job, state.net, limit=job.batch), job.steps, tested, job.every, job.batch
    )


def training_seconds(
    genotype: Genotype, pictures: Pictures, schedule: Schedule, device: str, table: Mapping[str, Operation]
) -> float:
    """What a training takes here, by timing a few steps of one that is thrown away."""
    with torch.random.fork_rng(devices=gpus(device)):
        job = Job(genotype, pictures, schedule, 0, device_of(device), table)
        with _short_of_memory(job):
            training, testing = measured(_probe(job))
    return schedule.epochs * (training + testing / job.every)


def step_seconds(  # what is timed, all that it depends on
    genotype: Genotype,
    pictures: Pictures,
    schedule: Schedule,
    device: str,
    table: Mapping[str, Operation],
    probes: int,
) -> float:
    """What a training step takes here, the least of so many after one; of that one if none is wanted."""
    with torch.random.fork_rng(devices=gpus(device)):
        job = Job(genotype, pictures, schedule, 0, device_of(device), table)
        with _short_of_memory(job):
            return least(_probe(job), probes)


def _trained(job: Job, keeper: Keeper, budget: Budget | None, watch: Watch | None, log: Notes) -> Retrained:
    state = begin(job)
    keeper.load(job, state)
    good: dict[str, Tensor] = _copied(state.net)
    diverged = None
    while state.epoch < job.schedule.epochs:
        try:
            one_epoch(job, state, watch)
        except Diverged as why:
            if not state.epoch:
                raise
            state.net.load_state_dict(good)
            diverged = f"{why}; the weights of epoch {state.epoch} are kept"
            break
        good = _copied(state.net)
        keeper.save(state)
        if state.epoch < job.schedule.epochs and _overrun(budget, state.rows[-1].seconds):
            log.add(
                f"ended after {state.epoch} of {job.schedule.epochs} epochs: they took longer than "
                "the first steps had promised"
            )
            break
    return _result(job, state, log, diverged)


def _overrun(budget: Budget | None, each: float) -> bool:
    """Whether another epoch would end long after the budget; all processes answer alike."""
    return budget is not None and average(budget.spent() + each) > _OVERRUN * budget.seconds


def _result(job: Job, state: State, log: Notes, diverged: str | None) -> Retrained:
    last = state.rows[-1]
    tested = score(job, state.net) if last.loss is None else Scores(last.loss, last.accuracy)
    assert tested.accuracy is not None  # pictures have classes
    state.rows[-1] = last._replace(loss=tested.loss, accuracy=tested.accuracy)
    cost = count(
        job.genotype,
        job.schedule.channels,
        job.schedule.layers,
        len(job.pictures.classes),
        image_size=job.pictures.side,
        pictures=job.pictures.shape[2],
        stem=job.schedule.stem,
        table=job.table,
    )
    return Retrained(
        loss=tested.loss,
        accuracy=tested.accuracy,
        epochs=state.epoch,
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        seconds=state.seconds,
        schedule=job.schedule,
        rows=tuple(state.rows),
        notes=tuple(log.notes),
        diverged=diverged,
        network=state.net.eval(),
    )


def _copied(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def apart(pictures: Pictures, seed: int) -> Pictures:
    """The weights' half of a search's pictures to train on, and the alphas' half to be scored on."""
    first, second = halves(pictures.y_train, seed, classes=pictures.classes)
    x, y = pictures.x_train, pictures.y_train
    return replace(pictures, x_train=x[first], y_train=y[first], x_test=x[second], y_test=y[second], notes=())
