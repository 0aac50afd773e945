"""A PostgreSQL server of one's own, on loopback, in a temporary folder: for tests, the demo and the soak.

Everybody is let in without a password but the user `guarded`, whose password is `GUARDED`.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

GUARDED = "pass:w@rd/1"
_BINARIES = (Path("/usr/lib/postgresql"), Path("/usr/local/lib/postgresql"), Path("/opt/homebrew/opt"))
_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=on")
_SMALL = ("shared_buffers=16MB", "max_connections=60", "max_wal_size=64MB", "unix_socket_directories=")
_HBA = """\
host all guarded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


def binaries():
    """The folder of `initdb` and `postgres`; None if there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = [path.parent for place in _BINARIES for path in place.glob("*/bin/initdb")]
    return max(places, key=lambda path: path.parent.name, default=None)


numbers = itertools.count(1)


class Server:
    """A private cluster. `durable` ones survive a power cut, as production's do; others are quick."""

    def __init__(self, durable=False, settings=()):
        self.folder = Path(tempfile.mkdtemp(prefix="rung-pg-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self.process = None
        self._settings = (*_SMALL, *(() if durable else _QUICK), *settings)
        self._account = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        )
        if self._account:
            shutil.chown(self.folder, "postgres", "postgres")
        command = [self._program("initdb"), "-D", self.data, "-U", "rung", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(
            [*command, "-A", "trust"], check=True, stdout=subprocess.DEVNULL, cwd="/", **self._account
        )
        (self.data / "pg_hba.conf").write_text(_HBA)
        self.start()
        self.run(f"CREATE ROLE guarded LOGIN PASSWORD '{GUARDED}'")

    def _program(self, name):
        return str(binaries() / name)

    def url(self, database="postgres", user="rung"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self):
        options = [part for setting in self._settings for part in ("-c", setting)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    self._program("postgres"),
                    "-D",
                    self.data,
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(self.port),
                    *options,
                ],
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_die_with_us if sys.platform == "linux" else None,
                **self._account,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)

    def _answers(self):
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self):
        """Everything at once, as a power cut would (but for what the kernel has)."""
        processes = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(processes[1:], timeout=10)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # "fast": ends sessions, then itself
            self.process.wait(timeout=60)

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, statement, database="postgres"):
        """One statement by the superuser; its rows, if it has any."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def database(self):
        """The name of a new database."""
        name = f"db_{next(numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def drop(self, name):
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG: a killed pytest leaves no server behind
