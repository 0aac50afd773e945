"""Pictures of 8 bits made into what a network takes, changed at random on the way; a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import torch
from torch import Tensor

from rung.errors import DataError
from rung.nas.data.pictures import Pictures


class Jitter(NamedTuple):
    """How far colours may move; 0 leaves one as it is.

    A factor for brightness, contrast and saturation is drawn from 1 - v to 1 + v (not below 0), a turn of
    the hue from -v to v, in turns. DARTS trains on ImageNet with .4, .4, .4 and .2.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


NO_JITTER: Final = Jitter()
IMAGENET_JITTER: Final = Jitter(0.4, 0.4, 0.4, 0.2)


@dataclass(frozen=True)
class Augmentation:
    """What is done to pictures, in this order: crop, flip, jitter, normalise, cutout.

    Attributes:
        mean, std: (C,) what is taken off and divided by, where white is 1.
        padding: pixels of black around a picture, out of which one of its own size is cut; 0 leaves it.
        flip: mirror half of the pictures, left to right.
        cutout: side of a square set to 0, the mean colour, after normalising (DeVries and Taylor 2017);
            its centre is anywhere in the picture, so that it may hang over the edge, and an odd side is
            one less, as in DARTS' code.
        jitter: of colours.
        channels_last: how the result lies in memory; its shape is (B, C, H, W) either way.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: int = 0
    flip: bool = False
    cutout: int = 0
    jitter: Jitter = NO_JITTER
    channels_last: bool = True

    def __post_init__(self) -> None:
        if self.padding < 0 or self.cutout < 0 or min(self.jitter) < 0:
            raise DataError("padding, cutout and jitter of pictures cannot be negative: 0 leaves them out")
        if self.jitter.hue > 0.5:
            raise DataError(
                f"a jitter of the hue by {self.jitter.hue:g} turns: at most 0.5 is a whole circle"
            )

    @property
    def plain(self) -> Augmentation:
        """Without anything random: for evaluation."""
        return replace(self, padding=0, flip=False, cutout=0, jitter=NO_JITTER)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augment a batch.

        Args:
            x: (B, H, W, C) uint8 from 0 to 255, or floating point from 0 to 1.
            generator: on the CPU, whatever the device of `x`, so that the draws are the same.

        Returns:
            (B, C, H, W) float32, normalised.
        """
        if self.padding or self.flip:
            x = moved(x, generator, self.padding, self.flip)
        y = x.to(torch.float32).div_(255.0) if x.dtype == torch.uint8 else x.to(torch.float32, copy=True)
        if any(self.jitter):
            y = jittered(y, generator, self.jitter)
        y = y.sub_(y.new_tensor(self.mean)).div_(y.new_tensor(self.std))
        if self.cutout:
            y = y.mul_(
                kept(y.shape[0], (y.shape[1], y.shape[2]), self.cutout, generator).to(y.device)[..., None]
            )
        y = y.permute(0, 3, 1, 2)
        return y if self.channels_last else y.contiguous()


