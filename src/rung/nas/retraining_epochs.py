"""The epochs of a training from scratch: a step, an epoch, its scores.

An epoch is a function of the state before it and of (seed, epoch): the order of the pictures, what
augmentation draws, and which paths are dropped. So a training goes on from a checkpoint bit for bit.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

import torch
from torch import Tensor, nn

from rung.nas.data.augment import IMAGENET_JITTER, Augmentation, augmentation_of
from rung.nas.data.batches import batches, evaluation_batches
from rung.nas.data.pictures import Pictures
from rung.nas.devices import average, average_statistics, part, rank, world
from rung.nas.genotype import Genotype
from rung.nas.loop import Diverged
from rung.nas.moment import Moment
from rung.nas.network import CellNetwork
from rung.nas.operations import Operation
from rung.nas.retraining_limits import built
from rung.nas.retraining_schedule import Schedule
from rung.nas.task import Scores

TESTING: Final = 1 / 3  # of the time of training on a picture, for testing one
TESTED: Final = 0.25  # of the time of training, at most, for tests before the last


class Row(NamedTuple):
    """An epoch: its number from 1, rate, probability of dropping a path; mean loss (nats) and accuracy of the
    training pictures while trained on; loss and accuracy of the test part after it, None where it was not
    tested; seconds it took.
    """

    epoch: int
    rate: float
    drop_path: float
    train_loss: float
    train_accuracy: float
    loss: float | None
    accuracy: float | None
    seconds: float


class Tick(NamedTuple):
    """What a watcher sees after each step: epoch from 0, of how many; steps done of the epoch, of how many;
    its mean loss so far; seconds of the whole training; after an epoch's last step, its row.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds: float
    row: Row | None = None


Watch = Callable[[Tick], object]


