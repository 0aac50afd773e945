"""Many clients that ask and tell, beside an empty endpoint of the same server.

    python -m benchmarks.service_load [--clients 1000] [--rate 300] [--seconds 30] [--storage URL]

Starts `rung service` as a process of its own. Each client asks for a job, waits, and tells; together they
make `--rate` requests a second. At the end the study's log says what was lost or doubled: every answer that a
client was given must be in it, once. Then the most that the server carries: as many requests as it answers
for 64 clients that never wait, and the same for `/health`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from rung.storage import open_storage
from rung.trials import events as ev

SPACE = {"parameters": [{"name": f"x{i}", "type": "float", "low": 0.0, "high": 1.0} for i in range(4)]}
FOLDER = Path(__file__).parent / "reports"


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@contextmanager
def service(storage: str, token_file: str):
    """A service on a free port; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "rung", "service", "--port", str(port), "--storage", storage]
    command += ["--bootstrap-token-file", token_file, "--rate", "100000"]
    with open(os.path.join(os.path.dirname(token_file), "service.log"), "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(200):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class Connection:
    """A keep-alive HTTP/1.1 connection: as little client as can be, since it shares the cores."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = (
            f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        )
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, object]:
        if self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        data = b"" if body is None else json.dumps(body).encode()
        key = f"Idempotency-Key: {key}\r\n" if key else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{key}Content-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        status = int((await self._reader.readline()).split()[1])
        length = 0
        while (line := await self._reader.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        text = await self._reader.readexactly(length) if length else b"null"
        return status, json.loads(text)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class Tally:
    """What clients saw."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.told: list[tuple[int, int]] = []
        self.errors: Counter[str] = Counter()
        self.empty = 0


async def client(number: int, port: int, token: str, pause: float, until: float, tally: Tally) -> None:
    """Ask, wait, tell, wait, ...: two requests in two pauses."""
    connection = Connection(port, token)
    await asyncio.sleep(pause * (number * 0.6180339887 % 1.0))
    while time.monotonic() < until:
        began = time.perf_counter()
        status, body = await connection.request(
            "POST", "/api/v1/studies/load/ask", {"worker": f"c{number}"}, secrets.token_hex(8)
        )
        tally.latencies.append(time.perf_counter() - began)
        if status != 200:
            tally.errors[f"ask {status}: {body.get('detail')}"] += 1
            continue
        job = body["job"]
        await asyncio.sleep(pause)
        if job is None:
            tally.empty += 1
            continue
        path = f"/api/v1/studies/load/jobs/{job['trial']}/{job['attempt']}/tell"
        told = {"outcome": "finished", "metrics": {"loss": job["config"]["x0"]}}
        began = time.perf_counter()
        status, body = await connection.request("POST", path, told)
        tally.latencies.append(time.perf_counter() - began)
        if status == 200:
            tally.told.append((job["trial"], job["attempt"]))
        else:
            tally.errors[f"tell {status}: {body.get('detail')}"] += 1
        await asyncio.sleep(pause)
    connection.close()


async def hammer(port: int, token: str, path: str, clients: int, seconds: float) -> float:
    """Requests a second of clients that never wait, to an endpoint that does nothing."""
    done = 0
    until = time.monotonic() + seconds

    async def one() -> None:
        nonlocal done
        connection = Connection(port, token)
        while time.monotonic() < until:
            await connection.request("GET", path)
            done += 1
        connection.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return done / seconds


async def load(port: int, token: str, clients: int, rate: float, seconds: float, sampler: str) -> Tally:
    first = Connection(port, token)
    new = {"name": "load", "space": SPACE, "resource": "epoch:1:81", "trials": 1_000_000, "sampler": sampler}
    status, body = await first.request("POST", "/api/v1/studies", new)
    assert status in (201, 409), body
    tally = Tally()
    pause = clients / rate if rate else 0.0
    until = time.monotonic() + seconds
    await asyncio.gather(*(client(i, port, token, pause, until, tally) for i in range(clients)))
    first.close()
    return tally


def verified(storage: str, told: list[tuple[int, int]]) -> tuple[int, int]:
    """How many answers are not in the log, and how many are in it twice."""
    store = open_storage(storage)
    ended = Counter((e.trial, e.attempt) for e in store.read("load") if isinstance(e, ev.JobFinished))
    store.close()
    lost = sum(job not in ended for job in told)
    doubled = sum(count > 1 for count in ended.values()) + (len(told) - len(set(told)))
    return lost, doubled


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service_load", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second in all")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--storage", help="a URL; a new SQLite file by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = given.storage or os.path.join(folder, "rung.db")
        token_file = os.path.join(folder, "token")
        with service(storage, token_file) as port:
            token = Path(token_file).read_text().strip()
            tally = asyncio.run(load(port, token, given.clients, given.rate, given.seconds, given.sampler))
            told = list(tally.told)
            times = sorted(tally.latencies)
            row = {
                "clients": given.clients,
                "wanted_rate": given.rate,
                "rate": round(len(times) / given.seconds, 1),
                "p50_ms": round(1e3 * statistics.median(times), 2),
                "p99_ms": round(1e3 * times[int(0.99 * len(times))], 2),
                "max_ms": round(1e3 * times[-1], 2),
                "told": len(told),
                "empty": tally.empty,
                "errors": dict(tally.errors),
            }
            most = asyncio.run(load(port, token, 64, 0.0, 10.0, given.sampler))
            told += most.told
            row["most_a_second"] = round(len(most.latencies) / 10.0, 1)
            row["empty_a_second"] = round(asyncio.run(hammer(port, token, "/health", 64, 5.0)), 1)
        row["lost"], row["doubled"] = verified(storage, told)
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
