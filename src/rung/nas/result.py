"""What a search found: a cell file that other commands read."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rung.errors import SpaceError
from rung.nas.genotype import Genotype
from rung.storage.whole import write_whole


def finite(value: Any) -> Any:
    """The same for JSON, which has no infinity and no NaN: null stands for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Accuracies:
    """Shares of held-out pictures classified rightly; None where it was not measured.

    Attributes:
        searched: by the supernet; where each network was trained on its own, by the best as it was then.
        derived: by the derived network with the supernet's weights.
        retrained: by the derived network after the preset's short training from scratch.
    """

    searched: float | None = None
    derived: float | None = None
    retrained: float | None = None


@dataclass(frozen=True)
class Gap:
    """Between the network of the last weight step and the derived one with its weights.

    Attributes:
        outputs: largest difference of a score.
        accuracy: of the first, less the second's.
    """

    outputs: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Attributes:
        genotype: what was found.
        strategy, space, preset, cell, seed, data: how.
        parameters, multiply_adds: of the network that was retrained.
        cost: seconds, passes, images, multiply_adds of the search.
        accuracy, relaxation_gap: see there. For a recurrent cell `perplexity` takes the place of accuracy.
        perplexity: by what, of held-out words.
        settings: everything else that was set.
        notes: what a reader should know, in sentences.
        records: one an epoch, see `rung.nas.loop.Record`.
        tried: where each network was trained on its own, one a network: see `rung.nas.complete_result.Tried`.
        study: its name.
        interrupted: whether it was stopped before its end.
    """

    genotype: Genotype
    strategy: str
    space: str
    preset: str
    cell: str
    seed: int
    data: str
    parameters: int
    multiply_adds: int | None
    cost: dict[str, Any]
    accuracy: Accuracies
    relaxation_gap: Gap
    perplexity: dict[str, float | None] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    records: tuple[dict[str, Any], ...] = ()
    tried: tuple[dict[str, Any], ...] = ()
    study: str | None = None
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The form of the cell file."""
        lists = {"records": list(self.records), "tried": list(self.tried)}
        return {**asdict(self), "genotype": self.genotype.to_dict(), **lists}

    def save(self, path: str | Path) -> None:
        """Write the cell file: whole, or not at all.

        Raises:
            DataError: it cannot be written.
        """
        write_whole(path, json.dumps(finite(self.to_dict()), indent=1, allow_nan=False) + "\n")

    @staticmethod
    def read(path: str | Path) -> SearchResult:
        """The inverse of `save`.

        Raises:
            SpaceError: it is no result of a search.
        """
        try:
            form = json.loads(Path(path).read_text(encoding="utf-8"))
            form["genotype"] = Genotype.from_dict(form["genotype"])
            form["accuracy"], form["relaxation_gap"] = (
                Accuracies(**form["accuracy"]),
                Gap(**form["relaxation_gap"]),
            )
            form["notes"], form["records"] = tuple(form["notes"]), tuple(form["records"])
            form["tried"] = tuple(form.get("tried", ()))
            return SearchResult(**form)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SpaceError(f"{path} is no result of a search: {error}") from error
