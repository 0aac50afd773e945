"""A service that listens on loopback, in a thread of the test's own process."""

import copy
import threading
from contextlib import contextmanager

from rung.service.access import Role
from rung.service.accounts import Accounts
from rung.service.app import create_app
from rung.service.context import Caps
from rung.service.guards import Limits
from rung.service.hub import Hub
from rung.service.serving import Server, Settings, listen
from rung.storage import open_storage


class Live:
    """One that can be stopped and started again on the same port, over the same storage."""

    def __init__(self, storage, lease=30.0, caps=None):
        self.storage = str(storage)
        self.lease = lease
        self.caps = caps or Caps()
        self.port = 0
        accounts = Accounts(self.storage)
        accounts.add_user("ann", Role.MEMBER)
        accounts.add_user("bob", Role.MEMBER)
        accounts.add_user("root", Role.ADMIN)
        self.tokens = {name: accounts.create_token(name)[1] for name in ("ann", "bob", "root")}
        accounts.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def beside(self):
        """Another one over the same storage, with the same users."""
        other = copy.copy(self)
        other.port = 0
        return other

    def start(self):
        self._accounts = Accounts(self.storage)
        self._opened = open_storage(self.storage)
        self.hub = Hub(self._opened, self._accounts, self.lease)
        self.app = create_app(self.hub, self._accounts, Limits(), self.caps)
        settings = Settings("127.0.0.1", self.port)
        place = listen(settings)
        self.port = place.getsockname()[1]
        self._server = Server(self.app, settings, None)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [place]}, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._accounts.close()
        self._opened.close()


@contextmanager
def live(storage, lease=30.0, caps=None):
    service = Live(storage, lease, caps).start()
    try:
        yield service
    finally:
        service.stop()
