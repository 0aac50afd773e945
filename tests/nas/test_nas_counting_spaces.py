"""Counts of random genotypes of every space, against networks that are built, run, and watched by torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rung.nas.choice import random_choice
from rung.nas.counting import count, count_recurrent
from rung.nas.genotype import Genotype
from rung.nas.network import network
from rung.nas.recurrent.language import language_model
from rung.nas.recurrent.masks import Dropouts
from rung.nas.space import SPACES, Space, image_space
from rung.nas.supernet import table_of

PUBLISHED = json.loads(Path(__file__).with_name("published.json").read_text())
OTHERS = sorted(
    {
        name
        for cell in PUBLISHED["cells"].values()
        for kind in ("normal", "reduce")
        for name, _ in cell.get(kind, ())
    }
    | {"none"}
)
IMAGES = {
    **{name: space for name, space in SPACES.items() if space.skeleton != "recurrent"},
    "published operations": image_space("published operations", tuple(OTHERS), nodes=5),
}


def drawn(space: Space, seed: int) -> Genotype:
    return space.genotype(random_choice(space, torch.Generator().manual_seed(seed)))


def watched(net: nn.Module, x: torch.Tensor) -> int:
    """Multiply-adds of a forward pass as torch's dispatcher counts them, below any module."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(x)
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("name", IMAGES)
@settings(deadline=None, max_examples=4)
@given(
    seed=st.integers(0, 2**31),
    channels=st.integers(1, 4),
    layers=st.integers(3, 7),
    classes=st.integers(2, 11),
    stem=st.sampled_from(["cifar", "imagenet"]),
)
def test_of_each_space(
    name: str, seed: int, channels: int, layers: int, classes: int, stem: Literal["cifar", "imagenet"]
) -> None:
    space = IMAGES[name]
    genotype, staged = drawn(space, seed), space.skeleton == "nasbench201"
    stem = "cifar" if staged else stem
    more: dict[str, Any] = {"stem": stem, "table": table_of(space)}
    channels *= 2 if stem == "imagenet" else 1
    side = 32 if stem == "cifar" else 64
    net = network(genotype, channels, layers, classes, **more)
    counted = count(genotype, channels, layers, classes, image_size=side, **more)
    assert counted.parameters == sum(p.numel() for p in net.parameters())
    assert counted.multiply_adds == watched(net, torch.zeros(1, 3, side, side))
    if not staged and stem == "cifar":
        headed = network(genotype, channels, layers, classes, auxiliary=True, **more)
        with_head = count(genotype, channels, layers, classes, image_size=side, auxiliary=True, **more)
        assert with_head.parameters == sum(p.numel() for p in headed.parameters())
        assert with_head.multiply_adds == counted.multiply_adds == watched(headed, torch.zeros(1, 3, 32, 32))
    assert Genotype.from_text(genotype.to_text()) == genotype
    assert Genotype.parse(json.dumps(genotype.to_dict())) == genotype


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31), hidden=st.integers(1, 9), words=st.integers(1, 40))
def test_of_recurrent_cells(seed: int, hidden: int, words: int) -> None:
    genotype = drawn(SPACES["recurrent"], seed)
    counted = count_recurrent(genotype, hidden, words)
    model = language_model(genotype, words, hidden, Dropouts())
    assert counted.parameters == sum(p.numel() for p in model.parameters())
    assert counted.multiply_adds == watched(model, torch.zeros(1, 1, dtype=torch.long))
    assert Genotype.from_text(genotype.to_text()) == genotype


@pytest.mark.parametrize("name", PUBLISHED["cells"])
def test_published_cells_at_the_scale_of_imagenet_with_its_head(name: str) -> None:
    """Small channels, the whole size: the head reads what the published ones read."""
    genotype = Genotype.from_dict(PUBLISHED["cells"][name])
    net = network(genotype, 2, 14, 7, stem="imagenet", auxiliary=True)
    counted = count(genotype, 2, 14, 7, image_size=224, stem="imagenet", auxiliary=True)
    assert counted.parameters == sum(p.numel() for p in net.parameters())
    with torch.device("meta"):
        bare = network(genotype, 2, 14, 7, stem="imagenet")
    assert counted.multiply_adds == watched(bare, torch.empty(1, 3, 224, 224, device="meta"))
