"""A service's studies and workers without HTTP, on a clock that the test moves."""

from rung.service.hosting import Told
from rung.service.hub import Hub
from rung.service.models import NewStudy
from rung.service.register import MemoryRegister
from rung.service.workers import Held, Workers
from rung.storage import open_storage
from support.clock import Clock

SPACE = {"parameters": [{"name": "x", "type": "float", "low": 0.0, "high": 1.0}]}


class House:
    """A hub with its workers on a clock that the test moves."""

    def __init__(self, path):
        self.clock, self.register = Clock(), MemoryRegister()
        self.path = path
        self.open()

    def open(self):
        self.hub = Hub(open_storage(self.path), self.register, lease=30.0, clock=self.clock)
        self.hub.start()
        self.workers = Workers(self.hub)

    def study(self, name, **more):
        given = {"space": SPACE, "resource": "epoch:1:9", "trials": 50, "objective": "m:train", **more}
        return self.hub.create(NewStudy(name=name, **given), "ann")

    def finish(self, job, loss=0.5):
        told = Told("finished", {"loss": loss})
        return self.hub.tell(job["study"], job["trial"], job["attempt"], told)


def of(job):
    return Held(job["study"], job["trial"], job["attempt"], job["key"])
