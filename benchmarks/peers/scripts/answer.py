"""The peers' side of the protocol: reads a JSON object, writes one; whatever a peer prints goes elsewhere.

Runs with the peer's Python: imports the standard library only.
"""

import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any


def answer(rules: dict[str, Callable[..., Any]]) -> None:
    """Call the rule that the payload names with the rest of the payload as arguments; print the result."""
    payload = json.load(sys.stdin)
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        found = rules[payload.pop("rule")](**payload)
    print("\n" + json.dumps(found, default=_plain), file=out)  # in a line of its own, the last


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as JSON."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def timed(step: Callable[[], float], repeats: int, warm: int = 2) -> dict[str, float]:
    """Median and mean milliseconds of a step that returns its seconds."""
    for _ in range(min(warm, repeats)):
        step()
    costs = [1e3 * step() for _ in range(repeats)]
    return {"median": statistics.median(costs), "mean": statistics.fmean(costs)}


def seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    """How long an action takes, and what it returns."""
    start = time.perf_counter()
    found = action()
    return time.perf_counter() - start, found


def loss(config: dict[str, Any]) -> float:
    """The benchmark's objective: smooth in the numbers; one category is best in each of the others."""
    numbers = sum((config[f"x{i}"] - 0.3) ** 2 for i in range(7))
    return float(numbers + sum(config[f"c{i}"] != "a" for i in range(3)))
