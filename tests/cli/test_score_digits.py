"""Scores of a target in a small unit are shown with digits everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import Result

from rung.tabular.model_file import read_card

Rung = Callable[..., Result]


def test_millionths_are_shown_with_their_digits(folder: Path, rung: Rung) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=90)
    pd.DataFrame({"x": x, "y": 1e-7 * (x + rng.normal(size=90))}).to_csv(folder / "small.csv", index=False)
    few = ("--budget", "30s", "--trials", 1, "--include", "linear")
    done = rung("fit", "small.csv", "--target", "y", "--holdout", "20%", "--metric", "mae", *few)
    assert done.exit_code == 0, done.stderr
    told = [
        done.stdout + done.stderr,
        rung("leaderboard", "model.rung").stdout,
        rung("evaluate", "model.rung", "small.csv", "--metric", "mae").stdout,
        rung("evaluate", "model.rung", "small.csv", "--metric", "mae", "--by", "x").stdout,
        re.sub(
            "<style.*?</style>", "", (folder / "report.html").read_text(encoding="utf-8"), flags=re.DOTALL
        ),
        read_card("model.rung"),
    ]
    for text in told:
        assert re.search(r"\d\.\d{4}e-08", text)
        assert "0.0000" not in text
