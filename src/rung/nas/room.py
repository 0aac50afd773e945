"""Out of memory: which sizes of a search would fit, by trying them."""

from __future__ import annotations

from dataclasses import replace

from rung.errors import UserError
from rung.nas.devices import world
from rung.nas.loop import Plan
from rung.nas.memory import largest, let_go, out_of_memory
from rung.nas.pacing import step_seconds
from rung.nas.planning import Request, prepare


def explained(error: Exception, plan: Plan, request: Request) -> Exception:
    """Out of memory as a sentence that names what fits, by trying; any other as it is."""
    if not out_of_memory(error):
        return error
    let_go(error)
    recipe = plan.recipe
    name = "hidden" if hasattr(recipe, "hidden") else "channels"
    sizes = {size: getattr(recipe, size) for size in ("batch", name)}
    said = f"out of memory with {recipe.batch} samples of {sizes[name]} {name} a step"
    if world() > 1:  # a trial step of one process alone would wait for the others
        halves = " or ".join(f"--set {size}={have // 2}" for size, have in sizes.items())
        return UserError(f"{said}: it grows with both, so halve one: {halves}")
    tried = {size: _fitting(request, size, have) for size, have in sizes.items()}
    fits = " or ".join(f"--set {size}={value}" for size, value in tried.items() if value is not None)
    if not fits:
        return UserError(f"{said}, and with less of either alone: take fewer layers, or smaller pictures")
    return UserError(f"{said}; a step of less was tried, and this fits: {fits}")


def _fitting(request: Request, name: str, have: int) -> int | None:
    """The first half, quarter, ... of a size with which a step can be done."""

    def attempt(value: int) -> None:
        step_seconds(prepare(replace(request, settings={**request.settings, name: value})).plan, 0)

    return largest(have, 2 if name == "batch" else 1, attempt)
