"""A study stopped after every event, at every write, goes on to the same end."""

import json
from pathlib import Path

import pytest

import rung
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.study.audit import audit
from rung.study.records import TrialRecord

SPACE = {"x": rung.Float(0.0, 1.0), "kind": rung.Choice({"a": {"y": rung.Integer(1, 9)}, "b": {}})}
SETTINGS = {"resource": ("epoch", 1, 9), "eta": 3, "trials": 7, "seed": 3}
COMBINATIONS = [
    ("random", "asha"),
    ("kde", "asha"),
    ("random", "hyperband"),
    ("kde", "sha"),
    ("random", "asha-stopping"),
    ("kde", "async-hyperband"),
]


def curve(config, epoch):
    """A learning curve with a NaN, a crash and ties in it."""
    if config["x"] > 0.9:
        raise RuntimeError("diverged")
    if 0.8 < config["x"] <= 0.9:
        return float("nan")
    return round(config["x"], 1) + 1.0 / epoch


def train(trial):
    for epoch in range(trial.start, trial.resource):
        trial.report(epoch + 1, loss=curve(trial.config, epoch + 1))


def seen(records: list[TrialRecord]):
    """What must be the same whatever happened on the way."""
    return [
        (r.number, r.config, str(r.state), [(o.resource, repr(dict(o.metrics))) for o in r.observations])
        for r in records
    ]


@pytest.mark.parametrize(("sampler", "scheduler"), COMBINATIONS)
def test_resuming_from_every_prefix_of_the_log_ends_the_same(sampler, scheduler):
    settings = {**SETTINGS, "sampler": sampler, "scheduler": scheduler}
    whole = open_storage("memory")
    expected = rung.tune(train, SPACE, storage=whole, study="s", **settings)
    events = list(whole.read("s"))
    assert len(expected.trials) >= 7
    for length in range(1, len(events)):
        storage = open_storage("memory")
        log = storage.create("s", events[:1], Summary())
        if length > 1:
            log.append(events[1:length], Summary())
        log.close()
        result = rung.tune(train, SPACE, storage=storage, study="s", **settings)
        assert seen(result.trials) == seen(expected.trials), f"after {length} of {len(events)} events"
        assert not audit(storage.read("s")).differences
        storage.close()


class Crash(BaseException):
    """Stands for the death of the process: no further line of its code runs."""


class CrashingLog:
    """A log whose writer dies at its `survives`-th write, before or after it is durable."""

    def __init__(self, log, survives: int, after: bool) -> None:
        self._log, self._left, self._after = log, survives, after

    def append(self, events, summary) -> None:
        self._left -= 1
        if self._left < 0:
            raise Crash
        if self._left == 0 and not self._after:
            raise Crash
        self._log.append(events, summary)
        if self._left == 0:
            raise Crash

    def close(self) -> None:
        self._log.close()

    def __getattr__(self, name):
        return getattr(self._log, name)


class CrashingStorage:
    def __init__(self, storage, survives: int, after: bool) -> None:
        self._storage, self._survives, self._after = storage, survives, after

    def create(self, *arguments):
        return CrashingLog(self._storage.create(*arguments), self._survives, self._after)

    def open(self, name):
        return CrashingLog(self._storage.open(name), self._survives, self._after)

    def __getattr__(self, name):
        return getattr(self._storage, name)


def train_with_checkpoints(trial):
    """Its value depends on what the checkpoint carried: a lost or mixed-up one shows."""
    total = 0.0
    if trial.checkpoint:
        saved = json.loads((Path(trial.checkpoint) / "state.json").read_text())
        assert saved["epoch"] == trial.start
        total = saved["total"]
    for epoch in range(trial.start, trial.resource):
        total += curve(trial.config, epoch + 1)

        def save(folder, epoch=epoch, total=total):
            (Path(folder) / "state.json").write_text(json.dumps({"epoch": epoch + 1, "total": total}))

        trial.report(epoch + 1, loss=total / (epoch + 1), save=save)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "asha-stopping"])
def test_dying_at_every_write_loses_and_doubles_nothing(tmp_path, scheduler, after):
    settings = {**SETTINGS, "sampler": "kde", "scheduler": scheduler}
    whole = open_storage(str(tmp_path / "whole.db"))
    expected = rung.tune(train_with_checkpoints, SPACE, storage=whole, study="s", **settings)
    writes = 0
    while True:
        writes += 3
        storage = open_storage(str(tmp_path / f"crashed-{writes}.db"))
        try:
            rung.tune(
                train_with_checkpoints,
                SPACE,
                storage=CrashingStorage(storage, writes, after),
                study="s",
                **settings,
            )
        except Crash:
            result = rung.tune(train_with_checkpoints, SPACE, storage=storage, study="s", **settings)
            assert seen(result.trials) == seen(expected.trials), f"write {writes}"
            assert not audit(storage.read("s")).differences
            storage.close()
        else:
            storage.close()
            break
    assert writes > 20
    whole.close()
