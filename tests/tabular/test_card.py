"""The model card says what there is to know, and nothing in a table can break its Markdown."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from rung.tabular.card import leaderboard_facts, model_card
from rung.tabular.model import Member
from rung.tabular.model_file import load_model, read_card, read_manifest, save_model
from rung.tabular.stacking import Stacked
from support.tables import KINDS, result


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_card_says_what_there_is_to_know(kind: str, held: bool) -> None:
    found, frame = result(kind, held=held)
    found.model.notes["seed"] = 7
    card = model_card(found, frame, "rung fit data.csv --target y --seed 7")
    assert card.startswith(f"# y: a {kind} model\n")
    for column in found.columns:
        assert f"| {column.name} | {column.kind} |" in card
    assert "it holds one value only" in card
    assert "5-fold cross-validation" in card
    assert "3 s asked, 2.5 s used" in card
    assert "rung fit data.csv --target y --seed 7" in card
    assert "- seed: 7" in card
    assert "scikit-learn " in card
    assert ("this model, on rows held out from the start" in card) is held
    assert "a constant, on validation rows" in card
    assert "| linear | 100.0% |" in card
    assert ("| class | rows | share |" in card) is (kind != "regression")
    assert ("It has seen values from" in card) is (kind == "regression")


def test_the_score_has_an_interval() -> None:
    found, frame = result("regression")
    line = next(
        x for x in model_card(found, frame).splitlines() if x.startswith("| this model, on rows held out")
    )
    low, high = line.split("(")[1].split(";")[0].split(" – ")
    assert found.held is not None
    assert float(low) <= found.held.score <= float(high)
    assert "40 rows" in line


def test_how_a_label_is_chosen_is_said() -> None:
    found, frame = result("binary")
    assert "The most probable class is predicted." in model_card(found, frame)
    found.model.factors = np.array([1.0, 4.0])
    assert "yes is predicted where its probability is at least 0.2." in model_card(found, frame)
    several, frame = result("multiclass")
    several.model.factors = np.array([1.0, 4.0, 2.0])
    assert "factors: 1 1, 2 4, 3 2." in model_card(several, frame)


def test_names_cannot_break_the_markdown() -> None:
    found, frame = result("binary")
    evil = dataclasses.replace(found, columns=(dataclasses.replace(found.columns[0], name="a|b\n# <x>`"),))
    card = model_card(evil, frame)
    assert "| a\\|b \\# \\<x\\>\\` |" in card
    assert "\n# <x>" not in card


def test_a_constant_has_a_card_too() -> None:
    found, frame = result("binary", trials=0)
    assert "The model is a constant" in model_card(found, frame)


def test_a_model_that_is_stacked_as_a_whole_is_no_constant() -> None:
    found, frame = result("binary")
    bases = [Member(1.0, name, [], {"learner": name}) for name in ("linear", "forest")]
    found.model.members = [Member(1.0, "stack", [Stacked(bases, None, 2)], {"learner": "stack"})]
    board = [row._replace(weight=0.0) for row in found.leaderboard]
    card = model_card(dataclasses.replace(found, leaderboard=board), frame)
    assert "100% of the model is stacked: a linear model on linear and forest." in card
    assert "is a constant" not in card


def test_a_model_file_keeps_card_and_leaderboard(tmp_path) -> None:
    found, frame = result("binary")
    card = model_card(found, frame)
    save_model(found.model, tmp_path / "m.rung", {"leaderboard": leaderboard_facts(found)}, card)
    assert read_card(tmp_path / "m.rung") == card
    assert len(read_manifest(tmp_path / "m.rung")["leaderboard"]) == 15
    assert load_model(tmp_path / "m.rung").raw(frame) == pytest.approx(found.model.raw(frame))


def test_the_leaderboard_is_plain() -> None:
    found, _ = result("binary")
    odd = found.leaderboard[0]._replace(
        score=float("nan"), seconds=np.float64(2.5), config={"learner": "x", "n": np.int64(3), "f": len}
    )
    facts = leaderboard_facts(dataclasses.replace(found, leaderboard=[odd]))
    again = json.loads(json.dumps(facts, allow_nan=False))[0]
    assert (again["score"], again["seconds"], again["config"]["n"]) == (None, 2.5, 3)
