"""Skips of stride 2, in the layout in which pictures are trained."""

import pytest
import torch
from torch import nn

from rung.nas.operations import FactorizedReduce

torch.set_num_threads(1)


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("channels", [2, 3, 6, 16])
def test_nas_reduce_is_two_strided_convolutions(channels: int, side: int) -> None:
    """As the definition says, where a strided convolution's own gradient breaks the heap."""
    torch.manual_seed(0)
    reduce = FactorizedReduce(channels, 5, affine=True).to(memory_format=torch.channels_last)
    x = torch.randn(4, channels, side, side)
    padded = nn.functional.pad(torch.relu(x), (0, side % 2, 0, side % 2))
    halves = [
        nn.functional.conv2d(shifted, conv.weight.detach().contiguous(), stride=2)
        for shifted, conv in ((padded, reduce.first), (padded[:, :, 1:, 1:], reduce.second))
    ]
    expected = nn.functional.batch_norm(torch.cat(halves, 1), None, None, training=True)
    for _ in range(20):
        given = x.to(memory_format=torch.channels_last).clone().requires_grad_()
        y = reduce(given)
        y.sum().backward()
    assert torch.allclose(y, expected, atol=1e-5)
    assert y.shape == (4, 5, (side + 1) // 2, (side + 1) // 2)
