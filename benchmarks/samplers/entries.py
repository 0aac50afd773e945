"""The table of samplers and of the peers beside them, and the rows that it gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from benchmarks.peers.call import Missing, call
from benchmarks.rows import Row
from benchmarks.samplers.subject import Cost, Study, loss, measured, space_of_ten
from rung.samplers.auto import TOPIC as CHOICE
from rung.samplers.transfer import TOPIC as TRANSFER
from rung.trials.events import Event, Recorded, Spec

SIZES: Final = (100, 1_000, 10_000)
MODEL_FREE, FOLD = 0.2, 2.0  # targets in milliseconds


class Beside(NamedTuple):
    """A peer that does the same, measured where `most` observations are not passed."""

    label: str
    peer: str
    payload: dict[str, Any]
    most: int = 10_000


@dataclass(frozen=True)
class Entry:
    """A sampler to measure.

    Attributes:
        name: as in `rung methods`.
        settings: of the sampler: no random suggestions, so that each is the model's.
        targets: milliseconds, by observations; under 0 that for all others.
        beside: peers; `times` is how much dearer the first should be at the most observations.
        lazy: refits are few, so that the mean tells more than the median.
        own, ladder, believed, before: see `Study`.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    targets: dict[int, float] = field(default_factory=dict)
    beside: tuple[Beside, ...] = ()
    times: float | None = None
    sizes: tuple[int, ...] = SIZES
    lazy: bool = False
    own: bool = False
    ladder: bool = False
    believed: bool = False
    before: tuple[Event, ...] = ()


def _earlier() -> Event:
    """An earlier study of 500 random trials."""
    space = space_of_ten()
    configs = [space.to_mapping(space.sample(9, number)) for number in range(500)]
    return Recorded(TRANSFER, {"study": "earlier", "rows": [[config, loss(config)] for config in configs]})


_ALL: Final = {0: MODEL_FREE}
ENTRIES: Final = (
    Entry("random", targets=_ALL, beside=(Beside("Optuna random", "optuna", {"sampler": "random"}),)),
    Entry("grid", targets=_ALL),
    Entry("sobol", targets=_ALL, beside=(Beside("Optuna QMC", "optuna", {"sampler": "qmc"}),)),
    Entry("prior", believed=True),
    Entry("anneal", targets={0: FOLD}, own=True),
    Entry(
        "genetic",
        targets={0: FOLD},
        own=True,
        beside=(Beside("Optuna NSGA-II", "optuna", {"sampler": "nsgaii"}),),
    ),
    Entry(
        "evolution",
        targets={0: FOLD},
        own=True,
        beside=(Beside("Syne Tune evolution", "syne-tune", {"searcher": "evolution"}),),
    ),
    Entry(
        "cmaes",
        targets={0: FOLD},
        own=True,
        lazy=True,
        beside=(Beside("Optuna CMA-ES, 7 numbers only", "optuna", {"sampler": "cmaes"}),),
    ),
    Entry("dehb", targets={0: FOLD}, own=True, ladder=True, beside=(Beside("DEHB", "dehb", {}),)),
    Entry(
        "kde",
        {"random_fraction": 0.0},
        {10_000: 2.0},
        (Beside("Optuna TPE", "optuna", {"sampler": "tpe"}), Beside("HpBandSter", "hpbandster", {})),
        times=10.0,
    ),
    Entry(
        "tpe",
        targets={10_000: 5.0},
        beside=(
            Beside("Optuna TPE", "optuna", {"sampler": "tpe"}),
            Beside("Optuna TPE, multivariate", "optuna", {"sampler": "tpe-multivariate"}),
            Beside("Optuna TPE, univariate", "optuna", {"sampler": "tpe-univariate"}),
        ),
        times=15.0,
    ),
    Entry(
        "forest",
        {"random_fraction": 0.0},
        {1_000: 30.0},
        beside=(Beside("SMAC 3", "smac", {}, most=1_000),),
    ),
    Entry("mfes", {"random_fraction": 0.0}, ladder=True),
    Entry(
        "cqr",
        {"random_fraction": 0.0},
        {1_000: 300.0},
        beside=(Beside("Syne Tune CQR", "syne-tune", {"searcher": "cqr"}, most=1_000),),
        lazy=True,
    ),
    Entry(
        "gp",
        targets={200: 500.0, 1_000: 500.0, 10_000: 500.0},
        sizes=(100, 200, 1_000, 10_000),
        beside=(Beside("Optuna GP", "optuna", {"sampler": "gp"}, most=200),),
        lazy=True,
    ),
    Entry("turbo", sizes=(100, 200, 1_000, 10_000), lazy=True),
    Entry("auto", before=(Recorded(CHOICE, {"sampler": "tpe", "settings": {}}),)),
    Entry("transfer", {"base": "random"}, before=(_earlier(),)),
)


def kde_rows() -> list[Row]:
    """The rows of kde at 10,000 observations, a part of the engine's."""
    entry = next(entry for entry in ENTRIES if entry.name == "kde")
    return list(rows_of(replace(entry, sizes=SIZES[-1:])))


def rows_of(entry: Entry, quick: bool = False) -> Iterator[Row]:
    """An entry's rows: each size beside the first peer, the other peers, and what of it is slower."""
    spec = Spec(entry.name, entry.settings)
    sizes = [size for size in entry.sizes if not quick or size <= SIZES[1]]
    study = Study(spec, entry.own, entry.ladder, entry.believed, entry.before)
    first = last = 0.0
    for size in sizes:
        study.grow(size)
        least = 64 if entry.lazy and not quick else 5
        cost = measured(study.step, 0.3 if quick else 3.0, least)
        first, last = first or cost.median, cost.median
        yield from _at(entry, size, cost, quick and size > SIZES[0])
    if 0 in entry.targets and not quick:
        yield Row(f"  the same: {sizes[-1]:,} against {sizes[0]:,}", last / first, "times", 2.0)


def _at(entry: Entry, size: int, cost: Cost, alone: bool) -> Iterator[Row]:
    target = entry.targets.get(size, entry.targets.get(0))
    what = f"{entry.name}, {size:,} observations"
    found = [
        (beside.label, _asked(beside, size)) for beside in entry.beside if size <= beside.most and not alone
    ]
    label, first = found[0] if found else ("", None)
    if isinstance(first, dict):
        yield Row(what, cost.median, "ms", target, f"{label}, ms", first["median"])
    else:
        yield Row(what, cost.median, "ms", target, f"{label}: {first.reason}" if first else "")
    for other, peer in found[1:]:
        if isinstance(peer, dict):
            yield Row(f"  {other}", peer["median"], "ms")
    if isinstance(first, dict) and entry.times is not None and size == entry.sizes[-1]:
        ratio = first["median"] / cost.median
        yield Row(f"  {label} against {entry.name}", ratio, "times", entry.times, at_least=True)
    if entry.lazy:
        yield Row(f"  mean of {cost.steps} suggestions, refits among them", cost.mean, "ms", target)


def _asked(beside: Beside, size: int) -> dict[str, Any] | Missing:
    repeats = 9 if size < SIZES[1] else 5
    return call(
        beside.peer, "suggest", beside.payload | {"rule": "suggest", "observations": size, "repeats": repeats}
    )
