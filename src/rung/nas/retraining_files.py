"""Trained networks and trainings under way on disk: plain data, written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rung.errors import DataError, SpaceError
from rung.nas.data.pictures import Pictures
from rung.nas.devices import from_first, rank
from rung.nas.genotype import Genotype
from rung.nas.network import network
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.plain_data import Damaged, plain_data
from rung.nas.retraining_schedule import Schedule
from rung.storage.whole import write_whole

T = TypeVar("T")

FORMAT: Final = "rung network 1"
_FULL: Final = 2**20  # bytes; with less left a failed write is the disk's fault


class DamagedFile(DataError):  # noqa: N818  # what it is
    """A file that is not as rung wrote it."""


class TrainedNetwork(nn.Module):
    """A trained network with what it needs to be used.

    Attributes:
        network: gives scores for normalised pictures.
        classes: names, by column of the scores.
        size: height and width of the pictures that it was trained on.
        genotype: its cells.
        about: the other settings and figures of its file.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, form: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = net
        self.classes: tuple[str, ...] = tuple(form["classes"])
        self.size: tuple[int, int] = (form["shape"][0], form["shape"][1])
        self.genotype = Genotype.from_dict(form["genotype"])
        self.about: dict[str, Any] = {key: value for key, value in form.items() if key != "weights"}
        self.register_buffer("mean", torch.tensor(form["mean"])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(form["std"])[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, classes).

        Args:
            x: pictures (n, c, h, w), floating point from 0 to 1; they are normalised here.
        """
        return cast(Tensor, self.network((x - self.mean) / self.std))

    def predict(self, x: NDArray[np.uint8]) -> list[str]:
        """The most probable class of each picture.

        Args:
            x: (n, h, w, c) uint8, or (n, h, w) of one channel.
        """
        x = x[..., None] if x.ndim == 3 else x
        self.eval()
        with torch.no_grad():
            pictures = torch.from_numpy(np.ascontiguousarray(x)).to(self.mean.device)
            scores = self(pictures.permute(0, 3, 1, 2).float() / 255.0)
        return [self.classes[code] for code in scores.argmax(1).tolist()]


def save_network(
    path: Path,
    net: nn.Module,
    genotype: Genotype,
    schedule: Schedule,
    pictures: Pictures,
    about: dict[str, Any],
) -> None:
    """Write a network, without its auxiliary head, and all that is needed to use it.

    Args:
        about: figures to keep beside.

    Raises:
        DataError: the file cannot be written.
    """
    weights = {
        name: value.detach().cpu().contiguous()
        for name, value in net.state_dict().items()
        if not name.startswith("auxiliary.")
    }
    form = {
        "format": FORMAT,
        "genotype": genotype.to_dict(),
        "schedule": asdict(schedule),
        "data": pictures.name,
        "classes": list(pictures.classes),
        "shape": list(pictures.shape),
        "mean": list(pictures.mean),
        "std": list(pictures.std),
        **about,
        "weights": weights,
    }
    write(form, path)


def load_network(path: str | Path, *, table: Mapping[str, Operation] = OPERATIONS) -> TrainedNetwork:
    """Read a network that `rung search retrain` wrote; in evaluation mode, on the CPU.

    Args:
        table: operations by name, if the space has its own.

    Raises:
        DataError: the file cannot be read, or holds no network.
    """
    form = read(Path(path))
    if form.get("format") != FORMAT:
        raise DataError(f"{path} is no network of rung search retrain: give the file that its --out names")
    return trained_network(form, table)


def trained_network(form: Mapping[str, Any], table: Mapping[str, Operation] = OPERATIONS) -> TrainedNetwork:
    """The network of a file's content, in evaluation mode, on the CPU."""
    schedule = Schedule(**form["schedule"])
    net = network(
        Genotype.from_dict(form["genotype"]),
        schedule.channels,
        schedule.layers,
        len(form["classes"]),
        pictures=form["shape"][2],
        stem=schedule.stem,
        table=table,
    )
    net.load_state_dict(form["weights"])
    return TrainedNetwork(net, form).eval()


def write(form: Mapping[str, Any], path: Path) -> None:
    """Write plain data with tensors, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """

    def saved(draft: Path) -> None:
        try:
            torch.save(dict(form), draft)
        except RuntimeError as error:  # how torch tells of a full disk, or of a folder that is gone
            full = draft.parent.exists() and shutil.disk_usage(draft.parent).free < _FULL
            raise OSError("the disk is full" if full else str(error)) from error

    write_whole(path, saved, "--out")


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote.

    Raises:
        DamagedFile: it is something else, or no longer what was written.
        DataError: it cannot be read.
    """
    try:
        return plain_data(path)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except Damaged as error:
        raise DamagedFile(f"{path} cannot be read: {error}") from error


def checkpoint_of(out: Path) -> Path:
    """Where a training is kept that will write this network."""
    return out.with_name(out.name + ".checkpoint")


def gone_on(trained: Callable[[bool], T], out: Path | None) -> tuple[T, str | None]:
    """What a training gives that nobody asked to go on: it does where an interrupted one left a checkpoint.

    One that is damaged, or of other settings, is removed, and the training begins again.

    Args:
        trained: the training, told whether it goes on.
        out: beside which the checkpoint lies.

    Returns:
        What it gave, and why it began again, in a sentence, if it did.
    """
    if out is None or not from_first(checkpoint_of(out).exists):
        return trained(False), None
    try:
        return trained(True), None
    except DamagedFile:
        why = "its checkpoint is damaged"
    except SpaceError:
        why = "its checkpoint is of other settings"
    if not rank():
        discard(out)
    return trained(False), f"begun again: {why}"


def discard(out: Path) -> None:
    """Remove what was written here, and the checkpoint beside it."""
    for path in (out, checkpoint_of(out)):
        path.unlink(missing_ok=True)


def kept(path: Path, *, resume: bool) -> dict[str, Any] | None:
    """The checkpoint that a training goes on from; None for one that begins.

    Raises:
        DamagedFile: it is no checkpoint of a training, or no longer what was written.
        DataError: it cannot be read; or, where a training begins, another's is in the way.
    """
    if resume:
        ended = path.with_suffix("")
        if ended.exists() and not path.exists():
            raise DataError(f"the training of {ended} has ended, nothing is left to do: leave --resume out")
        try:
            form = read(path)
        except DamagedFile as error:
            raise DamagedFile(f"{error}: remove it, and begin again without --resume") from error
        if "identity" not in form:
            raise DamagedFile(f"{path} is no checkpoint of a training: remove it, and leave --resume out")
        return form
    if path.exists():
        raise in_the_way(path)
    return None


def identity(genotype: Genotype, pictures: Pictures, schedule: Schedule, seed: int) -> dict[str, Any]:
    """What must be the same where a training goes on."""
    return {
        "cell": genotype.to_dict(),
        "seed": seed,
        "data": [pictures.name, *pictures.checksums, list(pictures.classes)],
        **asdict(schedule),
    }


def check_same(path: Path, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Refuse to go on with another training, or to take its network for this one's.

    Raises:
        SpaceError: the first thing in which they differ.
    """
    for name, value in mine.items():
        if theirs.get(name) != value:
            shown = "" if name in ("cell", "data") else f" ({theirs.get(name)!r} there, {value!r} here)"
            raise SpaceError(
                f"{path} is of another training, with another {name}{shown}: give the same "
                "options, or another --out"
            )


def in_the_way(path: Path) -> DataError:
    """What is said where a training would write over another's checkpoint."""
    return DataError(
        f"{path} keeps a training that did not end: go on with --resume, remove it, or give another --out"
    )
