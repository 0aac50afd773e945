"""A space of your own: cells with three nodes, and an operation that rung does not ship.

rung search --space examples/cells.py:space --data digits --epochs 6
"""

from torch import nn

from rung.nas import Cell, Operation, Space


def squeeze(channels, stride, affine):
    """A 1x1 convolution down to half of the channels, a 3x3 convolution, and back."""
    half = max(channels // 2, 1)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, half, 1, bias=False),
        nn.Conv2d(half, half, 3, stride=stride, padding=1, bias=False),
        nn.Conv2d(half, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


candidates = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3", "squeeze")
space = Space(
    "squeezed",
    cells=(Cell("normal", 3, candidates), Cell("reduce", 3, candidates, reduction=True)),
    operations=(("squeeze", Operation(squeeze)),),
)
