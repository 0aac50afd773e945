"""Presets take about as long with any strategy: what costs more has fewer epochs or pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rung.errors import UserError
from rung.nas.comparing import evened
from rung.nas.costs import supernet_costs
from rung.nas.moment import Moment
from rung.nas.plain import candidates_mask
from rung.nas.planning import Request, recipe_of
from rung.nas.recipe import PRESETS, SHARES, WHOLE, Recipe
from rung.nas.recurrent.presets import LANGUAGE_PRESETS
from rung.nas.searching import search
from rung.nas.space import SPACES
from rung.nas.strategies import eigenvalue
from rung.nas.strategies.base import Ending, Removal
from rung.nas.strategies.darts_pt import DartsPt
from rung.nas.strategies.table import STRATEGIES, make, rescaled
from rung.nas.task import Scores
from support.pictures import halves


def planned(strategy: str, **told: Any) -> Recipe:
    return recipe_of(Request("x", strategy=strategy, **told))[0]


def passes_of_a_step(strategy: str) -> float:
    found = search(
        halves(32),
        strategy=strategy,
        space="tiny",
        epochs=1,
        retrain=False,
        settings={
            "channels": 4,
            "layers": 3,
            "batch": 8,
            **({"samples": 1} if strategy in ("random", "enas") else {}),
        },
    )
    return float(found.cost["alpha_passes"]) / float(found.cost["weight_passes"]) + 1.0


def selection(pictures: int) -> float:
    """Multiply-adds of DARTS-PT's choosing, forwards and backwards, on so many pictures in two halves."""
    space = SPACES["darts"]
    costs, spent = supernet_costs(space, 4, 3, 10), 0.0
    net = SimpleNamespace(alive={cell.name: candidates_mask(cell) for cell in space.cells})

    def score(mixed: Any) -> Scores:
        nonlocal spent
        spent += pictures / 2 * costs.of(net.alive)  # a forward pass
        return Scores(1.0, 0.5)

    def prune(removals: Sequence[Removal]) -> None:
        for cell, edge, column in removals:
            net.alive[cell][edge, column] = False

    def tune(mixed: Any, epochs: int) -> None:
        nonlocal spent
        spent += epochs * pictures / 2 * 3 * costs.of(net.alive)

    strategy: Any = DartsPt()
    alphas = strategy.begin(space, 0)
    moment = Moment(0, 12, 12, 0, 31)
    strategy.finish(Ending(space, net, alphas, moment, (), score=score, prune=prune, tune=tune))  # type: ignore[arg-type]
    return spent


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_second_order_takes_no_more_passes_than_first_order(preset: str) -> None:
    steps = {name: passes_of_a_step(name) for name in ("darts", "darts1")}
    assert steps == {"darts": 5.0, "darts1": 2.0}
    spent = {name: passes * planned(name, preset=preset).epochs for name, passes in steps.items()}
    assert 0.8 * spent["darts1"] <= spent["darts"] <= spent["darts1"]


@pytest.mark.parametrize(
    "strategy", ["gdas", "snas", "fair", "random", "asap", "p_darts", "pc_darts", "enas"]
)
def test_no_other_takes_more_passes_in_a_step(strategy: str) -> None:
    assert passes_of_a_step(strategy) <= 2.0


def test_choosing_by_removals_fits_into_the_time_of_a_search() -> None:
    tiny = PRESETS["tiny"]
    assert tiny.pictures is not None
    search_alone = tiny.epochs * tiny.pictures / 2 * 2 * 3 * supernet_costs(SPACES["darts"], 4, 3, 10).whole
    chosen = selection(tiny.pictures)
    assert 2.0 < chosen / search_alone < 2.2  # as its share says
    own, darts1 = planned("darts_pt").pictures, planned("darts1").pictures
    assert (own, darts1) == (300, 1000)
    assert (search_alone + chosen) * own / tiny.pictures <= 1.02 * search_alone * darts1 / tiny.pictures


def test_shares_are_of_strategies_that_there_are() -> None:
    assert SHARES.keys() | WHOLE <= STRATEGIES.keys()


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_alphas_go_as_far_in_fewer_steps(strategy: str, preset: str) -> None:
    whole, own = PRESETS[preset], planned(strategy, preset=preset)
    whole = replace(whole, **dict(dict(whole.own).get(strategy, ())))  # a paper's own settings
    rate = dict(whole.alpha_rates).get(strategy, whole.alpha_rate)
    steps = (own.epochs / whole.epochs) * (own.pictures or 1) / (whole.pictures or 1)
    assert own.alpha_rate * steps == pytest.approx(rate)
    assert own.retrain_epochs * (own.pictures or 1) == pytest.approx(
        whole.retrain_epochs * (whole.pictures or 1), rel=0.02
    )
    fewer = SHARES.keys() | WHOLE if preset == "tiny" else SHARES.keys()
    assert (steps < 1) == (strategy in fewer and preset != "paper")
    assert (own.text == whole.text) == (steps == 1)


