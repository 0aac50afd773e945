"""`rung tune --checkpoints --checkpoint-limit`, `rung show`, `rung resume`, `rung delete`."""

from __future__ import annotations

from pathlib import Path

import pytest

FILE = """
from pathlib import Path

import rung

space = {"x": rung.Float(0.0, 1.0)}
resource = ("step", 1, 9)


def train(trial):
    for step in range(trial.start, trial.resource):
        save = lambda folder: Path(folder, "w").write_bytes(bytes(1000))
        trial.report(step + 1, loss=trial.config["x"], save=save)
"""


def test_a_shared_folder_with_a_limit(rung, folder: Path) -> None:
    (folder / "file.py").write_text(FILE)
    tuning = ("tune", "file.py", "--executor", "inline", "--sampler", "random", "--study", "s", "--trials", 6)
    assert rung(*tuning, "--checkpoints", "shared", "--checkpoint-limit", "2kB").exit_code == 0
    (place,) = (folder / "shared").iterdir()
    assert len(list(place.glob("trial-*/resource-*"))) == 1
    shown = rung("show", "s").stdout
    assert f"checkpoint 1 kept, 1.0 kB of at most 2.0 kB in {place}" in " ".join(shown.split())
    assert rung("extend", "s", "--trials", 1).exit_code == 0
    assert rung("resume", "s", "--checkpoint-limit", "none").exit_code == 0
    assert "of at most" not in rung("show", "s").stdout
    assert rung("delete", "s", "--yes").exit_code == 0
    assert list((folder / "shared").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--checkpoints", "s3://me:secret@bucket/x"), "holds a password"),
        (("--checkpoints", "nix://bucket/x"), "Protocol not known"),
        (("--checkpoint-limit", "much"), "is no amount of memory"),
    ],
)
def test_what_cannot_be_used(rung, folder: Path, options: tuple[str, ...], sentence: str) -> None:
    (folder / "file.py").write_text(FILE)
    done = rung("tune", "file.py", "--trials", 3, *options)
    assert done.exit_code == 2
    assert sentence in " ".join(done.output.split())
    assert "secret" not in done.output
