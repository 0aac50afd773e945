"""What several edges of a derived network read is made once, and is what each would have made."""

from typing import cast

import pytest
import torch
from benchmarks.supernet.steps import DARTS_V2
from torch import Tensor, nn

from rung.nas.genotype import Genotype
from rung.nas.network import CellNetwork, DerivedCell, network
from rung.nas.skeleton import begin, pooled

torch.set_num_threads(1)

OWN = Genotype.from_dict(
    {
        "normal": [["avg_pool_3x3", 0], ["avg_pool_3x3", 1], ["max_pool_3x3", 1], ["avg_pool_3x3", 1]],
        "normal_concat": [2, 3],
        "reduce": [["skip_connect", 0], ["avg_pool_3x3", 1], ["skip_connect", 0], ["dil_conv_5x5", 1]],
        "reduce_concat": [2, 3],
    }
)


def by_edge(net: CellNetwork, x: Tensor) -> Tensor:
    """The slow obvious form: each edge's module on its own."""
    elder, younger = begin(net.stem, x)
    for module in net.cells:
        cell = cast(DerivedCell, module)
        states = [one(y) for one, y in zip(cell.before, (elder, younger), strict=True)]
        for edges, node in zip(cell.edges, cell.nodes, strict=True):
            paths = [
                one(states[source]) for (_, source), one in zip(edges, cast(nn.ModuleList, node), strict=True)
            ]
            states.append(sum(paths[1:], paths[0]))
        elder, younger = younger, torch.cat([states[i] for i in cell.concat], 1)
    return cast(Tensor, net.classifier(pooled(younger)))


@pytest.mark.parametrize("genotype", [DARTS_V2, OWN])
def test_shared_maps_give_the_same_network(genotype: Genotype) -> None:
    torch.manual_seed(0)
    net = network(genotype, 4, 3, 5).double()
    assert isinstance(net, CellNetwork)
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    y = torch.tensor([0, 4, 2])
    found = []
    for scores in (net(x), by_edge(net, x)):
        loss = nn.functional.cross_entropy(scores, y)
        found.append([scores, *torch.autograd.grad(loss, list(net.parameters()))])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_poolings_and_rectified_maps_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = network(DARTS_V2, 4, 3, 5)  # cells: normal, reduce, reduce
    pools, rectified = [], []
    for module in net.modules():
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_hook(lambda *_: pools.append(1))
    relu = torch.relu
    monkeypatch.setattr(torch, "relu", lambda x: rectified.append(1) or relu(x))
    net(torch.randn(2, 3, 16, 16))
    assert len(pools) == 2 * 2  # of five in each reduction cell
    # of the stem, of two cells (the last is read by none), of the normal cell's inputs and one of its nodes,
    # and in the middle of its five separable convolutions
    assert len(rectified) == 1 + 2 + 3 + 5
