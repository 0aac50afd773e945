"""Worker processes as the system sees them: how they start, what they are given, how they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import IO, Any, Final, NamedTuple

from rung.errors import StudyError
from rung.executors.logs import open_spool
from rung.executors.setup import Setup

_BOOT = (
    "import sys; numbers = sys.argv[1:4]; sys.path[:] = sys.argv[4:]; "
    "from rung.executors.worker import main; main(*map(int, numbers))"
)
_PROCESSES = "LOKY_MAX_CPU_COUNT"  # joblib's n_jobs=-1
THREADS: Final = (
    "OMP_NUM_THREADS",  # torch, LightGBM and most BLAS go by this one
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    _PROCESSES,
)


class NotSentError(StudyError):
    """The objective cannot be sent to another process."""


class Shipped(NamedTuple):
    """An objective as it came from another machine: pickled, and what it takes (`calling.style_of`)."""

    pickled: bytes
    style: str


class Launch(NamedTuple):
    """What all worker processes of an executor start from."""

    code: IO[bytes]  # the pickled objective, in a file without a name
    logs: str
    path: tuple[str, ...]  # `sys.path`
    environments: tuple[Mapping[str, str], ...]  # one a worker
    first: int = 0  # the number of the first worker, for names of files


def prepare(setup: Setup, pickled: bytes | None = None, first: int = 0) -> Launch:
    """Everything that is the same each time that a worker of this setup starts.

    Args:
        pickled: the objective; None: the setup's own is pickled here.

    Raises:
        NotSentError: the objective cannot be sent to another process.
    """
    pickled = dump(setup.objective) if pickled is None else pickled
    code = tempfile.TemporaryFile()  # noqa: SIM115  # the executor closes it
    code.write(pickled)
    code.flush()
    logs = os.path.join(os.path.abspath(setup.folder), "logs")
    os.makedirs(logs, exist_ok=True)
    path = (*map(os.path.abspath, setup.paths), *(os.path.abspath(entry) for entry in sys.path))
    environments = tuple(environment(setup, index, os.environ) for index in range(setup.workers))
    return Launch(code, logs, path, environments, first)


def dump(objective: Any) -> bytes:
    """The objective as bytes: by name if workers can import its module, else by value.

    Raises:
        NotSentError: it cannot be pickled.
    """
    import cloudpickle

    from rung.executors.pickling import dumps

    module = sys.modules.get(getattr(objective, "__module__", None) or "")
    by_value = module is not None and module.__name__ != "__main__" and not _importable(module.__name__)
    if by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        return dumps(objective)
    except Exception as error:  # pickling runs the objects' own code
        raise NotSentError(
            f"the objective cannot be sent to worker processes ({type(error).__name__}: {error}): "
            "make what cannot be pickled inside the objective, or use executor='inline'"
        ) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)


def _importable(name: str) -> bool:
    """Whether a new process with our `sys.path` would find the same module: one loaded from a file by its
    path alone (a test, a script given on the command line) it would not.
    """
    top = name.partition(".")[0]
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    spec = next((found for finder in finders if (found := finder.find_spec(top, None))), None)
    return spec is not None and spec.origin in (getattr(sys.modules.get(top), "__file__", None), "built-in")


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(setup: Setup, index: int, ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of worker number `index`: its share of the cores and of the GPUs.

    Numbers of threads become cores / workers, unless the user's environment asks for fewer still
    (`OMP_NUM_THREADS` for all kinds of threads without a number of their own: PyTorch follows MKL's). With as
    many GPUs as workers or more each worker has its own; with fewer, several share one.
    """
    share = max(1, (setup.cores or cores()) // setup.workers)
    mine = dict(ours)
    for name in THREADS:
        general = "" if name == _PROCESSES else ours.get("OMP_NUM_THREADS", "")
        asked = ours.get(name) or general
        mine[name] = str(min(share, int(asked)) if asked.isdigit() and int(asked) > 0 else share)
    if setup.gpus:
        own = setup.gpus[index :: setup.workers] or (setup.gpus[index % len(setup.gpus)],)
        mine["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, own))
    return mine


def spawn(
    launch: Launch, index: int, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start worker number `index`: its process, in a session of its own, and our end of its pipe.

    No `multiprocessing`: nothing of the user's script runs again in the worker, so it needs no
    `if __name__ == "__main__"`. In a session of its own a worker gets no Ctrl-C, and can be killed
    together with all that it started.

    Raises:
        StudyError: the system lets no more processes or files be.
    """
    ours, theirs = socket.socketpair()
    numbers = (theirs.fileno(), launch.code.fileno())
    command = [sys.executable, "-c", _BOOT, *map(str, (*numbers, os.getpid())), *launch.path]
    try:
        with theirs, open(open_spool(spool(launch, index)), "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment),
                pass_fds=numbers,
                start_new_session=True,
            )
    except OSError as error:
        ours.close()
        raise StudyError(f"a worker process cannot be started: {error}") from error
    ours.setblocking(False)
    return process, ours


def spool(launch: Launch, index: int) -> str:
    """Where a worker prints what has no trial's name yet."""
    return os.path.join(launch.logs, f"worker-{launch.first + index}.log")


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker and whatever it started, also what outlived it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left; of zombies macOS says so in the latter way


def reap(process: subprocess.Popen[bytes], seconds: float = 5.0) -> int | None:
    """The exit code of a process that has ended or was killed; None if the system cannot end it just now."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None


def describe(code: int | None) -> str:
    """How a worker died, in words."""
    if code is None:
        return "was killed, and the system has not ended it yet"
    if code >= 0:
        return f"exited with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hint = " (as the system does when memory runs out)" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"