PAPERS: dict[str, dict[str, Any]] = {
    "darts1": {"epochs": 50, "batch": 64, "rate": 0.025, "rate_min": 0.001, "alpha_rate": 3e-4},
    "darts": {"epochs": 50, "batch": 64, "rate": 0.025, "rate_min": 0.001, "alpha_rate": 3e-4},
    "asap": {"epochs": 50, "batch": 64, "rate": 0.025, "rate_min": 0.001, "channels": 16, "layers": 8},
    "snas": {"epochs": 150, "batch": 64, "alpha_rate": 3e-4},
    "pc_darts": {"epochs": 50, "batch": 256, "rate": 0.1, "rate_min": 0.0, "alpha_rate": 6e-4},
    "p_darts": {"epochs": 75, "batch": 96, "rate": 0.025, "rate_min": 0.0, "alpha_rate": 6e-4},
    "enas": {"epochs": 150, "batch": 160, "channels": 20, "rate": 0.05, "rate_min": 5e-4, "decay": 1e-4},
}


@pytest.mark.parametrize("strategy", PAPERS)
def test_the_papers_settings_are_each_papers(strategy: str) -> None:
    own = planned(strategy, preset="paper")
    assert {name: getattr(own, name) for name in PAPERS[strategy]} == PAPERS[strategy]
    assert planned(strategy, preset="paper", epochs=7, settings={"rate": 0.5}).epochs == 7
    assert planned(strategy, preset="paper", settings={"rate": 0.5}).rate == 0.5


def test_what_is_asked_for_is_done_with_the_presets_own_rate() -> None:
    tiny = PRESETS["tiny"]
    for told in ({"epochs": 12}, {"settings": {"epochs": 12}}):
        own = planned("darts", **told)
        assert (own.epochs, own.alpha_rate) == (12, tiny.alpha_rate / tiny.whole)
    for told in ({"limit": 2000}, {"settings": {"pictures": 2000}}):
        own = planned("darts_pt", **told)
        assert (own.pictures, own.alpha_rate, own.retrain_epochs) == (2000, tiny.alpha_rate, 6)
    assert planned("darts", settings={"alpha_rate": 0.5}).alpha_rate == 0.5
    both = planned("darts", epochs=12, limit=2000)
    assert (both.alpha_rate, both.text) == (tiny.alpha_rate, tiny.text)


@pytest.mark.parametrize("strategy", ["darts", "pc_darts", "darts_pt", "asap", "random"])
def test_a_comparison_gives_all_the_same_epochs_and_pictures(strategy: str) -> None:
    own = planned(strategy, **vars_of(evened(Request("x", strategy=strategy))))
    assert (own.epochs, own.pictures) == (PRESETS["tiny"].epochs, PRESETS["tiny"].pictures)
    told = evened(Request("x", strategy=strategy, epochs=3, settings={"pictures": 50}))
    assert (told.epochs, told.limit) == (3, 50)
    words = evened(Request("x", strategy=strategy, cell="rnn"))
    assert (words.epochs, words.limit) == (LANGUAGE_PRESETS["tiny"].epochs, None)


def test_a_comparison_leaves_networks_that_are_trained_alone_as_they_are() -> None:
    request = Request("x", strategy="evolution")
    assert evened(request) == request
    with pytest.raises(UserError, match="unknown preset 'huge'"):
        evened(Request("x", preset="huge"))


def vars_of(request: Request) -> dict[str, Any]:
    return {"epochs": request.epochs, "limit": request.limit}


@pytest.mark.parametrize(("strategy", "steps"), [("darts1", 2), ("gdas", 2), ("darts", 5)])
@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_stopping_early_takes_no_longer(strategy: str, steps: int, preset: str) -> None:
    """A pass a step more, in as many fewer epochs; alphas go as far."""
    plain, own = (planned(strategy, preset=preset, settings=s) for s in ({}, {"early_stop": True}))
    assert own.epochs * (steps + 1) <= plain.epochs * steps < (own.epochs + 1) * (steps + 1)
    assert own.alpha_rate * own.epochs == pytest.approx(plain.alpha_rate * plain.epochs)
    assert "eigenvalue" in own.text
    asked = planned(strategy, preset=preset, epochs=9, settings={"early_stop": True})
    assert (asked.epochs, asked.alpha_rate) == (9, planned(strategy, preset=preset, epochs=9).alpha_rate)


@pytest.mark.parametrize(("steps", "iterations"), [(4, 5), (16, 8), (390, 30)])
def test_the_eigenvalue_takes_about_a_pass_a_step(
    steps: int, iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two passes an iteration, and half as many iterations as steps."""
    seen: list[int] = []

    def noting(mixed: Any, turn: Any, iterations: int) -> float:
        seen.append(iterations)
        return 1.0

    monkeypatch.setattr(eigenvalue, "alpha_eigenvalue", noting)
    learning = {"normal": SimpleNamespace(grad=0.0)}
    turn: Any = SimpleNamespace(task=SimpleNamespace(steps=steps), alphas=learning)
    stopping: Any = make("darts1", {"early_stop": True}, 12)
    stopping.observe(turn)
    assert seen == [iterations]


def test_early_stop_looks_back_a_third_of_few_epochs() -> None:
    windows = {epochs: make("darts1", {"early_stop": True}, epochs).window for epochs in (2, 4, 8, 50)}  # type: ignore[attr-defined]
    assert windows == {2: 1, 4: 1, 8: 2, 50: 5}
    assert rescaled(make("darts1", {"early_stop": True}, 50), 50, 8).window == 2  # type: ignore[attr-defined]
