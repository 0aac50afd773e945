"""The Ray cluster that the tests of one run share."""

import os
from collections.abc import Iterator

import pytest

from support.ray_nodes import Nodes, locked, shared_nodes


@pytest.fixture
def ray_nodes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """A cluster of one node with two cores and two "tpu", for this test alone; more nodes may be added."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ray-nodes"
    with locked(home):
        nodes = shared_nodes(home)
        for name, value in nodes.environment.items():
            monkeypatch.setenv(name, value)
        _join(nodes)
        yield nodes


def _join(nodes: Nodes) -> None:
    """Connect this process, once: Ray keeps a connection that is there."""
    import ray

    if not ray.is_initialized():
        ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")


_ON_RAY = {  # of what every executor promises; the rest runs with the long tests
    "test_every_job_ends_once_and_last",
    "test_reports_come_in_order_with_their_metrics",
    "test_slots",
    "test_cancelled_at_a_gate",
    "test_close_ends_every_job",
    "test_checkpoints_follow_their_report_and_carry_the_trial_on",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A slot on Ray takes a second of a core to start: most of the shared suite is long there."""
    for item in items:
        if item.name.endswith("[ray]") and item.name.removesuffix("[ray]") not in _ON_RAY:
            item.add_marker(pytest.mark.long)
