"""The step of the weights, their optimiser, and what becomes of its state when operations are pruned."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from rung.nas.devices import average, average_gradients
from rung.nas.task import Mixed, Task


def weight_step(  # the whole step, in one call
    task: Task,
    net: nn.Module,
    mixed: Mixed,
    batch: Any,
    optimizer: torch.optim.Optimizer,
    clip: float,
) -> float:
    """One step of the weights on the training loss; the gradient's norm is clipped.

    Returns:
        The loss, mean over all processes. Where it is not finite, nothing is changed.
    """
    optimizer.zero_grad(set_to_none=True)
    loss = task.loss(net, mixed, batch, training=True)
    value = average(float(loss.detach()))
    if math.isfinite(value) and loss.requires_grad:  # what is left may have no weights: skips and pools
        torch.autograd.backward(loss)
        average_gradients(net.parameters())
        if clip > 0:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
    return value


def forget(optimizer: torch.optim.Optimizer, net: nn.Module) -> None:
    """After a pruning: let an optimiser hold the parameters that the net has now, and their state alone.

    A form that replaced a parameter by a part of it says so in `moved`: (old, new or None, kept rows or
    None); the state of the rows that are kept is carried over.
    """
    group = optimizer.param_groups[0]
    for module in net.modules():
        for old, new, rows in cast(Any, getattr(module, "moved", ())):
            state = optimizer.state.pop(old, None)
            if new is not None and state is not None:
                optimizer.state[new] = {name: _kept(value, old, rows) for name, value in state.items()}
        if hasattr(module, "moved"):
            cast(Any, module).moved = []
    current = list(net.parameters())
    present = {id(p) for p in current}
    for parameter in [p for p in optimizer.state if id(p) not in present]:
        del optimizer.state[parameter]
    group["params"] = current


def _kept(value: Any, old: Tensor, rows: Tensor | None) -> Any:
    if rows is None or not isinstance(value, Tensor) or value.shape != old.shape:
        return value
    return value[rows].clone()
