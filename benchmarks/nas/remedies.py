"""Cures for the collapse to skip connections, on RobustDARTS' space S2 (skip or separable convolution).

First-order DARTS is searched for long on few pictures, where its cells turn into skip connections (Zela et
al. 2020, section 3), plainly and with one cure at a time; what is found is trained from scratch, alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from benchmarks.nas.pictures import Scale, cifar, trained
from benchmarks.nas.rows import Row
from benchmarks.reports.markdown import table

SPACE: Final = "s2"
CURES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "plain": {},
        "skip_dropout=0.4": {"skip_dropout": 0.4},
        "early_stop=true": {"early_stop": True},
        "max_skips=2": {"max_skips": 2},
        "decay=0.003": {"decay": 3e-3},
    }
)
LONG: Final = Scale(8, 600, 2000, 4, 3, 20, 32, 8, 3, 10)
QUICK: Final = Scale(8, 200, 200, 4, 3, 2, 32, 4, 3, 1)


def s2_jobs(scale: Scale, seeds: list[int]) -> Iterator[tuple[str, int, Callable[[], Row]]]:
    """(what, seed, call): all cures of a seed before the next."""
    for seed in seeds:
        for name in CURES:
            yield name, seed, lambda name=name, seed=seed: cured(name, seed, scale)


def cured(name: str, seed: int, scale: Scale) -> Row:
    """One search with a cure, and the training from scratch of what it found."""
    from rung.nas.comparing import unstopped
    from rung.nas.searching import search

    pictures = cifar(scale)
    began = time.perf_counter()
    sizes = {"channels": scale.channels, "layers": scale.layers, "batch": scale.batch}
    result = unstopped(
        search(
            pictures,
            strategy="darts1",
            space=SPACE,
            epochs=scale.epochs,
            seed=seed,
            limit=scale.train,
            retrain=False,
            settings={**sizes, **CURES[name]},
        )
    )
    wall = time.perf_counter() - began
    return {
        "what": name,
        "seed": seed,
        "wall": round(wall, 2),
        "epochs": len(result.records),
        "skips": skips(result.genotype.to_dict()["normal"]),
        "skips_by_epoch": [skips(record["genotype"]["normal"]) for record in result.records],
        "searched": result.accuracy.searched,
        "derived": result.accuracy.derived,
        "seconds": round(result.cost["seconds"], 2),
        **trained(result.genotype.to_dict(), pictures, seed, scale),
    }


def skips(edges: list[Any]) -> int:
    """How many of a cell's edges are skip connections."""
    return sum(operation == "skip_connect" for operation, _ in edges)


def cured_table(rows: Sequence[Row]) -> str:
    """Their section of the page: cures in the order in which they are run."""
    lines, rows = [], sorted(rows, key=lambda row: int(row["seed"]))
    for name in CURES:
        own = [row for row in rows if row["what"] == name]
        if own:
            ends = ", ".join(str(row["skips"]) for row in own)
            epochs = ", ".join(str(row["epochs"]) for row in own)
            error = float(np.mean([row["error"] for row in own]))
            spread = float(np.std([row["error"] for row in own], ddof=1)) if len(own) > 1 else 0.0
            sizes = f"{np.mean([row['parameters'] for row in own]):,.0f}"
            lines.append([f"`{name}`", ends, epochs, f"{error:.4f} ± {spread:.4f}", sizes])
    s = LONG
    seeds = ",".join(map(str, sorted({int(row["seed"]) for row in rows})))
    return (
        "## Cures for the collapse to skip connections\n"
        "First-order DARTS in RobustDARTS' space S2, where each edge is a skip connection or a separable "
        f"convolution: {s.train} training pictures of CIFAR-10 scaled to {s.size} x {s.size}, {s.channels} "
        f"channels, {s.layers} cells, up to {s.epochs} epochs, preset `tiny`; each cure is given as `--set`. "
        "Skips are those among the eight edges of the normal cell, seed by seed; what is found is trained "
        f"from scratch for {s.retrain_epochs} epochs and tested on {s.test:,} pictures. Made by `python -m "
        f"benchmarks.nas run s2 --seeds {seeds} --threads 1`.\n\n"
        + table(["cure", "skips", "epochs", "test error", "parameters"], lines)
        + "\n"
        + _course(rows)
    )


def _course(rows: Sequence[Row]) -> str:
    """How the plain search's skips grow, in words."""
    courses = [row["skips_by_epoch"] for row in rows if row["what"] == "plain"]
    told = "; ".join(f"{', '.join(map(str, course))}" for course in courses)
    return f"Skips of the plain search after each epoch, seed by seed: {told}.\n"
