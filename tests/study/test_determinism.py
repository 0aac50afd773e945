"""The same seed and one worker give the same log, whatever the executor."""

from pathlib import Path

import msgspec
import pytest

import rung
from rung.executors.simulated import SimulatedExecutor
from rung.storage import open_storage
from rung.study.audit import audit
from rung.trials import events as ev

SPACE = {"x": rung.Float(0.0, 1.0), "kind": rung.Choice({"a": {"y": rung.Integer(1, 9)}, "b": {}})}
PAIRS = [
    ("random", "asha"),
    ("kde", "asha"),
    ("kde", "hyperband"),
    ("random", "sha"),
    ("kde", "asha-stopping"),
    ("random", "async-hyperband"),
    ("grid", "plain"),
]


def curve(config, epoch):
    """A learning curve; some configurations crash, some have no value, some are equal."""
    if config["x"] > 0.9:
        raise RuntimeError("diverged")
    return float("nan") if config["x"] > 0.8 else round(config["x"], 1) + config.get("y", 3) / epoch


def train(trial):
    for epoch in range(trial.start, trial.resource):
        save = lambda folder, epoch=epoch: Path(folder, "epoch").write_text(str(epoch))  # noqa: E731
        trial.report(epoch + 1, loss=curve(trial.config, epoch + 1), save=save)


def log_of(objective, seed, **settings):
    """Every event of a study but what the clock and the process put into it, and who ran it."""
    storage = open_storage("memory")
    rung.tune(
        objective,
        SPACE,
        resource=("epoch", 1, 9),
        trials=40,
        seed=seed,
        storage=storage,
        study="s",
        **settings,
    )
    events = list(storage.read("s"))
    assert not audit(events).differences
    storage.close()
    return [
        repr(msgspec.structs.replace(event, time=0.0))  # a NaN equals another one's text
        for event in events
        if not isinstance(event, ev.SessionStarted)
    ]


@pytest.mark.parametrize(("sampler", "scheduler"), PAIRS)
def test_one_worker_and_the_same_seed_give_the_same_log(sampler, scheduler):
    methods = {"sampler": sampler, "scheduler": scheduler}
    inline = log_of(train, 5, executor="inline", **methods)
    assert any("CheckpointDeleted" in event for event in inline) or scheduler == "plain"
    assert log_of(train, 5, executor="inline", **methods) == inline
    assert log_of(train, 5, executor="local", **methods) == inline
    if sampler != "grid":
        assert log_of(train, 6, executor="inline", **methods) != inline


@pytest.mark.parametrize(("sampler", "scheduler"), PAIRS)
@pytest.mark.parametrize("workers", [1, 7])
def test_a_simulation_is_the_same_each_time_its_clock_included(sampler, scheduler, workers):
    def simulated():
        executor = SimulatedExecutor(
            workers,
            lambda config, trial, resource: {"loss": curve(config, resource)},
            lambda config, first, last, trial: (last - first) * (1.0 + config["x"]),
            stragglers=0.5,
            drop=0.01,
            seed=3,
            reports="saves",
        )
        return log_of(train, 5, executor=executor, sampler=sampler, scheduler=scheduler), executor.now()

    first = simulated()
    assert first == simulated()
    assert any("LOST" in event for event in first[0])
