"""Figures and findings of a search in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from rung.nas.drawing_scene import kind
from rung.nas.genotype import CellGenotype
from rung.nas.result import SearchResult
from rung.nas.strategies.described import strategy_title

STAGES: Final = ("searched", "derived", "retrained")
EXACT: Final = 1e-3  # a difference of outputs below it is one of rounding
_UNKNOWN: Final = "–"
_SIZES: Final = (
    (1e18, "quintillion"),
    (1e15, "quadrillion"),
    (1e12, "trillion"),
    (1e9, "billion"),
    (1e6, "million"),
)


def known(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def percent(value: float | None) -> str:
    """A share as per cent with one decimal."""
    return f"{value:.1%}" if value is not None and known(value) else _UNKNOWN


def decimal(value: float | None, digits: int = 4) -> str:
    """A number with significant digits, whole from a thousand on; a dash if there is none."""
    if value is None or not known(value):
        return _UNKNOWN
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.{digits}g}"


def plain_words(value: Any) -> str:
    """A setting as people read it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(plain_words(one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain_words(one)}" for name, one in value.items())
    return str(value)


def large(value: float | None) -> str:
    """A count, from a million on with three digits and a word: 1.74 billion."""
    if value is None or not known(value):
        return _UNKNOWN
    for size, word in _SIZES:
        if value >= size * 0.9995:  # what rounds to it
            return f"{value / size:.3g} {word}"
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Of seconds: 36 s, 4 min 12 s, 3 h 05 min, 2 d 4 h."""
    if seconds is None or not known(seconds):
        return _UNKNOWN
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def plural(count: int, one: str, many: str | None = None) -> str:
    """1 epoch, 2 epochs."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def scores(result: SearchResult) -> dict[str, float | None]:
    """By stage, the accuracy, or the perplexity of a language model."""
    accuracy = result.accuracy
    found = {"searched": accuracy.searched, "derived": accuracy.derived, "retrained": accuracy.retrained}
    if result.perplexity:
        found = {stage: result.perplexity.get(stage) for stage in STAGES}
    return {stage: value for stage, value in found.items() if stage != "derived" or not result.tried}


def score(result: SearchResult, value: float | None) -> str:
    """One of them."""
    return decimal(value) if result.perplexity else percent(value)


def summary(result: SearchResult) -> str:
    """What was found, in one sentence."""
    strategy = strategy_title(result.strategy)
    searched = (
        f"{strategy[:1].upper() + strategy[1:]} searched the space {result.space} on {result.data}, seed "
        f"{result.seed}, for {extent(result)} ({_cost(result.cost)})"
    )
    if result.perplexity:
        found, said = "its cell has a perplexity of held-out words of ", "{}"
    else:
        found, said = "its cell is right on ", "{} of held-out pictures"
    named = {
        "searched": "as trained in the search" if result.tried else "as searched",
        "derived": "with copied weights",
        "retrained": f"after {'another' if result.tried else 'a short'} training from scratch"
        f"{', of the test part' if result.tried and result.perplexity else ''}",
    }
    parts = [(score(result, v), named[stage]) for stage, v in scores(result).items() if known(v)]
    if not parts:
        return f"{searched}; no score of its cell is known; its network has {result.parameters:,} parameters."
    first = f"{said.format(parts[0][0])} {parts[0][1]}"
    rest = [f"{value} {when}" for value, when in parts[1:]]
    return f"{searched}; {found}{_listed([first, *rest])}, in a network of {result.parameters:,} parameters."


def extent(result: SearchResult) -> str:
    """How long it was searched: so many epochs, or networks."""
    if result.tried:
        return plural(sum(one["score"] is not None for one in result.tried), "network")
    return plural(len(result.records), "epoch")


def _cost(cost: Mapping[str, Any]) -> str:
    passes = cost.get("passes")
    return duration(cost.get("seconds")) + (f" and {passes:,} passes" if isinstance(passes, int) else "")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def gap_words(result: SearchResult) -> str:
    """What the relaxation gap is, and what it means."""
    outputs, lost = result.relaxation_gap.outputs, result.relaxation_gap.accuracy
    if outputs is None or not known(outputs):
        return (
            "The gap was not measured: the weights of this supernet cannot be handed to the derived network, "
            "or the search stopped before."
        )
    about = f"Their outputs differ by at most {decimal(outputs, 3)}"
    if outputs < EXACT:
        return (
            f"{about}, which is rounding: the network that was searched is the one that is kept, and nothing "
            "is lost by deriving it."
        )
    why = "operations that deriving drops still had weight in the last step of the search"
    if lost is None or not known(lost):
        return f"{about}: {why}, so what was searched is not what is kept."
    points = round(abs(lost) * 100, 1)
    change = f"accuracy {'falls' if lost > 0 else 'rises'} by {points} percentage points"
    about += f", and {change if points else 'accuracy stays the same'}"
    if points < 2:
        return f"{about}: {why}, but little hangs on them."
    return (
        f"{about}: {why}, so what was searched is not what is kept, and its accuracy says little of the cell."
    )


def skips(cell: CellGenotype) -> tuple[int, int]:
    """Skip connections among the edges of a derived cell, and how many edges there are."""
    operations = [operation for edges in cell.nodes for operation, _ in edges]
    return sum(kind(operation) == "skip" for operation in operations), len(operations)


def skip_words(name: str, cell: CellGenotype, strategy: str, *, text: bool = False) -> tuple[str, bool]:
    """How many skips a derived cell has, and whether that is a collapse: half of its edges or more.

    Args:
        name: of the cell.
        strategy: that found it, by name: what is advised goes with it.
        text: whether it was searched on a text, where no remedy is of skips.
    """
    count, edges = skips(cell)
    has = f"{plural(count, 'skip connection')} on {plural(edges, 'edge')} of the derived {name} cell"
    if count * 2 >= edges:
        return (
            f"{has}: at least half, which is the collapse that differentiable search is known for. Such "
            f"cells train fast while searched and are poor when retrained; {_advice(strategy, edges, text)}.",
            True,
        )
    return f"{has}; half or more would be a collapse.", False


def _advice(strategy: str, edges: int, text: bool) -> str:
    """What helps against a collapse, of what goes with the strategy."""
    from rung.nas.strategies.table import goes_with

    if not text and goes_with(strategy, "max_skips"):
        fewer = min(2, (edges - 1) // 2)
        return f"stop earlier, or cap the skips (--set max_skips={fewer})"
    if not text and goes_with(strategy, "skip_dropout"):
        return "stop earlier, or drop skips out while it is searched (--set skip_dropout=0.4)"
    return "stop earlier (--epochs)"
