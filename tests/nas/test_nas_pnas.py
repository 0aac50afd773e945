"""How cells of a progressive search grow with few networks, and with several trained at a time."""

from __future__ import annotations

import zlib

import pytest
import torch

from rung.nas.discrete.history import explore
from rung.nas.discrete.pnas import Pnas
from rung.nas.discrete.table import fitted, make
from rung.nas.genotype import Genotype
from rung.nas.space import SPACES

torch.set_num_threads(1)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("nodes", [1, 2, 4, 8])
@pytest.mark.parametrize("networks", [5, 6, 12, 20, 200])
def test_cells_grow_to_the_whole_space(networks: int, nodes: int, workers: int) -> None:
    grower = make("pnas", fitted("pnas", {}, networks, nodes, workers))
    assert isinstance(grower, Pnas)
    sizes = grower.sizes(nodes)
    assert sizes[-1] == nodes
    assert grower.step == 1 or len(sizes) > 1
    assert grower.needed(nodes, workers) <= networks
    if networks >= 12:
        assert grower.beam >= 2  # a predictor learns from no less


def test_a_step_is_only_as_large_as_it_must_be() -> None:
    assert fitted("pnas", {}, 12, 4) == fitted("pnas", {}, 12, 4, 2) == {"beam": 2}
    assert fitted("pnas", {}, 200, 8) == {"beam": 10}
    assert fitted("pnas", {}, 12, 8, 2) == {"beam": 2, "step": 2}
    assert fitted("pnas", {"beam": 3}, 12, 8) == {"beam": 3, "step": 2}
    assert fitted("pnas", {"step": 1}, 12, 8) == {"beam": 1, "step": 1}


def test_a_stage_adds_several_nodes() -> None:
    def planted(genotype: Genotype) -> float:
        return zlib.crc32(genotype.to_text().encode()) % 1000 / 1000

    strategy = Pnas(beam=2, extensions=4, step=3)
    history = explore(strategy, SPACES["recurrent"], planted, 6, 0)
    assert [len(scored.genotype["recurrent"].nodes) for scored in history] == [2, 2, 5, 5, 8, 8]
    twos = {scored.genotype["recurrent"].nodes for scored in history[:2]}
    assert {scored.genotype["recurrent"].nodes[:2] for scored in history[2:]} <= twos
