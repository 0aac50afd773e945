"""A search by latencies measures them once: what goes on, here or elsewhere, goes on with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.test_nas_away import timeless
from rung.executors.setup import Engine
from rung.nas.costs import Costs
from rung.nas.planning import Request
from rung.nas.searching import Search, search
from support.pictures import halves

LATENCY = {"resource": "latency", "price": 50.0, "most": 9.5}
SETTINGS = {"channels": 4, "layers": 3, "batch": 8, "alpha_rate": 0.3, **LATENCY}
GIVEN: dict[str, Any] = {"strategy": "darts1", "space": "tiny", "epochs": 3, "settings": SETTINGS}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was measured; each time operations of another column take a second each, and others none."""
    calls: list[str] = []

    def costs(resource: str, space: Any, size: Any, *, derived: bool = False) -> Costs:
        column = 1 + len(calls) // 2
        calls.append("most" if derived else "price")
        edges = {c.name: np.eye(len(c.operations))[[column] * len(c.edges)] for c in space.cells}
        return Costs(0.5, edges, "seconds")

    monkeypatch.setattr("rung.nas.thrift.costs_of", costs)
    return calls


def test_a_search_goes_on_with_the_latencies_that_it_began_with(measured: list[str], tmp_path: Path) -> None:
    def stop(record: Any, _: Any) -> None:
        if record.epoch == 1:
            raise KeyboardInterrupt

    whole = search(halves(64), retrain=False, device="cpu", **GIVEN)
    assert measured == ["price", "most"]
    measured.clear()
    kept = {"storage": str(tmp_path / "s.db"), "study": "s", "retrain": False, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        search(halves(64), watch=stop, **GIVEN, **kept)
    again = search(halves(64), **GIVEN, **kept)
    assert measured == ["price", "most"]
    assert list(map(timeless, again.records)) == list(map(timeless, whole.records))
    assert again.genotype == whole.genotype
    search(halves(64), **GIVEN, **{**kept, "study": "t"})
    assert measured == ["price", "most"] * 2


def test_a_search_elsewhere_has_the_latencies_of_here(measured: list[str]) -> None:
    request = Request(halves(64), device="cpu", retrain=False, **GIVEN)
    here = Search(request, "memory", None, None).run()
    measured.clear()
    away = Search(request, "memory", None, None, Engine("inline"), "cpu").run()
    assert measured == ["price", "most"]
    assert list(map(timeless, away.records)) == list(map(timeless, here.records))
    assert away.genotype == here.genotype
