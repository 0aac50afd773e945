"""The executor of a cluster, on one that lives in memory: what comes and goes, and when."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import rung
from rung.errors import StudyError
from rung.executors import ray_pool, ray_room
from rung.executors.base import Job
from rung.executors.needs import Needs
from rung.executors.pipes import Run, to_worker
from rung.executors.ray_host import Hello, encode
from rung.executors.ray_places import Gone
from rung.executors.ray_pool import PoolExecutor
from rung.executors.setup import Setup
from rung.trials.events import Failure, JobFailed, JobFinished, JobStopped, Reported


class Memory:
    """A cluster whose members answer when the test says so."""

    def __init__(self, **cores: float) -> None:
        self.have: dict[str, Mapping[str, float]] = {name: {"CPU": count} for name, count in cores.items()}
        self.members: list[str] = []  # "slot.rank"
        self.homes: list[str | None] = []
        self.needs: list[Needs] = []
        self.asked: dict[int, tuple[str, str, tuple[Any, ...]]] = {}
        self.answers: dict[int, Any] = {}
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.closed = False

    def nodes(self) -> Mapping[str, Mapping[str, float]]:
        return dict(self.have)

    def start(self, number: int, needs: Needs, home: str | None) -> tuple[list[Any], Any]:
        made = [f"{number}.{rank}" for rank in range(needs.nodes)]
        self.members += made
        self.homes.append(home)
        self.needs.append(needs)
        return made, None

    def ask(self, member: Any, method: str, *arguments: Any) -> Any:
        if method == "cancel":
            self.cancelled.append(member)
            return None
        number = len(self.asked)
        self.asked[number] = (member, method, arguments)
        return number

    def wait(self, references: Sequence[Any], timeout: float) -> list[Any]:
        return [reference for reference in references if reference in self.answers]

    def answer(self, reference: Any) -> Any:
        found = self.answers.pop(reference)
        if isinstance(found, Gone):
            raise found
        return found

    def end(self, members: Sequence[Any], group: Any) -> None:
        self.ended += members

    def close(self) -> None:
        self.closed = True

    # -- what the test says ---------------------------------------------------------------------------

    def open(self, member: str) -> int:
        """The latest question to a member."""
        return max(number for number, (whom, _, _) in self.asked.items() if whom == member)

    def up(self, member: str, node: str = "a", version: str = rung.__version__) -> None:
        self.answers[self.open(member)] = Hello(node, f"10.0.0.{node}", "here", version, True, 1234)

    def joined(self, member: str) -> None:
        self.answers[self.open(member)] = None

    def tell(self, member: str, *events: Any) -> None:
        self.answers[self.open(member)] = encode(events)

    def gone(self, member: str, why: str = "its node was lost", *, raised: bool = False) -> None:
        self.answers[self.open(member)] = Gone(why, raised=raised)

    def job(self, member: str) -> Job:
        """What it was given last."""
        given = [a for m, method, a in self.asked.values() if m == member and method == "turn" and a[1]]
        (message,) = to_worker.decode(given[-1][1])
        assert isinstance(message, Run)
        return message.job


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_pool, "_TICK", 0.0)
    monkeypatch.setattr(ray_room, "TICK", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def pool(cluster: Memory, folder: Path, workers: int = 0, **more: Any) -> PoolExecutor:
    setup = Setup(print, "loss", workers or 1, folder, elastic=not workers, **more)
    return PoolExecutor(setup, cluster, patience=0.0)


def finished(trial: int, attempt: int = 0) -> JobFinished:
    return JobFinished(trial, attempt, {"loss": 1.0}, time.time())


def test_slots_are_made_on_demand_and_kept(folder: Path) -> None:
    cluster = Memory(a=2, b=1)
    executor = pool(cluster, folder)
    assert (executor.workers, executor.free_slots, cluster.members) == (3, 3, [])
    executor.submit([Job(0, 1, {}), Job(1, 1, {})])
    assert (executor.free_slots, cluster.members) == (1, ["0.0", "1.0"])
    cluster.up("0.0")
    assert executor.poll(0.0) == []
    cluster.tell("0.0", end := finished(0))
    assert executor.poll(0.0) == [end]
    executor.poll(0.0)
    assert cluster.job("0.0").trial == 1  # though a slot was being made for it
    cluster.tell("0.0", end := finished(1))
    assert executor.poll(0.0) == [end]
    assert executor.free_slots == 3


def test_no_more_than_the_workers_that_were_asked_for(folder: Path) -> None:
    assert pool(Memory(a=8), folder, workers=3).free_slots == 3
    assert pool(Memory(a=2), folder, workers=3).free_slots == 2


def test_nodes_come_and_go(folder: Path) -> None:
    cluster = Memory(a=1)
    executor = pool(cluster, folder)
    executor.submit([Job(0, 1, {})])
    cluster.up("0.0")
    executor.poll(0.0)
    cluster.have["b"] = {"CPU": 4.0}
    executor.poll(0.0)
    assert executor.free_slots == 4
    del cluster.have["a"]
    cluster.gone("0.0", "its node was lost")
    (event,) = executor.poll(0.0)
    assert isinstance(event, JobFailed)
    assert (event.trial, event.failure, event.message) == (0, Failure.LOST, "its node was lost (10.0.0.a)")
    assert (executor.free_slots, cluster.ended) == (4, ["0.0"])


def test_an_idle_slot_of_a_node_that_left_is_not_used(folder: Path) -> None:
    cluster = Memory(a=1, b=1)
    executor = pool(cluster, folder)
    executor.submit([Job(0, 1, {})])
    cluster.up("0.0", "a")
    executor.poll(0.0)
    cluster.tell("0.0", finished(0))
    executor.poll(0.0)
    del cluster.have["a"]
    executor.poll(0.0)
    executor.submit([Job(1, 1, {})])
    assert cluster.members == ["0.0", "1.0"]


def test_not_where_a_worker_was_lost_a_moment_ago(folder: Path) -> None:
    cluster = Memory(a=1, b=1)
    executor = pool(cluster, folder)
    executor.submit([Job(7, 1, {})])
    cluster.up("0.0", "b")
    executor.poll(0.0)
    cluster.gone("0.0", "the worker died")
    executor.poll(0.0)
    executor.submit([Job(7, 1, {}, attempt=1)])
    assert cluster.homes == [None, "a"]  # where a worker was lost the node may be lost


def test_a_promoted_trial_goes_back_to_its_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_room, "_DOUBT", -1.0)
    cluster = Memory(a=1, b=1)
    executor = pool(cluster, folder)
    executor.submit([Job(7, 1, {})])
    cluster.up("0.0", "b")
    executor.poll(0.0)
    cluster.gone("0.0", "the worker died")
    executor.poll(0.0)
    executor.poll(0.0)  # a look at the nodes later
    executor.submit([Job(7, 1, {}, attempt=1)])
    assert cluster.homes == [None, "b"]


def test_a_slot_that_starts_for_nobody_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Memory(a=1)
    executor = pool(cluster, folder)
    executor.submit([Job(0, 1, {})])
    executor.cancel(0)
    executor.poll(0.0)
    assert cluster.ended == []
    monkeypatch.setattr(ray_room, "_SLOW", 0.0)
    executor.poll(0.0)
    assert cluster.ended == ["0.0"]


def test_a_gate_waits_for_the_next_poll(folder: Path) -> None:
    cluster = Memory(a=1)
    executor = pool(cluster, folder)
    executor.submit([Job(0, 4, {}, gates=(2,))])
    cluster.up("0.0")
    executor.poll(0.0)
    first = cluster.open("0.0")
    cluster.tell("0.0", Reported(0, 2, {"loss": 1.0}, 0, time.time()))
    assert len(executor.poll(0.0)) == 1
    assert cluster.open("0.0") == first  # nothing is asked before the next poll
    executor.cancel(0)
    assert cluster.cancelled == []  # its next turn says it
    executor.poll(0.0)
    assert cluster.asked[cluster.open("0.0")][2][2] is True


def test_cancelled_in_the_queue_and_on_the_way(folder: Path) -> None:
    cluster = Memory(a=2)
    executor = pool(cluster, folder)
    executor.submit([Job(0, 4, {}), Job(1, 4, {})])
    cluster.up("0.0")
    executor.poll(0.0)
    executor.cancel(0)
    executor.cancel(1)
    executor.cancel(5)
    assert cluster.cancelled == ["0.0"]
    assert [type(event) for event in executor.poll(0.0)] == [JobStopped]


def test_several_devices_are_one_slot(folder: Path) -> None:
    cluster = Memory(a=4)
    executor = pool(cluster, folder)
    executor.submit([Job(0, 1, {}, devices=3)])
    assert (executor.free_slots, cluster.needs[0].cpus) == (1, 3.0)
    with pytest.raises(ValueError, match="free slots"):
        executor.submit([Job(1, 1, {}, devices=2)])


def test_what_fits_on_no_node_ends_with_a_sentence(folder: Path) -> None:
    cluster = Memory(a=2, b=2)
    executor = pool(cluster, folder)
    executor.submit([Job(0, 1, {}, devices=3)])
    (event,) = executor.poll(0.0)
    assert isinstance(event, JobFailed)
    assert "it needs cpus=3, but of 2 nodes none has more than 2 CPU" in event.message
    assert event.failure is Failure.LOST  # nodes may come back until it is tried again
    assert executor.free_slots == 4


def test_no_node_that_can_hold_a_trial(folder: Path) -> None:
    cluster = Memory(a=2)
    with pytest.raises(StudyError, match="it needs cpus=1,gpus=1, but the only node has 2 CPU and 0 GPU"):
        pool(cluster, folder, needs=Needs(gpus=1))
    assert cluster.closed


def test_a_trial_over_two_nodes(folder: Path) -> None:
    cluster = Memory(a=1, b=1)
    executor = pool(cluster, folder, needs=Needs(nodes=2))
    assert executor.workers == 1
    executor.submit([Job(0, 4, {}, gates=(2,))])
    assert cluster.members == ["0.0", "0.1"]
    cluster.up("0.0", "a")
    cluster.up("0.1", "b")
    executor.poll(0.0)
    member, method, (environment,) = cluster.asked[cluster.open("0.1")]
    assert (member, method) == ("0.1", "join")
    assert environment == {"RUNG_NODES": "10.0.0.a,10.0.0.b", "RUNG_PORT": "1234", "RUNG_NODE": "1"}
    cluster.joined("0.0")
    cluster.joined("0.1")
    executor.poll(0.0)
    assert (cluster.job("0.0").gates, cluster.job("0.1").gates) == ((2,), ())
    cluster.tell("0.1", Reported(0, 1, {"loss": 9.0}, 0, time.time()))
    assert executor.poll(0.0) == []  # the first one speaks for all
    cluster.tell("0.0", finished(0))
    assert len(executor.poll(0.0)) == 1
    assert executor.free_slots == 0  # the other one is still at it
    assert cluster.cancelled == ["0.1"]
    cluster.tell("0.1", JobStopped(0, 0, time.time()))
    assert executor.poll(0.0) == []
    executor.poll(0.0)
    assert executor.free_slots == 1


def test_an_error_on_another_node_ends_the_trial(folder: Path) -> None:
    cluster = Memory(a=1, b=1)
    executor = pool(cluster, folder, needs=Needs(nodes=2))
    executor.submit([Job(0, 4, {})])
    for member, node in (("0.0", "a"), ("0.1", "b")):
        cluster.up(member, node)
    executor.poll(0.0)
    for member in ("0.0", "0.1"):
        cluster.joined(member)
    executor.poll(0.0)
    cluster.tell("0.1", JobFailed(0, Failure.ERROR, "ValueError: no", 0, time.time()))
    (event,) = executor.poll(0.0)
    assert isinstance(event, JobFailed)
    assert (event.failure, event.message) == (Failure.ERROR, "on its node 1: ValueError: no")
    assert cluster.ended == ["0.0", "0.1"]


def test_a_clock_that_is_wrong(folder: Path) -> None:
    executor = pool(cluster := Memory(a=1), folder)
    executor.submit([Job(0, 1, {})])
    cluster.up("0.0")
    executor.poll(0.0)
    before = time.time()
    cluster.tell("0.0", JobFinished(0, 0, None, before + 3600))
    (event,) = executor.poll(0.0)
    assert before <= event.time <= time.time()  # type: ignore[attr-defined]


def test_another_version(folder: Path) -> None:
    executor = pool(cluster := Memory(a=1), folder)
    executor.submit([Job(0, 1, {})])
    cluster.up("0.0", version="0.0.1")
    with pytest.raises(StudyError, match=r"has rung 0\.0\.1, but this process"):
        executor.poll(0.0)


def test_a_folder_that_is_not_shared(folder: Path) -> None:
    executor = pool(cluster := Memory(a=1), folder)
    executor.submit([Job(0, 1, {})])
    cluster.answers[cluster.open("0.0")] = Hello("a", "10.0.0.2", "afar", rung.__version__, False, 1)
    with pytest.raises(StudyError, match=r"10\.0\.0\.2 \(afar\) does not see the study's folder"):
        executor.poll(0.0)


def test_slots_that_never_start(folder: Path) -> None:
    executor = pool(cluster := Memory(a=1), folder)
    executor.submit([Job(0, 1, {})])
    for number in range(5):  # nodes may die as often as they like
        cluster.gone(f"{number}.0")
        assert executor.poll(0.0) == []
    for number in (5, 6):
        cluster.gone(f"{number}.0", "No module named 'rung'", raised=True)
        assert executor.poll(0.0) == []
    cluster.gone("7.0", "No module named 'rung'", raised=True)
    with pytest.raises(StudyError, match="cannot be started on the cluster: No module named 'rung'"):
        executor.poll(0.0)


def test_closed(folder: Path) -> None:
    executor = pool(cluster := Memory(a=1, b=1), folder)
    executor.submit([Job(0, 1, {}), Job(1, 1, {})])
    cluster.up("0.0")
    executor.poll(0.0)
    executor.close()
    ends = executor.poll(None)
    assert [(event.trial, type(event)) for event in ends] == [(1, JobStopped), (0, JobFailed)]  # type: ignore[attr-defined]
    assert (cluster.closed, executor.free_slots) == (True, 0)
