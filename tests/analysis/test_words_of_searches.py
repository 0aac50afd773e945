"""What is shown of an architecture search from Python is worded by cells, as the commands word it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rung.analysis import plot, report
from rung.analysis.subject import subject_of
from rung.nas import search
from support.pictures import halves


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a storage with two searches."""
    address = str(tmp_path_factory.mktemp("searches") / "s.db")
    few: dict[str, Any] = {"space": "tiny", "epochs": 1, "storage": address}
    sizes = {"retrain_channels": 4, "retrain_layers": 3, "retrain_batch": 8}
    search(halves(32), strategy="random_retraining", networks=3, study="networks", settings=sizes, **few)
    small = {"channels": 4, "layers": 3, "batch": 8}
    search(halves(32), strategy="darts1", study="supernet", settings=small, retrain=False, **few)
    return address


def test_a_report_of_networks_tells_cells_and_no_edges(kept: str, tmp_path: Path) -> None:
    text = report("networks", tmp_path / "networks.html", storage=kept).read_text()
    assert "2 cells of space tiny" in text
    assert "normal_0_2" not in text
    assert "2 nodes, 5 edges" in text


def test_a_report_of_a_supernet_tells_its_cells(kept: str, tmp_path: Path) -> None:
    text = report("supernet", tmp_path / "supernet.html", storage=kept).read_text()
    words = subject_of("supernet", kept).words(0)
    assert words is not None
    assert [name for name, _ in words] == ["normal", "reduce"]
    assert words[0][1].split(";")[0] in text


def test_points_of_a_plot_are_told_by_cells(kept: str) -> None:
    made = plot("networks", "history", backend="plotly", storage=kept).to_json()
    assert "normal_0_2" not in made
    assert "reduce" in made
