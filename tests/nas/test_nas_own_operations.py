"""Operations of one's own: what is wrong with them is said before a search begins, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.genotype import ZERO
from rung.nas.operations import Operation
from rung.nas.own import check_own, check_shapes
from rung.nas.planning import Request, prepare
from rung.nas.searching import search
from rung.nas.space import Cell, Space
from support.pictures import halves


def conv(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Conv2d(channels, channels, 3, stride=stride, padding=1)


def shrinking(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Conv2d(channels, channels, 3, stride=stride)


def never_halving(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Conv2d(channels, channels, 3, padding=1)


def grouped(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=5)


def two_arguments(channels: int, stride: int) -> nn.Module:
    return conv(channels, stride, True)


class Kept(nn.Module):
    """Of widths as they were tried."""

    def __init__(self, seen: set[tuple[int, int]], width: int, stride: int) -> None:
        super().__init__()
        self.seen, self.key = seen, (width, stride)

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add((*self.key, x.shape[-1]))  # type: ignore[arg-type]
        return x[..., :: self.key[1], :: self.key[1]]


def space(name: Any, operation: Any, reduces: bool = True) -> Space:
    ops = ("none", "skip_connect", name)
    cells = [Cell("normal", 2, ops), Cell("reduce", 2, ops, reduction=True)]
    return Space("own", tuple(cells[: 1 + reduces]), operations=((name, operation),))


FEW = {"channels": 4, "layers": 3, "batch": 8, "retrain_channels": 4}


@pytest.mark.parametrize(
    ("name", "operation", "why"),
    [
        ("mine", Operation(shrinking), r"'mine' does not fit: .* makes \(\d+, 6, 6\) of .* at stride 1"),
        ("mine", Operation(never_halving), r"'mine' does not fit: .* of \(\d+, 8, 8\) at stride 2"),
        ("mine", Operation(grouped), r"'mine' cannot be used on \d+ channels of 8 x 8 at stride 1: .*groups"),
        ("mine", Operation(two_arguments), r"'mine' cannot be used on \d+ channels.*TypeError"),  # type: ignore[arg-type]
        ("mine", conv, "'mine' is no rung.nas.Operation but a function: give Operation"),
        ("my.op", Operation(conv), "cannot be named 'my.op'"),
        ("keys", Operation(conv), "cannot be named 'keys'"),
        ("", Operation(conv), "cannot be named ''"),
    ],
)
@pytest.mark.parametrize("strategy", ["darts1", "evolution"])
def test_what_cannot_be_used_is_refused_at_once(name: str, operation: Any, why: str, strategy: str) -> None:
    with pytest.raises(SpaceError, match=f"space 'own': .*{why}"):
        search(halves(32), strategy=strategy, space=space(name, operation), epochs=1)


def test_operations_are_pairs() -> None:
    own = Space("own", (Cell("normal", 2, ("none", "mine")),), operations=("mine",))  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="its own operations are pairs such as"):
        prepare(Request(halves(32), "darts1", space=own))


def test_an_operation_that_a_network_never_halves_by_need_not_do_so() -> None:
    check_shapes(space("mine", Operation(never_halving), reduces=False), (4,), 6)
    with pytest.raises(SpaceError, match="at stride 2"):
        check_shapes(space("mine", Operation(never_halving)), (4,), 6)


def test_all_sizes_of_the_networks_are_tried() -> None:
    seen: set[Any] = set()
    own = space("mine", Operation(lambda channels, stride, affine: Kept(seen, channels, stride)))
    check_shapes(own, (4, 3, 4), 7)
    assert seen == {
        *((4, 1, 7), (8, 1, 4), (16, 1, 2), (8, 2, 7), (16, 2, 4)),
        *((3, 1, 7), (6, 1, 4), (12, 1, 2), (6, 2, 7), (12, 2, 4)),
    }


def test_partial_channels_are_those_of_the_supernet() -> None:
    seen: set[Any] = set()
    own = space("mine", Operation(lambda channels, stride, affine: Kept(seen, channels, stride)))
    few = {**FEW, "channels": 8, "retrain_channels": 6}
    prepare(Request(halves(32), "pc_darts", space=own, settings=few, device="cpu"))
    assert {width for width, stride, side in seen if side == 8 and stride == 1} == {2, 6}


@pytest.mark.parametrize(
    ("name", "zero", "why"),
    [
        ("nothing", True, "gives zeros, so it must be"),
        ("none", False, "does not give zeros, so it cannot be"),
    ],
)
def test_the_operation_that_gives_zeros_is_called_none(name: str, zero: bool, why: str) -> None:
    """By this name a derivation leaves it out."""
    ops = ("skip_connect", name)
    own = Space("own", (Cell("normal", 2, ops),), operations=((name, Operation(conv, zero=zero)),))
    with pytest.raises(SpaceError, match=f"space 'own': operation '{name}' {why} named 'none'"):
        prepare(Request(halves(32), "darts1", space=own))
    check_own(Space("own", (Cell("normal", 2, ops),), operations=((ZERO, Operation(conv, zero=True)),)))
