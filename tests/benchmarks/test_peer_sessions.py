"""A peer's search on the virtual clock: with this Python as a peer's, which proposes a fixed list."""

from __future__ import annotations

import sys

import pytest
from benchmarks.entries import Unavailable
from benchmarks.peers import session
from benchmarks.peers.session import Session
from benchmarks.problems import Problem
from benchmarks.systems import Setting, system
from benchmarks.systems.clock import drive, payload
from benchmarks.systems.flat import flat, restored
from benchmarks.systems.trace import Trace

import rung

STUB = """
from serve import serve

class Tuner:
    '''Proposes x = 0, 1, 2, ...; goes on to the next rung where the loss is below 2.'''
    def __init__(self, told):
        self.told, self.count, self.known = told, 0, 0
    def ask(self):
        if self.told["option"] == "patient" and self.count > self.known:
            return None
        if self.told["option"] == "broken":
            raise RuntimeError("no idea")
        print("noise that a peer prints")
        number = 0 if self.told["option"] == "same" else self.count
        self.count += 1
        return number, {"x": number, "kind": number % 2}, self.told["resource"][0]
    def tell(self, trial, config, resource, loss):
        self.known += 1
        goes_on = loss is not None and loss < 2 and resource < self.told["resource"][1]
        return self.told["resource"][1] if goes_on else None

serve(Tuner)
"""

SPACE = {"x": rung.Integer(0, 100), "kind": rung.Categorical(["a", True])}


def value(config, resource, seed):
    return float("inf") if config["x"] == 3 else float(config["x"]) + 1.0 / resource


PROBLEM = Problem(SPACE, value, 0.0, ("epoch", 1, 3), evaluations=4)


@pytest.fixture
def search(tmp_path):
    (tmp_path / "stub.py").write_text(STUB)

    def run(setting, option="", problem=PROBLEM):
        trace = Trace(problem)
        told = payload(problem, setting, True) | {"option": option}
        with Session("optuna", told, tmp_path / "stub.py", sys.executable) as peer:
            drive(problem, setting, trace, peer)
            trace.deciding = peer.seconds
        return trace

    yield run
    session.end_idle()


def test_one_worker_costs_what_is_trained_and_no_more(search):
    """x = 0 goes on to 3, for 2 more; the others end at 1: 3 + 9 * 1 units."""
    trace = search(Setting(evaluations=4))
    assert (trace.spent, trace.now) == (12, 12)
    assert trace.evaluations == 2 + 9
    assert trace.full == 1
    assert [point[:2] for point in trace.points] == [(1, 1), (3, 3)]  # x = 0 at 1 and at 3
    assert trace.points[-1][2:] == (1 / 3, 1 / 3)
    assert trace.deciding > 0


def test_workers_share_the_clock(search):
    """x = 0 has the first until 3, the other does one a second; then both, until 12 units are spent."""
    trace = search(Setting(evaluations=4, workers=2))
    assert trace.spent == 12
    assert trace.now == 6


def test_time_ends_a_search(search):
    trace = search(Setting(evaluations=4, seconds=3.5))
    assert trace.now == 3
    assert trace.evaluations == 2


def test_who_waits_for_results_gets_them(search):
    """It asks for one more only when all results but those of running jobs were told."""
    trace = search(Setting(evaluations=4, workers=4), "patient")
    assert trace.spent == 12
    assert trace.now > 12 / 4


def test_a_repeated_evaluation_is_paid_for(search):
    """The same configuration over and over: 1, and 2 more to 3, each time."""
    trace = search(Setting(evaluations=4), "same")
    assert trace.spent == 12
    assert trace.evaluations == 2 * 4
    assert trace.full == 4


class Listed:
    """A peer in this process: jobs (trial, configuration, resource) from a list, for as long as asked."""

    def __init__(self, jobs):
        self._jobs = iter(jobs)

    def ask(self):
        return next(self._jobs)

    def tell(self, trial, resource, loss):
        return None


def noisy(config, resource, seed):
    return config["x"] + resource / 100 + seed * 1e-6


def test_a_training_that_goes_on_keeps_its_luck_and_a_new_one_has_its_own():
    """The second job goes on with the first one's training, whatever its number; the third is a new one."""
    seen = []

    def value(config, resource, seed):
        seen.append((resource, seed))
        return noisy(config, resource, seed)

    jobs = [(0, {"x": 5, "kind": 0}, 1), (1, {"x": 5, "kind": 0}, 3), (2, {"x": 5, "kind": 0}, 1)]
    fresh = (3, {"x": 7, "kind": 0}, 3)
    problem = PROBLEM._replace(value=value, truth=lambda config: 0.0)
    trace = Trace(problem)
    drive(problem, Setting(seed=2, evaluations=2), trace, Listed([*jobs, fresh]))
    assert seen == [(1, 200_000), (3, 200_000), (1, 200_002)]
    assert trace.spent == 1 + 2 + 1  # the fresh one needs 3, and 2 are left