class Job(NamedTuple):
    """All that a training depends on."""

    genotype: Genotype
    pictures: Pictures
    schedule: Schedule
    seed: int
    device: str
    table: Mapping[str, Operation]

    @property
    def augmentation(self) -> Augmentation:
        """Of training pictures."""
        jitter = IMAGENET_JITTER if self.schedule.jitter else None
        return augmentation_of(self.pictures, cutout=self.schedule.cutout, jitter=jitter)

    @property
    def every(self) -> int:
        """Epochs between two tests: as few as take about a quarter of the time of training."""
        tested = 0 if self.pictures.y_test is None else len(self.pictures.y_test)
        return max(math.ceil(tested * TESTING / (TESTED * len(self.pictures.y_train))), 1)

    def tests(self, epoch: int) -> bool:
        """Whether the test part is scored after this epoch, counted from 0."""
        return (epoch + 1) % self.every == 0 or epoch + 1 == self.schedule.epochs

    @property
    def steps(self) -> int:
        """Of an epoch: whole batches."""
        return len(self.pictures.y_train) // self.batch

    @property
    def batch(self) -> int:
        """Pictures in a step, of all processes together."""
        return min(self.schedule.batch, len(self.pictures.y_train))

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This process' part of an epoch's batches, a function of (seed, epoch)."""
        for x, y in batches(
            self.pictures.x_train,
            self.pictures.y_train,
            self.batch,
            seed=self.seed,
            epoch=epoch,
            augmentation=self.augmentation,
            device=self.device,
        ):
            yield part(x), part(y)


@dataclass
class State:
    """A training under way: `model` is `net`, or what shares its gradients with other processes."""

    net: nn.Module
    model: nn.Module
    optimizer: torch.optim.SGD
    epoch: int = 0
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)


def begin(job: Job) -> State:
    """A training before its first step: its weights are a function of the seed, the same in all processes."""
    torch.manual_seed(Moment(job.seed, 0, 1).number("weights"))
    net = built(job.genotype, job.pictures, job.table)(job.schedule)
    net.to(device=job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    schedule = job.schedule
    optimizer = torch.optim.SGD(
        net.parameters(), lr=schedule.rate, momentum=schedule.momentum, weight_decay=schedule.decay
    )
    return State(net, _shared(net, job), optimizer)


def _shared(net: nn.Module, job: Job) -> nn.Module:
    """The network, its gradients averaged over all processes if there are several."""
    if world() == 1:
        return net
    from torch.nn.parallel import DistributedDataParallel

    # A cell may have nodes or inputs that reach no output; statistics are averaged once an epoch.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*broadcast_buffers")  # later torches have another name for it
        return DistributedDataParallel(
            net, broadcast_buffers=False, find_unused_parameters=not _all_used(job.genotype)
        )


def _all_used(genotype: Genotype) -> bool:
    """Whether each input and node of each cell is part of what the cell gives out."""
    for _, cell in genotype.cells:
        used = set(cell.concat)
        for number in reversed(range(len(cell.nodes))):
            if cell.inputs + number in used:
                used |= {source for _, source in cell.nodes[number]}
        if len(used) < cell.inputs + len(cell.nodes):
            return False
    return True


def one_epoch(job: Job, state: State, watch: Watch | None = None) -> Row:
    """One epoch, and its scores.

    Raises:
        Diverged: a loss is not finite; the state is of no use any more, the one before is.
    """
    began, schedule = time.perf_counter(), job.schedule
    torch.manual_seed(Moment(job.seed, state.epoch, schedule.epochs, rank()).number("paths"))
    rate, dropped = schedule.rate_of(state.epoch), schedule.drop_path_of(state.epoch)
    state.optimizer.param_groups[0]["lr"] = rate
    if isinstance(state.net, CellNetwork):
        state.net.set_drop_path(dropped)
    state.net.train()
    loss, right = 0.0, 0.0
    for step, (x, y) in enumerate(job.batches(state.epoch), 1):
        value, correct = train_step(job, state, x, y)
        if not math.isfinite(value):
            raise Diverged(
                f"the training loss is {value} in epoch {state.epoch + 1}, step {step}: try a lower --rate"
            )
        loss, right = loss + value, right + correct
        if watch is not None and step < job.steps:
            spent = state.seconds + time.perf_counter() - began
            watch(Tick(state.epoch, schedule.epochs, step, job.steps, loss / step, spent))
    average_statistics(state.net)
    _check_weights(state)  # the last step's loss was of the weights before it
    tested = score(job, state.net) if job.tests(state.epoch) else None
    if tested is not None and not math.isfinite(tested.loss):
        raise Diverged(f"the test loss is {tested.loss} after epoch {state.epoch + 1}: try a lower --rate")
    seconds = time.perf_counter() - began
    row = Row(
        state.epoch + 1,
        rate,
        dropped,
        loss / job.steps,
        average(right / job.steps, job.device),
        None if tested is None else tested.loss,
        None if tested is None else tested.accuracy,
        seconds,
    )
    state.epoch, state.seconds = state.epoch + 1, state.seconds + seconds
    state.rows.append(row)
    if watch is not None:
        watch(
            Tick(state.epoch - 1, schedule.epochs, job.steps, job.steps, row.train_loss, state.seconds, row)
        )
    return row


def _check_weights(state: State) -> None:
    """Refuse weights and statistics that are no numbers.

    Raises:
        Diverged: some are not finite.
    """
    if not all(bool(value.isfinite().all()) for value in state.net.state_dict().values()):
        raise Diverged(f"weights are not finite after epoch {state.epoch + 1}: try a lower --rate")


def train_step(job: Job, state: State, x: Tensor, y: Tensor) -> tuple[float, float]:
    """One step: cross entropy with smoothed labels, and the auxiliary head's, weighed.

    Returns:
        The loss, without the auxiliary head's, mean over all processes (where it is not finite nothing is
        changed), and the share of this process' pictures classified rightly.
    """
    schedule = job.schedule
    state.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=schedule.amp):
        scores = state.model(x)
    scores, second = scores if isinstance(scores, tuple) else (scores, None)
    main = loss = smoothed(scores.float(), y, schedule.label_smoothing)
    if second is not None:
        loss = main + schedule.auxiliary * smoothed(second.float(), y, schedule.label_smoothing)
    value = average(float(loss.detach()), job.device)
    right = float((scores.detach().argmax(1) == y).float().mean())
    if math.isfinite(value):
        torch.autograd.backward(loss)
        if schedule.clip:
            nn.utils.clip_grad_norm_(state.net.parameters(), schedule.clip)
        state.optimizer.step()
        value = average(float(main.detach()), job.device)
    return value, right


def smoothed(scores: Tensor, y: Tensor, share: float) -> Tensor:
    """Mean cross entropy with labels of which a share is spread evenly over all classes."""
    return nn.functional.cross_entropy(scores, y, label_smoothing=share)


def score(job: Job, net: nn.Module, limit: int | None = None) -> Scores:
    """Loss (nats) and accuracy on the test part, or on its first pictures, in evaluation mode."""
    x, y = job.pictures.x_test, job.pictures.y_test
    assert x is not None
    assert y is not None
    x, y = x[:limit], y[:limit]
    net.eval()
    loss, right = 0.0, 0
    with (
        torch.no_grad(),
        torch.autocast(job.device.split(":")[0], dtype=torch.bfloat16, enabled=job.schedule.amp),
    ):
        for xs, ys in evaluation_batches(x, y, 256, augmentation=job.augmentation, device=job.device):
            scores = cast(Tensor, net(xs)).float()
            loss += float(nn.functional.cross_entropy(scores, ys, reduction="sum"))
            right += int((scores.argmax(1) == ys).sum())
    net.train()
    return Scores(loss / len(y), right / len(y))
