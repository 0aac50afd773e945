"""The writer of a study after something went wrong between folding and logging."""

import contextlib

import pytest

import rung
from rung.errors import StorageError
from rung.storage import open_storage
from rung.study.audit import audit

SPACE = {"x": rung.Float(0.0, 1.0)}


def loss(config):
    return config["x"]


@pytest.mark.parametrize("failing", range(1, 9))
@pytest.mark.parametrize("executor", ["inline", "simulated"])
@pytest.mark.parametrize("error", [StorageError("the disk is full"), KeyboardInterrupt()])
def test_a_study_goes_on_in_the_same_process_after_a_write_that_failed(monkeypatch, executor, failing, error):
    expected = [trial.config for trial in rung.tune(loss, SPACE, sampler="random", trials=8).trials]
    storage = open_storage("memory")
    study = rung.Study(SPACE, sampler="random", trials=8, storage=storage, study="s")
    log, writes = study.writer.log, []
    real = log.append

    def append(events, summary):
        writes.append(len(events))
        if len(writes) == failing:
            raise error
        real(events, summary)

    monkeypatch.setattr(log, "append", append)
    workers = 1 if executor == "inline" else 3
    for _ in range(2):  # where the first session has fewer writes, the second one fails
        with contextlib.suppress(type(error)):
            study.run(loss, workers=workers, executor=executor)
    assert len(writes) >= failing
    result = study.run(loss, workers=workers, executor=executor)
    assert [trial.config for trial in result.trials] == expected
    assert [trial.value for trial in result.trials] == [loss(config) for config in expected]
    assert study.history.length == len(list(study.events()))
    assert not audit(study.events()).differences
    study.close()
    rung.Study.open(storage, "s").close()
