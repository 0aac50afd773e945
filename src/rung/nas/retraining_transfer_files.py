"""The folder of a transfer: its trained networks, and the training under way."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.errors import DataError, UserError
from rung.nas import retraining_files as files
from rung.nas import retraining_limits as limits
from rung.nas.data.pictures import Pictures
from rung.nas.devices import from_first, rank
from rung.nas.genotype import Genotype
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.retraining import Retrained
from rung.nas.retraining_schedule import Schedule


class TransferFolder:
    """Keeps `cell.pt`, `random-1.pt` and so on, and beside one that is being trained its checkpoint.

    Args:
        place: the folder; it is made.
        resume: go on with what is in it.

    Raises:
        UserError: another transfer is in the way, or there is nothing to go on with.
        DataError: it cannot be made.
    """

    def __init__(self, place: Path, *, resume: bool) -> None:
        self.place = place
        kept = from_first(lambda: bool(self._kept()))
        if kept and not resume:
            raise UserError(
                f"{place} keeps the networks of a transfer: go on with --resume, remove it, or give another "
                "--out"
            )
        if resume and not kept:
            raise UserError(f"{place} keeps no transfer that could go on: leave --resume out")
        from_first(self._make)

    def _kept(self) -> list[Path]:
        found = [*self.place.glob("cell.pt*"), *self.place.glob("random-*.pt*")]
        return [path for path in found if path.suffix in (".pt", ".checkpoint")]

    def _make(self) -> None:
        try:
            self.place.mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.place} cannot be made ({error.strerror}): give another --out") from error

    def out(self, title: str) -> Path:
        """Where a network is written."""
        return self.place / f"{title.replace(' ', '-')}.pt"

    def under_way(self, title: str) -> bool:
        """Whether its training has a checkpoint."""
        return from_first(files.checkpoint_of(self.out(title)).exists)

    def leave(self) -> None:
        """Remove the folder if nothing is in it."""
        if not rank():
            with suppress(OSError):
                self.place.rmdir()

    def ended(
        self,
        title: str,
        genotype: Genotype,
        pictures: Pictures,
        schedule: Schedule,
        *,
        seed: int,
        fewer: bool,
        table: Mapping[str, Operation] = OPERATIONS,
    ) -> Retrained | None:
        """What was trained before; None if it was not, or not to its end.

        Args:
            fewer: the training may have been planned for fewer epochs than the schedule has, by a budget.

        Raises:
            SpaceError: it is of another training.
            DataError: the network's file is damaged.
        """
        path = self.out(title)
        form = from_first(lambda: _read(path))
        if form is None:
            return None
        whole = pictures.with_test(seed)
        wanted, _ = limits.fitted(schedule, genotype, whole)
        theirs = form["identity"]
        if fewer and theirs["epochs"] < wanted.epochs:
            epochs = int(theirs["epochs"])
            wanted = replace(wanted, epochs=epochs, warm_up=min(wanted.warm_up, epochs - 1))
        files.check_same(path, files.identity(genotype, whole, wanted, seed), theirs)
        if not rank():  # where a process died in between, the network's checkpoint is there still
            files.checkpoint_of(path).unlink(missing_ok=True)
        return Retrained.of(form, table)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        form = files.read(path)
    except files.DamagedFile as error:
        raise DataError(f"{error}: remove it, and its network is trained again") from error
    if form.get("format") != files.FORMAT or "identity" not in form:
        raise DataError(f"{path} is no network of rung search transfer: remove it, or give another --out")
    return form
