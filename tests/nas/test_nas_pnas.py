"""How cells of a progressive search grow with few networks, and with several trained at a time."""

from __future__ import annotations

import zlib
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rung.nas.choice import random_choice
from rung.nas.complete_result import Tried, best_of, notes_of
from rung.nas.discrete.history import explore
from rung.nas.discrete.pnas import Pnas
from rung.nas.discrete.table import fitted, make
from rung.nas.genotype import Genotype
from rung.nas.report.networks import network_charts
from rung.nas.result import Accuracies, Gap, SearchResult
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


def test_a_better_network_of_smaller_cells_is_not_kept_and_a_note_and_the_chart_say_so() -> None:
    space, generator = SPACES["tiny"], torch.Generator().manual_seed(0)
    networks = []
    for number, (nodes, error) in enumerate([(1, 0.5), (1, 0.25), (2, 0.75), (2, 0.625)], 1):
        part = space.shortened(nodes)
        genotype = part.genotype(random_choice(part, generator))
        networks.append(Tried(number, genotype, error, error, 1.0, 10, 10, 1, 1, 0.0, "complete"))
    plan: Any = SimpleNamespace(space=space, strategy="pnas", settings={}, networks=4, workers=1)
    best = best_of(plan, networks)
    assert best is networks[3]
    said = "network 2 is better, but its cells have 1 of 2 nodes: kept is the best of those with all"
    assert notes_of(plan, networks, None) == [said]
    assert notes_of(plan, [networks[3], *networks[2:], networks[2]], None) == []
    result = SearchResult(
        best.genotype,
        "pnas",
        "tiny",
        "tiny",
        "cnn",
        0,
        "x",
        10,
        10,
        {},
        Accuracies(0.375, None, None),
        Gap(),
        tried=tuple(one.to_dict() for one in networks),
    )
    (chart,) = network_charts(result)
    so_far, each = chart.curves
    assert [value for _, value in each.points] == [0.5, 0.75, 0.25, 0.375]
    assert [value for _, value in so_far.points if value is not None] == [0.25, 0.375]
