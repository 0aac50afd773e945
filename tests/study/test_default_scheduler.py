"""Which scheduler a study has whose user named none: by the resource, the objectives and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

import rung

SPACE = {"x": rung.Float(0.0, 1.0)}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"trials": 5}, "plain"),
        ({"resource": ("epoch", 9, 9), "total_resource": 100}, "plain"),
        ({"resource": ("epoch", 1, 9), "trials": 5}, "asha"),
        ({"resource": ("epoch", 1, 9), "trials": 5, "budget": "1h"}, "asha"),
        ({"resource": ("epoch", 1, 9), "total_resource": 100}, "hyper-tune"),
        ({"resource": ("epoch", 1, 9), "budget": "1h"}, "hyper-tune"),
        ({"resource": ("epoch", 1, 9), "metric": "f,g", "budget": "1h"}, "mo-asha"),
    ],
)
def test_what_ends_a_study_tells_its_scheduler(settings: dict[str, Any], name: str) -> None:
    scheduler = rung.Study(SPACE, **settings).identity.scheduler
    assert scheduler.name == name
    assert scheduler.settings.get("lowest_first", True)


def test_a_study_keeps_its_scheduler_when_its_end_changes(tmp_path) -> None:
    at = {"resource": ("epoch", 1, 9), "storage": str(tmp_path / "s.db"), "study": "s"}
    with rung.Study(SPACE, **at, total_resource=100) as study:
        first = study.identity.scheduler
    with rung.Study(SPACE, **at, trials=5) as study:
        assert study.identity.scheduler == first
