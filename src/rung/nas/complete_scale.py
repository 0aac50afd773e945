"""How much of a preset's time each of many networks has: by counted cost, unless told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from rung.errors import UserError
from rung.nas.planning import Request
from rung.nas.recipe import Recipe
from rung.nas.recurrent.presets import LanguageRecipe


class Scale(NamedTuple):
    """How much of a preset's time goes where: a supernet is trained once, here each network is.

    Attributes:
        text: what comes of it, in a sentence.
        networks: how many are trained.
        width, epochs: of each, in place of the short training's after a supernet: channels of a picture's
            network, units of a recurrent cell.
        words: of the training part of a text; None for as many as the preset has.
    """

    text: str
    networks: int
    width: int
    epochs: int
    words: int | None = None

    def of(self, recipe: Recipe, request: Request) -> Recipe:
        """A preset at this scale; what was told goes before it."""
        told = request.settings
        words = isinstance(recipe, LanguageRecipe)
        width = "retrain_hidden" if words else "retrain_channels"
        own: dict[str, Any] = {} if width in told else {width: self.width}
        if request.epochs is not None or "retrain_epochs" not in told:
            own["retrain_epochs"] = request.epochs or self.epochs
        if words and request.limit is not None:
            own["words"] = request.limit
        elif words and self.words is not None and "words" not in told:
            own["words"] = self.words
        return replace(recipe, **own)


SCALES: Final[Mapping[str, Scale]] = MappingProxyType(
    {
        "tiny": Scale(
            "about three minutes, with two workers half of it: twelve networks and the best once more, of a "
            "third of the multiply-adds and for half of the epochs of the training after a supernet",
            networks=12,
            width=4,
            epochs=3,
        ),
        "small": Scale(
            "about an hour, with two workers half of it: twenty networks and the best once more, of half of "
            "the multiply-adds and for a third of the epochs of the training after a supernet",
            networks=20,
            width=8,
            epochs=6,
        ),
        "paper": Scale(
            "200 networks, each as the paper's cells are judged, on a GPU",
            networks=200,
            width=36,
            epochs=100,
        ),
    }
)
"""By preset, of pictures: multiply-adds of all trainings are what its time allows (docs/search.md)."""

TEXT_SCALES: Final[Mapping[str, Scale]] = MappingProxyType(
    {
        "tiny": Scale(
            "about three minutes, with two workers half of it: twelve cells and the best once more, of 32 "
            "units, for 8 epochs of 30,000 words",
            networks=12,
            width=32,
            epochs=8,
        ),
        "small": Scale(
            "about an hour, with two workers half of it: twenty cells and the best once more, of 100 units, "
            "for 12 epochs of 100,000 words",
            networks=20,
            width=100,
            epochs=12,
            words=100_000,
        ),
        "paper": Scale(
            "200 cells of the paper's width, each for as long as the paper tells cells from each other, on a "
            "GPU",
            networks=200,
            width=850,
            epochs=300,
        ),
        "wikitext2": Scale(
            "200 cells of the paper's width for WikiText-2, each for as long as the paper tells cells from "
            "each other, on a GPU",
            networks=200,
            width=700,
            epochs=300,
        ),
    }
)
"""By preset, of text."""


def scale_of(request: Request) -> Scale:
    """The one of what was asked.

    Raises:
        UserError: there is no such preset.
    """
    scales = TEXT_SCALES if request.cell == "rnn" else SCALES
    if request.preset not in scales:
        raise UserError(f"unknown preset {request.preset!r}: there are {', '.join(scales)}")
    return scales[request.preset]