def augmentation_of(
    pictures: Pictures,
    *,
    crop: bool = True,
    flip: bool | None = None,
    cutout: int = 0,
    jitter: Jitter | None = None,
    channels_last: bool = True,
) -> Augmentation:
    """DARTS' preparation, normalised by what was measured on the pictures.

    Args:
        pictures: whose mean and deviation are taken.
        crop: out of a border of an eighth of the height, at least 1 pixel: 4 of 32.
        flip: None guesses by the pictures' name (`Pictures.flippable`).
        cutout: side in pixels.
        jitter: of colours; None is none.
        channels_last: see `Augmentation`.

    Raises:
        DataError: jitter of pictures that have not three channels.
    """
    if jitter is not None and any(jitter) and pictures.shape[2] != 3:
        raise DataError(f"{pictures.name}: colours can be jittered in 3 channels only: leave the jitter out")
    return Augmentation(
        pictures.mean,
        pictures.std,
        padding=max(1, pictures.shape[0] // 8) if crop else 0,
        flip=pictures.flippable if flip is None else flip,
        cutout=cutout,
        jitter=jitter or NO_JITTER,
        channels_last=channels_last,
    )


def moved(x: Tensor, generator: torch.Generator, padding: int, flip: bool) -> Tensor:
    """Crop each picture out of a black border and mirror half of them, in one gathering.

    Args:
        x: (B, H, W, C).
        generator: for (B,) offsets down, (B,) to the right, and (B,) flips, drawn in this order.
        padding: of the border, in pixels; an offset of `padding` leaves a picture where it is.
        flip: whether to mirror.
    """
    count, height, width, channels = x.shape
    offsets = torch.randint(2 * padding + 1, (2, count, 1), generator=generator).to(x.device)
    rows = torch.arange(height, device=x.device) + offsets[0]  # (B, H)
    columns = torch.arange(width, device=x.device) + offsets[1]  # (B, W)
    if flip:
        mirrored = (torch.rand(count, 1, generator=generator) < 0.5).to(x.device)
        columns = torch.where(mirrored, columns.flip(1), columns)
    bordered = x.new_zeros(count, height + 2 * padding, width + 2 * padding, channels)
    bordered[:, padding : padding + height, padding : padding + width] = x
    pictures = torch.arange(count, device=x.device)[:, None, None]
    return bordered[pictures, rows[:, :, None], columns[:, None, :]]


def kept(count: int, shape: tuple[int, int], length: int, generator: torch.Generator) -> Tensor:
    """(count, H, W) of what cutout leaves: False in a square around a centre drawn for each picture.

    Args:
        count: of pictures.
        shape: their height and width.
        length: side of the square: from centre - length // 2 to before centre + length // 2.
        generator: for (count,) rows and (count,) columns.
    """
    half = length // 2
    inside = []
    for extent in shape:
        centre = torch.randint(extent, (count, 1), generator=generator)
        place = torch.arange(extent)
        inside.append((place >= centre - half) & (place < centre + half))  # (count, extent)
    return ~(inside[0][:, :, None] & inside[1][:, None, :])


def jittered(x: Tensor, generator: torch.Generator, jitter: Jitter) -> Tensor:
    """Move colours, each picture by strengths of its own, in an order drawn for the batch.

    Args:
        x: (B, H, W, 3) from 0 to 1.
        generator: for the order, then (4, B) strengths.
        jitter: how far.
    """
    order = torch.randperm(4, generator=generator).tolist()
    drawn = torch.rand(4, x.shape[0], generator=generator).to(x.device) * 2 - 1  # from -1 to 1
    for kind in order:
        if jitter[kind]:
            far = drawn[kind] * jitter[kind] if kind == 3 else _factors(drawn[kind], jitter[kind])
            x = _COLOURS[kind](x, far[:, None, None, None])
    return x


def _factors(drawn: Tensor, far: float) -> Tensor:
    """From [-1, 1] to [max(0, 1 - far), 1 + far]."""
    low = max(0.0, 1.0 - far)
    return low + (drawn + 1) / 2 * (1.0 + far - low)


def brightened(x: Tensor, factor: Tensor) -> Tensor:
    """Blend with black."""
    return (x * factor).clamp_(0, 1)


def contrasted(x: Tensor, factor: Tensor) -> Tensor:
    """Blend with the picture's mean grey."""
    grey = _grey(x).mean(dim=(1, 2), keepdim=True)
    return torch.lerp(grey.expand_as(x), x, factor).clamp_(0, 1)


def saturated(x: Tensor, factor: Tensor) -> Tensor:
    """Blend with the picture in grey."""
    return torch.lerp(_grey(x).expand_as(x), x, factor).clamp_(0, 1)


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue, through the model of hue, saturation and value."""
    value, low = x.amax(-1), x.amin(-1)
    chroma = value - low
    red, green, blue = x.unbind(-1)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue / 6 + turns[..., 0]
    # A channel is the value, less the chroma where its hue is far: f(n) of Smith's hexcone, n = 5, 3, 1.
    channels = []
    for place in (5, 3, 1):
        away = torch.remainder(place + hue * 6, 6)
        channels.append(value - chroma * torch.minimum(away, 4 - away).clamp_(0, 1))
    return torch.stack(channels, dim=-1)


def _grey(x: Tensor) -> Tensor:
    """(B, H, W, 1) luma of ITU-R BT.601."""
    return (x * x.new_tensor([0.299, 0.587, 0.114])).sum(-1, keepdim=True)


_COLOURS: Final[tuple[Callable[[Tensor, Tensor], Tensor], ...]] = (brightened, contrasted, saturated, turned)
