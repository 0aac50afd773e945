"""How scores are written: digits that say something, whatever the target's unit."""

from __future__ import annotations

import pytest

from rung.tabular.digits import score_form, score_text


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.0, "0.00000"),
        (0.91234567, "0.91235"),
        (-0.5, "-0.50000"),
        (0.0123456, "0.012346"),
        (0.000123456, "0.00012346"),
        (1.23456e-7, "1.2346e-07"),
        (-1.23456e-7, "-1.2346e-07"),
        (1234.5678, "1,234.568"),
        (12_345_678.9, "12,345,678.9"),
        (1.23456e12, "1.2346e+12"),
        (float("inf"), "inf"),
        (float("nan"), "–"),
        (None, "–"),
    ],
)
def test_a_score_alone(score: float | None, text: str) -> None:
    assert score_text(score) == text


def test_scores_that_stand_together_have_the_same_places() -> None:
    scores = [8.4e-5, 1.2e-4, 1.3e-4]
    assert [score_text(score, score_form(scores)) for score in scores] == [
        "0.00008400",
        "0.00012000",
        "0.00013000",
    ]


def test_an_outlier_leaves_the_others_their_digits() -> None:
    form = score_form([0.51234, 0.6, 0.7, 1e30])
    assert score_text(0.51234, form) == "0.51234"


def test_a_score_that_its_neighbours_places_would_lose_has_digits_of_its_own() -> None:
    form = score_form([1.5e-7, 0.3, 0.69])
    assert score_text(1.5e-7, form) == "1.5e-07"
    assert score_text(-1e-17, form) == "0.00000"


def test_what_is_not_there_can_be_an_empty_cell() -> None:
    assert score_text(None, score_form([]), "") == ""
