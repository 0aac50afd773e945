"""Costs by operation against counts of whole networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rung.nas.choice import choice_of, mask_of, mutated, one_hot, random_choice
from rung.nas.costs import Costs, expected, measured_costs, supernet_costs, supernet_parameters
from rung.nas.counting import by_module, count, parameters
from rung.nas.loop import macs_of, start
from rung.nas.moment import Moment
from rung.nas.plain import candidates_mask
from rung.nas.planning import Request, prepare
from rung.nas.space import SPACES, Space
from rung.nas.supernet import Supernet, uniform_mixtures

torch.set_num_threads(1)


def everything(space: Space) -> dict[str, np.ndarray]:
    return {cell.name: candidates_mask(cell) for cell in space.cells}


@pytest.mark.parametrize(
    ("channels", "layers", "macs", "weights"),
    [(16, 8, 300_255_744, 1_930_618), (8, 5, 61_629_696, 394_210)],
)
def test_the_supernet_of_darts_costs_what_the_reference_counts(
    channels: int, layers: int, macs: int, weights: int
) -> None:
    space = SPACES["darts"]
    costs = supernet_costs(space, channels, layers, 10)
    assert costs.whole == costs.of(everything(space)) == macs
    assert supernet_parameters(space, channels, layers, 10).whole == weights


@pytest.mark.parametrize("name", ["darts", "s2", "nasbench201", "tiny"])
def test_a_choice_costs_what_its_network_counts(name: str) -> None:
    space, generator = SPACES[name], torch.Generator().manual_seed(0)
    macs = supernet_costs(space, 4, 5, 7, image_size=16)
    weights = supernet_parameters(space, 4, 5, 7, derived=True)
    for _ in range(4):
        chosen = random_choice(space, generator)
        counted = count(space.genotype(chosen), 4, 5, 7, image_size=16)
        assert macs.of_chosen(chosen) == counted.multiply_adds
        assert weights.of_chosen(chosen) == counted.parameters
        masks = {cell.name: mask_of(cell, chosen[cell.name]) for cell in space.cells}
        assert macs.of(masks) == counted.multiply_adds


def test_pruned_supernets_have_the_parameters_that_are_said() -> None:
    space = SPACES["tiny"]
    net = Supernet(space, 4, 3, 5)
    costs = supernet_parameters(space, 4, 3, 5)
    for edge, column in [(0, 2), (3, 2), (1, 1)]:
        net.prune("reduce", edge, column)
    assert costs.of(net.alive) == parameters(net)


def test_partial_channels_cost_a_quarter_or_less() -> None:
    space = SPACES["darts"]
    full = supernet_costs(space, 8, 3, 10, image_size=8)
    partial = supernet_costs(space, 8, 3, 10, image_size=8, form="partial")
    assert partial.rest == full.rest
    for cell in space.cells:
        dear = full.edges[cell.name] > 0
        assert (partial.edges[cell.name][dear] <= full.edges[cell.name][dear] / 4).all()


def test_the_cost_of_a_search_is_that_of_the_form_that_it_trains() -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 255, (16, 8, 8, 1), dtype=np.uint8), np.arange(16) % 2
    request = Request(data, "pc_darts", space="tiny", settings={"channels": 4, "layers": 3, "batch": 4})
    plan = prepare(request).plan
    state = start(plan)
    mixed = plan.strategy.settled(plan.space, state.alphas, state.net.alive, Moment(0, 0, 1))
    spent = sum(by_module(state.net, torch.zeros(1, 1, 8, 8), mixed.mixtures).values())
    assert macs_of(plan, state, None) == spent
    assert spent < plan.task.macs(state.net, plan.space)


def test_expected_costs_are_linear_in_mixtures() -> None:
    costs = Costs(10.0, {"normal": np.array([[0.0, 30.0], [0.0, 60.0]])})
    mixture = torch.tensor([[0.5, 0.5], [0.75, 0.25]], dtype=torch.float64, requires_grad=True)
    term = expected(costs.weighted(2.0), {"normal": mixture})
    assert float(term.detach()) == pytest.approx(2.0 * 30.0 / 100.0)
    (gradient,) = torch.autograd.grad(term, mixture)
    assert gradient.tolist() == pytest.approx(np.array([[0.0, 0.6], [0.0, 1.2]]))


def test_latency_is_there_for_all_but_the_zero_operation() -> None:
    space = SPACES["tiny"]
    costs = measured_costs(space, 4, 3, 4, image_size=8, batch=2, repeats=2)
    assert costs.unit == "seconds"
    assert costs.rest > 0
    for cell in space.cells:
        table = costs.edges[cell.name]
        assert (table[:, cell.operations.index("none")] == 0).all()
        assert (np.delete(table, cell.operations.index("none"), 1) > 0).all()


@pytest.mark.parametrize("name", ["darts", "s1", "nasbench201", "recurrent"])
def test_choices_and_genotypes_go_to_and_fro(name: str) -> None:
    space, generator = SPACES[name], torch.Generator().manual_seed(3)
    for _ in range(20):
        chosen = random_choice(space, generator)
        assert choice_of(space, space.genotype(chosen)) == chosen
        new = mutated(space, chosen, generator)
        assert sum(len(set(new[c.name]) ^ set(chosen[c.name])) for c in space.cells) == 2  # one out, one in
        assert choice_of(space, space.genotype(new)) == new
        for cell in space.cells:
            for edge, column in new[cell.name]:
                assert cell.operations[column] in set(cell.candidates(edge)) - {"none"}


def test_one_hot_mixtures_compute_what_is_chosen_alone() -> None:
    space = SPACES["tiny"]
    chosen = random_choice(space, torch.Generator().manual_seed(1))
    mixed = one_hot(space, chosen)
    assert mixed.active is not None
    for cell in space.cells:
        assert float(mixed.mixtures[cell.name].sum()) == len(chosen[cell.name])
        assert (mixed.active[cell.name] == mixed.mixtures[cell.name].numpy()).all()
    assert uniform_mixtures(space)["normal"].shape == mixed.mixtures["normal"].shape
