"""Augmentation of whole batches against a picture at a time."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from rung.errors import DataError
from rung.nas.data.augment import (
    IMAGENET_JITTER,
    Augmentation,
    Jitter,
    augmentation_of,
    brightened,
    contrasted,
    jittered,
    kept,
    moved,
    saturated,
    turned,
)
from rung.nas.data.pictures import Pictures


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(count: int = 40, height: int = 8, width: int = 6, channels: int = 3) -> torch.Tensor:
    return torch.randint(256, (count, height, width, channels), dtype=torch.uint8, generator=drawn(99))


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_crop_and_flip_equal_a_slow_version(padding: int, flip: bool) -> None:
    x = some()
    fast = moved(x, drawn(1), padding, flip).numpy()
    generator = drawn(1)
    offsets = torch.randint(2 * padding + 1, (2, len(x), 1), generator=generator)[..., 0].numpy()
    mirrored = torch.rand(len(x), 1, generator=generator)[:, 0].numpy() < 0.5
    for row, picture in enumerate(x.numpy()):
        bordered = np.pad(picture, ((padding, padding), (padding, padding), (0, 0)))
        top, left = offsets[0, row], offsets[1, row]
        slow = bordered[top : top + 8, left : left + 6]
        if flip and mirrored[row]:
            slow = slow[:, ::-1]
        assert np.array_equal(fast[row], slow)


def test_every_place_of_the_crop_occurs() -> None:
    x = torch.zeros(2000, 5, 5, 1, dtype=torch.uint8)
    x[:, 2, 2] = 1
    places = moved(x, drawn(), 2, False)[..., 0].flatten(1).argmax(1)
    counts = np.bincount(places.numpy(), minlength=25)
    assert counts.min() > 40  # 80 of each expected
    assert counts.max() < 130


def test_half_are_mirrored() -> None:
    x = torch.zeros(4000, 1, 2, 1, dtype=torch.uint8)
    x[:, 0, 0] = 1
    assert abs(moved(x, drawn(), 0, True)[:, 0, 1, 0].float().mean() - 0.5) < 0.03


@pytest.mark.parametrize(
    ("length", "shape"), [(4, (8, 8)), (16, (8, 6)), (5, (9, 7)), (1, (4, 4)), (0, (4, 4))]
)
def test_cutout_equals_a_loop(length: int, shape: tuple[int, int]) -> None:
    fast = kept(60, shape, length, drawn(2)).numpy()
    generator = drawn(2)
    centres = [torch.randint(extent, (60, 1), generator=generator)[:, 0].tolist() for extent in shape]
    for row in range(60):
        slow = np.ones(shape, dtype=bool)
        y, x = centres[0][row], centres[1][row]
        for i in range(max(0, y - length // 2), min(shape[0], y + length // 2)):
            for j in range(max(0, x - length // 2), min(shape[1], x + length // 2)):
                slow[i, j] = False
        assert np.array_equal(fast[row], slow)


def test_cutout_hangs_over_the_edge_as_often_as_it_must() -> None:
    """Of a side n in H pixels, the mean count is known: each of H centres, clipped."""
    masked = (~kept(6000, (8, 8), 4, drawn())).sum(dim=(1, 2)).float()
    one_side = np.mean([min(8, c + 2) - max(0, c - 2) for c in range(8)])
    assert abs(masked.mean().item() - one_side**2) < 0.15
    assert set(masked.tolist()) <= {float(a * b) for a in (2, 3, 4) for b in (2, 3, 4)}


def test_normalising_equals_the_formula() -> None:
    x = some()
    mean, std = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    out = Augmentation(mean, std)(x, drawn())
    slow = (x.numpy() / 255.0 - np.array(mean)) / np.array(std)
    assert out.shape == (40, 3, 8, 6)
    assert np.abs(out.permute(0, 2, 3, 1).numpy() - slow).max() < 1e-6


def test_flips_need_no_crop_and_crops_no_flip() -> None:
    x = some()
    args = (0.0,) * 3, (1 / 255,) * 3
    flipped = Augmentation(*args, flip=True)(x, drawn(4)).permute(0, 2, 3, 1).round().to(torch.uint8)
    cropped = Augmentation(*args, padding=2)(x, drawn(4)).permute(0, 2, 3, 1).round().to(torch.uint8)
    assert torch.equal(flipped, moved(x, drawn(4), 0, True))
    assert torch.equal(cropped, moved(x, drawn(4), 2, False))


def test_the_order_is_crop_flip_normalise_cutout() -> None:
    x = some()
    mean, std = (0.5,) * 3, (0.25,) * 3
    out = Augmentation(mean, std, padding=2, flip=True, cutout=4)(x, drawn(7))
    generator = drawn(7)
    y = (moved(x, generator, 2, True).float() / 255 - 0.5) / 0.25
    y = y * kept(len(x), (8, 6), 4, generator)[..., None]
    assert torch.allclose(out, y.permute(0, 3, 1, 2), atol=1e-6)
    assert (out == 0).flatten(1).any(1).all()  # cut out is the mean, not black


def test_floating_point_pictures_are_taken_from_0_to_1_and_not_changed() -> None:
    x = some()
    y = x.float() / 255
    before = y.clone()
    augmentation = Augmentation((0.5,) * 3, (0.25,) * 3, padding=1, flip=True, cutout=2)
    assert torch.allclose(augmentation(x, drawn(3)), augmentation(y, drawn(3)))
    plain = augmentation.plain
    assert torch.allclose(plain(x, drawn(3)), plain(y, drawn(4)))
    assert torch.equal(y, before)


def test_memory_format() -> None:
    x = some()
    last = Augmentation((0.5,) * 3, (0.25,) * 3)(x, drawn())
    first = Augmentation((0.5,) * 3, (0.25,) * 3, channels_last=False)(x, drawn())
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert first.is_contiguous()
    assert torch.equal(last, first)


def test_brightness_contrast_and_saturation_equal_their_formulas() -> None:
    x = some().float() / 255
    factor = torch.linspace(0, 1.8, len(x))[:, None, None, None]
    luma = (x.numpy() * [0.299, 0.587, 0.114]).sum(-1)
    for row in range(len(x)):
        f, picture = factor[row].item(), x[row].numpy()
        black, grey = np.zeros(()), luma[row].mean()
        for function, other in ((brightened, black), (contrasted, grey), (saturated, luma[row][..., None])):
            slow = np.clip(f * picture + (1 - f) * other, 0, 1)
            assert np.abs(function(x, factor)[row].numpy() - slow).max() < 1e-5


def test_hue_equals_colorsys() -> None:
    x = some(count=6).float() / 255
    x[0, 0, 0] = 0.3  # grey has no hue
    x[0, 0, 1] = 0
    turns = torch.tensor([-0.5, -0.2, 0.0, 0.1, 0.31, 0.5])
    out = turned(x, turns[:, None, None, None])
    for row in range(6):
        for i in range(8):
            for j in range(6):
                h, s, v = colorsys.rgb_to_hsv(*x[row, i, j].tolist())
                slow = colorsys.hsv_to_rgb((h + turns[row].item()) % 1, s, v)
                assert np.abs(out[row, i, j].numpy() - slow).max() < 1e-5


def test_jitter_draws_each_picture_its_own_strengths_within_bounds() -> None:
    x = torch.full((500, 2, 2, 3), 0.5)
    out = jittered(x, drawn(), Jitter(brightness=0.4))[:, 0, 0, 0] / 0.5
    assert 0.6 <= out.min() < 0.62
    assert 1.38 < out.max() <= 1.4
    assert len(set(out.tolist())) > 400
    strong = jittered(x, drawn(), Jitter(brightness=2.0))  # from 0, not from -1
    assert (strong == 0).float().mean() < 0.02


def test_the_order_of_colours_is_drawn() -> None:
    x = some(count=4).float() / 255
    results = {tuple(jittered(x, drawn(s), IMAGENET_JITTER).flatten().tolist()) for s in range(4)}
    assert len(results) == 4
    assert torch.equal(jittered(x, drawn(1), IMAGENET_JITTER), jittered(x, drawn(1), IMAGENET_JITTER))
    assert torch.equal(jittered(x, drawn(1), Jitter()), x)


def test_cutout_does_not_move_the_crops() -> None:
    """Options are drawn in turn: one that comes later changes nothing before it."""
    x = some()
    args = (0.0,) * 3, (1.0,) * 3
    without = Augmentation(*args, padding=3, flip=True)(x, drawn(5))
    with_ = Augmentation(*args, padding=3, flip=True, cutout=2)(x, drawn(5))
    assert torch.equal(without[with_ != 0], with_[with_ != 0])


@pytest.mark.parametrize(
    ("name", "flip"),
    [
        ("digits", False),
        ("mnist", False),
        ("SVHN_cropped", False),
        ("fashion-mnist", True),
        ("cifar10", True),
    ],
)
def test_digits_are_not_mirrored(name: str, flip: bool) -> None:
    x = some(10, 32, 32).numpy()
    pictures = Pictures(name, x, np.arange(10), None, None, tuple("abcdefghij"))
    augmentation = augmentation_of(pictures, cutout=16)
    assert augmentation.flip is flip
    assert (augmentation.padding, augmentation.cutout) == (4, 16)
    assert augmentation.mean == pictures.mean
    assert augmentation_of(pictures, flip=True).flip
    assert augmentation_of(pictures, crop=False).padding == 0


def test_padding_goes_with_the_height() -> None:
    for height, padding in ((8, 1), (5, 1), (64, 8), (224, 28)):
        x = np.zeros((2, height, height, 1), dtype=np.uint8)
        assert augmentation_of(Pictures("p", x, np.arange(2), None, None, ("a", "b"))).padding == padding


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(DataError, match="negative"):
        Augmentation((0.0,), (1.0,), padding=-1)
    with pytest.raises(DataError, match="hue"):
        Augmentation((0.0,), (1.0,), jitter=Jitter(hue=0.6))
    grey = Pictures("grey", some(channels=1).numpy(), np.arange(40), None, None, tuple("ab" * 20))
    with pytest.raises(DataError, match="3 channels only"):
        augmentation_of(grey, jitter=IMAGENET_JITTER)
