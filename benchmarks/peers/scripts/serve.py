"""The peers' side of a search: asked for jobs and told of results, a JSON object a line each.

Runs with the peer's Python: imports the standard library only. A peer's tuner has

- `ask() -> (trial, config, resource) | None`, the next job; None where it must wait for results;
- `tell(trial, config, resource, loss) -> resource | None`, the resource to which the same trial goes on at
  once, None if its worker is free.

A trial is a number, a configuration a mapping from name to number; values of lists are indices. A failed
job's loss is None.
"""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

FAILED = 1e6  # what stands for a failed job where a peer has no other way


def serve(make: Callable[[dict[str, Any]], Any]) -> None:
    """Answer lines until there are no more; `make` gets the first one, which says what is searched."""
    logging.disable(logging.CRITICAL)
    out = sys.stdout
    configs: dict[int, dict[str, Any]] = {}
    with contextlib.redirect_stdout(sys.stderr):
        tuner = make(json.loads(sys.stdin.readline()))
        _write(out, {"ready": True})
        for line in sys.stdin:
            asked = json.loads(line)
            began = time.process_time()
            if "tell" in asked:
                trial, loss = asked["tell"], asked["loss"]
                until = tuner.tell(trial, configs[trial], asked["resource"], loss)
                answer: dict[str, Any] = {"until": until}
            else:
                job = tuner.ask()
                if job is None:
                    answer = {"wait": True}
                else:
                    configs[job[0]] = job[1]
                    answer = {"trial": job[0], "config": job[1], "until": job[2]}
            _write(out, answer | {"seconds": time.process_time() - began})


def _write(out: Any, answer: dict[str, Any]) -> None:
    out.write(json.dumps(answer, default=_plain) + "\n")
    out.flush()


def _plain(value: Any) -> Any:
    """NumPy's numbers as JSON."""
    return value.item() if hasattr(value, "item") else str(value)


def rungs(low: int, high: int, eta: int) -> list[int]:
    """The resources of a ladder that ends at the largest: high, high / eta, ..., not below low."""
    found = [high]
    while found[-1] / eta >= low * (1 - 1e-9):
        found.append(max(round(found[-1] / eta), 1))
    return found[::-1]
