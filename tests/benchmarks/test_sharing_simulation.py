"""Fair sharing in the simulation: studies of rung's own ASHA that arrive over time, beside an oracle."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.sharing import within
from benchmarks.sharing_cluster import Cluster, Workload, equal_parts
from benchmarks.sharing_peers import FixedParts, fair, first_come

from rung.cluster.sharing import Claim
from support.sharing_world import fluid


def test_the_ideal_of_the_figures_is_what_pouring_drop_by_drop_gives() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        most = rng.integers(1, 12, rng.integers(1, 8)).astype(float)
        capacity = float(rng.integers(1, 40))
        claims = {str(place): (Claim(str(place)), float(bound)) for place, bound in enumerate(most)}
        poured = list(fluid(capacity, claims).values())
        assert equal_parts(most, capacity) == pytest.approx(poured, abs=capacity / 1000)


@pytest.mark.parametrize("seed", [0, 1])
def test_studies_get_their_ideal_over_their_lives_and_no_slot_is_idle(seed: int) -> None:
    found = Cluster(Workload(8, 5, 8, 900.0, seed), fair).run()
    assert within(found.shares) == 8
    assert found.utilisation > 0.999
    assert found.preempted <= found.jobs / 10


def test_the_others_do_not() -> None:
    workload = Workload(8, 5, 8, 900.0, 1)
    assert within(Cluster(workload, first_come).run().shares) < 8
    assert Cluster(workload, FixedParts(5)).run().utilisation < 0.9
