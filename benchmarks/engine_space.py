"""The cost of a space's work per configuration, ConfigSpace beside it on the same space."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.rows import Row
from rung.space.compiled import CompiledSpace, compile_space
from rung.space.domains import Categorical, Choice, Float, Integer, Space
from rung.space.rules import Condition, Forbidden, Is

BATCH = 10_000


def conditional_space() -> CompiledSpace:
    """Ten parameters: three in branches, one under a condition, and a forbidden combination."""
    branches = {
        "sgd": {"momentum": Float(0.0, 0.99), "nesterov": Categorical([True, False])},
        "adam": {"beta1": Float(0.8, 0.999)},
    }
    parameters = {
        "lr": Float(1e-5, 1e-1, log=True),
        "weight_decay": Float(1e-6, 1e-2, log=True),
        "layers": Integer(1, 8),
        "units": Integer(16, 1024, log=True),
        "activation": Categorical(["relu", "tanh", "gelu"]),
        "dropout": Float(0.0, 0.9),
        "optimizer": Choice(branches),
    }
    condition = Condition("dropout", on="layers", greater=2)
    forbidden = Forbidden(Is("activation", equals="relu") & Is("layers", equals=8))
    return compile_space(Space(parameters, [condition], [forbidden]))


def space_rows() -> list[Row]:
    """Microseconds a configuration: drawn and decoded, drawn one by one, encoded, judged, moved."""
    space = conditional_space()
    rows = space.samples(0, 0, BATCH)
    rng = np.random.default_rng(0)
    points = rng.random((BATCH, space.size))
    theirs, configurations = _peer(space)
    few, peer = BATCH // 10, "ConfigSpace, us"
    return [
        Row(
            "space, drawn and decoded to mappings, batch of 10,000",
            _each(lambda: [space.to_mapping(row) for row in space.samples(0, 0, BATCH)], BATCH),
            "us",
            4.0,
            peer,
            _each(lambda: list(map(dict, theirs.sample_configuration(few))), few),
        ),
        Row("  drawn one by one, as values", _each(lambda: _singly(space), BATCH), "us", 3.0),
        Row("  encoded", _each(lambda: space.encode(rows), BATCH), "us"),
        Row("  decoded", _each(lambda: space.decode(points), BATCH), "us"),
        Row("  judged by forbidden combinations", _each(lambda: space.legal(rows), BATCH), "us"),
        Row(
            "  ten neighbours of one, each",
            _each(lambda: [space.neighbours(row, rng, 10) for row in rows[:100]], 1000),
            "us",
            None,
            peer,
            _each(lambda: _moves(configurations[:100]), 1000),
        ),
    ]


def _singly(space: CompiledSpace) -> None:
    """Ask for one configuration after the other, nothing kept from earlier."""
    fresh = compile_space(space.space)
    for number in range(BATCH):
        fresh.sample(0, number)


def _peer(space: CompiledSpace) -> tuple[Any, list[Any]]:
    """The same space in ConfigSpace, and some configurations of it."""
    from rung.space import to_configspace

    theirs = to_configspace(space.space)
    theirs.seed(0)
    return theirs, theirs.sample_configuration(BATCH // 10)


def _moves(configurations: list[Any]) -> None:
    """The first ten neighbours of each, as SMAC's local search asks for them."""
    from ConfigSpace.util import get_one_exchange_neighbourhood

    for configuration in configurations:
        moves = get_one_exchange_neighbourhood(configuration, seed=0)
        for _ in zip(range(10), moves, strict=False):
            pass


def _each(work: Callable[[], object], count: int, repeats: int = 5) -> float:
    """Microseconds for one of `count`: the best of some repeats."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return 1e6 * best / count
