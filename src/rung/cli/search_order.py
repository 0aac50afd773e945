"""What an architecture search was asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rung.cli.engine import cluster_of
from rung.cli.options import DEFAULT_STORAGE

if TYPE_CHECKING:
    from rung.executors.setup import Engine


@dataclasses.dataclass(frozen=True)
class Order:
    """What `rung search` was asked for; see `rung.nas.searching.search` for what each means.

    Attributes:
        data: a file, a folder, or the name of a scikit-learn set.
        budget: seconds; None for as long as the preset takes.
        settings: of the strategy or of the recipe, as (name, value) pairs.
        out: the cell file.
        report: the HTML page.
        json: whether the result is printed as JSON instead of as tables.
    """

    data: str
    strategy: str = "asap"
    cell: str = "cnn"
    space: str | None = None
    preset: str = "tiny"
    budget: float | None = None
    epochs: int | None = None
    networks: int | None = None
    workers: int | None = None
    seed: int = 0
    settings: tuple[tuple[str, Any], ...] = ()
    limit: int | None = None
    cutout: int = 0
    crop: bool = True
    flip: bool | None = None
    size: int | None = None
    classes: str | None = None
    device: str = "auto"
    retrain: bool = True
    out: str = "cell.json"
    report: str = "search.html"
    storage: str = DEFAULT_STORAGE
    study: str | None = None
    json: bool = False
    executor: str | None = None
    address: str | None = None
    needs: str | None = None

    @property
    def engine(self) -> Engine | None:
        """Where the search runs, if not in this process.

        Raises:
            UserError: another executor than Ray; it cannot be loaded; needs that are not understood.
        """
        return cluster_of(self.executor, self.address, self.needs, "searches")


def order_of(given: Mapping[str, Any]) -> Order:
    """The order of a command's options, by name; others are left out."""
    values = {field.name: given[field.name] for field in dataclasses.fields(Order)}
    return Order(**{**values, "out": str(values["out"]), "report": str(values["report"])})
