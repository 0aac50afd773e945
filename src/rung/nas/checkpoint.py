"""A search on disk: all that its next step depends on, so that it goes on bit for bit."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch

from rung.errors import SpaceError
from rung.nas.ledger import Ledger
from rung.nas.loop import Plan, Record, State, start
from rung.nas.plain_data import Damaged, plain_data
from rung.nas.strategies.base import Removal
from rung.nas.strategies.table import settings_of
from rung.nas.training import forget

FILE: Final = "search.pt"


def identity(plan: Plan) -> dict[str, Any]:
    """What must be the same where a search goes on."""
    cells = [[cell.name, cell.nodes, cell.inputs, list(cell.operations)] for cell in plan.space.cells]
    recipe = asdict(plan.recipe)
    kept = ("channels", "layers", "batch", "epochs", "rate", "alpha_rate")
    words = ("hidden", "bptt", "vocabulary", "words")  # of a recipe for text
    return {
        "space": plan.space.name,
        "cells": cells,
        "strategy": plan.strategy.name,
        "seed": plan.seed,
        **{name: recipe[name] for name in (*kept, *words) if name in recipe},
        **settings_of(plan.strategy),
    }


def save(plan: Plan, state: State, folder: str | Path) -> None:
    """Write a checkpoint into a folder.

    Order of samples, dropout and noise are functions of (seed, epoch, step): the epoch is their state.
    """
    torch.save(
        {
            "identity": identity(plan),
            "epoch": state.epoch,
            "net": state.net.plain_state(),
            "alphas": {name: value.detach() for name, value in state.alphas.items()},
            "weights": state.weights.state_dict(),
            "architecture": state.architecture.state_dict(),
            "ledger": state.ledger.to_dict(),
            "records": [record.to_dict() for record in state.records],
        },
        Path(folder) / FILE,
    )


def load(plan: Plan, folder: str | Path) -> State:
    """The state that was saved.

    Raises:
        SpaceError: there is none, it cannot be read, or it is of another search; the message says which.
    """
    path = Path(folder) / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SpaceError(f"the checkpoint {path} cannot be read: {type(error).__name__}: {error}") from error
    return restored(plan, content, path)


def restored(plan: Plan, content: bytes, path: Path = Path(FILE)) -> State:
    """The state that a checkpoint's file has.

    Args:
        path: of the file, for messages.

    Raises:
        SpaceError: as for `load`.
    """
    try:
        kept = plain_data(content)
    except Damaged as error:
        raise SpaceError(f"the checkpoint {path} cannot be read: {error}") from error
    mine, theirs = identity(plan), kept.get("identity", {})
    for name in mine:
        if mine[name] != theirs.get(name):
            have = f"is {theirs[name]!r}" if name in theirs else "is not recorded"
            raise SpaceError(
                f"the checkpoint {path} is of another search: its {name} {have}, not "
                f"{mine[name]!r}; give the same options, or another --study"
            )
    state = start(plan)
    state.records = [Record(**record) for record in kept["records"]]
    _prune_again(plan, state)
    state.net.load_plain_state(kept["net"])
    with torch.no_grad():
        for name, value in kept["alphas"].items():
            state.alphas[name].copy_(value)
    state.weights.load_state_dict(kept["weights"])
    state.architecture.load_state_dict(kept["architecture"])
    state.epoch, state.ledger = kept["epoch"], Ledger.from_dict(kept["ledger"])
    return state


def _prune_again(plan: Plan, state: State) -> None:
    """Remove what was removed, in the same order, so that the optimiser finds its weights where they were."""
    for record in state.records:
        removed = [
            Removal(cell, edge, plan.space[cell].operations.index(operation))
            for cell, edge, operation in record.removed
        ]
        for cell, edge, column in removed:
            state.net.prune(cell, edge, column)
        if removed:
            forget(state.weights, state.net)
