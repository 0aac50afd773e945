"""A training that goes on beyond the resource that it was given."""

import warnings

import pytest

import rung

SPACE = {"x": rung.Float(0, 1)}
ASKED = {"resource": ("epoch", 1, 9), "scheduler": "asha", "sampler": "random", "quiet": True}


def too_far(trial):
    trial.report(trial.resource + 3, loss=trial.config["x"])


def as_far_as_asked(trial):
    for epoch in range(trial.start, trial.resource):
        trial.report(epoch + 1, loss=trial.config["x"])


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_said_once_and_taken_as_of_what_was_asked(workers):
    with pytest.warns(UserWarning, match="taken as of 1") as said:
        result = rung.tune(too_far, SPACE, trials=9, workers=workers, **ASKED)
    assert len(said) == 1
    assert "reported at epoch 4, but was to train to 1: what it reported is taken as of 1" in str(
        said[0].message
    )
    assert {record.resource for record in result.trials} <= {1, 3, 9}


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_said_of_one_that_keeps_to_it(workers):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        rung.tune(as_far_as_asked, SPACE, trials=9, workers=workers, **ASKED)
    assert said == []


def test_nothing_is_said_where_what_was_asked_was_told_before():
    def train(config):
        for epoch in range(1, 10):
            rung.report(epoch, loss=config["x"])

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = rung.tune(train, SPACE, trials=9, executor="inline", **ASKED)
    assert said == []
    assert all(trial.value == trial.config["x"] for trial in result.trials)
