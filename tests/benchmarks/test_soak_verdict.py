"""The verdict of soak and demo notices what was lost, doubled and killed."""

from benchmarks.cluster_demo.verdict import deaths, verdict
from benchmarks.soak.__main__ import best_value, counted, good
from benchmarks.soak.objective import total

import rung
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.trials import events as ev
from rung.trials.events import Failure


def ran(tmp_path, **more):
    """A small study in a storage of its own, and its events."""
    storage = open_storage(str(tmp_path / "s.db"))

    def train(trial):
        for epoch in range(trial.start, trial.resource):
            trial.report(epoch + 1, loss=total(trial.config["x"], epoch + 1))

    space = {"x": rung.Float(0.0, 1.0)}
    result = rung.tune(
        train,
        space,
        resource=("epoch", 1, 9),
        trials=27,
        sampler="random",
        scheduler="sha",
        storage=storage,
        study="s",
        **more,
    )
    return storage, list(storage.read("s")), result


def again(events):
    """The same events as the log of a study in memory."""
    storage = open_storage("memory")
    log = storage.create("s", events, Summary(state="done"))
    log.close()
    return verdict(storage, "s")


def test_an_undisturbed_study_is_good_and_its_best_is_known(tmp_path):
    storage, events, result = ran(tmp_path, seed=3)
    found = verdict(storage, "s")
    assert (found.done, found.trials, found.lost, found.doubled, found.differences) == (True, 27, 0, 0, 0)
    assert found.best == result.best.value == best_value(3)
    assert deaths([events]) == {"services": 0, "workers": 0}


def test_an_observation_that_is_missing_is_lost(tmp_path):
    _, events, _ = ran(tmp_path)
    assert again([event for event in events if getattr(event, "resource", None) != 2]).lost > 0


def test_a_job_that_never_ended_is_lost(tmp_path):
    _, events, _ = ran(tmp_path)
    last = max(i for i, event in enumerate(events) if isinstance(event, ev.JobFinished))
    assert again(events[:last] + events[last + 1 :]).lost == 1


def test_what_ends_twice_is_doubled(tmp_path):
    _, events, _ = ran(tmp_path)
    finished = next(event for event in events if isinstance(event, ev.JobFinished))
    assert again([*events, finished]).doubled == 1


def test_deaths_are_counted_from_the_log():
    session = [ev.SessionStarted("h", pid, "service", 0, None, float(pid)) for pid in (1, 2, 3)]
    ended = ev.SessionEnded("done", 2.5)
    lost = [
        ev.JobFailed(trial, Failure.LOST, f"nothing was heard of {name} for 6 s", 0, time)
        for trial, (name, time) in enumerate([("w-1", 10.0), ("w-1", 11.0), ("w-2", 11.0), ("w-1", 99.0)])
    ]
    one = [session[0], session[1], ended, session[2], *lost[:2]]
    other = [session[0], session[1], *lost[2:]]
    assert deaths([one, other]) == {"services": 1, "workers": 3}  # the first service's death shows in both


def test_one_bad_round_is_a_bad_soak():
    row = {"kills": {"driver": 3}, "done": True, "lost": 0, "doubled": 0, "differences": 0, "same_best": True}
    assert good(counted([row, row]))
    assert counted([row, row])["kills"] == 6
    for name, value in (
        ("lost", 1),
        ("doubled", 1),
        ("differences", 1),
        ("done", False),
        ("same_best", False),
    ):
        assert not good(counted([row, {**row, name: value}]))
