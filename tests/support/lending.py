"""A worker of a live service, in a thread of the test's own process."""

import threading
import time
from contextlib import contextmanager

import rung
from rung.service.http import Api
from rung.service.worker import Lent, Worker
from rung.service.worker_objectives import Objectives
from rung.service.worker_run import Engine

SPACE = {"x": rung.Float(0.0, 1.0)}
HAVE = "objectives_that_workers_have"  # of tests/service, which is to be on the path


@contextmanager
def working(service, folder, slots=2, grace=5.0, name="w", url=None, programs=None):
    said = []
    api = Api(url or service.url, service.tokens["root"], patience=float("inf"))
    engine = Engine("local", folder, grace=grace)
    worker = Worker(api, Lent(name, slots), engine, Objectives(programs=programs), said.append)
    worker.said = said
    thread = threading.Thread(target=worker.run)
    thread.start()
    worker.thread = thread
    try:
        yield worker
    finally:
        worker.drain()
        thread.join(30)
        api.close()
        assert not thread.is_alive()


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def begin(client, name, function="train", **more):
    given = {"resource": "epoch:1:9", "trials": 9, "sampler": "random", **more}
    return client.create(SPACE, name=name, objective=f"{HAVE}:{function}", **given)
