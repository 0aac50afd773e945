"""A cable between a client and a server on loopback, which a test cuts at the moment that it chooses."""

import contextlib
import socket
import threading


class Wire:
    """Passes bytes on, until it is told to cut.

    `cut("before")`: what the client sends next never reaches the server, and the connection breaks.
    `cut("after")`: it reaches the server, and the connection breaks when that answers: the answer is lost.
    `cut(when, 3)`: the same three messages later. `cut(None)`: not any more.
    `down = True`: nobody is let in.
    """

    def __init__(self, port):
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = 0
        self.down = False
        self._armed = None
        self._skip = 0
        self._stopped = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self, when, skip=0):
        self._skip = skip
        self._armed = when

    def close(self):
        self._stopped = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()

    def _accept(self):
        while not self._stopped:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server))
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client, server):
        """Both directions of one connection, until either ends."""
        back = threading.Thread(target=self._answers, args=(client, server), daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                when = self._armed
                if when in ("before", "after") and self._skip > 0:
                    self._skip -= 1
                elif when == "before":
                    self._armed = None
                    break
                elif when == "after":
                    self._armed = client
                server.sendall(data)
        self._end(client, server)
        back.join()

    def _answers(self, client, server):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self._armed is client:
                    self._armed = None
                    break
                client.sendall(data)
        self._end(client, server)

    def _end(self, client, server):
        self.cuts += 1
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
