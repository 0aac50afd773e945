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
import os
import sys
import time
from collections.abc import Callable
from typing import Any

FAILED = 1e6  # what stands for a failed job where a peer has no other way


def serve(make: Callable[[dict[str, Any]], Any]) -> None:
    """Search after search, each in a fork, so that a peer's imports are paid for once and nothing else stays.

    `make` gets the line that begins a search: what is searched, and the folder for files that a peer writes.
    """
    logging.disable(logging.CRITICAL)
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        while line := sys.stdin.readline():
            child = os.fork()
            if child == 0:
                _search(make, json.loads(line), out)
                return
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code:
                sys.exit(1)
            _write(out, {"ended": True})


def _search(make: Callable[[dict[str, Any]], Any], told: dict[str, Any], out: Any) -> None:
    """Answer lines until one says that the search has ended, or there are no more."""
    os.chdir(told.pop("folder"))
    configs: dict[int, dict[str, Any]] = {}
    tuner = make(told)
    _write(out, {"ready": True})
    while line := sys.stdin.readline():
        asked = json.loads(line)
        if "end" in asked:
            return
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
