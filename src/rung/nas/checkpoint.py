"""A search on disk: all that its next step depends on, so that it goes on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch

from rung.errors import SpaceError
from rung.nas.ledger import Ledger
from rung.nas.loop import Plan, Record, State, start
from rung.nas.plain_data import Damaged, plain_data
from rung.nas.space import form_of
from rung.nas.strategies.base import Removal
from rung.nas.strategies.table import settings_of
from rung.nas.training import forget

FILE: Final = "search.pt"
_OTHERWISE: Final = frozenset(
    ("text", "pictures", "strategy", "alpha_rates", "alpha_decays", "own", "even", "whole")
)
"""Of a recipe, what is words, or what the data, the strategy and other settings have taken up."""
_LONG: Final = frozenset(("data", "cells"))  # which a message does not repeat


def identity(plan: Plan) -> dict[str, Any]:
    """What must be the same where a search goes on."""
    recipe = {
        name: value
        for name, value in asdict(plan.recipe).items()
        if name not in _OTHERWISE and not name.startswith("retrain_")
    }
    return {
        "space": plan.space.name,
        "cells": form_of(plan.space)["cells"],
        "strategy": plan.strategy.name,
        "seed": plan.seed,
        **plan.task.identity,
        **recipe,
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
            raise SpaceError(
                f"the checkpoint {path} is of another search, {_otherwise(name, mine, theirs)}; give "
                "the same options and data, or another --study"
            )
    state = start(plan)
    state.records = [Record(**record) for record in kept["records"]]
    _prune_again(plan, state)
    try:
        state.net.load_plain_state(kept["net"])
    except RuntimeError as error:  # operations of the user's own have changed
        raise SpaceError(
            f"the checkpoint {path} is of another search, whose operations have other weights; give the same "
            "space, or another --study"
        ) from error
    with torch.no_grad():
        for name, value in kept["alphas"].items():
            state.alphas[name].copy_(value)
    state.weights.load_state_dict(kept["weights"])
    state.architecture.load_state_dict(kept["architecture"])
    state.epoch, state.ledger = kept["epoch"], Ledger.from_dict(kept["ledger"])
    return state


def _otherwise(name: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """In what a checkpoint's search differs from ours, in words."""
    if name not in theirs:
        return f"of an earlier version of rung that did not record its {name}"
    return f"with other {name}" if name in _LONG else f"with {name} {theirs[name]!r}, not {mine[name]!r}"


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
