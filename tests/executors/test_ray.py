"""Ray itself: what trials are given, clusters that cannot be used, a Ray of one's own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from rung.errors import StudyError
from rung.executors.base import Job
from rung.executors.needs import Needs
from rung.executors.setup import Setup
from rung.study import Study
from rung.trials.events import Event, Failure, JobFailed, JobFinished
from support.ray_nodes import SETTINGS, Nodes

SEEN = ("RUNG_NODE", "RUNG_NODES", "RUNG_PORT", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def look(trial: Any) -> float:
    """Write what this process sees to a file of its own."""
    seen = {name: os.environ.get(name) for name in SEEN} | {"devices": trial.devices}
    name = f"{trial.number}-{os.environ.get('RUNG_NODE', '')}"
    Path(trial.config["folder"], name).write_text(json.dumps(seen))
    while name == "0-0" and not Path(trial.config["folder"], "0-1").exists():
        time.sleep(0.05)  # when the first one ends, the others are stopped
    return 1.0


def die(trial: Any) -> float:
    """Ends as if something had killed it, or as a mistake of the user."""
    print("about to end")
    if trial.number == 0:
        os._exit(3)
    raise ValueError("a mistake")


def on_ray(objective: Any, folder: Path, needs: str) -> Any:
    from rung.executors.ray import on_ray as make

    return make(Setup(objective, "loss", 1, folder, needs=Needs.parse(needs), elastic=True))


def ran(executor: Any, *jobs: Job) -> dict[int, Event]:
    """Run the jobs; how each ended."""
    executor.submit(jobs)
    ends: dict[int, Event] = {}
    while len(ends) < len(jobs):
        ends |= {
            event.trial: event for event in executor.poll(1.0) if isinstance(event, JobFinished | JobFailed)
        }
    executor.close()
    return ends


def seen(folder: Path) -> Iterator[Mapping[str, Any]]:
    return (json.loads(path.read_text()) for path in sorted(folder.glob("?-*")))


@pytest.mark.usefixtures("ray_nodes")
def test_what_a_trial_needs_is_reserved_and_seen(tmp_path: Path) -> None:
    executor = on_ray(look, tmp_path / "study", "cpus=0.5,custom.tpu=1")
    assert executor.workers == 2  # of the node's tpu; there are cores for four
    ends = ran(executor, Job(0, 1, {"folder": str(tmp_path)}, devices=2))
    assert ends.keys() == {0}
    assert list(seen(tmp_path)) == [
        dict.fromkeys(SEEN) | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "devices": 2}
    ]


def test_a_trial_over_two_nodes(ray_nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"it needs cpus=1,custom\.tpu=1,nodes=2"):
        _impatient(tmp_path)
    second = ray_nodes.add(num_cpus=1, resources={"tpu": 1})
    try:
        executor = on_ray(look, tmp_path / "study", "custom.tpu=1,nodes=2")
        assert executor.workers == 1
        (end,) = ran(executor, Job(0, 1, {"folder": str(tmp_path)})).values()
    finally:
        ray_nodes.kill(second)
    assert isinstance(end, JobFinished)
    first, other = seen(tmp_path)
    assert (first["RUNG_NODE"], other["RUNG_NODE"]) == ("0", "1")
    assert first["RUNG_NODES"] == other["RUNG_NODES"] == "127.0.0.1,127.0.0.1"
    assert first["RUNG_PORT"] == other["RUNG_PORT"]


def _impatient(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNG_RAY_WAIT", "0")
        on_ray(look, folder / "study", "custom.tpu=1,nodes=2")


@pytest.mark.usefixtures("ray_nodes")
def test_how_jobs_fail_and_what_they_printed(tmp_path: Path) -> None:
    ends: Mapping[int, Any] = ran(on_ray(die, tmp_path, "cpus=1"), Job(0, 1, {}), Job(1, 1, {}))
    assert (ends[0].failure, ends[0].message) == (Failure.LOST, "the worker exited with code 3")
    assert (ends[1].failure, ends[1].message) == (Failure.ERROR, "ValueError: a mistake")
    for number in (0, 1):
        assert "about to end" in (tmp_path / "logs" / f"trial-{number:06d}.log").read_text()
    assert "Traceback" in (tmp_path / "logs" / "trial-000001.log").read_text()
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "trial-000000.log",
        "trial-000001.log",
    }


@pytest.mark.usefixtures("ray_nodes")
def test_a_process_is_in_one_cluster(tmp_path: Path) -> None:
    from rung.executors.ray import on_ray as make

    with pytest.raises(StudyError, match=r"has joined another Ray cluster than '10\.0\.0\.1:6379'"):
        make(Setup(look, "loss", 1, tmp_path, address="10.0.0.1:6379"))
    with pytest.raises(StudyError, match="Ray's client is not used"):
        make(Setup(look, "loss", 1, tmp_path, address="ray://10.0.0.1:10001"))


@pytest.mark.parametrize("address", ["nonsense", "10.0.0.1", "10.0.0.1:99999", ":6379", "10.0.0.1:"])
def test_what_is_no_address(address: str, tmp_path: Path) -> None:
    from rung.executors.ray import on_ray as make

    with pytest.raises(StudyError, match="is not the address of a Ray cluster: give HOST:PORT"):
        make(Setup(look, "loss", 1, tmp_path, address=address))


_REFUSED = """
import sys, rung
from rung.errors import UserError
try:
    rung.tune(print, {"x": rung.Float(0, 1)}, trials=1, executor="ray", address=sys.argv[1], quiet=True)
