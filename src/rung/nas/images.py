"""The task of classifying pictures: halves for weights and alphas, losses, and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from rung.nas.costs import Costs, supernet_costs
from rung.nas.counting import count
from rung.nas.data.augment import Augmentation
from rung.nas.data.batches import batches, evaluation_batches
from rung.nas.data.pictures import Pictures
from rung.nas.data.strata import halves
from rung.nas.devices import part
from rung.nas.genotype import Genotype
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.recipe import Recipe
from rung.nas.retraining_schedule import schedule_of
from rung.nas.space import Space
from rung.nas.supernet import Form, Supernet
from rung.nas.task import SHORT, Call, Mixed, Net, Scores, Short

if TYPE_CHECKING:
    from rung.nas.retraining import Retrained
    from rung.nas.retraining_epochs import Watch


class ImageBatch(NamedTuple):
    """Pictures (n, c, h, w), normalised, and their classes (n,)."""

    x: Tensor
    y: Tensor
    pace: float = 1.0

    @property
    def size(self) -> int:
        """Pictures."""
        return len(self.y)


class ImageTask:
    """Pictures for a search: one half for the weights, the other for the alphas (DARTS, section 3.1.1).

    Args:
        pictures: the data.
        channels, layers: of the supernet.
        batch: pictures in a step.
        seed: of everything random.
        augmentation: of training pictures.
        device: where networks are.
        dtype: of pictures and networks.
        table: operations by name, a user's own among them.
    """

    def __init__(  # noqa: PLR0913  # a task, all that describes it
        self,
        pictures: Pictures,
        *,
        channels: int,
        layers: int,
        batch: int,
        seed: int,
        augmentation: Augmentation,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        table: Mapping[str, Operation] = OPERATIONS,
    ) -> None:
        self.table = table
        self.pictures = pictures
        self.channels, self.layers = channels, layers
        self.batch, self.seed, self.augmentation = batch, seed, augmentation
        self.device, self.dtype = torch.device(device), dtype
        first, second = halves(pictures.y_train, seed, classes=pictures.classes)
        self.x, self.y = pictures.x_train[first], pictures.y_train[first]
        self.x_alphas, self.y_alphas = pictures.x_train[second], pictures.y_train[second]
        self._costs: dict[tuple[str, str], Costs] = {}

    @property
    def spoken(self) -> str:
        """What the data is, in a few words."""
        height, width, channels = self.pictures.shape
        kind = "grey" if channels == 1 else "colour"
        return (
            f"{len(self.y):,} + {len(self.y_alphas):,} {kind} pictures of {height} x {width} "
            f"for weights and alphas, {len(self.pictures.classes)} classes"
        )

    @property
    def identity(self) -> dict[str, Any]:
        """Of the pictures, and of what is done to them."""
        pictures, done = self.pictures, self.augmentation
        return {
            "data": [list(pictures.shape), *pictures.checksums, list(pictures.classes)],
            **{name: getattr(done, name) for name in ("padding", "flip", "cutout")},
        }

    @property
    def steps(self) -> int:
        """Of an epoch: whole batches of the weights' half."""
        return max(min(len(self.y), len(self.y_alphas)) // self.batch, 1)

    def supernet(self, space: Space, form: str, seed: int) -> Net:
        """Its weights are a function of the seed, the same in either form."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = self._made(space, "plain" if form == "fused" else form)
        net = self._made(space, form) if form == "fused" else made
        if net is not made:
            net.load_plain_state(made.plain_state())
        net.to(device=self.device, dtype=self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return net

    def _made(self, space: Space, form: str) -> Supernet:
        return Supernet(
            space,
            self.channels,
            self.layers,
            len(self.pictures.classes),
            pictures=self.pictures.shape[2],
            form=cast(Form, form),
        )

    def pairs(self, epoch: int) -> Iterator[tuple[ImageBatch, ImageBatch]]:
        """Batches of the two halves, in orders of their own."""
        yield from zip(
            self._batches(self.x, self.y, epoch, 2 * self.seed),
            self._batches(self.x_alphas, self.y_alphas, epoch, 2 * self.seed + 1),
            strict=False,
        )

    def _batches(self, x: Any, y: Any, epoch: int, seed: int) -> Iterator[ImageBatch]:
        size = min(self.batch, len(y))
        for xs, ys in batches(
            x, y, size, seed=seed, epoch=epoch, augmentation=self.augmentation, device=str(self.device)
        ):
            yield ImageBatch(part(xs.to(self.dtype)), part(ys))

    def loss(self, call: Call, mixed: Mixed, batch: ImageBatch, *, training: bool = False) -> Tensor:
        """Mean cross entropy, in nats."""
        return nn.functional.cross_entropy(call(batch.x, mixed.mixtures, mixed.active), batch.y)

    def evaluate(self, call: Call, mixed: Mixed | None) -> Scores:
        """On the alphas' half; `call` is a module and is left in training mode."""
        return evaluate(
            call,
            self.x_alphas,
            self.y_alphas,
            self.augmentation,
            arguments=() if mixed is None else (mixed.mixtures, mixed.active),
            device=str(self.device),
            dtype=self.dtype,
        )

    def retrain(
        self, genotype: Genotype, recipe: Recipe, seed: int, short: Short = SHORT
    ) -> tuple[Scores | None, list[str]]:
        """See `rung.nas.task.Task`."""
        from rung.nas.retraining_short import short_training

        return short_training(
            genotype,
            self.pictures,
            recipe,
            seed=seed,
            short=short,
            device=str(self.device),
            table=self.table,
        )

    def train(
        self,
        genotype: Genotype,
        recipe: Recipe,
        *,
        seed: int,
        out: Path,
        resume: bool,
        watch: Watch,
    ) -> Retrained:
        """Train a network on the weights' half for the preset's short time, and score it on the alphas' half.

        Args:
            seed: of the training; the halves are the search's.
            out, resume, watch: see `rung.nas.retraining.retrain`.
        """
        from rung.nas.retraining import apart, retrain

        return retrain(
            genotype,
            apart(self.pictures, self.seed),
            schedule_of(recipe),
            seed=seed,
            device=str(self.device),
            out=out,
            resume=resume,
            watch=watch,
            table=self.table,
        )

    def step_seconds(self, genotype: Genotype, recipe: Recipe, probes: int) -> float:
        """What a step of `train` takes here, the least of so many after one (or that one)."""
        from rung.nas.retraining import apart, step_seconds

        pictures = apart(self.pictures, self.seed)
        return step_seconds(genotype, pictures, schedule_of(recipe), str(self.device), self.table, probes)

    def training_seconds(self, genotype: Genotype, recipe: Recipe) -> float:
        """What `train` takes here, by timing a few steps."""
        from rung.nas.retraining import apart, training_seconds

        pictures = apart(self.pictures, self.seed)
        return training_seconds(genotype, pictures, schedule_of(recipe), str(self.device), self.table)

    def size(self, genotype: Genotype, recipe: Recipe) -> tuple[int, int | None]:
        """See `rung.nas.task.Task`."""
        counted = count(
            genotype,
            recipe.retrain_channels,
            recipe.retrain_layers,
            len(self.pictures.classes),
            image_size=self.pictures.side,
            pictures=self.pictures.shape[2],
            table=self.table,
        )
        return counted.parameters, counted.multiply_adds

    def macs(self, net: Net, space: Space, form: str = "plain") -> float:
        """Of a picture's forward pass through what is alive."""
        return self.costs(space, form).of(net.alive)

    def costs(self, space: Space, form: str = "plain") -> Costs:
        """Multiply-adds by operation of a supernet of this form, reckoned once a space and form."""
        key = space.name, form
        if key not in self._costs:
            self._costs[key] = supernet_costs(
                space,
                self.channels,
                self.layers,
                len(self.pictures.classes),
                image_size=self.pictures.side,
                pictures=self.pictures.shape[2],
                form=cast(Form, form),
            )
        return self._costs[key]


def evaluate(  # noqa: PLR0913  # one evaluation, all that it depends on
    net: Any,
    x: Any,
    y: Any,
    augmentation: Augmentation,
    *,
    arguments: tuple[Any, ...] = (),
    batch: int = 256,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Scores:
    """Loss and accuracy of a network in evaluation mode, over all of the pictures, in order."""
    training = net.training
    net.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for xs, ys in evaluation_batches(x, y, batch, augmentation=augmentation, device=device):
            scores = net(xs.to(dtype), *arguments)
            loss += float(nn.functional.cross_entropy(scores, ys, reduction="sum"))
            right += int((scores.argmax(1) == ys).sum())
    net.train(training)
    return Scores(loss / len(y), right / len(y))
