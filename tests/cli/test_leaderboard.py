"""`rung leaderboard`: from the model file alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from rung.errors import DataError
from rung.tabular.card import leaderboard_facts, model_card
from rung.tabular.model_file import load_model, read_card, save_model
from support.tables import result

Rung = Callable[..., Result]


@pytest.fixture
def model(folder: Path) -> str:
    found, frame = result("binary")
    facts = {"metric": "auc", "leaderboard": leaderboard_facts(found)}
    save_model(found.model, "m.rung", facts, model_card(found, frame, "rung fit data.csv --target y"))
    return "m.rung"


def test_the_leaderboard_is_printed(model: str, rung: Rung) -> None:
    done = rung("leaderboard", model, "--top", 3)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "auc" in lines[0]
    assert len(lines) == 5
    assert "linear" in lines[2]
    assert "C=0.123456" in lines[2]
    assert "100%" in lines[2]
    assert "and 12 more: --top 15" in done.stderr


def test_the_leaderboard_is_json(model: str, rung: Rung) -> None:
    rows = json.loads(rung("leaderboard", model, "--json").stdout)
    assert [row["rank"] for row in rows] == list(range(1, 16))
    assert rows[0]["config"]["C"] == 0.123456


def test_the_card_is_printed(model: str, rung: Rung) -> None:
    done = rung("leaderboard", model, "--card")
    assert done.exit_code == 0
    assert done.stdout.rstrip("\n") == read_card(model).rstrip("\n")
    assert done.stdout.startswith("# ")


def test_a_file_with_a_card_is_loaded_as_before(model: str) -> None:
    assert load_model(model).target == "y"


def test_a_file_without_is_one_sentence(folder: Path, rung: Rung) -> None:
    found, _ = result("regression")
    save_model(found.model, "bare.rung")
    done = rung("leaderboard", "bare.rung")
    assert (done.exit_code, "keeps no leaderboard" in done.stderr) == (2, True)
    done = rung("leaderboard", "bare.rung", "--card")
    assert (done.exit_code, "keeps no model card" in done.stderr) == (2, True)
    done = rung("leaderboard", "bare.rung", "--card", "--json")
    assert (done.exit_code, "leave --card or --json out" in done.stderr) == (2, True)
    with pytest.raises(DataError, match="there is no file"):
        read_card("none.rung")