def test_where_trainings_begin_anew_all_is_paid():
    jobs = [(0, {"x": 5, "kind": 0}, 1), (1, {"x": 5, "kind": 0}, 3), (2, {"x": 6, "kind": 0}, 3)]
    trace = Trace(PROBLEM)
    drive(PROBLEM._replace(continues=False), Setting(evaluations=2), trace, Listed(jobs))
    assert trace.spent == 1 + 3


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_proposals_give_what_rungs_own_executor_gives(workers):
    """Costs, order, noise and budget, where a peer proposes what rung's random search did."""

    def seconds(config, start, until):
        return (1.0 + config["x"] % 7) * (until - start)

    asked = {}  # by trial, as they were started

    def value(config, resource, seed):
        asked.setdefault(seed, dict(config))
        return noisy(config, resource, seed)

    problem = PROBLEM._replace(value=value, cost=seconds, truth=lambda config: float(config["x"]))
    setting = Setting(seed=1, workers=workers, evaluations=20)
    own, peers = Trace(problem), Trace(problem)
    system("rung random").run(problem, setting, own)
    indices = {value: index for index, value in enumerate(SPACE["kind"].values)}
    jobs = [
        (seed - 100_000, {"x": config["x"], "kind": indices[config["kind"]]}, problem.largest)
        for seed, config in sorted(asked.items())
    ]
    jobs.append((len(jobs), jobs[0][1], problem.largest))  # for which nothing is left
    assert len({(job[1]["x"], job[1]["kind"]) for job in jobs}) == len(jobs) - 1
    drive(problem, setting, peers, Listed(jobs))
    assert peers.points == own.points
    assert len(own.points) > 1
    assert (peers.spent, peers.now, peers.evaluations) == (own.spent, own.now, own.evaluations)
    assert own.evaluations == 20


def test_one_process_does_search_after_search_and_nothing_stays_of_the_last(search):
    setting = Setting(evaluations=4)
    first = search(setting)
    (waiting,) = session._IDLE.values()
    second = search(setting)
    assert list(session._IDLE.values()) == [waiting]
    assert second.points == first.points
    with pytest.raises(Unavailable, match="no idea"):
        search(setting, "broken")
    assert session._IDLE == {}
    assert waiting.process.poll() is not None
    assert search(setting).points == first.points


def test_a_search_that_is_left_ends_its_process(tmp_path):
    (tmp_path / "stub.py").write_text(STUB)
    told = payload(PROBLEM, Setting(), True) | {"option": ""}
    peer = Session("optuna", told, tmp_path / "stub.py", sys.executable)

    def left():
        with peer:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        left()
    assert peer._server.process.poll() is not None
    assert session._IDLE == {}


def test_what_peers_are_not_run_with_is_said():
    with pytest.raises(ValueError, match="without stragglers"):
        system("optuna").run(PROBLEM, Setting(stragglers=0.5), Trace(PROBLEM))


def test_a_peer_that_fails_says_why(search):
    with pytest.raises(Unavailable, match="optuna failed: RuntimeError: no idea"):
        search(Setting(evaluations=4), "broken")


def test_waiting_for_nothing_is_an_error(tmp_path):
    class Waits:
        def ask(self):
            return None

    with pytest.raises(RuntimeError, match="nothing runs"):
        drive(PROBLEM, Setting(evaluations=4), Trace(PROBLEM), Waits())


def test_a_peer_that_is_not_installed_is_a_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNG_PEERS", str(tmp_path))
    with pytest.raises(Unavailable, match="make peers PEERS=smac"):
        Session("smac", {})


def test_a_peer_that_hangs_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "stub.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(session, "PATIENCE", 0.2)
    with pytest.raises(Unavailable, match="took more than"):
        Session("smac", {}, tmp_path / "stub.py", sys.executable)


def test_spaces_travel_flat_and_come_back_nested():
    space = {
        "rate": rung.Float(1e-3, 1.0, log=True),
        "depth": rung.Integer(1, 9),
        "size": rung.Ordinal([1, 10, 100]),
        "model": rung.Choice({"tree": {"leaves": rung.Integer(2, 8)}, "line": {}}),
    }
    told = {one["name"]: one for one in flat(space)}
    assert told["rate"] == {
        "name": "rate",
        "when": None,
        "kind": "float",
        "low": 1e-3,
        "high": 1.0,
        "log": True,
    }
    assert told["size"]["kind"] == "ordinal"
    assert told["size"]["values"] == 3
    assert told["leaves"]["when"] == ("model", 0)
    given = {"rate": 0.1, "depth": 3, "size": 2, "model": 0, "leaves": 5}
    assert restored(space, given) == {"rate": 0.1, "depth": 3, "size": 100, "model": "tree", "leaves": 5}
    assert restored(space, given | {"model": 1})["model"] == "line"
    assert "leaves" not in restored(space, given | {"model": 1})
