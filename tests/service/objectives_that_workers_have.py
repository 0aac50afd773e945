"""Objectives of the tests: what a worker finds in its working folder."""

import json
import os
import time
from pathlib import Path


def train(trial):
    """A loss that falls with the resource; goes on from its checkpoint."""
    seen = 0
    if trial.checkpoint is not None:
        seen = json.loads((Path(trial.checkpoint) / "seen").read_text())
    assert seen == trial.start
    for epoch in range(seen + 1, trial.resource + 1):
        time.sleep(float(os.environ.get("RUNG_TEST_EPOCH", "0")))
        trial.report(
            epoch,
            loss=trial.config["x"] / epoch,
            save=lambda folder, epoch=epoch: (Path(folder) / "seen").write_text(json.dumps(epoch)),
        )


def stubborn(trial):
    """Never reports again."""
    trial.report(1, loss=1.0)
    time.sleep(600)


def plain(config):
    return config["x"] ** 2


number = 3
