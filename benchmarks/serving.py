"""How many requests `rung serve` answers: `python -m benchmarks.serving MODEL TABLE [--requests 300]`.

The server runs in a process of its own, on loopback; a client with kept connections, one after the other and
then four at a time, sends the table's first rows, alone and by the hundred. Printed is a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np

from rung.tabular.read import read_table


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("table")
    parser.add_argument("--requests", type=int, default=300, help="of each measurement")
    given = parser.parse_args()
    frame = read_table(given.table).head(100)
    rows = json.loads(frame.to_json(orient="records"))
    command = [sys.executable, "-m", "rung", "serve", given.model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = _address(server)
            print("| rows a request | clients | requests/s | rows/s | p50 ms | p99 ms |")
            print("| --- | --- | --- | --- | --- | --- |")
            for size in (1, 100):
                for clients in (1, 4):
                    _measure(address, rows[:size], clients, given.requests)
        finally:
            server.terminate()


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"http://[\d.:]+\d", line):
            return found[0]
    raise SystemExit("the server did not start")


def _measure(address: str, rows: Sequence[Any], clients: int, requests: int) -> None:
    body = json.dumps({"rows": list(rows)}).encode()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(_times, [(address, body, 10)] * clients))  # what is loaded at first use
        began = time.perf_counter()
        each = list(pool.map(_times, [(address, body, requests // clients)] * clients))
        whole = time.perf_counter() - began
    seconds = np.concatenate(each)
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1e3
    rate = len(seconds) / whole
    print(
        f"| {len(rows)} | {clients} | {rate:.0f} | {rate * len(rows):,.0f} | {p50:.1f} | {p99:.1f} |",
        flush=True,
    )


def _times(order: tuple[str, bytes, int]) -> np.ndarray:
    """Seconds of each request, over one connection."""
    address, body, count = order
    seconds = np.empty(count)
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        for i in range(count):
            began = time.perf_counter()
            client.post(
                "/predict", content=body, headers={"Content-Type": "application/json"}
            ).raise_for_status()
            seconds[i] = time.perf_counter() - began
    return seconds


if __name__ == "__main__":
    main()
