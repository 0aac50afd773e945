"""How much a preset spends on networks that are trained each on their own, and with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rung.nas.choice import random_choice
from rung.nas.complete_plan import checked
from rung.nas.complete_scale import SCALES
from rung.nas.counting import count
from rung.nas.images import ImageTask
from rung.nas.pacing import threads_worth
from rung.nas.planning import Request
from rung.nas.recipe import PRESETS
from rung.nas.searching import search
from rung.nas.space import SPACES
from rung.nas.task import Scores
from rung.storage import open_storage
from support.pictures import halves

FEW = {"retrain_channels": 4, "retrain_layers": 3, "retrain_batch": 8, "retrain_epochs": 2}
ALLOWED = {"tiny": 0.3e12, "small": 13e12}
"""Multiply-adds, forwards and backwards: one thread was measured to make 1.7e9 a second in networks of 4
channels and 3.6e9 in those of 8 channels and 5 layers, which comes to three minutes and to an hour."""


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("preset", sorted(ALLOWED))
def test_all_trainings_fit_the_time_of_the_preset(preset: str) -> None:
    recipe, scale, space = (
        checked(Request("x", strategy="evolution", preset=preset))[0],
        SCALES[preset],
        "darts",
    )
    drawn = [
        SPACES[space].genotype(random_choice(SPACES[space], torch.Generator().manual_seed(seed)))
        for seed in range(10)
    ]
    sizes = [count(one, scale.width, recipe.retrain_layers, 10, image_size=32) for one in drawn]
    mean = sum(size.multiply_adds or 0 for size in sizes) / len(sizes)
    pictures = PRESETS[preset].pictures
    assert pictures is not None
    spent = (scale.networks + 1) * recipe.retrain_epochs * pictures / 2 * 3 * mean
    assert ALLOWED[preset] / 2 < spent < ALLOWED[preset]


def test_what_is_told_goes_before_the_scale() -> None:
    def trained(**told: Any) -> tuple[int, int]:
        recipe = checked(Request("x", strategy="evolution", **told))[0]
        return recipe.retrain_channels, recipe.retrain_epochs

    scale = SCALES["tiny"]
    assert trained() == (scale.width, scale.epochs)
    assert trained(epochs=5) == (scale.width, 5)
    assert trained(settings={"retrain_epochs": 7, "retrain_channels": 9}) == (9, 7)
    assert trained(settings={"retrain_epochs": 7}, epochs=5) == (scale.width, 5)


@pytest.mark.parametrize(
    ("alone", "first", "together", "worth"),
    [(1.0, 0.9, 0.5, 2), (1.0, 1.0, 0.95, 1), (1.0, 2.9, 0.6, 2), (1.0, 3.1, 0.5, 1), (1.0, 2.0, 2.0, 1)],
)
def test_threads_are_worth_having_or_not(
    alone: float, first: float, together: float, worth: int, two_threads: None
) -> None:
    def seconds(probes: int) -> float:
        if torch.get_num_threads() == 1:
            return alone
        return together if probes else first

    assert threads_worth(seconds) == worth
    assert torch.get_num_threads() == 2


def test_several_at_a_time_share_the_threads(two_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def retrain(*_: Any) -> tuple[Scores, list[str]]:
        seen.append(torch.get_num_threads())
        return Scores(1.0, 0.25), []

    monkeypatch.setattr(ImageTask, "retrain", retrain)
    monkeypatch.setattr(ImageTask, "step_seconds", lambda *_: pytest.fail("nothing is timed"))
    given = {"strategy": "random_retraining", "space": "tiny", "networks": 2, "workers": 2}
    search(halves(48), settings={**FEW, "retrain_epochs": 1}, **given)
    assert (seen, torch.get_num_threads()) == ([1], 2)


def test_a_search_keeps_the_threads_that_it_began_with(
    two_threads: None, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def train(*_: Any, **__: Any) -> Any:
        seen.append(torch.get_num_threads())
        return SimpleNamespace(loss=1.0, accuracy=0.5, epochs=2)

    def retrain(*_: Any) -> tuple[Scores, list[str]]:
        seen.append(torch.get_num_threads())
        return Scores(1.0, 0.25), []

    monkeypatch.setattr(ImageTask, "train", train)
    monkeypatch.setattr(ImageTask, "retrain", retrain)
    url = str(tmp_path / "s.db")
    for taken, networks in ((2.0, 1), (0.5, 2)):  # of one thread, when it begins and when it goes on
        monkeypatch.setattr(
            ImageTask,
            "step_seconds",
            lambda *_, taken=taken: taken if torch.get_num_threads() == 1 else 1.0,
        )
        search(
            halves(48),
            strategy="random_retraining",
            space="tiny",
            settings=FEW,
            networks=networks,
            storage=url,
            study="s",
        )
    assert set(seen) == {2}
    assert torch.get_num_threads() == 2
    log = open_storage(url).read("s")
    assert [dict(e.data) for e in log if getattr(e, "topic", None) == "planned"] == [{"threads": 2}]
