"""A cell and few pictures with which `rung search retrain` and `transfer` take a second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

CELL = {
    "normal": [["sep_conv_3x3", 0], ["skip_connect", 1], ["skip_connect", 0], ["avg_pool_3x3", 2]],
    "normal_concat": [2, 3],
    "reduce": [["avg_pool_3x3", 0], ["skip_connect", 1], ["skip_connect", 2], ["avg_pool_3x3", 0]],
    "reduce_concat": [2, 3],
}
SMALL = ("--preset", "tiny", "--channels", 4, "--layers", 2, "--epochs", 2, "--batch", 12, "--device", "cpu")


def write_cell(folder: Path) -> str:
    """The name of its file in `folder`."""
    (folder / "cell.json").write_text(json.dumps(CELL))
    return "cell.json"


def write_pictures(folder: Path) -> str:
    """The name of a file in `folder` of three classes that differ in the colour of a square."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(48) % 3)
    x = rng.integers(0, 128, (48, 8, 8, 3)).astype(np.uint8)
    x[np.arange(48), 2:5, 2:5, y] += 90
    np.savez(folder / "data.npz", x_train=x[:36], y_train=y[:36], x_test=x[36:], y_test=y[36:])
    return "data.npz"