except UserError as error:
    print(error)
"""


def refused(address: str, nodes: Nodes, home: Path, **settings: str) -> str:
    """What is said to who wants to join with these settings; neither a token nor a line of Ray's is in it."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    environment |= {"RAY_AUTH_MODE": "token", "HOME": str(home), **settings}
    command = [sys.executable, "-c", _REFUSED, address]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert nodes.environment["RAY_AUTH_TOKEN"] not in line
    return line


WRONG = "0123456789abcdef" * 4


def test_a_token_that_is_refused(ray_nodes: Nodes, tmp_path: Path) -> None:
    said = refused(ray_nodes.address, ray_nodes, tmp_path, RAY_AUTH_TOKEN=WRONG)
    assert said.startswith(f"the Ray cluster at '{ray_nodes.address}' does not accept this token")
    assert WRONG not in said


@pytest.mark.long
def test_clusters_that_cannot_be_joined(ray_nodes: Nodes, tmp_path: Path) -> None:
    with socket.socket() as mute:  # takes connections, and says nothing
        mute.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{mute.getsockname()[1]}"
        assert f"no Ray cluster answers at '{nobody}'" in refused(
            nobody, ray_nodes, tmp_path, RAY_AUTH_TOKEN=WRONG
        )
        mute.listen()
        assert f"no Ray cluster answers at '{nobody}'" in refused(
            nobody, ray_nodes, tmp_path, RAY_AUTH_TOKEN=WRONG
        )
    assert "asks for a token" in refused(ray_nodes.address, ray_nodes, tmp_path)
    said = refused("auto", ray_nodes, tmp_path, RAY_AUTH_TOKEN=WRONG, RAY_ADDRESS=nobody)
    assert said.startswith("no Ray cluster answers that this machine is in")


_TRAIN = """
import os, pathlib, psutil, rung
space = {"x": rung.Float(0, 1)}
def train(config):
    listening = {
        connection.laddr.ip
        for process in psutil.process_iter()
        if os.environ["MARK"] in _settings(process)
        for connection in process.net_connections("tcp")
        if connection.status == "LISTEN"
    }
    pathlib.Path(os.environ["MARK"]).write_text(" ".join(sorted(listening)))
    return config["x"]
def _settings(process):
    try:
        return process.environ().values()
    except psutil.Error:
        return ()
"""


def test_a_ray_of_ones_own_is_on_loopback_and_ends(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(_TRAIN)
    mark = tmp_path / "mark"
    settings = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    settings |= {"HOME": str(tmp_path), "MARK": str(mark)}
    command = [sys.executable, "-m", "rung", "tune", "train.py", "--trials", "1", "--executor", "ray"]
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "as many jobs at a time as the cluster holds" in done.stdout + done.stderr
    addresses = set(mark.read_text().split())
    assert addresses
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert not (tmp_path / ".ray").exists()  # no token that others could read
    assert not [p for p in psutil.process_iter() if str(mark) in _environment(p).values()]


def _environment(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


_HEADLESS = """
import time, rung
from ray.cluster_utils import Cluster
from rung.errors import UserError

cluster = Cluster(
    initialize_head=True,
    head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20},
)

def train(trial):
    for at in range(1, 10_000):
        trial.report(at, loss=1.0)
        time.sleep(0.1)

def strike(study, events):
    if any(type(event).__name__ == "Reported" for event in events) and cluster.head_node is not None:
        cluster.head_node.kill_gcs_server(check_alive=False)
        cluster.head_node = None

try:
    rung.tune(train, {"x": rung.Float(0, 1)}, resource=("epoch", 1, 9999), trials=1, address=cluster.address,
              storage="here.db", study="s", watch=strike, quiet=True)
except UserError as error:
    print(error, flush=True)
"""


@pytest.mark.long
def test_a_cluster_that_loses_its_head(tmp_path: Path) -> None:
    settings = os.environ | SETTINGS | {"RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "HEADLESS": str(tmp_path)}
    command = [sys.executable, "-c", _HEADLESS]
    done = subprocess.run(
        command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=150, check=False
    )
    for process in psutil.process_iter():  # what the program left of its cluster
        if str(tmp_path) in _environment(process).values():
            process.kill()
    assert "the connection to the Ray cluster was lost" in done.stdout, done.stderr
    with Study.open(str(tmp_path / "here.db"), "s") as study:
        assert study.history.begun == 1
