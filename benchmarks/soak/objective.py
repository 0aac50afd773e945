"""What the soak trains: quick, with checkpoints, and with a result that anybody can work out."""

import json
import os
import time
from pathlib import Path

import rung

space = {"x": rung.Float(0.0, 1.0)}
resource = ("epoch", 1, 9)
PACE = float(os.environ.get("SOAK_PACE", "0.02"))  # seconds an epoch


def total(x: float, epochs: int) -> float:
    """The loss after so many epochs, summed in the order in which training sums it."""
    found = 0.0
    for epoch in range(epochs):
        found += x + 1.0 / (epoch + 1)
    return found


def train(trial):
    found = 0.0
    if trial.checkpoint:
        saved = json.loads((Path(trial.checkpoint) / "state.json").read_text())
        assert saved["epoch"] == trial.start, (saved, trial.start)
        found = saved["total"]
    for epoch in range(trial.start, trial.resource):
        time.sleep(PACE)
        found += trial.config["x"] + 1.0 / (epoch + 1)
        state = json.dumps({"epoch": epoch + 1, "total": found})
        trial.report(epoch + 1, loss=found, save=lambda folder, s=state: _save(folder, s))


def _save(folder: str, state: str) -> None:
    (Path(folder) / "state.json").write_text(state)
