"""The comparison on CIFAR-10, at a scale that two cores finish, and the transfer of its cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from benchmarks.given import given
from benchmarks.nas.rows import Row, path_of, read

STRATEGIES: Final = ("random", "darts1", "darts", "asap", "snas", "random-cell")


class Scale(NamedTuple):
    """How much of everything; rates, and what a strategy's course is, are those of the preset `tiny`.

    Attributes:
        size: side of a picture, in pixels.
        train, test: pictures.
        channels, layers, epochs, batch: of the search.
        retrain_channels, retrain_layers, retrain_epochs: of the training from scratch, the same for all.
    """

    size: int = 16
    train: int = 2000
    test: int = 4000
    channels: int = 4
    layers: int = 3
    epochs: int = 12
    batch: int = 32
    retrain_channels: int = 8
    retrain_layers: int = 3
    retrain_epochs: int = 12


FULL: Final = Scale()
QUICK: Final = Scale(8, 400, 400, 4, 3, 2, 32, 4, 3, 1)


@cache
def cifar(scale: Scale, classes: str | None = None) -> Any:
    """CIFAR-10, its pictures made smaller.

    Raises:
        Unavailable: RUNG_DATA is not set.
    """
    from rung.nas.data.reading import read_pictures

    source = given("images/cifar10_jpeg.npz")
    whole = read_pictures(str(source), limit=scale.train, size=scale.size, classes=classes, seed=0)
    return _tested(whole, scale.test)


def _tested(whole: Any, count: int) -> Any:
    from dataclasses import replace

    from rung.nas.data.strata import sample

    if whole.x_test is None or len(whole.y_test) <= count:
        return whole
    kept = sample(whole.y_test, count, 0)
    return replace(whole, x_test=whole.x_test[kept], y_test=whole.y_test[kept])


def searched(strategy: str, seed: int, scale: Scale) -> Row:
    """One search, and the training from scratch of what it found."""
    from rung.nas.comparing import unstopped
    from rung.nas.searching import search

    pictures = cifar(scale)
    if strategy == "random-cell":
        return {
            "what": strategy,
            "seed": seed,
            **_cost(None),
            **trained(random_cell(seed), pictures, seed, scale),
        }
    began = time.perf_counter()
    found = search(
        pictures,
        strategy=strategy,
        epochs=scale.epochs,
        seed=seed,
        limit=scale.train,
        retrain=False,
        settings={"channels": scale.channels, "layers": scale.layers, "batch": scale.batch},
    )
    result = unstopped(found)
    wall = time.perf_counter() - began
    form = result.genotype.to_dict()
    return {
        "what": strategy,
        "seed": seed,
        "wall": round(wall, 2),
        "searched": result.accuracy.searched,
        "derived": result.accuracy.derived,
        "gap_outputs": result.relaxation_gap.outputs,
        "notes": list(result.notes),
        "epochs": len(result.records),
        **_cost(result.cost),
        **trained(form, pictures, seed, scale),
    }


def _cost(cost: dict[str, Any] | None) -> Row:
    names = ("seconds", "passes", "images", "multiply_adds")
    return {name: round(cost[name], 3) if cost else 0 for name in names}


def trained(form: dict[str, Any], pictures: Any, seed: int, scale: Scale) -> Row:
    """Train a cell's network from scratch on all training pictures; its error on the test pictures."""
    from rung.nas.genotype import Genotype
    from rung.nas.retraining import retrain
    from rung.nas.retraining_schedule import Schedule

    schedule = Schedule(
        channels=scale.retrain_channels,
        layers=scale.retrain_layers,
        epochs=scale.retrain_epochs,
        batch=scale.batch,
        rate=0.05,
        drop_path=0.0,
        auxiliary=0.0,
        cutout=0,
    )
    found = retrain(Genotype.from_dict(form), pictures, schedule, seed=seed)
    return {
        "genotype": form,
        "error": round(1.0 - (found.accuracy or 0.0), 5),
        "parameters": found.parameters,
        "retrain_seconds": round(found.seconds, 2),
    }


def random_cell(seed: int, space: str = "darts") -> dict[str, Any]:
    """A cell of a space drawn uniformly: inputs of each node, an operation each but zero."""
    import torch

    from rung.nas.choice import random_choice
    from rung.nas.space import SPACES

    generator = torch.Generator().manual_seed(seed)
    return SPACES[space].genotype(random_choice(SPACES[space], generator)).to_dict()


def cifar_jobs(scale: Scale, seeds: list[int]) -> Iterator[tuple[str, int, Callable[[], Row]]]:
    """(what, seed, call) of the comparison: all strategies of a seed before the next."""
    for seed in seeds:
        for name in STRATEGIES:
            yield name, seed, lambda name=name, seed=seed: searched(name, seed, scale)


def transfer_jobs(scale: Scale, seeds: list[int]) -> Iterator[tuple[str, int, Callable[[], Row]]]:
    """Each cell of the comparison on other data: scikit-learn's digits, and five classes of CIFAR-10 that a
    network of its own is trained for."""
    for row in read(path_of("cifar")):
        if row["seed"] in seeds:
            for data in ("digits", "five-classes"):
                what = f"{row['what']} on {data}"
                yield (
                    what,
                    row["seed"],
                    lambda row=row, what=what, data=data: _transferred(row, what, data, scale),
                )


def current(transfer: Sequence[Row], cifar: Sequence[Row]) -> list[Row]:
    """The rows on other data whose cell is still the comparison's: a search run again finds another."""
    cells = {(row["what"], row["seed"]): row["genotype"] for row in cifar}
    origins = [(row["what"].split(" on ")[0], row["seed"]) for row in transfer]
    return [row for row, of in zip(transfer, origins, strict=True) if row["genotype"] == cells.get(of)]


def _transferred(row: Row, what: str, data: str, scale: Scale) -> Row:
    if data == "digits":
        from rung.nas.data.reading import read_pictures

        pictures = read_pictures("digits", test=True)
    else:
        pictures = cifar(scale, "5-9")
    return {"what": what, "seed": row["seed"], **trained(row["genotype"], pictures, row["seed"], scale)}
