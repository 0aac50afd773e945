"""`rung.executors.metrics`: every kind of number becomes a float, everything else a sentence."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from rung.errors import StudyError
from rung.executors.metrics import as_metrics, as_number, is_number


class Scalar:
    """As torch's: one number behind `item()`."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def item(self) -> Any:
        return self.value


@pytest.mark.parametrize(
    "given", [2, 2.0, np.float32(2), np.float64(2), np.int8(2), np.array(2.0), np.array([2]), Scalar(2.0)]
)
def test_numbers(given: Any) -> None:
    number = as_number("loss", given)
    assert (type(number), number) == (float, 2.0)
    assert is_number(given)


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_still_told(given: float) -> None:
    assert repr(as_number("loss", np.float32(given))) == repr(given)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "0.3",
        True,
        np.bool_(True),
        1j,
        np.zeros(2),
        [1.0],
        {},
        Scalar("x"),
        Fraction(1, 2),
        np.array("x"),
    ],
)
def test_what_is_no_number_is_named(given: Any) -> None:
    assert not is_number(given)
    with pytest.raises(StudyError, match=r"the metric 'val_loss' must be a number, not .*\("):
        as_number("val_loss", given)


def test_a_number_beyond_floats() -> None:
    with pytest.raises(StudyError, match="'loss' is too large"):
        as_number("loss", 10**400)


def test_all_of_a_mapping() -> None:
    assert as_metrics({"loss": np.float32(0.5), "n": 3}) == {"loss": 0.5, "n": 3.0}
    with pytest.raises(StudyError, match="'n'"):
        as_metrics({"loss": 1.0, "n": "many"})


def test_a_name_that_no_log_can_hold_is_escaped() -> None:
    assert as_metrics({"loss": 1, "\ud800": 2, "größe": 3}) == {"loss": 1.0, "\\ud800": 2.0, "größe": 3.0}
